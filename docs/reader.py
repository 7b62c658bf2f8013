"""Reads a durus file. Written from format.md alone, as a proof of it.

    python3 reader.py FILE        transactions, objects, and how far the file is whole
    python3 reader.py DIRECTORY   one line for each file in it: its end, and what follows

Numbers in brackets are the rules of format.md.
"""
import datetime, json, os, struct, sys

MAX_OID, MAX_PAYLOAD, MAX_REFS, MAX_LENGTH, MAX_LEASE = 2**48 - 1, 2**30, 2**26, 2**31 - 2**16 + 96, 2**16
KNOWN = {1: "transaction", 2: "class", 3: "lease", 4: "base", 5: "moved", 6: "origin"}
TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)

def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF

class Bad(Exception):
    """kind: short, bad, records or too new; where the search for more frames begins."""
    def __init__(self, kind, reason, search=None, frame=None):
        super().__init__(reason)
        self.kind, self.search, self.frame = kind, search, frame

class File:
    def __init__(self, path):
        self.b = open(path, "rb").read()
        for at in (0, 512):
            h = self.b[at:at + 128]
            if len(self.b) >= 1024 and h[:8] == b"durus\x1a\r\n" and crc32c(h[:124]) == struct.unpack("<I", h[124:])[0]:
                break
        else:
            sys.exit(path + ": no good copy of the file header")
        self.format, size, self.id, self.generation, self.salt, self.horizon, self.high = struct.unpack("<II16sQQQQ", h[8:64])
        if (self.format, size) != (1, 1024):
            sys.exit(path + ": written by a newer version")
        if not 2 <= self.high <= MAX_OID: sys.exit(path + ": impossible values in the file header")
        self.tid, self.time, self.top = self.horizon, 0, 0
        self.link, = struct.unpack("<I", h[124:])
        self.end, self.durable, self.classes, self.frames, self.index = 1024, 1024, [], [], {}
        self.read(self.mark(path + ".lock"))

    def seal(self, crc, pos):
        return crc32c(struct.pack("<QQ", self.salt, pos), crc)

    def frame(self, pos, link):
        """The frame at pos, or Bad. Without link the rules about earlier frames are left out."""
        b, left = self.b, len(self.b) - pos
        if left < 96: raise Bad("short", "the file ends inside a frame header")                                    # 1
        h = b[pos:pos + 96]
        (magic, kind, flags, size, length, at, tid, time, salt, durable, prev, meta_len, count, table_sum, first,
         leased, zero, crc) = struct.unpack("<IBBHQQQQQQIIIIQIQI", h)
        if magic != 0x6D724664 or crc32c(h[:92]) != crc or at != pos or salt != self.salt: raise Bad("bad", "header")  # 2 3 4
        if link and prev != self.link: raise Bad("bad", "does not follow the frame before")                        # 7
        if size != 96 or zero: raise Bad("too new", "a newer frame header", None, dict(end=pos + length, durable=durable))  # 5
        body = 96 + meta_len + 16 * count
        if kind not in KNOWN and flags & 1: raise Bad("too new", "kind %d" % kind, None, dict(end=pos + length, durable=durable))  # 5
        if (meta_len | count) >> 31 or not body + 16 <= length <= MAX_LENGTH or durable > pos:
            raise Bad("bad", "impossible values")                                                                  # 6
        if length > left: raise Bad("short", "the file ends inside a frame")                                       # 6
        if self.seal(crc32c(b[pos + 96:pos + body]), pos) != table_sum: raise Bad("bad", "metadata and table")     # 9
        table = [struct.unpack_from("<QII", b, pos + 96 + meta_len + 16 * i) for i in range(count)]
        ends = [off for _, off, _ in table[1:]] + [length - 16]
        oids = [oid for oid, _, _ in table]
        if kind != 4 and any(y <= x for x, y in zip([0] + oids, oids)): raise Bad("bad", "oids")                    # 10
        if oids and not 0 < min(oids) <= max(oids) <= MAX_OID: raise Bad("bad", "oids")                            # 10
        if (table[0][1] if table else length - 16) != body: raise Bad("bad", "offsets")                            # 10
        if any(e - o < 48 for (_, o, _), e in zip(table, ends)): raise Bad("bad", "offsets")                       # 10
        if table and kind in (2, 3, 5, 6): raise Bad("bad", "records in a frame that is no transaction")                 # 14
        meta = b[pos + 96:pos + 96 + meta_len]
        f = dict(pos=pos, end=pos + length, kind=kind, flags=flags, tid=tid, time=time, durable=durable, crc=crc, oids=oids,
                 meta=parse_meta(meta, kind == 1 and link), table=table, first=first, leased=leased, name=meta[4:])
        if link:
            if time < self.time or (tid <= self.tid if kind == 1 else tid != self.tid): raise Bad("bad", "goes back")  # 8
            if oids and max(oids) >= self.high: raise Bad("bad", "an object id not given out")                      # 14
            if leased > MAX_LEASE or leased and first != self.high or first > self.high or first + leased > MAX_OID \
                    or kind == 3 and first < max(2, self.top + 1): raise Bad("bad", "lease")                                          # 14
            if kind == 2 and (not 5 <= meta_len <= 1028 or struct.unpack("<I", meta[:4])[0] != len(self.classes) + 1):
                raise Bad("bad", "class")                                                                          # 15
            if kind == 4 and meta_len != 16 * count or kind == 5 and meta_len <= 24 or kind == 6 and meta_len % 32:
                raise Bad("bad", "metadata")                                                                       # 16
        if b[pos + length - 16:pos + length] != struct.pack("<QII", length, crc, 0x646E4564):
            raise Bad("records", "trailer", pos + length, f)                                                       # 13
        for (oid, off, crc), end in zip(table, ends):
            r = self.record(pos + off)
            if r is None or r["oid"] != oid or r["crc"] != crc or r["frame"] != off or r["size"] != end - off or not r["whole"]:
                raise Bad("records", "record of object %d" % oid, pos + length, f)                                 # 11 12
        return f

    def record(self, pos):
        """The record at pos, or None if its header or references are damaged."""
        h = self.b[pos:pos + 48]
        if len(h) < 48: return None
        oid, prev, frame, cls, length, strong, weak, payload_sum, crc = struct.unpack("<QQQIIIIII", h)
        refs = self.b[pos + 48:pos + 48 + 8 * (strong + weak)]
        if oid >> 56 or length > MAX_PAYLOAD or strong + weak > MAX_REFS: return None
        if self.seal(crc32c(refs, crc32c(h[:44])), pos) != crc: return None
        payload = self.b[pos + 48 + len(refs):][:length]
        refs = struct.unpack("<%dQ" % (strong + weak), refs)
        return dict(crc=crc, oid=oid & MAX_OID, codec=oid >> 48, prev=prev, frame=frame, cls=cls, strong=list(refs[:strong]),
                    weak=list(refs[strong:]), payload=payload, size=48 + 8 * len(refs) + length,
                    whole=self.seal(crc32c(payload), pos) == payload_sum)

    def mark(self, path):
        """What the lock file's mark says: (begin, end, checksum) of the frame that everything up to is durable."""
        b = open(path, "rb").read(64) if os.path.exists(path) else b""
        if len(b) < 64 or b[:8] != b"durusmk1" or crc32c(b[:60]) != struct.unpack("<I", b[60:])[0]: return 0, 0, 0
        salt, start, end, _, crc = struct.unpack("<QQQQI", b[8:44])
        return (start, end, crc) if salt == self.salt and 1024 <= end <= len(self.b) and start < end else (0, 0, 0)

    def covered(self, mark):
        """How far the mark reaches: nowhere if another valid frame stands in its place."""
        try:
            f = self.frame(mark[0], False) if mark[0] else None
        except Bad:
            return mark[1]
        return mark[1] if f is None or (f["end"], f["crc"]) == mark[1:] else 0

    def behind(self, pos):
        """The greatest `durable` of the valid frames in [pos, size), whatever came before them."""
        durable = 0
        while (pos := self.b.find(b"dFrm", pos)) >= 0:
            try:
                f = self.frame(pos, False)
                durable, pos = max(durable, f["durable"]), f["end"]
            except Bad as bad:
                newer = bad.frame if bad.kind == "too new" else None
                if newer: durable = max(durable, newer["durable"])
                pos = max(newer["end"], pos + 96) if newer else pos + 1
        return durable

    def follows(self, f):
        """Whether a frame follows f, which is the next one."""
        was, self.link, self.time = (self.link, self.time), f["crc"], f["time"]
        try:
            return bool(self.frame(f["end"], True))
        except Bad as bad:
            return bad.kind in ("records", "too new")
        finally:
            self.link, self.time = was

    def read(self, mark):
        self.verdict = "whole"
        while self.end < len(self.b):
            try:
                f = self.frame(self.end, True)
            except Bad as bad:
                w = max(self.durable, self.covered(mark), self.behind(bad.search or self.end + 1))
                self.verdict = "too new" if bad.kind == "too new" else "tail" if self.end >= w else "damage"
                if self.verdict != "damage" or bad.kind != "records": break
                f, self.verdict = bad.frame, "whole"   # some of its records are damaged; the others live
            if f["kind"] == 5 and self.covered(mark) < f["end"] and not self.follows(f):
                self.verdict = "tail"                  # a moved frame does not count as long as nothing follows it
                break
            self.frames.append(f)
            self.end, self.link, self.tid, self.time = f["end"], f["crc"], f["tid"], f["time"]
            self.durable = max(self.durable, f["durable"])
            if f["first"]: self.high = f["first"] + f["leased"]
            if f["kind"] == 2: self.classes.append(f["name"].decode())
            self.index.update((oid, f["pos"] + off) for oid, off, _ in f["table"])
            self.top = max([self.top] + f["oids"])
        if any(f["end"] == mark[1] and f["crc"] == mark[2] for f in self.frames): self.durable = max(self.durable, mark[1])
        self.visible = min([f["pos"] for f in self.frames if f["flags"] & 2 and f["end"] > self.durable], default=self.end)

