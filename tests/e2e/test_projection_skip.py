#!/usr/bin/env python3
"""An event no read model can apply: it stops them, a person passes over it, every rebuild honours that."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

from harness import Server, eventually, lulab, meeting_event

# A meeting.started without what its schema requires: the log takes it, as it takes what any build wrote.
UNREADABLE = ("meeting.started", "meeting/TENCENT/broken", '{"nothing":"of use"}')


class Skipping(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="lulab-skip-")
        self.server = Server(data=self.data)
        self.server.start()
        self.assertEqual(self.server.post_event(meeting_event(trace_id="before")).status, 200)
        self.server.stop()
        self.bad = self.append(UNREADABLE)

    def tearDown(self):
        self.server.stop()
        shutil.rmtree(self.data)
        os.unlink(self.server.log_path)

    def append(self, event):
        return int(subprocess.check_output([os.environ["APPEND_EVENT"], self.data, *event]))

    def states(self):
        done = lulab("projection", "status", "--json", "--data", self.data, check=False)
        return {row["model"]: row for row in json.loads(done.stdout)}, done

    def stopped(self):
        return sorted(name for name, row in self.states()[0].items() if row["state"] == "stopped")

    def settled(self):
        """Those that stopped, once every model has stopped or is past the bad event; before that, nothing."""
        rows = self.states()[0].values()
        if all(row["state"] == "stopped" or row["position"] > self.bad for row in rows):
            return self.stopped()
        return None

    def skip(self, model, position, *args, **kw):
        return lulab("projection", "skip", model, position, "--reason", "a faulty build wrote it",
                     "--data", self.data, *args, check=False, **kw)

    def decisions(self):
        lines = lulab("log", "tail", "-n", "100", "--json", "--data", self.data).stdout.splitlines()
        events = [json.loads(line) for line in lines]
        return [e for e in events if e["type"] == "projection.skipped"]

    def all_equal(self):
        rows = json.loads(lulab("projection", "verify", "--json", "--data", self.data).stdout)
        self.assertTrue(rows and all(row["equal"] for row in rows), rows)

    def test_the_running_server_goes_on(self):
        self.server.start(wait=False)
        self.server.wait_ready()
        names = eventually(self.settled)
        self.assertIn("meetings", names)
        self.assertEqual(self.server.post_event(meeting_event(trace_id="after", meeting_id="2")).status, 200)
        for row in [row for row in self.states()[0].values() if row["state"] == "stopped"]:
            self.assertEqual(row["position"], self.bad)
        told = self.states()[1]
        self.assertEqual(told.returncode, 1)
        self.assertIn("lulab projection skip meetings %d --reason" % self.bad, told.stderr)
        health = self.server.get("/health", token=None)
        self.assertEqual(health.status, 503, health.body)
        self.assertEqual(json.loads(health.body)["checks"]["readModels"]["meetings"]["status"], "error")
        to = ("--to", "http://127.0.0.1:%d" % self.server.port)

        # What is refused, and that a refusal leaves no event.
        self.assertEqual(self.skip("meetings", self.bad - 1, *to).returncode, 5)
        self.assertEqual(self.skip("meetigns", self.bad, *to).returncode, 3)
        self.assertEqual(self.skip("meetings", "x", *to).returncode, 2)
        path = "/api/v1/projections/meetings/skip"
        good = json.dumps({"position": self.bad, "reason": "x"})
        self.assertEqual(self.server.request("POST", path, good, token=None).status, 401)
        self.assertEqual(self.server.request("POST", path, good, token="wrong").status, 401)
        self.assertEqual(self.server.request("POST", path, '{"position":1}').status, 400)
        self.assertEqual(self.server.request("POST", path.replace("meetings", "nope"), good).status, 404)
        self.assertEqual(self.decisions(), [])

        # Found by the settings when --to is not given.
        done = self.skip("meetings", self.bad, env={"LULAB_LISTEN": "127.0.0.1:%d" % self.server.port})
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in names:
            if name != "meetings":
                done = self.skip(name, self.bad, *to)
                self.assertEqual(done.returncode, 0, done.stderr)
        eventually(lambda: all(row["state"] == "live" for row in self.states()[0].values()))
        self.assertEqual(self.server.get("/health", token=None).status, 200)
        self.assertEqual(sorted(e["data"]["projection"] for e in self.decisions()), names)
        for e in self.decisions():
            self.assertEqual((e["actor"], e["data"]["position"], e["data"]["reason"]),
                             ("admin", self.bad, "a faulty build wrote it"))
        self.assertEqual(self.server.json("/api/v1/meetings")["pagination"]["total"], 2)
        self.assertEqual(self.skip("meetings", self.bad, *to).returncode, 5)
        self.server.stop()
        self.all_equal()

    def test_the_stopped_directory(self):
        self.assertEqual(self.skip("meetings", self.bad).returncode, 5)  # it does not know yet that it will stop
        self.server.start()
        names = eventually(self.settled)
        self.server.stop()
        self.assertEqual(lulab("projection", "rebuild", "meetings", "--data", self.data, check=False).returncode, 1)
        self.assertEqual(self.skip("meetings", self.bad + 1).returncode, 5)
        for name in names:
            done = self.skip(name, self.bad)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({e["actor"] for e in self.decisions()}, {"admin"})
        lulab("projection", "rebuild", "--data", self.data)
        self.all_equal()
        self.assertEqual(self.stopped(), [])
        self.server.start()
        self.assertEqual(self.server.json("/api/v1/meetings")["pagination"]["total"], 1)
        lulab("log", "verify", "--data", self.data)


if __name__ == "__main__":
    unittest.main()
