#!/usr/bin/env python3
"""Two verifiers, written apart, must say the same of the same export: of a good one, and of one spoiled
in every way of mutations.py. MUTATIONS in the environment sets how many are tried, SEED which; compare.py
is the long form. A verifier that leaves one check out must be found by this."""

import collections
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compare  # noqa: E402
import mutations as m  # noqa: E402
import verify as second  # noqa: E402
from mutations import Export, rewrite, split_bundle  # noqa: E402

LULAB, MAKE_LOG = os.environ["LULAB"], os.environ["MAKE_LOG"]
MUTATIONS = int(os.environ.get("MUTATIONS", "360"))
SEED = int(os.environ.get("SEED", "1"))
SIZE, BLOB_EVERY, SIGN_EVERY = 300, 7, 100


def run(*args, **kwargs):
    return subprocess.run(args, capture_output=True, text=True, timeout=120, **kwargs)


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
        cls.export = Export(cls.out, SIZE, SIGN_EVERY)

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
        record = split_bundle(self.export.read(m.bundle_name(self.export, 0)))
        once = json.loads(record[10])["oncekey"].encode()
        rewrite(self.export, 200, record[200].replace(json.loads(record[200])["oncekey"].encode(), once))
        texts = [f["text"] for f in self.ours("--semantics")["findings"] if f["index"] == 200]
        self.assertTrue(any("once key of record 10" in t for t in texts), texts)

    def test_a_hash_above_is_looked_at_beside_a_tile_that_is_cut(self):
        """Found by compare.py: the first bad index is that of what stands first in the log, not of what is seen first."""
        cut, above = m.hashes_name(self.export, 1), "tile/1/000.p/1"
        self.export.write(cut, self.export.read(cut)[:-5])
        self.assertEqual(self.ours()["firstBad"], 256)
        hashes = self.export.read(above)
        self.export.write(above, bytes([hashes[0] ^ 1]) + hashes[1:])
        self.assertEqual(self.ours()["firstBad"], 0)
        self.assertEqual(second.verify(self.out, self.key)["firstBad"], 0)

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


# For every check that can be left out, the ways to spoil an export that only it tells of, or tells of best.
PLANTED = [
    ("verify_blob", [m.alter_blob, m.cut_blob]),
    ("verify_form", [m.resign_without_renumbering, m.rewrite_badly]),
    ("verify_leaf", [m.alter_record, m.alter_hash]),
    ("verify_old", [m.resign_altered]),
    ("verify_root", [m.resign_fork]),
    ("verify_signature", [m.alter_checkpoint, m.alter_old_note]),
    ("verify_tile", [m.alter_higher_hash]),
    ("verify_time", [m.resign_time]),
]


class Comparison(unittest.TestCase):
    """The instrument, and that it works."""

    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="lulab-compare-")
        cls.pair = compare.Pair(cls.top, LULAB, MAKE_LOG)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    def test_spoiled_exports_are_told_alike(self):
        told = collections.Counter()
        for n in range(MUTATIONS):
            way, verdict, why = self.pair.case(SEED, n)
            told[verdict] += 1
            with self.subTest(seed=SEED, n=n, way=way):
                self.assertIsNone(why)
        print("seed %s: %d cases, %s" % (SEED, MUTATIONS, dict(told)), file=sys.stderr)
        self.assertGreater(min(told["bad"], told["unknown"], told["good"]), 0, "each outcome must occur")

    def test_a_verifier_that_leaves_a_check_out_is_found(self):
        for bug, ways in PLANTED:
            with self.subTest(bug=bug):
                # Each log has keys of its own, so where the bug shows differs from run to run.
                found = next((n for n in range(100)
                              if self.pair.case(SEED, n, ways, os.environ["LULAB_PLANTED"], bug)[2]), None)
                self.assertIsNotNone(found, "not found in 100 cases")
                # The same case by the whole verifier: it is the bug that is seen.
                self.assertIsNone(self.pair.case(SEED, found, ways)[2])


if __name__ == "__main__":
    unittest.main()