def parse_meta(b, wanted):
    """user, description, then keys and values: a count of strings and the strings."""
    if not wanted or not b: return ["", ""]
    out, at = [], 4
    while at + 4 <= len(b):
        n, = struct.unpack_from("<I", b, at)
        out, at = out + [b[at + 4:at + 4 + n].decode(errors="replace")], at + 4 + n
    if at != len(b) or len(out) < 2 or len(out) % 2 or len(out) != struct.unpack("<I", b[:4])[0]: raise Bad("bad", "metadata")
    return out

# The first bytes of msgpack values with a number behind them: what it is, and how it is stored.
HEADS = dict(zip(range(0xC4, 0xE0), [("bytes", "B"), ("bytes", "H"), ("bytes", "I"), ("ext", "B"), ("ext", "H"), ("ext", "I"),
    ("number", "f"), ("number", "d"), ("number", "B"), ("number", "H"), ("number", "I"), ("number", "Q"), ("number", "b"),
    ("number", "h"), ("number", "i"), ("number", "q"), ("ext", 1), ("ext", 2), ("ext", 4), ("ext", 8), ("ext", 16),
    ("str", "B"), ("str", "H"), ("str", "I"), ("array", "H"), ("array", "I"), ("map", "H"), ("map", "I")]))

def value(b, at=0):
    """One msgpack value as text, and where it ends."""
    c, at = b[at], at + 1
    if c in (0xC0, 0xC2, 0xC3): return {0xC0: "null", 0xC2: "false", 0xC3: "true"}[c], at
    if c < 0x80: return str(c), at
    if c >= 0xE0: return str(c - 256), at
    if c < 0xC0:
        kind, n = ("map", c & 15) if c < 0x90 else ("array", c & 15) if c < 0xA0 else ("str", c & 31)
    else:
        kind, n = HEADS[c]
        if isinstance(n, str):
            form, (n,) = n, struct.unpack_from(">" + n, b, at)
            at += struct.calcsize(form)
    if kind == "number": return str(n), at
    if kind == "str": return json.dumps(b[at:at + n].decode(errors="replace")), at + n
    if kind == "bytes": return "bytes(%s)" % b[at:at + n].hex(), at + n
    if kind == "ext": return ext(struct.unpack_from("b", b, at)[0], b[at + 1:at + 1 + n]), at + 1 + n
    parts = []
    for _ in range(n):
        text, at = value(b, at)
        if kind == "map":
            v, at = value(b, at)
            text += ": " + v
        parts.append(text)
    return ("{%s}" if kind == "map" else "[%s]") % ", ".join(parts), at

