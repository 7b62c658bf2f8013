"""One figure of Python Durus: python3 - OPERATION DIRECTORY SECONDS < durus_rows.py

Operations: unsynced (its FileStorage does not sync a commit), hot (attribute of an
object in the cache). Prints operations per second; for hot, nanoseconds each.
"""
import os
import sys
import time

from durus.connection import Connection
from durus.file_storage import FileStorage
from durus.persistent import PersistentObject


class Item(PersistentObject):
    def __init__(self, ident):
        self.ident = ident
        self.count = 0
        self.owner = "owner-%06d" % ident
        self.text = "x" * 72


def main(operation, directory, seconds):
    path = os.path.join(directory, "python.durus")
    if os.path.exists(path):
        os.remove(path)
    storage = FileStorage(path)
    connection = Connection(storage)
    items = [Item(i) for i in range(1000)]
    connection.get_root()["items"] = items
    connection.commit()
    done, began = 0, time.perf_counter()
    while True:
        if operation == "unsynced":
            items[done % 1000].count += 1
            connection.commit()
            done += 1
        elif operation == "hot":
            if sum(item.ident for item in items) != 499500:
                raise SystemExit("wrong sum")
            done += 1000
        else:
            raise SystemExit("no operation is called %r" % operation)
        took = time.perf_counter() - began
        if took >= seconds:
            break
    storage.close()
    storage = FileStorage(path, readonly=True)
    written = sum(item.count for item in Connection(storage).get_root()["items"])
    if written != (0 if operation == "hot" else done):
        raise SystemExit("%d changes were committed, %d are there" % (done, written))
    print(took * 1e9 / done if operation == "hot" else done / took)


main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
