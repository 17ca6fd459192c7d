#!/usr/bin/env python3
"""lulab demo: beside a service and the simulator it tells a whole story, and without them what to do."""

import json
import os
import re
import tempfile
import unittest

from harness import Server, lulab
from simulator import Simulator


class Demo(unittest.TestCase):
    def demo(self, server, **kw):
        return lulab("demo", "--pace", "0", "--data", server.data, "--to", "http://127.0.0.1:%d" % server.port, **kw)

    def test_a_story_is_told_twice(self):
        with Simulator() as sim, Server(env={**sim.settings, "LULAB_EFFECTS_BATCH_WAIT": "50ms"}) as server:
            with open(os.path.join(server.data, "simulator.json"), "w", encoding="utf-8") as f:
                json.dump({"control": sim.url["control"]}, f)
            for n in (1, 2):
                told = self.demo(server).stdout
                kinds = re.findall(r"(?m)^\d\d:\d\d:\d\d  ([a-z_]+\.[a-z_]+) ", told)
                for kind, times in (("meeting.started", 1), ("participant.joined", 3), ("meeting.ended", 1),
                                    ("recording.completed", 1), ("transcript.stored", 1), ("recording.stored", 1), ("identity.linked", 3 * (n == 1))):
                    self.assertEqual(kinds.count(kind), times, told)
                self.assertIn("lark.row_synced", kinds)
                self.assertIn("FULL: 会议讨论了下个季度的预算", told)
                self.assertNotIn("given up", told)
                self.assertIn("That is all.", told.splitlines()[-1])
            self.assertEqual([v for v in sim.url if v != "control" and sim.refused(v)], [])

    def test_what_is_missing_is_told(self):
        with tempfile.TemporaryDirectory() as data:
            done = lulab("demo", "--data", data, check=False)
            self.assertEqual(done.returncode, 7)
            self.assertIn("./tools/run starts one", done.stderr)
        with Server() as server:
            with open(os.path.join(server.data, "simulator.json"), "w", encoding="utf-8") as f:
                f.write('{"control": "http://127.0.0.1:1"}')
            done = self.demo(server, check=False)
            self.assertEqual(done.returncode, 7)
            self.assertIn("does not play", done.stderr)
            self.assertEqual(server.stop(), 0)
            done = lulab("demo", "--data", server.data, check=False)
            self.assertIn("the service does not run", done.stderr)


if __name__ == "__main__":
    unittest.main()
