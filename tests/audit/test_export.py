#!/usr/bin/env python3
"""An export that is killed at random moments goes on where it was: in the end it has the same bytes as one
that was made in one go, and at every moment before it is still what its checkpoint says. SEED and KILLS in the
environment choose the moments and how many at least; the seed is printed."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

LULAB, MAKE_LOG = os.environ["LULAB"], os.environ["MAKE_LOG"]
SEED = os.environ.get("SEED", "1")
KILLS = int(os.environ.get("KILLS", "8"))
EVENTS = 3000


def must(*args):
    done = subprocess.run(args, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def digests(directory):
    found = {}
    for place, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, directory)] = hashlib.sha256(f.read()).hexdigest()
    return found


class Killed(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="lulab-export-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.addCleanup(shutil.rmtree, self.top)
        self.data, self.out = os.path.join(self.top, "data"), os.path.join(self.top, "export")
        self.random = random.Random(SEED)

    def grow(self, n):
        must(MAKE_LOG, self.data, str(n), "9", "1000")

    def export_until(self, seconds):
        """Runs an export and kills it then, unless it came to its end before. Whether it was killed."""
        process = subprocess.Popen([LULAB, "log", "export", self.out, "--data", self.data],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True
        self.assertEqual(process.returncode, 0)
        return False

    def export(self, name="export"):
        must(LULAB, "log", "export", os.path.join(self.top, name), "--data", self.data)

    def assert_same_as_in_one_go(self):
        self.export("whole")
        self.assertEqual(digests(self.out), digests(os.path.join(self.top, "whole")))
        shutil.rmtree(os.path.join(self.top, "whole"))

    def verify(self):
        must(LULAB, "log", "verify", "--export", self.out, "--key", os.path.join(self.data, "log.vkey"))

    def test_all_but_the_checkpoint(self):
        """The moment before `checkpoint` is replaced, and the one after: what lies there by then is no contradiction."""
        notes = os.path.join(self.out, "checkpoints")
        self.grow(500)
        self.export()
        self.grow(500)
        blocked = os.path.join(self.out, "checkpoint.tmp")  # it cannot be written
        os.mkdir(blocked)
        done = subprocess.run([LULAB, "log", "export", self.out, "--data", self.data], capture_output=True, timeout=300)
        self.assertNotEqual(done.returncode, 0)
        self.verify()
        os.rmdir(blocked)

        # A directory under the name for a note that the export is to have: then it ends when `checkpoint` is there already.
        os.mkdir(os.path.join(notes, "1000"))
        done = subprocess.run([LULAB, "log", "export", self.out, "--data", self.data], capture_output=True, timeout=300)
        self.assertNotEqual(done.returncode, 0)
        os.rmdir(os.path.join(notes, "1000"))
        self.verify()
        self.grow(200)
        self.export()
        self.verify()
        self.assert_same_as_in_one_go()

    def test_killed_at_random_moments(self):
        kills = 0
        self.grow(EVENTS)
        began = time.monotonic()
        self.export()
        span_s = time.monotonic() - began
        while kills < KILLS:
            # As many as before, or the moments would more and more often come after the end of what is left to do.
            self.grow(EVENTS)
            for _ in range(KILLS):
                if not self.export_until(self.random.uniform(0, span_s)):
                    break
                kills += 1
                self.verify()  # at the former checkpoint, whatever lies beside it by now
            self.export()
            self.verify()
            self.assert_same_as_in_one_go()
        print("seed %s: killed %d times, every result equal" % (SEED, kills), file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
