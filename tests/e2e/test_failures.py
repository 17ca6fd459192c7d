#!/usr/bin/env python3
"""When the world does not play along: full disks, failing writes, secure connections."""

import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import ssl
import tempfile
import unittest
import urllib.request

import harness
from harness import ACK, eventually, meeting_event


class Disk(unittest.TestCase):
    def test_below_the_reserve_events_are_refused_and_reads_go_on(self):
        data = tempfile.mkdtemp(prefix="lulab-e2e-")
        try:
            with harness.Server(data=data) as server:
                self.assertEqual(server.post_event(meeting_event("meeting.started", "room", "room")).status, 200)
                eventually(lambda: server.json("/api/v1/meetings")["data"])
            with harness.Server(data=data, env={"LULAB_DISK_RESERVE": "1024TiB"}) as server:
                answer = server.post_event(meeting_event("meeting.started", "no-room", "no-room"))
                self.assertEqual(answer.status, 503)
                self.assertTrue(answer.getheader("Retry-After"))
                self.assertEqual(json.loads(answer.body)["code"], "disk_full")
                self.assertEqual(len(server.json("/api/v1/meetings")["data"]), 1)
                self.assertEqual(server.get("/livez", token=None).status, 200)
                self.assertEqual(server.get("/readyz", token=None).status, 200)
                self.assertEqual(server.get("/health", token=None).status, 503)
            with harness.Server(data=data) as server:
                self.assertEqual(server.post_event(meeting_event("meeting.started", "no-room", "no-room")).status, 200)
        finally:
            shutil.rmtree(data)

    def refuses_to_start(self, data):
        command = [harness.BINARY, "serve", "--data", data, "--listen", "127.0.0.1:0"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, env=harness.Server(data=data).env, cwd=data)
        self.assertNotEqual(done.returncode, 0)
        return done.stdout

    def test_a_log_that_is_gone_is_not_begun_anew(self):
        data = tempfile.mkdtemp(prefix="lulab-e2e-")
        try:
            with harness.Server(data=data) as server:
                self.assertEqual(server.post_event(meeting_event("meeting.started", "gone", "gone")).status, 200)
            log = os.path.join(data, "log", "data.mdb")
            os.truncate(log, 0)
            self.assertRegex(self.refuses_to_start(data), "log/data.mdb is damaged")
            os.unlink(log)
            self.assertRegex(self.refuses_to_start(data), "log/data.mdb is missing")
            for name in os.listdir(data):
                path = os.path.join(data, name)
                if os.path.isdir(path):
                    shutil.rmtree(path)
                elif name != "signer.key":
                    os.unlink(path)
            self.assertRegex(self.refuses_to_start(data), "log/data.mdb is missing")
            self.assertFalse(os.path.exists(log))
        finally:
            shutil.rmtree(data)

    @unittest.skipIf("ASAN_OPTIONS" in os.environ or "TSAN_OPTIONS" in os.environ, "sanitizers write files of their own")
    def test_a_failed_commit_ends_the_process_and_loses_nothing_acknowledged(self):
        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit then fails with EFBIG
            resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))

        server = harness.Server()
        try:
            with open(server.log_path, "ab") as log:
                server.process = subprocess.Popen(
                    [harness.BINARY, "serve", "--data", server.data, "--listen", "127.0.0.1:%d" % server.port],
                    stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=server.env, cwd=server.data,
                    preexec_fn=small_files)
            server.wait_ready()
            acknowledged = []
            for i in range(5000):
                try:
                    answer = server.post_event(meeting_event("meeting.started", "e-%d" % i, "e-%d" % i))
                except OSError:
                    break
                if answer.status != 200:
                    self.assertEqual(answer.status, 503)
                    continue
                self.assertEqual(answer.body, ACK)
                acknowledged.append("e-%d" % i)
            self.assertEqual(server.process.wait(20), 70)
            self.assertTrue(acknowledged)
            server.start()
            stored, cursor = [], ""
            while True:
                page = server.json("/api/v1/events?type=meeting.started&limit=1000" + cursor)
                stored += [e["data"]["trace_id"] for e in page["data"]]
                if not page["pagination"]["nextCursor"]:
                    break
                cursor = "&cursor=" + page["pagination"]["nextCursor"]
            self.assertEqual(len(stored), len(set(stored)))
            self.assertEqual(set(acknowledged) - set(stored), set())
            self.assertEqual(server.stop(), 0)
        finally:
            if server.process and server.process.poll() is None:
                server.kill()
            shutil.rmtree(server.data)
            os.unlink(server.log_path)


class Locked(unittest.TestCase):
    def test_a_lock_that_is_let_go_of_is_waited_for_and_another_service_is_not(self):
        """A killed process may leave a child that holds its locks for a moment."""
        server = harness.Server()
        with server:
            second = subprocess.run([server.binary, "serve", "--data", server.data, "--listen", "127.0.0.1:0"], env=server.env,
                                    stderr=subprocess.PIPE, timeout=60)
            self.assertEqual(second.returncode, 7)
            self.assertIn(b"in use by another lulab", second.stderr)
            self.assertEqual(server.stop(), 0)
            held = open(os.path.join(server.data, "keys", "lock"), "rb")
            fcntl.flock(held, fcntl.LOCK_EX)
            server.start(wait=False)
            with self.assertRaises(subprocess.TimeoutExpired):
                server.process.wait(0.3)
            held.close()
            server.wait_ready()


class Secure(unittest.TestCase):
    def test_https_and_a_new_certificate_without_a_stop(self):
        if shutil.which("openssl") is None:
            self.skipTest("openssl is not installed")
        keys = tempfile.mkdtemp(prefix="lulab-tls-")
        cert, key = os.path.join(keys, "cert"), os.path.join(keys, "key")

        def make():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                            "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)

        def ready():
            try:
                with urllib.request.urlopen("https://127.0.0.1:%d/readyz" % server.port,
                                            context=ssl.create_default_context(cafile=cert)) as answer:
                    return answer.status == 200 and answer.headers["Strict-Transport-Security"]
            except OSError:
                return False
        make()
        server = harness.Server(env={"LULAB_TLS_CERT": cert, "LULAB_TLS_KEY": key})
        try:
            server.start(wait=False)
            eventually(ready, timeout_s=120)
            make()
            self.assertFalse(ready())  # the new one is not served yet
            server.process.send_signal(signal.SIGHUP)
            eventually(ready)
            self.assertEqual(server.stop(), 0)
        finally:
            if server.process and server.process.poll() is None:
                server.kill()
            shutil.rmtree(keys)
            shutil.rmtree(server.data)
            os.unlink(server.log_path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
