#!/usr/bin/env python3
"""tests/long.py: pieces add up over runs, and what shows nothing has failed."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import long  # noqa: E402

DID = r"did (\d+)\n"


class Long(unittest.TestCase):
    def setUp(self):
        self.dir = self.enterContext(tempfile.TemporaryDirectory())

    def instrument(self, pieces=3, size=10, command="echo did {size}"):
        return long.Instrument("things", pieces, size, command, DID)

    def run_long(self, *args, **instruments):
        """The exit status, and what was printed."""
        told = io.StringIO()
        with mock.patch.object(sys, "argv", ["long.py", "--state", self.dir, *args]), contextlib.redirect_stdout(told):
            return long.main(instruments), told.getvalue()

    def lines(self):
        with open(os.path.join(self.dir, "pieces"), encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def test_goes_on_where_it_stopped(self):
        self.assertEqual(self.run_long("--seed", "5", "--minutes", "0", a=self.instrument())[0], 0)
        self.assertEqual(self.lines(), [{"seed": 5}])
        status, told = self.run_long("--only", "a", a=self.instrument(2), b=self.instrument())
        self.assertEqual((status, [p["piece"] for p in self.lines()[1:]]), (0, [1, 2]))
        self.assertIn("a: 2 of 2 pieces, 20 things, 0 failed", told)
        self.run_long(a=self.instrument(2), b=self.instrument(4))
        self.assertEqual([p["instrument"] + str(p["piece"]) for p in self.lines()[3:]], ["b1", "b2", "b3", "b4"])

    def test_the_smallest_part_comes_first(self):
        self.run_long(a=self.instrument(4), b=self.instrument(1))
        self.assertEqual("".join(p["instrument"] for p in self.lines()[1:]), "abaaa")

    def test_every_piece_has_its_own_seed_and_first(self):
        echo = self.instrument(3, 7, "echo {seed} {first} {piece}/{pieces} did {size}")
        self.run_long("--seed", "5", a=echo)
        said = [p["command"].split() for p in self.lines()[1:]]
        self.assertEqual(said, [["echo", str(5 + 10000 * n), str(7 * n - 7), "%d/3" % n, "did", "7"] for n in (1, 2, 3)])

    def test_silence_too_little_and_a_status_are_failures(self):
        for command in ("true", "echo did 9", "sh -c false"):
            with self.subTest(command=command):
                status, told = self.run_long("--go-on", a=self.instrument(command=command))
                self.assertEqual((status, self.lines()[-1]["verdict"], self.lines()[-1]["piece"]), (1, "FAILED", 1))
        before = len(self.lines())
        self.assertEqual(self.run_long(a=self.instrument())[0], 1)  # nobody has looked at it
        self.assertEqual(len(self.lines()), before)
        status, told = self.run_long("--go-on", a=self.instrument())
        self.assertEqual((status, [p["piece"] for p in self.lines()[before:]]), (0, [1, 2, 3]))
        self.assertIn("a: 3 of 3 pieces, 30 things, 3 failed, ", told)

    def test_a_failure_stops_no_other(self):
        self.run_long(a=self.instrument(command="true"), b=self.instrument(2))
        self.assertEqual([p["instrument"] for p in self.lines()[1:]], ["a", "b", "b"])

    def test_no_piece_is_made_twice_by_two_runs(self):
        another = ("import json; f = open('%s/pieces', 'a'); "
                   "f.write(json.dumps({'instrument': 'b', 'piece': 1, 'verdict': 'ok', 'count': 10, 'seconds': 0}) + chr(10))" % self.dir)
        with open(os.path.join(self.dir, "another.py"), "w", encoding="utf-8") as f:
            f.write(another + "; print('did 10')")
        self.run_long(a=self.instrument(1, command=sys.executable + " %s/another.py" % self.dir), b=self.instrument(2))
        self.assertEqual([p["instrument"] + str(p["piece"]) for p in self.lines()[1:]], ["b1", "a1", "b2"])
        with long.State(self.dir, None).held("c") as mine:
            self.assertTrue(mine)
            self.run_long("--only", "c", c=self.instrument(), d=self.instrument(1))
            self.run_long("--only", "d", c=self.instrument(), d=self.instrument(1))
        self.assertEqual([p["instrument"] for p in self.lines()[4:]], ["d"])

    def test_every_instrument_is_a_program_here(self):
        for name, instrument in long.INSTRUMENTS.items():
            words = instrument.arguments(1, 1, self.dir)
            self.assertTrue(os.path.exists(os.path.join(long.ROOT, words[1])), name)
            self.assertTrue(instrument.size > 0 and instrument.pieces > 0, name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
