#!/usr/bin/env python3
"""Each instrument that starts the whole program and judges it is shown bugs of the kind it looks for
(core/base/planted.h) and must fail of them, with a finding that tells what is wrong."""

import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "load"))
import clock  # noqa: E402
import crash  # noqa: E402
import crash_people  # noqa: E402
import crowd  # noqa: E402
import deliveries  # noqa: E402
import effects  # noqa: E402
import overload  # noqa: E402
import sender as load  # noqa: E402
import soak  # noqa: E402


class Planted(unittest.TestCase):
    def setUp(self):
        self.tempdir = tempfile.tempdir
        tempfile.tempdir = tempfile.mkdtemp(prefix="lulab-planted-")

    def tearDown(self):
        shutil.rmtree(tempfile.tempdir)
        tempfile.tempdir = self.tempdir

    def crash_finds(self, bug, finding):
        with self.assertRaisesRegex(load.Breach, finding):
            crash.run(40, seed=1, epoch_rounds=20, planted=bug)

    def test_crash_finds_an_answer_before_its_commit(self):
        self.crash_finds("ack_before_commit", "acknowledged webhooks are lost")

    def test_crash_finds_a_missing_position(self):
        self.crash_finds("skip_position", "position 499 is missing, 500 follows")

    def test_crash_finds_an_event_that_a_read_model_passed_over(self):
        self.crash_finds("skip_event", "projection verify")

    def test_crash_finds_a_repeat_stored_again(self):
        self.crash_finds("forget_tail", "is in the log twice")

    def people_find(self, bug, finding):
        """Within a few runs: what people did before a kill is a matter of time."""
        with self.assertRaisesRegex(load.Breach, finding):
            for seed in range(1, 6):
                crash_people.run(6, seed=seed, epoch_rounds=6, planted=bug)

    def test_crash_people_finds_an_answer_before_its_commit(self):
        self.people_find("ack_before_commit", r": \d+ and not \d+|are lost")

    def test_crash_people_finds_rights_that_outlive_their_end(self):
        self.people_find("keep_rights", "was revoked: 200|has ended: 200")

    def test_clock_finds_a_time_that_falls(self):
        with self.assertRaisesRegex(load.Breach, "recorded time falls"):
            clock.run(2, seed=1, planted="time_falls")

    def test_crowd_finds_those_who_are_never_dropped(self):
        with self.assertRaisesRegex(load.Breach, "the crowd was not dropped within 45 s"):
            crowd.run(crowd.options(["--connections", "60", "--seconds", "1", "--drop-s", "45",
                                     "--planted", "slow_forever"]))

    def test_overload_finds_a_refusal_that_is_none(self):
        with self.assertRaisesRegex(load.Breach, "neither 200 nor 503 but 500"):
            overload.run(overload.options(["--seconds", "2", "--planted", "late_500"]))

    def test_soak_finds_memory_that_is_not_given_back(self):
        with self.assertRaisesRegex(load.Breach, "MiB of memory grow"):
            soak.run(soak.options(["--planted", "leak_request"]))

    def test_deliveries_finds_keys_forgotten_at_a_restart(self):
        with self.assertRaisesRegex(load.Breach, "is in the log twice"):
            deliveries.run(6000, 4, seed=1, planted="forget_at_start")

    def test_effects_finds_an_attempt_that_the_log_learns_of_too_late(self):
        with self.assertRaisesRegex(load.Breach, "the log knows of|refused what it was sent"):
            effects.run(60, seed=1, planted="attempt_late")

    def test_crash_finds_nothing_in_the_program_as_it_should_be(self):
        crash.run(10, seed=1, planted="none")


if __name__ == "__main__":
    unittest.main()