def ext(kind, data):
    if kind in (1, 2): return "%s(%d)" % ("strong" if kind == 1 else "weak", int.from_bytes(data, "big"))
    nanos, seconds = struct.unpack(">Iq", data) if len(data) == 12 else (0, int.from_bytes(data, "big"))
    if len(data) == 8: nanos, seconds = seconds >> 34, seconds & 2**34 - 1
    return "time(%d.%09d)" % (seconds, nanos)

def show(path):
    f = File(path)
    print("database %s format %d generation %d" % (f.id.hex(), f.format, f.generation))
    for t in f.frames:
        if t["kind"] != 1: continue
        when = (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=t["time"])).isoformat(timespec="microseconds")
        user, what, *ext = t["meta"]
        print("transaction %d %sZ objects %s user %s description %s ext %s" % (t["tid"], when, " ".join(map(str, t["oids"])),
              json.dumps(user), json.dumps(what), json.dumps(dict(zip(ext[::2], ext[1::2])))))
    for oid, pos in sorted(f.index.items()):
        r = f.record(pos)
        if r is None or not r["whole"] or r["oid"] != oid:
            print("object %d is damaged" % oid)
            continue
        print("object %d %s %s strong %s weak %s" % (oid, f.classes[r["cls"] - 1], value(r["payload"])[0], r["strong"], r["weak"]))
    print("end %d of %d, known to be durable %d" % (f.end, len(f.b), f.visible))

if __name__ == "__main__":
    if os.path.isdir(sys.argv[1]):
        for name in sorted(n for n in os.listdir(sys.argv[1]) if not n.endswith(".lock")):
            f = File(os.path.join(sys.argv[1], name))
            print("%s: end %d, %s" % (name, f.end, f.verdict))
    else:
        show(sys.argv[1])
