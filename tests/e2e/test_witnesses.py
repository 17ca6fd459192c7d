#!/usr/bin/env python3
"""The service and its witnesses: what they sign is kept and published, what they know of stops a log that lost events."""

import json
import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "audit")]
import verify as second  # noqa: E402
from harness import ACK, Server, eventually, free_port, lulab, meeting_event  # noqa: E402
from witness import Witness  # noqa: E402

ORIGIN = "log.example.test/e2e"


class Service(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="lulab-witnesses-")
        self.addCleanup(shutil.rmtree, self.top)
        self.data, self.policy = os.path.join(self.top, "data"), os.path.join(self.top, "policy")
        os.mkdir(self.data)
        self.witnesses = []

    def witness(self, n, log=None):
        """The n-th witness, started; it serves the log whose data directory is given, or none."""
        w = Witness(os.path.join(self.top, "w%d" % n), name="w%d.example.test" % n)
        w.init(*([self.vkey(log)] if log else []))
        w.start(port=free_port())
        w.url_port = w.port
        self.addCleanup(w.end)
        self.witnesses.append(w)
        return w

    @staticmethod
    def vkey(data):
        with open(os.path.join(data, "log.vkey")) as f:
            return f.read().strip()

    def write_policy(self, quorum, log=True):
        with open(self.policy, "w") as f:
            if log:
                f.write("log %s\n" % self.vkey(self.data))
            for w in self.witnesses:
                f.write("witness %s http://127.0.0.1:%d/\n" % (w.vkey, w.url_port))
            f.write("quorum %d\n" % quorum)

    def server(self, policy=True):
        env = {"LULAB_ORIGIN": ORIGIN, "LULAB_CHECKPOINT_INTERVAL": "100"}
        if policy:
            env["LULAB_WITNESS_POLICY"] = self.policy
        return Server(data=self.data, env=env)

    def post(self, s, first, n):
        for i in range(first, first + n):
            answer = s.post_event(meeting_event(trace_id="t-%d" % i))
            self.assertEqual((answer.status, answer.body), (200, ACK))

    def cosigned(self, s, size, n):
        """The published checkpoint, once it covers so much and has n cosignatures that the second verifier accepts."""
        keys = [second.Key(self.vkey(self.data))] + [second.Key(w.vkey) for w in self.witnesses]

        def look():
            note = s.get("/api/v1/checkpoint")
            if note.status != 200:
                return None
            text, signed = second.open_note(note.body, keys)
            return note.body if int(text.split("\n")[1]) >= size and len(signed) >= 1 + n else None
        return eventually(look, 20)

    def health(self, s):
        checks = json.loads(s.get("/health", token=None).body)["checks"]["witnesses"]
        return {name: (c["status"], c["note"]) for name, c in checks.items()}

    def begin(self):
        with self.server(policy=False) as s:
            self.post(s, 0, 3)

    def test_checkpoints_are_cosigned_kept_and_exported(self):
        self.begin()
        self.witness(1, self.data)
        self.witness(2, self.data)
        self.write_policy(2)
        out = os.path.join(self.top, "export")
        with self.server() as s:
            self.cosigned(s, 4, 2)
            self.post(s, 3, 5)
            note = self.cosigned(s, 9, 2)
            self.assertEqual(note.count("\u2014".encode()), 3)
            self.assertEqual({v[0] for v in self.health(s).values()}, {"ok"}, self.health(s))
            with open(os.path.join(self.top, "proof"), "wb") as f:
                f.write(s.get("/api/v1/events/8/proof").body)
            # At any moment: the newest checkpoint may be on its way to the witnesses, and is left out then.
            for n in range(8):
                self.post(s, 20 + n, 1)
                lulab("log", "export", out, "--data", self.data, "--policy", self.policy)
                lulab("log", "verify", "--export", out, "--policy", self.policy)
        lulab("log", "verify", "--export", out, "--policy", self.policy)
        lulab("log", "verify", "--data", self.data, "--key", self.vkey(self.data), "--witness", self.witnesses[0].vkey)
        # A witness that never signed is missed.
        stranger = Witness(os.path.join(self.top, "w3"), name="w3.example.test").init()
        done = lulab("log", "verify", "--export", out, "--key", self.vkey(self.data), "--witness", stranger.vkey, check=False)
        self.assertEqual(done.returncode, 4, done.stdout)
        with open(self.policy, "a") as f:
            f.write("quorum 1\n")
        self.assertEqual(lulab("log", "verify", "--export", out, "--policy", self.policy, check=False).returncode, 2)

    def test_a_stop_leaves_no_checkpoint_without_its_witnesses(self):
        self.begin()
        self.witness(1, self.data)
        self.witness(2, self.data)
        self.write_policy(2)
        out = os.path.join(self.top, "export")
        for n in range(4):
            with self.server() as s:
                if n == 0:
                    self.cosigned(s, 4, 2)
                self.post(s, 100 * (n + 1), 5)
            size = json.loads(lulab("log", "stats", "--json", "--data", self.data).stdout)["size"]
            told = lulab("log", "export", out, "--json", "--data", self.data, "--policy", self.policy).stdout
            self.assertEqual(json.loads(told)["size"], size)

    def test_health_tells_of_each_witness(self):
        self.begin()
        good, absent, ignorant = self.witness(1, self.data), self.witness(2, self.data), self.witness(3)
        absent.end()
        self.write_policy(1)
        with self.server() as s:
            self.post(s, 3, 3)
            self.cosigned(s, 7, 1)
            health = eventually(lambda: (h := self.health(s))["w2.example.test"][0] == "error" and h)
            self.assertEqual(health[good.name][0], "ok")
            self.assertIn("unreachable", health[absent.name][1])
            self.assertEqual(health[ignorant.name][0], "error")
            self.assertIn("does not serve this log", health[ignorant.name][1])
            self.assertEqual(health["quorum"], ("ok", "1 sign, 1 are needed"))
            self.assertEqual(s.get("/readyz", token=None).status, 200)
            # It comes back, and is told what it missed.
            absent.start(port=absent.url_port)
            self.cosigned(s, 7, 2)

    def test_a_witness_that_saw_more_stops_a_log_that_lost_events(self):
        self.begin()
        self.witness(1, self.data)
        self.write_policy(1)
        old = os.path.join(self.top, "old")
        shutil.copytree(self.data, old)
        with self.server() as s:
            self.post(s, 3, 3)
            self.cosigned(s, 7, 1)
        # The old copy is put back whole, with all that the machine itself knew of what it signed.
        shutil.rmtree(self.data)
        shutil.copytree(old, self.data)
        s = self.server().start(wait=False)
        try:
            eventually(lambda: self.is_live(s))
            self.assertEqual(s.post_event(meeting_event(trace_id="t-new")).status, 503)
            ready = s.get("/readyz?verbose")
            self.assertEqual(ready.status, 503)
            self.assertIn(b"has seen 7 events and the log has 4", ready.body)
            self.assertEqual(s.get("/api/v1/meetings").status, 200)
        finally:
            s.stop()
        self.assertEqual(json.loads(lulab("log", "stats", "--json", "--data", self.data).stdout)["size"], 4)

    def test_a_log_that_grew_another_way_is_stopped_too(self):
        self.begin()
        w = self.witness(1, self.data)
        self.write_policy(1)
        old = os.path.join(self.top, "old")
        shutil.copytree(self.data, old)
        with self.server() as s:
            self.post(s, 3, 3)
            self.cosigned(s, 7, 1)
        shutil.rmtree(self.data)
        shutil.copytree(old, self.data)
        with self.server(policy=False) as s:
            self.post(s, 100, 6)
        s = self.server().start(wait=False)
        try:
            eventually(lambda: self.is_live(s))
            self.assertEqual(s.post_event(meeting_event(trace_id="t-new")).status, 503)
            self.assertIn(b"another history", s.get("/readyz?verbose").body)
        finally:
            s.stop()
        self.assertIn(b"size 7", w.run("status").stdout)

    def test_a_policy_that_is_none_does_not_start(self):
        self.begin()
        self.write_policy(0)
        for line, says in (("witness nonsense\n", "line 3"), ("quorum 1\n", "line 3")):
            self.write_policy(0)
            with open(self.policy, "a") as f:
                f.write(line)
            s = self.server().start(wait=False)
            self.assertNotEqual(s.process.wait(20), 0)
            self.assertIn(says, s.log())
        with open(self.policy, "w") as f:
            f.write("log log.example.test/events+d23885f3+AdBKsjJ0K7SrOhNovUYV5ObQIkq3GgFrr4UgozLJd4c3\n")
        s = self.server().start(wait=False)
        self.assertNotEqual(s.process.wait(20), 0)
        self.assertIn("the policy of another log", s.log())

    @staticmethod
    def is_live(server):
        try:
            return server.get("/livez", token=None).status == 200
        except OSError:
            return False


if __name__ == "__main__":
    unittest.main()
