#!/usr/bin/env python3
"""A disk whose sync fails under the running service: nothing of that commit is acknowledged, the
process ends with its own exit status, and the next start holds every acknowledged event once."""

import http.client
import json
import os
import shutil
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import harness  # noqa: E402
from harness import lulab, meeting_event  # noqa: E402

FAIL_DISK_SO = os.environ["FAIL_DISK_SO"]
EXIT_UNKNOWN_OUTCOME = 70


class Disk(unittest.TestCase):
    def test_a_failed_sync_ends_the_service_and_loses_nothing(self):
        data = tempfile.mkdtemp(prefix="lulab-disk-")
        switch = data + ".fail"
        answers = {}

        def send(server, name):
            try:
                answers[name] = server.post_event(meeting_event("meeting.started", name, name)).status
            except (OSError, http.client.HTTPException):
                answers[name] = None  # the connection went with the process

        try:
            server = harness.Server(data=data, env={"LD_PRELOAD": FAIL_DISK_SO, "FAIL_DISK": switch})
            server.start()
            for i in range(20):
                send(server, "before-%d" % i)
            self.assertEqual(set(answers.values()), {200})
            open(switch, "w").close()
            threads = [threading.Thread(target=send, args=(server, "during-%d" % i)) for i in range(16)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(server.process.wait(30), EXIT_UNKNOWN_OUTCOME, server.log()[-2000:])
            during = {v for k, v in answers.items() if k.startswith("during")}
            self.assertLessEqual(during, {None, 503})
            os.unlink(switch)

            with harness.Server(data=data) as again:
                # The vendor repeats what was not acknowledged; what was kept after all is not stored twice.
                for i in range(16):
                    self.assertEqual(again.post_event(
                        meeting_event("meeting.started", "during-%d" % i, "during-%d" % i)).status, 200)
            lines = lulab("log", "tail", "--json", "--limit", "1000000", "--data", data).stdout.splitlines()
            traces = [json.loads(line)["data"].get("trace_id") for line in lines]
            for name in answers:
                self.assertEqual(traces.count(name), 1, name)
            lulab("log", "verify", "--data", data)
            lulab("log", "reindex", "--data", data)
        finally:
            shutil.rmtree(data)
            for path in (switch, data + ".stderr"):
                if os.path.exists(path):
                    os.unlink(path)


if __name__ == "__main__":
    unittest.main()
