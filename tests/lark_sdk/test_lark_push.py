#!/usr/bin/env python3
"""The vendor's own library (npm @larksuiteoapi/node-sdk) is told events by our simulator of the vendor and by our command, so
that what judges us is judged; and what it says on the long connection is what we say.

Skipped (77) where there is no Node, or no registry to fetch the library from.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "..", "tools", "sim")]
import harness  # noqa: E402
import lark_push  # noqa: E402
import npm  # noqa: E402
from simulator import Simulator  # noqa: E402

FOLDER = npm.fetched("@larksuiteoapi/node-sdk", HERE,
                     os.path.join(os.path.dirname(os.path.abspath(harness.BINARY)), "tests", "lark_node"))


class Library:
    """push.mjs: what it prints, line by line."""

    def __init__(self, sim):
        s, o = sim.settings, lark_push.OPTIONS
        self.process = subprocess.Popen(
            ["node", os.path.join(HERE, "push.mjs"), sim.url["lark"], s["LARK_APP_ID"], s["LARK_APP_SECRET"], o["encrypt_key"],
             o["verification_token"]], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.hook = "http://127.0.0.1:%d/webhook" % self.next()["port"]

    def read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def next(self):
        told = self.lines.get(timeout=60)
        if "error" in told or "warn" in told:
            raise AssertionError("the library complains: %s" % told)
        return told

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def until_connected(sim):
    """And until it said something: what reaches the library together with the upgrade's answer, it does not hear."""
    for _ in range(6000):
        if any(c["received"] for c in sim.command("lark", "connections")):
            return
        threading.Event().wait(0.01)
    raise AssertionError("nobody connected")


def said(sim):
    """What the only client sent: pings as they are, acknowledgements without what differs by nature."""
    pings, acks = [], []
    for message in sim.command("lark", "connections")[0]["received"]:
        if message["type"] == "ping":
            pings.append(message["hex"])
            continue
        f = lark_push.decode(bytes.fromhex(message["hex"]))
        headers = [(k, "" if k in ("biz_rt", "message_id", "trace_id") else v) for k, v in f["headers"]]
        acks.append((f["service"], f["method"], headers, f["payload"], f.get("LogIDNew"), sorted(f)))
    return set(pings), acks


STORY = [{"over": "connection"}, {"over": "connection", "split": 3, "in_order": False}]


def play(sim):
    return [sim.command("lark", "event", body)["acks"] for body in STORY]


class Push(unittest.TestCase):
    def test_the_library_takes_what_the_simulator_sends(self):
        with Simulator(vendors=["lark"]) as sim, Library(sim) as library:
            until_connected(sim)
            for over in ("connection", "webhook"):
                told = sim.command("lark", "meeting", over=over, webhook=library.hook)
                for event in told["events"]:
                    self.assertEqual(event, {"acks": [200], "statuses": []} if over == "connection" else {"acks": [], "statuses": [200]})
                    self.assertEqual(library.next()["by"], over)
            self.assertEqual(sim.command("lark", "event", split=5, in_order=False)["acks"], [200])
            self.assertEqual(library.next()["topic"], "虚构的周会")
            self.assertEqual(sim.command("lark", "check", webhook=library.hook), {"status": 200, "answered": True})
            self.assertEqual(sim.refused("lark"), [])

    def test_we_say_what_the_library_says(self):
        with Simulator(vendors=["lark"]) as sim, Library(sim) as library:
            until_connected(sim)
            self.assertEqual(play(sim), [[200], [200]])
            theirs = said(sim)
        with Simulator(vendors=["lark"]) as sim, harness.Server(env=sim.settings):
            until_connected(sim)
            self.assertEqual(play(sim), [[200], [200]])
            ours = said(sim)
        self.assertEqual(ours, theirs)
        self.assertTrue(ours[0] and ours[1])


if __name__ == "__main__":
    unittest.main()
