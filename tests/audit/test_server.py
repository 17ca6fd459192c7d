#!/usr/bin/env python3
"""The log's promises against the running service: exports while it writes, and a log that went back in time."""

import json
import os
import re
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
import verify as second  # noqa: E402
from harness import ACK, Server, eventually, lulab, meeting_event  # noqa: E402


def post(server, first, n):
    for i in range(first, first + n):
        answer = server.post_event(meeting_event(trace_id="t-%d" % i, meeting_id="m-%d" % (i % 7)))
        assert (answer.status, answer.body) == (200, ACK), (answer.status, answer.body)


def signed_size(server):
    note = server.get("/api/v1/checkpoint")
    return int(note.body.split(b"\n")[1]) if note.status == 200 else 0


class Audit(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="lulab-audit-")
        self.addCleanup(shutil.rmtree, self.top)

    def verified(self, out, data, *more):
        done = lulab("log", "verify", "--export", out, "--key", os.path.join(data, "log.vkey"), "--semantics", "--json", *more)
        with open(os.path.join(data, "log.vkey")) as f:
            theirs = second.verify(out, f.read().strip())
        ours = json.loads(done.stdout)
        self.assertEqual((ours["verdict"], theirs["verdict"]), ("good", "good"), (ours, theirs))
        return ours

    def test_exports_and_proofs_while_the_server_writes(self):
        out = os.path.join(self.top, "export")
        with Server() as s:
            for round_ in range(3):
                post(s, 40 * round_, 40)
                size = eventually(lambda: (n := signed_size(s)) > 40 * (round_ + 1) and n)
                lulab("log", "export", out, "--data", s.data)
                self.assertGreaterEqual(self.verified(out, s.data)["size"], size)
                if round_ == 0:
                    shutil.copy(os.path.join(out, "checkpoint"), os.path.join(self.top, "old"))
            self.verified(out, s.data, "--old-checkpoint", os.path.join(self.top, "old"))
            proof = s.get("/api/v1/events/17/proof")
            self.assertEqual(proof.status, 200)
            with open(os.path.join(self.top, "17.tlog-proof"), "wb") as f:
                f.write(proof.body)
            lulab("log", "proof", "17", "--data", s.data, "--out", os.path.join(self.top, "own"))
            lulab("log", "verify", "--proof", os.path.join(self.top, "17.tlog-proof"), "--record",
                  os.path.join(self.top, "own", "17.json"), "--key", os.path.join(s.data, "log.vkey"))
            # Nobody's name is in what an auditor gets.
            for place, _, names in os.walk(out):
                for name in names:
                    with open(os.path.join(place, name), "rb") as f:
                        data = f.read()
                    for secret in ("张三", "mock-user-id-001", "季度预算评审会"):
                        self.assertNotIn(secret.encode(), data)

    def test_a_log_that_lost_signed_events_takes_no_more(self):
        data = os.path.join(self.top, "data")
        os.mkdir(data)
        with Server(data=data) as s:
            post(s, 0, 5)
        shutil.copytree(data, os.path.join(self.top, "backup"))
        with Server(data=data) as s:
            post(s, 5, 5)
        for part in ("log", "index", "read"):
            shutil.rmtree(os.path.join(data, part))
            shutil.copytree(os.path.join(self.top, "backup", part), os.path.join(data, part))
        s = Server(data=data)
        s.start(wait=False)
        try:
            eventually(lambda: self.is_live(s), timeout_s=120)
            self.assertEqual(s.post_event(meeting_event(trace_id="t-new")).status, 503)
            ready = s.get("/readyz?verbose")
            self.assertEqual(ready.status, 503)
            self.assertIn(b"sign", ready.body)
            self.assertEqual(s.get("/api/v1/meetings").status, 200)
            # An auditor who holds the newer checkpoint sees what is missing.
        finally:
            s.stop()

    @staticmethod
    def damage(data, index, old, new):
        """One record altered where it lies, in every copy the store has of it; how many those were."""
        assert len(old) == len(new)
        mark, n = b'"sequence":"%020d"' % index, 0
        with open(os.path.join(data, "log", "data.mdb"), "r+b") as f:
            content = f.read()
            at = content.find(mark)
            while at >= 0:
                where = content.find(old, at, at + 400)
                if where >= 0:
                    f.seek(where)
                    f.write(new)
                    n += 1
                at = content.find(mark, at + 1)
        return n

    def test_a_record_damaged_under_the_service_is_found_and_nothing_more_is_written(self):
        data = os.path.join(self.top, "data")
        os.mkdir(data)
        env = {"LULAB_VERIFY_INTERVAL": "1", "LULAB_VERIFY_RATE": "0"}

        def verification(s):
            ready = s.get("/readyz?verbose")
            return ready.status, re.search(r"\[(.*)\] verification: (.*)", ready.body.decode()).groups()

        def verified(s, n):
            status, (kind, text) = verification(s)
            found = re.match(r"(\d+) events are as they were signed", text)
            return status == 200 and kind == "ok" and found is not None and int(found[1]) >= n

        with Server(data=data, env=env) as s:
            post(s, 0, 300)
            eventually(lambda: verified(s, 301), timeout_s=120)
            metrics = s.get("/metrics").body.decode()
            self.assertRegex(metrics, r'lulab_verify_runs_total\{outcome="good"\} [1-9]')
            self.assertIn("lulab_verify_damaged 0", metrics)
            self.assertGreater(self.damage(data, 217, b"webhook:tencent", b"webhook:tencenu"), 0)
            eventually(lambda: s.get("/readyz").status == 503, timeout_s=120)
            self.check_damage_is_told(s, 217)
            self.assertIn("the log is damaged", s.log())
        with open(os.path.join(data, "log.damage")) as f:
            self.assertIn("at index 217", f.read())
        # Mended, it is still not believed before a verification has come to its end.
        self.damage(data, 217, b"webhook:tencenu", b"webhook:tencent")
        s = Server(data=data, env={"LULAB_VERIFY_RATE": "1024"})
        s.start(wait=False)
        try:
            eventually(lambda: self.is_live(s), timeout_s=120)
            self.check_damage_is_told(s, 217)
        finally:
            s.stop()
        # Verified, it writes again from the next start on.
        s = Server(data=data, env=env)
        s.start(wait=False)
        try:
            eventually(lambda: not os.path.exists(os.path.join(data, "log.damage")), timeout_s=120)
            eventually(lambda: self.is_live(s), timeout_s=120)
            self.assertEqual(s.post_event(meeting_event(trace_id="t-early")).status, 503)
        finally:
            s.stop()
        with Server(data=data, env=env) as s:
            post(s, 300, 1)

    def check_damage_is_told(self, s, index):
        answer = s.post_event(meeting_event(trace_id="t-late"))
        self.assertEqual(answer.status, 503)
        ready, health = s.get("/readyz?verbose"), s.get("/health")
        self.assertEqual((ready.status, health.status), (503, 503))
        self.assertIn("[not ready] log: read-only: verification found damage at index %d" % index, ready.body.decode())
        told = json.loads(health.body)["checks"]["log"]["verification"]
        self.assertEqual(told["status"], "error")
        self.assertIn("at index %d" % index, told["note"])
        metrics = s.get("/metrics").body.decode()
        self.assertIn("lulab_verify_damaged 1", metrics)
        self.assertEqual(s.get("/api/v1/meetings").status, 200)  # reading goes on

    @staticmethod
    def is_live(server):
        try:
            return server.get("/livez", token=None).status == 200
        except OSError:
            return False

    def test_subjects_and_keys_outlive_restarts_and_crashes(self):
        data = os.path.join(self.top, "data")
        os.mkdir(data)
        for round_ in range(4):
            s = Server(data=data).start()
            post(s, 10 * round_, 10)
            if round_ % 2:
                s.kill()
            else:
                self.assertEqual(s.stop(), 0)
        with Server(data=data) as s:
            subjects = set()
            for position in range(1, 41):
                event = json.loads(lulab("log", "show", str(position), "--data", data).stdout)
                subjects.add(event["data"]["subjects"]["operator"]["id"])
            # One person, one subject, whatever happened in between; and he can still be read.
            self.assertEqual(len(subjects), 1)
            items = eventually(lambda: (rows := s.json("/api/v1/meetings?limit=100")["data"]) and len(rows) == 7 and rows)
            self.assertEqual({m["title"] for m in items}, {"季度预算评审会"})

    def test_no_raw_bodies_are_kept_when_told_so(self):
        with Server(env={"LULAB_WEBHOOK_KEEP_RAW_DAYS": "0"}) as s:
            post(s, 0, 3)
            event = json.loads(lulab("log", "show", "1", "--data", s.data).stdout)
            self.assertNotIn("$blob", json.dumps(event))


if __name__ == "__main__":
    unittest.main()
