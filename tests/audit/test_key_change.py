#!/usr/bin/env python3
"""A change of the key that signs checkpoints, followed by both verifiers from either end; and the
chains that must not be followed. The log is written as if it were 40 days ago, so that its key can be retired."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import signing  # noqa: E402
import verify as second  # noqa: E402

LULAB, MAKE_LOG = os.environ["LULAB"], os.environ["MAKE_LOG"]


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, timeout=120)


def lulab(*args):
    return run(LULAB, *args)


class KeyChange(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="lulab-keys-")
        self.addCleanup(shutil.rmtree, self.top)
        self.data, self.out = os.path.join(self.top, "data"), os.path.join(self.top, "export")

    def grow(self, n, days_ago=40):
        made = run(MAKE_LOG, self.data, str(n), "0", "50", str(days_ago))
        self.assertEqual(made.returncode, 0, made.stderr)

    def keys(self):
        with open(os.path.join(self.data, "log.vkey")) as f:
            return f.read().split()

    def export(self):
        done = lulab("log", "export", self.out, "--data", self.data)
        self.assertEqual(done.returncode, 0, done.stderr)

    def verdicts(self, key):
        """Of both, which must be the same."""
        done = lulab("log", "verify", "--export", self.out, "--key", key, "--json")
        ours, theirs = json.loads(done.stdout), second.verify(self.out, key)
        self.assertEqual((ours["verdict"], ours["firstBad"]), (theirs["verdict"], theirs["firstBad"]),
                         (ours["findings"], theirs["findings"]))
        return ours

    def begin_change(self):
        """A log of 120 records whose second key was added when it had 71."""
        self.grow(70)
        old = self.keys()[0]
        done = lulab("log", "key", "add", "--data", self.data, "--reason", "a test")
        self.assertEqual(done.returncode, 0, done.stderr)
        new = done.stdout.strip()
        self.assertEqual(self.keys(), [old, new])
        self.assertIn("retire", done.stderr)
        self.grow(49, 0)
        return old, new

    def test_both_keys_sign_and_either_is_enough(self):
        old, new = self.begin_change()
        again = lulab("log", "key", "add", "--data", self.data)
        self.assertEqual(again.returncode, 5, again.stderr)
        self.assertIn("record 71 already", again.stderr)
        self.export()
        with open(os.path.join(self.out, "keys")) as f:
            self.assertEqual(f.read().split(), [old, new])
        with open(os.path.join(self.out, "checkpoint"), encoding="utf-8") as f:
            self.assertEqual(f.read().count("\n\u2014 "), 2)
        for key in (old, new):
            self.assertEqual(self.verdicts(key)["verdict"], "good")
        # The new one alone leads back to the checkpoints of the time before it, by what log.created says.
        self.assertEqual(self.verdicts(new)["keysReached"], 1)
        listed = json.loads(lulab("log", "key", "list", "--data", self.data, "--json").stdout)
        self.assertEqual([(k["key"], k["state"], k["addedAt"]) for k in listed], [(old, "signs", 0), (new, "signs", 71)])
        # So does the file with both, and the data directory itself.
        both = lulab("log", "verify", "--export", self.out, "--key", os.path.join(self.data, "log.vkey"))
        self.assertEqual(both.returncode, 0, both.stdout + both.stderr)
        self.assertEqual(lulab("log", "verify", "--data", self.data).returncode, 0)

    def test_a_key_is_not_retired_before_30_days(self):
        self.begin_change()
        done = lulab("log", "key", "retire", "--data", self.data)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertRegex(done.stderr, r"both keys must sign for 30 days.*from 2\d\d\d-\d\d-\d\dT")
        self.assertEqual(len(self.keys()), 2)
        self.assertTrue(os.path.exists(os.path.join(self.data, "signer.next.key")))

    def test_nothing_is_retired_where_nothing_was_added(self):
        self.grow(3)
        done = lulab("log", "key", "retire", "--data", self.data)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("lulab log key add", done.stderr)
        nowhere = lulab("log", "key", "add", "--data", os.path.join(self.top, "nowhere"))
        self.assertEqual(nowhere.returncode, 3, nowhere.stderr)

    def test_a_record_by_the_old_key_alone_after_its_end_is_not_good(self):
        """The new key's seed, made public by the test, signs what the old one should not."""
        old, new = self.begin_change()
        self.export()
        # Without the other signature on the checkpoints since, the new key is led to by nothing.
        for name in os.listdir(os.path.join(self.out, "checkpoints")):
            self.drop_signature(os.path.join("checkpoints", name), old)
        self.drop_signature("checkpoint", old)
        result = self.verdicts(old)
        self.assertEqual(result["verdict"], "bad")
        self.assertTrue(any("not signed" in f["text"] for f in result["findings"]), result["findings"])
        # Who was given the new one needs no chain for these, and is led back to the old one's.
        self.assertEqual(self.verdicts(new)["verdict"], "good")

    def retired(self):
        """A log of 60 records, a key added at 21 and the one before it retired at 42: who has which key."""
        self.grow(20, 90)
        old = self.keys()[0]
        with open(os.path.join(self.data, "signer.key"), "rb") as f:
            self.retired_seed = f.read()
        self.assertEqual(run(MAKE_LOG, self.data, "add-key", "80").returncode, 0)
        both = self.keys()
        self.grow(20, 70)
        self.assertEqual(run(MAKE_LOG, self.data, "retire-key", "60").returncode, 1)  # after 20 days
        done = lulab("log", "key", "retire", "--data", self.data, "--reason", "a test")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.grow(17, 0)
        self.assertEqual(self.keys(), both[1:])
        self.assertEqual(done.stdout.strip(), both[1])
        self.assertFalse(os.path.exists(os.path.join(self.data, "signer.next.key")))
        self.export()
        return old, both[1]

    def test_the_old_key_leads_to_the_new_one_and_back(self):
        old, new = self.retired()
        with open(os.path.join(self.out, "checkpoint"), encoding="utf-8") as f:
            self.assertEqual(f.read().count("\n\u2014 "), 1)
        for key in (old, new):
            result = self.verdicts(key)
            self.assertEqual((result["verdict"], result["size"], result["keysReached"]), ("good", 60, 1))
        listed = json.loads(lulab("log", "key", "list", "--data", self.data, "--json").stdout)
        self.assertEqual([(k["state"], k["addedAt"], k["retiredAt"]) for k in listed],
                         [("retired", 0, 42), ("signs", 21, None)])
        # A second change, and the first key still leads to the third.
        self.assertEqual(lulab("log", "key", "add", "--data", self.data).returncode, 0)
        self.grow(5, 0)
        self.export()
        for key in (old, new, self.keys()[1]):
            self.assertEqual(self.verdicts(key)["verdict"], "good")

    def test_a_chain_without_its_middle_leads_nowhere(self):
        old, new = self.retired()
        # The only checkpoints that both signed: gone from the export, then also from what names the key.
        for size in range(21, 60):
            path = os.path.join(self.out, "checkpoints", "%d" % size)
            if os.path.exists(path):
                os.unlink(path)
        self.assertEqual(self.verdicts(old)["verdict"], "bad")
        self.assertEqual(self.verdicts(new)["verdict"], "good")

    def test_what_a_retired_key_signs_alone_is_not_good(self):
        old, new = self.retired()
        with open(os.path.join(self.out, "checkpoint"), encoding="utf-8") as f:
            text = f.read().split("\n\n")[0] + "\n"
        line = signing.note_line(old, self.retired_seed, text)
        for name in ("checkpoint", "checkpoints/60"):
            with open(os.path.join(self.out, name), "w", encoding="utf-8") as f:
                f.write(text + "\n" + line)
        result = self.verdicts(old)
        self.assertEqual((result["verdict"], result["firstBad"]), ("bad", 59))
        self.assertTrue(any("record 42 retired" in f["text"] for f in result["findings"]), result["findings"])
        self.assertEqual(self.verdicts(new)["verdict"], "bad")

    def drop_signature(self, name, key):
        path = os.path.join(self.out, name)
        with open(path, encoding="utf-8") as f:
            text, lines = f.read().split("\n\n")
        key_id = bytes.fromhex(key.split("+")[1])
        kept = [x for x in lines.splitlines() if base64.b64decode(x.split(" ")[2])[:4] != key_id]
        if kept:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text + "\n\n" + "\n".join(kept) + "\n")

    def test_a_record_that_names_a_strangers_key_is_found(self):
        old, _ = self.begin_change()
        self.export()
        name = os.path.join(self.out, "tile", "entries", "000.p", "121")
        with open(name, "rb") as f:
            bundle = f.read()
        stranger = "log.example.test/events+d23885f3+AdBKsjJ0K7SrOhNovUYV5ObQIkq3GgFrr4UgozLJd4c3"
        at = bundle.rindex(b'"vkey":"') + 8
        self.assertEqual(len(self.keys()[1]), len(stranger))
        with open(name, "wb") as f:
            f.write(bundle[:at] + stranger.encode() + bundle[at + len(stranger) :])
        result = self.verdicts(old)
        self.assertEqual((result["verdict"], result["firstBad"]), ("bad", 71))


if __name__ == "__main__":
    unittest.main()
