#!/usr/bin/env python3
"""Two verifiers, written apart, must say the same of the same export: of a good one, and of one spoiled
in every way a file can be. MUTATIONS in the environment sets how many are tried (default 150), SEED which."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import verify as second  # noqa: E402

LULAB, MAKE_LOG = os.environ["LULAB"], os.environ["MAKE_LOG"]
MUTATIONS = int(os.environ.get("MUTATIONS", "150"))
SEED = int(os.environ.get("SEED", "1"))
SIZE, BLOB_EVERY, SIGN_EVERY = 300, 7, 100


def run(*args, **kwargs):
    return subprocess.run(args, capture_output=True, text=True, timeout=120, **kwargs)


def split_bundle(data):
    records, at = [], 0
    while at < len(data):
        n = int.from_bytes(data[at : at + 2], "big")
        records.append(data[at + 2 : at + 2 + n])
        at += 2 + n
    return records


def join_bundle(records):
    return b"".join(len(r).to_bytes(2, "big") + r for r in records)


class Export:
    """An export whose files can be changed and put back."""

    def __init__(self, directory):
        self.dir, self.saved = directory, {}

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def write(self, name, data):
        self.saved.setdefault(name, self.read(name) if os.path.exists(self.path(name)) else None)
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(data)

    def remove(self, name):
        self.saved.setdefault(name, self.read(name))
        os.unlink(self.path(name))

    def restore(self):
        for name, data in self.saved.items():
            if data is None:
                os.unlink(self.path(name))
            else:
                with open(self.path(name), "wb") as f:
                    f.write(data)
        self.saved.clear()

    def files(self, prefix):
        found = []
        for place, _, names in os.walk(self.path(prefix)):
            found += [os.path.relpath(os.path.join(place, n), self.dir) for n in names]
        return sorted(found)


def bundle_name(tile):
    return second.tile_path("entries", tile, min(256, SIZE - 256 * tile))


def hashes_name(tile):
    return second.tile_path("0", tile, min(256, SIZE - 256 * tile))


def flip(data, r):
    at = r.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << r.randrange(8)]) + data[at + 1 :]


# Each way to spoil an export gives the first index that is wrong, or None when that is not a matter of one record.


def alter_record(e, r):
    i = r.randrange(SIZE)
    records = split_bundle(e.read(bundle_name(i // 256)))
    records[i % 256] = flip(records[i % 256], r)
    e.write(bundle_name(i // 256), join_bundle(records))
    return i


def swap_records(e, r):
    tile = r.randrange(2)
    records = split_bundle(e.read(bundle_name(tile)))
    i, j = sorted(r.sample(range(len(records)), 2))
    records[i], records[j] = records[j], records[i]
    e.write(bundle_name(tile), join_bundle(records))
    return 256 * tile + i


def drop_record(e, r):
    i = r.randrange(SIZE)
    records = split_bundle(e.read(bundle_name(i // 256)))
    del records[i % 256]
    e.write(bundle_name(i // 256), join_bundle(records))
    return i


def repeat_record(e, r):
    i = r.randrange(1, SIZE)
    records = split_bundle(e.read(bundle_name(i // 256)))
    records[i % 256] = records[i % 256 - 1]
    e.write(bundle_name(i // 256), join_bundle(records))
    return i


def cut_bundle(e, r):
    tile = r.randrange(2)
    records = split_bundle(e.read(bundle_name(tile)))
    keep = r.randrange(len(records))
    whole = join_bundle(records[:keep])
    part = join_bundle(records[keep : keep + 1])
    e.write(bundle_name(tile), whole + part[: r.randrange(len(part))])
    return 256 * tile + keep


def lengthen_bundle(e, r):
    tile = r.randrange(2)
    e.write(bundle_name(tile), e.read(bundle_name(tile)) + os.urandom(r.randrange(1, 9)))
    return None


def alter_hash(e, r):
    i = r.randrange(SIZE)
    data = bytearray(e.read(hashes_name(i // 256)))
    data[32 * (i % 256) + r.randrange(32)] ^= 1 << r.randrange(8)
    e.write(hashes_name(i // 256), bytes(data))
    return i


def cut_hashes(e, r):
    name = r.choice(e.files("tile/0") + e.files("tile/1"))
    data = e.read(name)
    e.write(name, data[: r.randrange(len(data))])
    return None


def alter_higher_hash(e, r):
    name = r.choice(e.files("tile/1"))
    e.write(name, flip(e.read(name), r))
    return None


def alter_blob(e, r):
    name = r.choice(e.files("blob"))
    e.write(name, flip(e.read(name), r))
    return None


def cut_blob(e, r):
    name = r.choice(e.files("blob"))
    e.write(name, e.read(name)[:-1])
    return None


def alter_checkpoint(e, r):
    e.write("checkpoint", flip(e.read("checkpoint"), r))
    return None


def alter_old_note(e, r):
    name = r.choice(e.files("checkpoints"))
    e.write(name, flip(e.read(name), r))
    return None


def rename_note(e, r):
    name = r.choice(e.files("checkpoints"))
    e.write("checkpoints/%d" % r.randrange(1, SIZE), e.read(name))
    return None


def shorten(e, r):
    """What a restored backup looks like: an older checkpoint, and all that was signed after it forgotten."""
    older = "checkpoints/%d" % (SIGN_EVERY * r.randrange(1, SIZE // SIGN_EVERY))
    e.write("checkpoint", e.read(older))
    return None


def remove_file(e, r):
    names = e.files("tile") + ["checkpoint"] + r.sample(e.files("blob"), 3)
    e.remove(r.choice(names))
    return None


def rewrite(e, i, record):
    """History changed as a whole: record, leaf and the tiles above agree; only the signatures do not."""
    bundles = [split_bundle(e.read(bundle_name(t))) for t in range(2)]
    bundles[i // 256][i % 256] = record
    leaves = [second.leaf_of(x) for b in bundles for x in b]
    e.write(bundle_name(i // 256), join_bundle(bundles[i // 256]))
    for tile in range(2):
        e.write(hashes_name(tile), b"".join(leaves[256 * tile : 256 * tile + 256]))
    e.write(second.tile_path("1", 0, 1), second.root_of(leaves[:256]))


def rewrite_history(e, r):
    i = r.randrange(SIZE)
    record = split_bundle(e.read(bundle_name(i // 256)))[i % 256]
    rewrite(e, i, record.replace(b"meeting.something-new", b"meeting.something-old"))
    return None


def rewrite_badly(e, r):
    """The same with a record that no writer of this log makes."""
    i = r.randrange(SIZE)
    record = split_bundle(e.read(bundle_name(i // 256)))[i % 256]
    bad = [
        record.replace(b'{"specversion"', b'{ "specversion"', 1),
        record.replace(b'"1.0"', b'"1.1"', 1),
        record.replace(b'"specversion":"1.0",', b"", 1),
        record[:-1] + b',"more":1}',
        record[:-1] + b',"data":{}}',
        record.replace(b'"actor"', b'"Actor"', 1),
        record.replace(b"Z\",\"sequence", b"+00:00\",\"sequence", 1),
        record + b"\n",
        record.replace(b"unknown_event", b"unknown\xffevent", 1),
        record.replace(b"unknown_event", b"unknown\\ud800event", 1),
        record.replace(b"unknown_event", b"unknown\tevent", 1),
        b"[]",
        b"",
    ]
    rewrite(e, i, r.choice(bad))
    return None


WAYS = [
    alter_record, swap_records, drop_record, repeat_record, cut_bundle, lengthen_bundle, alter_hash, cut_hashes,
    alter_higher_hash, alter_blob, cut_blob, alter_checkpoint, alter_old_note, rename_note, shorten, remove_file,
    rewrite_history, rewrite_badly,
]


class Verifiers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="lulab-audit-")
        cls.data = os.path.join(cls.top, "data")
        cls.out = os.path.join(cls.top, "export")
        made = run(MAKE_LOG, cls.data, str(SIZE), str(BLOB_EVERY), str(SIGN_EVERY))
        assert made.returncode == 0, made.stderr
        with open(os.path.join(cls.data, "log.vkey")) as f:
            cls.key = f.read().strip()
        exported = run(LULAB, "log", "export", cls.out, "--data", cls.data, "--json")
        assert exported.returncode == 0, exported.stderr
        cls.summary = json.loads(exported.stdout)
        cls.export = Export(cls.out)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    def tearDown(self):
        self.export.restore()

    def ours(self, *more):
        done = run(LULAB, "log", "verify", "--export", self.out, "--key", self.key, "--json", *more)
        self.assertIn(done.returncode, (0, 1, 4), done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual({"good": 0, "unknown": 1, "bad": 4}[result["verdict"]], done.returncode)
        return result

    def test_a_good_export_is_good(self):
        ours, theirs = self.ours("--semantics"), second.verify(self.out, self.key)
        self.assertEqual(ours["verdict"], "good", ours)
        self.assertEqual(theirs["verdict"], "good", theirs)
        self.assertEqual((ours["size"], ours["records"], ours["checkpoints"]), (SIZE, SIZE, 3))
        self.assertEqual(ours["blobs"], self.summary["blobs"])
        self.assertEqual(theirs["size"], SIZE)

    def test_spoiled_exports_are_told_alike(self):
        r = random.Random(SEED)
        for n in range(MUTATIONS):
            way = WAYS[n % len(WAYS)]
            with self.subTest(n=n, way=way.__name__):
                first = way(self.export, r)
                ours, theirs = self.ours(), second.verify(self.out, self.key)
                self.export.restore()
                self.assertEqual(ours["verdict"], theirs["verdict"], (ours, theirs))
                self.assertNotEqual(ours["verdict"], "good")
                self.assertEqual(ours["firstBad"] is None, theirs["firstBad"] is None, (ours, theirs))
                if first is not None:
                    self.assertEqual((ours["firstBad"], theirs["firstBad"]), (first, first), (ours, theirs))

    def test_the_old_checkpoint_must_be_extended(self):
        old = os.path.join(self.out, "checkpoints", "100")
        self.assertEqual(self.ours("--old-checkpoint", old)["verdict"], "good")
        with open(old, "rb") as f:
            self.assertEqual(second.verify(self.out, self.key, f.read())["verdict"], "good")
        newer = self.export.read("checkpoints/300")
        kept = os.path.join(self.top, "newer")
        with open(kept, "wb") as f:
            f.write(newer)
        # The export falls back to 200 records and forgets the rest: only who kept a checkpoint can tell.
        self.export.write("checkpoint", self.export.read("checkpoints/200"))
        self.export.remove("checkpoints/300")
        self.assertEqual(self.ours("--old-checkpoint", kept)["verdict"], "bad")
        self.assertEqual(self.ours("--old-checkpoint", kept)["firstBad"], 200)
        self.assertEqual(second.verify(self.out, self.key, newer)["verdict"], "bad")

    def test_another_key_proves_nothing(self):
        other = "log.example.test/events+d23885f3+AdBKsjJ0K7SrOhNovUYV5ObQIkq3GgFrr4UgozLJd4c3"
        done = run(LULAB, "log", "verify", "--export", self.out, "--key", other)
        self.assertEqual(done.returncode, 4, done.stdout)
        self.assertEqual(second.verify(self.out, other)["verdict"], "bad")
        cut = run(LULAB, "log", "verify", "--export", self.out, "--key", other[:-4])
        self.assertEqual(cut.returncode, 2)
        none = run(LULAB, "log", "verify", "--export", self.out)
        self.assertEqual(none.returncode, 2)
        gone = run(LULAB, "log", "verify", "--export", self.out + "-not", "--key", self.key)
        self.assertEqual(gone.returncode, 1)

    def test_a_recorded_duplicate_is_found_by_semantics(self):
        record = split_bundle(self.export.read(bundle_name(0)))
        once = json.loads(record[10])["oncekey"].encode()
        rewrite(self.export, 200, record[200].replace(json.loads(record[200])["oncekey"].encode(), once))
        texts = [f["text"] for f in self.ours("--semantics")["findings"] if f["index"] == 200]
        self.assertTrue(any("once key of record 10" in t for t in texts), texts)

    def test_the_data_directory_and_one_proof(self):
        done = run(LULAB, "log", "verify", "--data", self.data, "--key", self.key, "--semantics", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout)["size"], SIZE)
        proofs = os.path.join(self.top, "proofs")
        for index in (0, 255, 256, SIZE - 1):
            done = run(LULAB, "log", "proof", str(index), "--data", self.data, "--out", proofs)
            self.assertEqual(done.returncode, 0, done.stderr)
            files = [os.path.join(proofs, "%d.%s" % (index, kind)) for kind in ("tlog-proof", "json")]
            args = [LULAB, "log", "verify", "--proof", files[0], "--record", files[1], "--key", self.key]
            self.assertEqual(run(*args).returncode, 0)
            with open(files[1], "ab") as f:
                f.write(b" ")
            self.assertEqual(run(*args).returncode, 4)
        self.assertEqual(run(LULAB, "log", "proof", str(SIZE), "--data", self.data).returncode, 3)

    def test_an_export_is_carried_forward(self):
        data, out = os.path.join(self.top, "data2"), os.path.join(self.top, "export2")
        for total in (1, 100, 256, 257, 600):
            have = json.loads(run(LULAB, "log", "stats", "--data", data, "--json").stdout)["size"] if os.path.exists(data) else 0
            self.assertEqual(run(MAKE_LOG, data, str(total - have), "3", "50").returncode, 0)
            done = run(LULAB, "log", "export", out, "--data", data, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["size"], total)
            key = os.path.join(data, "log.vkey")
            done = run(LULAB, "log", "verify", "--export", out, "--key", key)
            self.assertEqual(done.returncode, 0, done.stdout)
        # Nothing of the partial tiles before is left, and an export made in one go has the same bytes.
        again = os.path.join(self.top, "export3")
        self.assertEqual(run(LULAB, "log", "export", again, "--data", data).returncode, 0)
        listing = [{n: hashlib.sha256(Export(d).read(n)).hexdigest() for n in Export(d).files(".")} for d in (out, again)]
        self.assertEqual(*listing)
        # Another log's export is not overwritten.
        done = run(LULAB, "log", "export", self.out, "--data", data)
        self.assertEqual(done.returncode, 5, done.stderr)


if __name__ == "__main__":
    unittest.main()
