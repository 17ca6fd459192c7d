#!/usr/bin/env python3
"""Calls that fail, in short: a sample of the ordinals of tests/fault/calls.py, of a seed that is printed; and
bugs planted on error paths (core/base/planted.h), which it must find."""

import contextlib
import io
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import calls  # noqa: E402

SEED = int(os.environ.get("FAULT_SEED", 20261125))  # the long form walks what this leaves out
SAMPLE = 40


class Calls(unittest.TestCase):
    def no_violation(self, part):
        print("calls: seed %d (FAULT_SEED repeats it)" % SEED, flush=True)
        self.assertEqual(calls.run(part, SEED, SAMPLE * calls.SHARES[part] // 100), [])

    def test_on_the_path_of_a_webhook(self):
        self.no_violation("path")

    def test_at_a_start(self):
        self.no_violation("start")

    def test_at_the_first_start(self):
        self.no_violation("first")


class Planted(unittest.TestCase):
    """Every trial of one kind of call, against a program in which its failure is not handled."""

    def finds(self, bug, kind, finding):
        told, tempdir, violations = io.StringIO(), tempfile.tempdir, []
        with tempfile.TemporaryDirectory(prefix="lulab-planted-") as tempfile.tempdir:
            try:
                with contextlib.redirect_stdout(told):
                    # Whose call fails is a matter of how threads take turns: seldom none of the walk's hits the bug.
                    for seed in range(1, 11):
                        violations = violations or calls.run("path", seed, only=[kind], planted=bug)
            finally:
                tempfile.tempdir = tempdir
        self.assertTrue(violations, told.getvalue())
        self.assertRegex(told.getvalue(), finding)

    def test_a_commit_whose_failure_is_ignored(self):
        # What the lost commit is noticed by depends on what was asked of the log next: an answer that was given and is not kept, or an end.
        self.finds("ignore_commit", "fdatasync", "acknowledged and lost|ended with|does not start again|exit 4|still .* after the last failure")

    def test_memory_lost_on_the_way_out(self):
        self.finds("leak_refused", "sockname", "left behind")

    def test_memory_that_was_not_there(self):
        self.finds("unchecked_memory", "calloc", "ended with -11")


if __name__ == "__main__":
    unittest.main(verbosity=2)
