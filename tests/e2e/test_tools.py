#!/usr/bin/env python3
"""The tools against the real service: samples, explanations that agree with the server, doctor, bad settings."""

import glob
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import harness
from harness import eventually

ROOT = harness.ROOT
SECRETS = {"TENCENT_MEETING_TOKEN": harness.TOKEN, "TENCENT_MEETING_ENCODING_AES_KEY": harness.AES_KEY}


class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.server.start()
        cls.dir = tempfile.mkdtemp(prefix="lulab-tools-")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)
        cls.server.__exit__(None, None, None)

    def lulab(self, *args, status=0, env=None):
        full = {k: v for k, v in os.environ.items() if not k.startswith(("LULAB_", "TENCENT_"))}
        full.update(PORT=str(self.server.port), **(SECRETS if env is None else env))
        done = subprocess.run([harness.BINARY, *args], cwd=self.dir, env=full, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def events(self, query=""):
        return self.server.json("/api/v1/events?limit=100" + query)["data"]

    def test_every_sample_is_taken_and_understood(self):
        before = len(self.events("&type=webhook.received"))
        rows = json.loads(self.lulab("webhook", "send", "tencent", "--event", "all", "--json").stdout)
        self.assertEqual({(r["status"], r["answer"]) for r in rows}, {(200, harness.ACK.decode())})
        self.assertEqual(sum(r["sent"] for r in rows), len(glob.glob(os.path.join(ROOT, "examples", "webhooks", "*.json"))))
        self.assertEqual(len(self.events("&type=webhook.received")), before, "a sample was not understood")

    def test_a_duplicate_is_stored_once(self):
        rows = json.loads(self.lulab("webhook", "send", "tencent", "--event", "meeting.canceled", "--duplicate", "--json",
                                     "--set", "payload.0.meeting_info.meeting_id=tools-duplicate").stdout)
        self.assertEqual(rows[0]["sent"], 2)
        found = self.events("&stream=meeting/TENCENT/tools-duplicate")
        self.assertEqual(len(found), 1)

    def test_a_refusal_has_its_exit_status_and_a_hint(self):
        done = self.lulab("webhook", "send", "tencent", "--token", "wrong", status=6)
        self.assertIn("lulab webhook explain", done.stderr)

    def test_the_server_of_a_benchmark_ends_with_it(self):
        bench = subprocess.Popen([harness.BINARY, "bench", "replay", "--events", "1000"], cwd=self.dir, env=dict(os.environ, TMPDIR=self.dir),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            children = "/proc/%d/task/%d/children" % (bench.pid, bench.pid)
            server = int(eventually(lambda: open(children, encoding="ascii").read().split())[0])
        finally:
            bench.kill()
            bench.wait()

        def has_ended():
            try:
                with open("/proc/%d/stat" % server, encoding="utf-8") as f:
                    return f.read().rpartition(")")[2].split()[0] == "Z"
            except (FileNotFoundError, ProcessLookupError):
                return True

        eventually(has_ended)

    def test_answers_are_measured_beside_an_echo_of_the_same(self):
        rows = json.loads(self.lulab("bench", "query", "--meetings", "100", "--seconds", "1", "--json").stdout)
        asked = [row for row in rows if row["what"].startswith("GET ")]
        self.assertEqual(len(asked), 5)
        for row in asked:
            with self.subTest(what=row["what"]):
                self.assertIn("bare HTTP echo of the same answer", row["limit"])
                self.assertGreater(row["count"], 0)
                self.assertGreater(row["ratio"], 0)
                self.assertIn("of the server's CPU each", row["note"])  # otherwise it tells of wrong answers

    def test_webhooks_are_measured_in_turns_with_their_limits(self):
        rows = json.loads(self.lulab("bench", "ingest", "--rate", "200", "--seconds", "1", "--json").stdout)
        named = {row["what"]: row for row in rows}
        commit = "raw LMDB, 1 record of 1536 bytes a commit"
        self.assertGreater(named[commit]["count"], 0)
        measured = [row for row in rows if "open loop at 200/s" in row["what"]]
        self.assertEqual(len(measured), 3)  # ours and two floors
        for row in measured:
            with self.subTest(what=row["what"]):
                self.assertGreater(row["count"], 100)  # of 200 that were due
                self.assertEqual(row["limit"], commit)
                self.assertGreater(row["ratio"], 0)
        ours = measured[-1]
        self.assertTrue(ours["what"].startswith("ingest"))
        self.assertIn("of processor each", ours["note"])
        # With those of the warm-ups.
        self.assertGreater(named["from recorded to readable, at that rate"]["count"], ours["count"])
        self.assertGreater(named["from stored to its rows, at that rate"]["count"], 0)

    def test_explain_agrees_with_the_server(self):
        headers, body = harness.signed_request(harness.meeting_event(trace_id="agree"))
        other = "FAKEaesKeyFAKEaesKeyFAKEaesKeyFAKEaesKey00A"
        wrong_key = harness.signed_request(harness.meeting_event(trace_id="agree-2"), aes_key=other)
        clear = harness.signed_request(harness.meeting_event(trace_id="agree-3"), aes_key=None)
        future = harness.signed_request(harness.meeting_event(trace_id="agree-4"), timestamp="4102444800000")
        unknown = harness.signed_request({"event": "x.new", "trace_id": "agree-5", "payload": [{}]})
        nonsense = harness.signed_request(b"[]")
        cases = [
            ("good", headers, body),
            ("no signature", {k: v for k, v in headers.items() if k != "signature"}, body),
            ("wrong signature", dict(headers, signature="0" * 40), body),
            ("capitals", dict(headers, signature=headers["signature"].upper()), body),
            ("short signature", dict(headers, signature="ab"), body),
            ("no JSON", headers, b"data"),
            ("no data", headers, b'{"event":"x"}'),
            ("empty data", headers, b'{"data":""}'),
            ("changed data", headers, body.replace(b"A", b"B", 1)),
            ("re-spaced JSON", headers, body.replace(b'{"data": ', b'{ "data" :')),
            ("another key", *wrong_key),
            ("in clear", *clear),
            ("from the future", *future),
            ("an event nobody knows", *unknown),
            ("no event at all", *nonsense),
        ]
        for says, sent, content in cases:
            with self.subTest(says):
                answer = self.server.request("POST", "/webhooks/tencent", content, sent, token=None).status
                with open(os.path.join(self.dir, "request"), "wb") as f:
                    f.write(b"".join(b"%s: %s\r\n" % (k.encode(), v.encode()) for k, v in sent.items()))
                    f.write(b"\r\n" + content)
                done = self.lulab("webhook", "explain", "request", status=0 if answer == 200 else 4)
                told = "takes this request" if answer == 200 else "answers %d" % answer
                self.assertIn(told, done.stderr)

    def test_doctor_on_a_running_service(self):
        self.lulab("webhook", "send", "tencent")

        def settled():
            done = self.lulab("doctor", "--json", "--data", self.server.data)
            found = {row["what"]: row for row in json.loads(done.stdout)}
            models = [row for what, row in found.items() if what.startswith("read model ")]
            return found if len(models) >= 4 and all(m["found"] == "up to date" for m in models) else None

        found = eventually(settled)
        for what in ("log", "indexes", "service", "admin token", "root key", "data directory"):
            self.assertEqual(found[what]["state"], "ok", found[what])

    def test_settings_with_mistakes_do_not_start(self):
        done = self.lulab("serve", "--data", os.path.join(self.dir, "never"), status=2,
                          env={"LULAB_LOOPS": "x", "LULAB_LOG_LEVEL": "loud"})
        self.assertIn("LULAB_LOOPS", done.stderr)
        self.assertIn("LULAB_LOG_LEVEL", done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "never")))


if __name__ == "__main__":
    unittest.main()
