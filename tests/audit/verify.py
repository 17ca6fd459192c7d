#!/usr/bin/env python3
"""A second verifier of log exports, for checking the first.

Written from the published formats alone (RFC 6962 hashing, C2SP signed notes,
tiled logs, CloudEvents records), with nothing but Python's standard library.
It is slow and simple on purpose: everything is read into memory, the tree is
computed by its definition, Ed25519 is big-integer arithmetic.

    verify.py --export DIR --key VKEY [--old-checkpoint FILE]

Exit status: 0 good, 4 evidence of change or loss, 1 cannot tell, 2 wrong use.
"""
import argparse
import base64
import binascii
import datetime
import functools
import hashlib
import json
import os
import re
import sys

# ---- Ed25519 (RFC 8032), verification only ---------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if x2 == 0:
        return None if sign else 0
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P != 0:
        x = x * I % P
    if (x * x - x2) % P != 0:
        return None
    return P - x if (x & 1) != sign else x


GY = 4 * pow(5, P - 2, P) % P
GX = recover_x(GY, 0)
G = (GX, GY, 1, GX * GY % P)


def point_add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point_mul(n, p):
    q = (0, 1, 1, 0)
    while n > 0:
        if n & 1:
            q = point_add(q, p)
        p = point_add(p, p)
        n >>= 1
    return q


