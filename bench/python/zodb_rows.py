"""One figure of ZODB: python3 - OPERATION DIRECTORY SECONDS < zodb_rows.py

Operations: durable (FileStorage syncs each commit), batch (1000 objects a
commit), hot (attribute of an object in the cache). Prints operations, or objects,
per second; for hot, nanoseconds each.
"""
import os
import sys
import time

import persistent
import transaction
import ZODB
import ZODB.FileStorage


class Item(persistent.Persistent):
    def __init__(self, ident):
        self.ident = ident
        self.count = 0
        self.owner = "owner-%06d" % ident
        self.text = "x" * 72


def main(operation, directory, seconds):
    path = os.path.join(directory, "zodb.fs")
    db = ZODB.DB(ZODB.FileStorage.FileStorage(path, create=True))
    connection = db.open()
    items = connection.root()["items"] = [Item(i) for i in range(1000)]
    transaction.commit()
    done, began = 0, time.perf_counter()
    while True:
        if operation == "durable":
            items[done % 1000].count += 1
            transaction.commit()
            done += 1
        elif operation == "batch":
            for item in items:
                item.count += 1
            transaction.commit()
            done += 1000
        elif operation == "hot":
            if sum(item.ident for item in items) != 499500:
                raise SystemExit("wrong sum")
            done += 1000
        else:
            raise SystemExit("no operation is called %r" % operation)
        took = time.perf_counter() - began
        if took >= seconds:
            break
    connection.close()
    db.close()
    db = ZODB.DB(ZODB.FileStorage.FileStorage(path, read_only=True))
    written = sum(item.count for item in db.open().root()["items"])
    if written != (0 if operation == "hot" else done):
        raise SystemExit("%d changes were committed, %d are there" % (done, written))
    print(took * 1e9 / done if operation == "hot" else done / took)


main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
