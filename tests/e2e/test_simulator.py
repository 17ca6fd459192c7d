#!/usr/bin/env python3
"""The service beside the simulated vendors: a meeting that the simulator plays arrives here, once, whatever happens on the way."""

import unittest
import urllib.parse

from harness import Server, eventually
from simulator import Simulator


class Meetings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator(vendors=["tencent"]).start()
        cls.server = Server(env={n: v for n, v in cls.sim.settings.items() if "TOKEN" in n or "AES" in n}).start()
        cls.webhook = "http://127.0.0.1:%d/webhooks/tencent" % cls.server.port

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        cls.sim.__exit__(None, None, None)

    def setUp(self):
        self.sim.no_faults()

    def play(self, **more):
        told = self.sim.command("tencent", "meeting", webhook=self.webhook, **more)
        self.assertTrue(all(d["taken"] for d in told["deliveries"]), told["deliveries"])
        return told

    def names(self, subject, n):
        """Of who came to a meeting, once there are n visits."""
        def read():
            rows = self.server.json("/api/v1/meetings?limit=1&search=" + urllib.parse.quote(subject))["data"]
            people = rows and self.server.json("/api/v1/meetings/%s/participants?limit=100" % rows[0]["id"])["data"]
            return people and len(people) == n and {p["displayName"] for p in people}
        return eventually(read)

    def test_the_address_is_checked(self):
        self.assertEqual(self.sim.command("tencent", "check", webhook=self.webhook), {"status": 200, "taken": True})
        wrong = self.webhook.replace("/webhooks/tencent", "/webhooks/tencant")
        self.assertEqual(self.sim.command("tencent", "check", webhook=wrong), {"status": 404, "taken": False})

    def test_a_meeting_arrives(self):
        told = self.play(subject="模拟的会议", recordings=2)
        self.assertEqual(self.names("模拟的会议", 3), {"张伟", "李娜", "王芳"})
        kinds = [d["event"] for d in told["deliveries"]]
        self.assertEqual(kinds[0], "meeting.started")
        self.assertEqual(kinds[-8:], ["recording.completed", "smart.transcripts", "smart.minutes", "smart.fullsummary"] * 2)
        self.assertEqual({a["trace_id"] for a in self.sim.acts("tencent")} & {d["trace_id"] for d in told["deliveries"]},
                         {d["trace_id"] for d in told["deliveries"]})

    def test_doubled_and_shuffled_it_is_the_same_meeting(self):
        self.sim.fault("tencent", "duplicate", share=0.5)
        self.sim.fault("tencent", "reorder", share=0.5)
        before = self.server.json("/api/v1/events?limit=1")["pagination"]["total"]
        told = self.play(subject="乱序的会议", people=[{"userid": "u%d" % i, "user_name": "人%d" % i, "visits": 1 + i % 2} for i in range(8)])
        sent = [d["trace_id"] for d in told["deliveries"]]
        self.assertGreater(len(sent), len(set(sent)))
        self.assertEqual(self.names("乱序的会议", 12), {"人%d" % i for i in range(8)})
        stored = self.server.json("/api/v1/events?limit=1")["pagination"]["total"] - before
        self.assertEqual(stored, len(set(sent)))

    def test_what_is_not_taken_is_sent_again(self):
        told = self.sim.command("tencent", "send", webhook=self.webhook + "/x", repeats_s=[0, 0], event={"event": "x"})
        self.assertEqual((told["taken"], told["attempts"]), (False, 3))


if __name__ == "__main__":
    unittest.main()