def point_equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def point_decode(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


@functools.lru_cache(maxsize=4096)  # comparing runs look at the same notes over and over
def ed25519_verify(public, text, signature):
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = point_decode(public), point_decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % L
    return point_equal(point_mul(s, G), point_add(r, point_mul(h, a)))


# ---- the tree ------------------------------------------------------------------------


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf_of(record):
    return hashlib.sha256(b"\x00" + record).digest()


def root_of(hashes):
    """MTH over leaf hashes, level by level: a last one without a partner goes up as it is."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        pairs = [node(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
        if len(hashes) % 2:
            pairs.append(hashes[-1])
        hashes = pairs
    return hashes[0]


def inclusion_holds(index, size, leaf, proof, root):
    if index >= size or len(proof) > 63:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def consistency_holds(m, n, old_root, new_root, proof):
    if m > n or len(proof) > 63:
        return False
    if m == n:
        return not proof and old_root == new_root
    if m == 0:
        return not proof
    if m & (m - 1) == 0:
        proof = [old_root] + proof
    if not proof:
        return False
    fn, sn = m - 1, n - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr == old_root and sr == new_root and sn == 0


# ---- notes -----------------------------------------------------------------------------


class Bad(Exception):
    pass


def base64_strict(text):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        raise Bad("base64") from e
    if base64.b64encode(data).decode() != text:
        raise Bad("base64 is not canonical")
    return data


def name_ok(name):
    return name != "" and "+" not in name and not any(c.isspace() for c in name)


class Key:
    since = 0  # the size from which on it may sign: that it was given by a person says nothing of when

    def __init__(self, text):
        name, _, rest = text.partition("+")
        key_id, _, key = rest.partition("+")
        data = base64_strict(key)
        if not name_ok(name) or len(data) != 33 or data[0] not in (1, 4) or not re.fullmatch("[0-9a-f]{8}", key_id):
            raise Bad("verifier key")
        self.name, self.kind, self.public = name, data[0], data[1:]
        self.id = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        if self.id.hex() != key_id:
            raise Bad("key id")


def parse_note(data):
    """The text, and (name, key id, signature) of every signature line."""
    if len(data) > 65536:
        raise Bad("note too long")
    try:
        note = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise Bad("UTF-8") from e
    if any(ord(c) < 0x20 and c != "\n" for c in note):
        raise Bad("control character")
    at = note.rfind("\n\n")
    if at < 0 or not note.endswith("\n"):
        raise Bad("no signatures")
    text, lines = note[: at + 1], note[at + 2 :].split("\n")[:-1]
    if not lines or len(lines) > 64:
        raise Bad("number of signatures")
    signatures = []
    for line in lines:
        m = re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line)
        if m is None or not name_ok(m[1]):
            raise Bad("signature line")
        signature = base64_strict(m[2])
        if len(signature) < 5:
            raise Bad("signature too short")
        signatures.append((m[1], signature[:4], signature[4:]))
    return text, signatures


def open_note(data, keys):
    """The text, and the keys that signed it."""
    text, signatures = parse_note(data)
    signed = []
    for name, key_id, body in signatures:
        for key in keys:
            if key.name != name or key.id != key_id:
                continue
            message = text.encode()
            if key.kind == 4:
                if len(body) != 72:
                    raise Bad("cosignature")
                message = b"cosignature/v1\ntime %d\n" % int.from_bytes(body[:8], "big") + message
                body = body[8:]
            if not ed25519_verify(key.public, message, body):
                raise Bad("signature does not verify")
            signed.append(key)
    if not signed:
        raise Bad("no known signature")
    return text, signed


def parse_checkpoint(text):
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] != "" or lines[0] == "":
        raise Bad("not a checkpoint")
    if not re.fullmatch("0|[1-9][0-9]*", lines[1]) or int(lines[1]) >= 2**64:
        raise Bad("size")
    root = base64_strict(lines[2])
    if len(root) != 32:
        raise Bad("root")
    return lines[0], int(lines[1]), root


def open_checkpoint(data, keys):
    """Size, root and the log's keys that signed, among those that may sign at its size (Key.since)."""
    origin, size, root = parse_checkpoint(parse_note(data)[0])
    usable = [k for k in keys if k.since <= size]
    _, signed = open_note(data, usable)
    by = [k for k in signed if k.kind == 1]
    if origin != keys[0].name or not by:
        raise Bad("not a checkpoint of this log")
    return size, root, by


# ---- records -------------------------------------------------------------------------------

NAME = r"[!#-\[\]-~]{1,255}"
MEMBERS = [
    ("specversion", True, r"1\.0"),
    ("id", True, "[0-9a-f]{32}"),
    ("source", True, NAME),
    ("type", True, "[a-z0-9._-]{1,64}"),
    ("subject", True, NAME),
    ("time", True, r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]\.[0-9]{6}Z"),
    ("sequence", True, "[0-9]{20}"),
    ("actor", True, NAME),
    ("causationid", False, NAME),
    ("correlationid", False, NAME),
    ("traceparent", False, "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
    ("oncekey", False, "[A-Za-z0-9_-]{43}"),
    ("dataschema", True, "[a-z0-9._-]{1,64}/[1-9][0-9]{0,8}"),
    ("datacontenttype", True, "application/json"),
    ("data", True, None),
]


def pairs_once(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise Bad("duplicate member")
    for name, value in pairs:
        for text in (name, value):
            if isinstance(text, str) and ("\0" in text or any(0xD800 <= ord(c) < 0xE000 for c in text)):
                raise Bad("NUL or lone surrogate")
    return dict(pairs)


def no_constant(name):
    raise Bad(name)


@functools.lru_cache(maxsize=65536)
def check_record(record, index):
    """The parsed record, or Bad."""
    try:
        text = record.decode("utf-8")
        if len(record) > 65535 or not text.startswith("{") or not text.endswith("}"):
            raise Bad("not one object")
        if re.search(r"\s", re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)):
            raise Bad("white space")
        event = json.loads(text, object_pairs_hook=pairs_once, parse_constant=no_constant)
    except (ValueError, RecursionError) as e:
        raise Bad("JSON") from e
    names = list(event)
    if names != [name for name, _, _ in MEMBERS if name in event]:
        raise Bad("members")
    for name, required, form in MEMBERS:
        if name not in event:
            if required:
                raise Bad(name + " is missing")
        elif form is None:
            if not isinstance(event[name], dict):
                raise Bad(name)
        elif not isinstance(event[name], str) or not re.fullmatch(form, event[name]):
            raise Bad(name)
    if len(event["subject"]) > 200:
        raise Bad("subject")
    if event["dataschema"].split("/")[0] != event["type"]:
        raise Bad("dataschema")
    try:
        datetime.datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError as e:
        raise Bad("time") from e
    if int(event["sequence"]) != index:
        raise Bad("moved")
    return event


def blobs_of(value):
    if isinstance(value, dict):
        if "$blob" in value:
            yield value
            return
        value = value.values()
    elif not isinstance(value, list):
        return
    for inner in value:
        yield from blobs_of(inner)


# ---- the export ------------------------------------------------------------------------------


def tile_path(kind, n, width):
    digits = "%03d" % (n % 1000)
    while n >= 1000:
        n //= 1000
        digits = "x%03d/" % (n % 1000) + digits
    return "tile/%s/%s%s" % (kind, digits, "" if width == 256 else ".p/%d" % width)


class Audit:
    def __init__(self, directory, keys):
        self.dir, self.keys = directory, keys
        self.findings = []  # (evidence, index or None, text)
        self.retired = []  # (index, public key), as the log says
        self.gap_from = None  # the first record that cannot be read
        self.split = False  # a record has not the hash in its tile
        self.last_time = None

    # ---- keys: those given, and those the log leads to from them

    def key_of(self, event):
        try:
            key = Key(event["data"].get("vkey"))
        except (Bad, AttributeError):
            return None
        return key if key.kind == 1 and key.name == self.keys[0].name else None

    def named_keys(self, size):
        """(index, key) of every record that names a key, as far as bundles are there."""
        named = []
        for n in range((size + 255) // 256):
            data = self.tile("entries", n, min(256, size - 256 * n))
            if data is None:
                break
            for i, record in enumerate(self.split_bundle(data, min(256, size - 256 * n))):
                if b'"type":"log.' not in record:
                    continue
                try:
                    event = check_record(record, 256 * n + i)
                except Bad:
                    continue
                key = self.key_of(event) if event["type"] in ("log.created", "log.key.added") else None
                if key is not None and len(named) < 64:
                    named.append((256 * n + i, key))
        return named

    def covered(self, index, name):
        """Is the record under a checkpoint by a key accepted already?"""
        data = self.read(name)
        try:
            return data is not None and open_checkpoint(data, self.keys)[0] > index
        except Bad:
            return False

    def follow_keys(self, sizes):
        newest = self.read("checkpoint")
        try:
            named = self.named_keys(parse_checkpoint(parse_note(newest or b"")[0])[1])
        except Bad:
            return
        further = True
        while further:
            further = False
            for entry in list(named):
                index, key = entry
                above = [s for s in sizes if s > index]
                if not self.covered(index, "checkpoint") and not (above and self.covered(index, "checkpoints/%d" % above[0])):
                    continue
                named.remove(entry)
                further = True
                known = [k for k in self.keys if k.public == key.public]
                if not known:
                    key.since = index + 1
                    self.keys.append(key)
                else:
                    known[0].since = min(known[0].since, index + 1)

    def check_signers(self, size, by):
        ended = [public for index, public in self.retired if index < size]
        if all(k.public in ended for k in by):
            self.found(True, size - 1 if size else None, "checkpoint %d is signed by a retired key only" % size)

    # ---- files

    def found(self, evidence, index, text):
        self.findings.append((evidence, index, text))

    def read(self, name):
        try:
            with open(os.path.join(self.dir, name), "rb") as f:
                return f.read()
        except OSError:
            return None

    def tile(self, kind, n, width):
        data = self.read(tile_path(kind, n, width))
        if data is None and width < 256:
            data = self.read(tile_path(kind, n, 256))
        return data

    def is_full_instead(self, n, width):
        return not os.path.exists(os.path.join(self.dir, tile_path("entries", n, width)))

    @staticmethod
    def split_bundle(data, width):
        records, at = [], 0
        while len(records) < width and at + 2 <= len(data):
            length = int.from_bytes(data[at : at + 2], "big")
            if at + 2 + length > len(data):
                break
            records.append(data[at + 2 : at + 2 + length])
            at += 2 + length
        return records

    def bundle(self, n, width):
        """Records of a tile: those that are there."""
        first, data = 256 * n, self.tile("entries", n, width)
        if data is None:
            self.found(False, first, "records from %d are not there" % first)
            return [None] * width
        records = self.split_bundle(data, width)
        if len(records) < width:
            self.found(True, first + len(records), "records from %d are cut" % (first + len(records)))
        elif sum(2 + len(r) for r in records) < len(data) and not self.is_full_instead(n, width):
            self.found(True, first + width - 1, "more than there should be")
        return records + [None] * (width - len(records))

    def check_blobs(self, event, index):
        for blob in blobs_of(event["data"]):
            name, size = blob.get("$blob"), blob.get("size")
            if not isinstance(name, str) or not re.fullmatch("[0-9a-f]{64}", name) or not isinstance(size, int) or size < 0:
                self.found(True, index, "form of a blob")
                continue
            data = self.read("blob/%s/%s" % (name[:2], name))
            if data is None:
                self.found(False, index, "blob missing")
            elif len(data) != size or hashlib.sha256(data).hexdigest() != name:
                self.found(True, index, "blob altered")

    def check_records(self, n, width, kept):
        """The leaf hashes, where a record cannot be read the kept one."""
        leaves = []
        for i, record in enumerate(self.bundle(n, width)):
            index = 256 * n + i
            stored = kept[i] if kept else None
            if record is None:
                leaves.append(stored)
                self.gap_from = index if self.gap_from is None else self.gap_from
                continue
            leaf = leaf_of(record)
            leaves.append(leaf)
            if stored is not None and stored != leaf:
                self.found(True, index, "record %d does not have its hash" % index)
                self.split = True
            try:
                event = check_record(record, index)
            except Bad as e:
                self.found(True, index, "record %d: %s" % (index, e))
                continue
            if self.last_time is not None and event["time"] < self.last_time:
                self.found(True, index, "time goes back")
            self.last_time = event["time"]
            if event["type"] == "log.key.retired" and self.key_of(event) is not None:
                self.retired.append((index, self.key_of(event).public))
            self.check_blobs(event, index)
        return leaves

    def hash_tile(self, level, n, width):
        data = self.tile(str(level), n, width)
        if data is None:
            self.found(False, None if level else 256 * n, "tile %d/%d missing" % (level, n))
            return None
        if len(data) not in (32 * width, 32 * 256):
            self.found(True, n * 256 ** (level + 1), "tile %d/%d has a wrong length" % (level, n))
            return None
        return [data[32 * i : 32 * i + 32] for i in range(width)]

    def check_higher_tiles(self, hashes):
        level = 1
        while len(hashes) >= 256:
            hashes = [root_of(hashes[i : i + 256]) for i in range(0, len(hashes) // 256 * 256, 256)]
            for n in range((len(hashes) + 255) // 256):
                want = hashes[256 * n : 256 * n + 256]
                kept = self.hash_tile(level, n, len(want))
                if kept is not None and kept != want:
                    i = next(i for i in range(len(want)) if kept[i] != want[i])
                    first = (256 * n + i) * 256**level
                    self.found(True, self.suspect(first, first + 256**level), "tile %d/%d differs" % (level, n))
            level += 1

    def suspect(self, agreed, size):
        """From where on a root differs, unless a record below was named already."""
        named = [f[1] for f in self.findings if f[0] and f[1] is not None and f[1] < size]
        return None if named else agreed

    def note_sizes(self):
        try:
            return sorted(int(name) for name in os.listdir(os.path.join(self.dir, "checkpoints")) if name.isdecimal())
        except OSError:
            self.found(False, None, "checkpoints cannot be listed")
            return []

    def is_whole(self, size):
        return self.gap_from is None or self.gap_from >= size

    def check_notes(self, sizes, leaves, size):
        """The sizes at which a note had the root of the records."""
        agreed, told = [0], False
        for at in sizes:
            if at > size:
                self.found(True, size, "signed for more records than there are")
                continue
            data = self.read("checkpoints/%d" % at)
            if data is None:
                self.found(False, max(at - 1, 0), "checkpoint %d cannot be read" % at)
                continue
            try:
                noted, root, by = open_checkpoint(data, self.keys)
            except Bad as e:
                self.found(True, max(at - 1, 0), "checkpoint %d: %s" % (at, e))
                continue
            if noted != at:
                self.found(True, max(at - 1, 0), "checkpoint %d is of another size" % at)
                continue
            self.check_signers(at, by)
            if None not in leaves[:at] and root == root_of(leaves[:at]):
                agreed.append(at)
            elif self.is_whole(at) and not told:
                self.found(True, self.suspect(agreed[-1], at), "root at %d" % at)
                told = True
        return agreed

    def run(self, old=None):
        size = root = by = None
        sizes = self.note_sizes()
        self.follow_keys(sizes)
        data = self.read("checkpoint")
        if data is None:
            self.found(False, None, "no checkpoint")
        else:
            try:
                size, root, by = open_checkpoint(data, self.keys)
            except Bad as e:
                self.found(True, None, "checkpoint: %s" % e)
        leaves, stored = [], []
        for n in range(((size or 0) + 255) // 256):
            width = min(256, size - 256 * n)
            kept = self.hash_tile(0, n, width)
            found = self.check_records(n, width, kept)
            leaves += found
            stored += kept or found
        agreed = self.check_notes(sizes, leaves, size or 0)
        if None not in stored:
            self.check_higher_tiles(stored)
        if size is not None:
            self.check_newest(leaves, size, root, by, agreed)
        if old is not None:
            self.check_old(old, leaves, size, agreed)
        return self.result(size)

    def check_newest(self, leaves, size, root, by, agreed):
        self.check_signers(size, by)
        same = None not in leaves and root_of(leaves) == root
        if self.split:
            self.found(True, None, "tiles and records differ")
        elif not same and self.is_whole(size):
            self.found(True, self.suspect(agreed[-1], size), "history was rewritten")
        elif not same:
            self.found(True, None, "the root is not the signed one")

    def check_old(self, old, leaves, size, agreed):
        try:
            old_size, old_root, by = open_checkpoint(old, self.keys)
        except Bad as e:
            self.found(True, None, "old checkpoint: %s" % e)
            return
        if size is None:
            return
        if old_size > size:
            self.found(True, size, "records are missing")
            return
        if old_size > 0:
            self.check_signers(old_size, by)
        if self.is_whole(old_size) and root_of(leaves[:old_size]) != old_root:
            self.found(True, self.suspect(max(a for a in agreed if a < old_size), old_size), "does not extend the old checkpoint")

    def result(self, size):
        bad = [f for f in self.findings if f[0]]
        indexes = [f[1] for f in bad if f[1] is not None]
        verdict = "bad" if bad else "unknown" if self.findings else "good"
        return {"verdict": verdict, "firstBad": min(indexes) if indexes else None, "size": size, "findings": self.findings}


def verify(directory, key, old=None):
    return Audit(directory, [Key(key)]).run(old)


def main():
    parser = argparse.ArgumentParser(description="check a log export", allow_abbrev=False)
    parser.add_argument("--export", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--old-checkpoint")
    args = parser.parse_args()
    old = None
    if args.old_checkpoint:
        with open(args.old_checkpoint, "rb") as f:
            old = f.read()
    try:
        result = verify(args.export, args.key, old)
    except Bad as e:
        print("verify.py: %s" % e, file=sys.stderr)
        return 2
    for evidence, _, text in result["findings"]:
        print("%s: %s" % ("bad" if evidence else "unknown", text))
    print("%s: %s records, first bad %s" % (result["verdict"], result["size"], result["firstBad"]))
    return {"good": 0, "bad": 4, "unknown": 1}[result["verdict"]]


if __name__ == "__main__":
    sys.exit(main())
