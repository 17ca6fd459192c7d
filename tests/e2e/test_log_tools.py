#!/usr/bin/env python3
"""lulab log tail, show, stats and reindex, on a log that is being written and on one at rest."""

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import unittest

import harness
from harness import lulab, meeting_event

EVENTS = 12


def numbered(i):
    return meeting_event("meeting.started" if i % 2 else "meeting.created", "log-%d" % i, "log-%d" % (i % 3))


class LogTools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data = tempfile.mkdtemp(prefix="lulab-log-")
        cls.server = harness.Server(data=cls.data)
        cls.server.start()
        for i in range(EVENTS):
            answer = cls.server.post_event(numbered(i))
            assert answer.status == 200, answer.body

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        shutil.rmtree(cls.data)

    def log(self, *args, check=True):
        return lulab("log", *args, "--data", self.data, check=check)

    def entries(self, *args):
        return [json.loads(line) for line in self.log("tail", "--json", *args).stdout.splitlines()]

    def test_tail_gives_the_newest_in_order(self):
        everything = self.entries("--limit", "1000000")
        self.assertEqual([int(e["sequence"]) for e in everything], list(range(len(everything))))
        self.assertEqual(sum(e["type"].startswith("meeting.") for e in everything), EVENTS)
        self.assertEqual(self.entries("--limit", "3"), everything[-3:])
        self.assertEqual(self.entries("--from", "2", "--limit", "4"), everything[2:6])
        self.assertEqual(self.entries("--from", "1000000"), [])

    def test_tail_filters_by_type_and_stream(self):
        everything = self.entries("--limit", "1000000")
        started = [e for e in everything if e["type"] == "meeting.started"]
        self.assertEqual(self.entries("--type", "meeting.started"), started)
        self.assertEqual(self.entries("--type", "meeting.started", "--limit", "2"), started[-2:])
        stream = "meeting/TENCENT/log-1"
        self.assertEqual(self.entries("--stream", stream), [e for e in everything if e["subject"] == stream])
        self.assertEqual(self.entries("--stream", "meeting/TENCENT/nobody"), [])
        self.assertEqual(self.log("tail", "--type", "meeting.startet", check=False).returncode, 2)

    def test_tail_for_people_is_a_table(self):
        lines = self.log("tail", "--limit", "2").stdout.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertIn("POSITION", lines[0])
        self.assertIn("meeting/TENCENT/log-", lines[1])

    def test_show_prints_the_bytes_that_are_hashed(self):
        line = self.log("tail", "--json", "--from", "3", "--limit", "1").stdout
        self.assertEqual(self.log("show", "3").stdout, line)
        self.assertEqual(self.log("show", "999999", check=False).returncode, 3)
        self.assertEqual(self.log("show", "first", check=False).returncode, 2)
        self.assertEqual(self.log("show", "3", "--blob", "9", check=False).returncode, 3)

    def test_stats_tell_size_and_root(self):
        stats = json.loads(self.log("stats", "--json").stdout)
        self.assertGreaterEqual(stats["size"], EVENTS)
        self.assertRegex(stats["root"], r"^[0-9a-f]{64}$")
        self.assertIn(stats["root"], self.log("stats").stdout)

    def test_a_directory_without_a_log(self):
        with tempfile.TemporaryDirectory() as empty:
            for verb in (["tail"], ["show", "0"], ["stats"], ["reindex"]):
                done = lulab("log", *verb, "--data", empty, check=False)
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertEqual(done.stdout, "")
            self.assertEqual(os.listdir(empty), [])

    def test_the_running_server_is_not_disturbed(self):
        done = self.log("reindex", check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn("stop it first", done.stderr)


class Following(unittest.TestCase):
    def test_follow_prints_what_becomes_durable(self):
        with harness.Server() as server:
            tail = subprocess.Popen([harness.BINARY, "log", "tail", "-f", "--json", "--data", server.data,
                                     "--type", "meeting.created"], stdout=subprocess.PIPE, text=True)
            lines = queue.Queue()
            reader = threading.Thread(target=lambda: [lines.put(line) for line in tail.stdout])
            reader.start()
            try:
                for i in range(0, 10, 2):
                    server.post_event(numbered(i))
                got = [json.loads(lines.get(timeout=120)) for _ in range(5)]
                self.assertEqual([e["data"]["trace_id"] for e in got], ["log-%d" % i for i in range(0, 10, 2)])
            finally:
                tail.terminate()
                self.assertEqual(tail.wait(20), 0)
                reader.join()
                tail.stdout.close()


class Reindexing(unittest.TestCase):
    def test_indexes_come_from_the_entries_alone(self):
        data = tempfile.mkdtemp(prefix="lulab-log-")
        try:
            with harness.Server(data=data) as server:
                for i in range(EVENTS):
                    server.post_event(numbered(i))
            report = json.loads(lulab("log", "reindex", "--json", "--data", data).stdout)
            self.assertTrue(report["hadOld"])
            self.assertEqual((report["differences"], report["headers"]), (0, 0))
            self.assertEqual(report["types"], report["size"])
            self.assertGreaterEqual(report["once"], EVENTS)
            shutil.rmtree(os.path.join(data, "index"))
            again = json.loads(lulab("log", "reindex", "--json", "--data", data).stdout)
            self.assertFalse(again["hadOld"])
            for name in ("once", "claims", "streams", "types", "subjects"):
                self.assertEqual(again[name], report[name], name)
            # What the index knew, it knows again: a repeat is answered alike and stored once.
            with harness.Server(data=data) as server:
                self.assertEqual(server.post_event(numbered(1)).status, 200)
            entries = lulab("log", "tail", "--json", "--limit", "1000000", "--data", data).stdout.splitlines()
            traces = [json.loads(e)["data"].get("trace_id") for e in entries]
            self.assertEqual(traces.count("log-1"), 1)
        finally:
            shutil.rmtree(data)


if __name__ == "__main__":
    unittest.main()
