#!/usr/bin/env python3
"""lulab doctor: each fault that can be made on purpose is found, and told with the way out."""

import contextlib
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402

GOOD = {"TENCENT_MEETING_TOKEN": harness.TOKEN, "TENCENT_MEETING_ENCODING_AES_KEY": harness.AES_KEY}


class Doctor(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lulab-doctor-")
        self.data = os.path.join(self.dir, "data")
        self.port = harness.free_port()

    def tearDown(self):
        shutil.rmtree(self.dir)

    def find(self, env=None, status=0, data=None, options=()):
        """The findings by what they are about."""
        full = {"PATH": os.environ["PATH"], "PORT": str(self.port)}
        full.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        full.update(GOOD if env is None else env)
        done = subprocess.run([harness.BINARY, "doctor", "--json", "--data", data or self.data, *options], cwd=self.dir, env=full,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for secret in GOOD.values():
            self.assertNotIn(secret, done.stdout + done.stderr)
        return {row["what"]: row for row in json.loads(done.stdout)}

    def make_data(self, mode=0o700, **files):
        os.mkdir(self.data)
        os.chmod(self.data, mode)
        for name, file_mode in files.items():
            path = os.path.join(self.data, name.replace("_", "."))
            with open(path, "w", encoding="utf-8") as f:
                f.write("x")
            os.chmod(path, file_mode)

    def test_nothing_there_yet_is_no_fault(self):
        found = self.find()
        self.assertEqual(found["data directory"]["state"], "note")
        self.assertEqual(found["settings"]["state"], "ok")
        self.assertEqual(found["Tencent Meeting"]["state"], "ok")
        self.assertEqual(found["service"]["state"], "note")
        self.assertIsNone(found["settings"]["mend"])
        self.assertFalse(os.path.exists(self.data), "looking must not make anything")

    def test_the_object_storage(self):
        self.make_data()
        objects = os.path.join(self.data, "objects")
        self.assertIn("is made with the first recording", self.find()["storage"]["found"])
        os.mkdir(objects)
        self.assertRegex(self.find()["storage"]["found"], r"/objects, [0-9.]+ of [0-9.]+ GiB free")
        apart = os.path.join(self.dir, "apart")
        os.mkdir(apart)
        self.assertIn(apart + ", ", self.find({**GOOD, "LULAB_STORAGE_DIR": apart})["storage"]["found"])
        s3 = {**GOOD, "LULAB_STORAGE": "S3", "LULAB_STORAGE_ENDPOINT": "http://127.0.0.1:%d" % harness.free_port()}
        self.assertEqual(self.find(s3)["storage"]["state"], "warning")
        s3.update(LULAB_STORAGE_BUCKET="b", LULAB_STORAGE_KEY_ID="k", LULAB_STORAGE_SECRET="geheim")
        found = self.find(s3, status=1)["storage"]
        self.assertEqual(found["state"], "BAD")
        self.assertIn("does not answer", found["found"])
        with self.answering(404) as port:
            s3["LULAB_STORAGE_ENDPOINT"] = "http://127.0.0.1:%d" % port
            self.assertIn("which answers", self.find(s3)["storage"]["found"])

    def test_every_object(self):
        os.mkdir(self.data, 0o700)
        with harness.Server(data=self.data):
            pass
        objects = os.path.join(self.data, "objects")
        self.assertEqual(self.find(options=["--objects"])["objects"]["found"], "0, 0.0 GiB, each as it was stored")
        os.makedirs(os.path.join(objects, "recordings"))
        os.makedirs(os.path.join(objects, ".uploads"))
        for n in range(3):
            content = b"object %d" % n
            with open(os.path.join(objects, "recordings", "%d.mp4" % n), "wb") as f:
                f.write(content)
            told = {"object_id": "%032x" % n, "provider": "LOCAL", "bucket": "", "key": "recordings/%d.mp4" % n, "size": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(), "kind": "VIDEO"}
            subprocess.run([os.environ["APPEND_EVENT"], self.data, "object.stored", "object/%032x" % n,
                            json.dumps(told, separators=(",", ":"))], check=True, stdout=subprocess.DEVNULL)
        for name in ("recordings/stray.mp4", ".uploads/half"):
            with open(os.path.join(objects, name), "wb") as f:
                f.write(b"x")
        found = self.find(options=["--objects"])
        self.assertEqual(found["objects"]["state"], "ok")
        self.assertIn("nothing of 1 files", found["orphans"]["found"])
        self.assertIn("recordings/stray.mp4", found["orphans"]["found"])
        os.unlink(os.path.join(objects, "recordings", "0.mp4"))
        with open(os.path.join(objects, "recordings", "2.mp4"), "wb") as f:
            f.write(b"0bject 2")
        found = self.find(options=["--objects"], status=1)["objects"]
        self.assertEqual((found["state"], found["found"]),
                         ("BAD", "of 3 that the log names, 1 are missing and 1 damaged, the first is recordings/0.mp4"))
        self.assertNotIn("objects", self.find())

    def test_a_good_directory(self):
        self.make_data(admin_token=0o600, root_key=0o600)
        found = self.find()
        for what in ("data directory", "admin token", "root key"):
            self.assertEqual(found[what]["state"], "ok", found[what])

    def test_what_others_can_read(self):
        self.make_data(mode=0o755, admin_token=0o644, root_key=0o600)
        found = self.find(status=1)
        self.assertEqual(found["data directory"]["state"], "warning")
        self.assertIn("chmod 700", found["data directory"]["mend"])
        self.assertEqual(found["admin token"]["state"], "BAD")
        self.assertIn("chmod 600", found["admin token"]["mend"])
        self.assertEqual(found["root key"]["state"], "ok")

    def test_a_root_key_that_is_missed(self):
        self.make_data(admin_token=0o600)
        found = self.find()["root key"]
        self.assertEqual(found["state"], "note")
        self.assertIn("first start", found["mend"])
        os.mkdir(os.path.join(self.data, "keys"))
        found = self.find(status=1)["root key"]
        self.assertEqual(found["state"], "BAD")
        self.assertIn("put it back", found["mend"])

    def test_a_root_key_others_can_read_is_kept(self):
        self.make_data(admin_token=0o600, root_key=0o644)
        found = self.find(status=1)["root key"]
        self.assertEqual(found["state"], "BAD")
        self.assertIn("keep it", found["mend"])

    def test_a_file_in_the_place_of_the_directory(self):
        with open(self.data, "w", encoding="utf-8"):
            pass
        self.assertEqual(self.find(status=1)["data directory"]["state"], "BAD")

    def test_settings_of_the_vendor(self):
        cases = [
            ({}, "warning", "503", 0),
            ({"TENCENT_MEETING_TOKEN": "t"}, "warning", "unencrypted", 0),
            ({"TENCENT_MEETING_TOKEN": "t", "TENCENT_MEETING_ENCODING_AES_KEY": "!" * 43}, "BAD", "no key", 1),
        ]
        for env, state, words, status in cases:
            with self.subTest(env=env):
                found = self.find(env=env, status=status)["Tencent Meeting"]
                self.assertEqual(found["state"], state)
                self.assertIn(words, found["found"])
                self.assertTrue(found["mend"])

    def test_settings_with_mistakes(self):
        found = self.find(env=dict(GOOD, LULAB_LOOPS="many", LULAB_RATE_LIMIT="x"), status=1)["settings"]
        self.assertEqual(found["state"], "BAD")
        self.assertIn("2 problems", found["found"])
        self.assertIn("lulab config check", found["mend"])

    def test_disk_below_the_reserve(self):
        found = self.find(env=dict(GOOD, LULAB_DISK_RESERVE="1024TiB"), status=1)["disk"]
        self.assertEqual(found["state"], "BAD")
        self.assertIn("LULAB_DISK_RESERVE", found["mend"])
        self.assertEqual(self.find(env=dict(GOOD, LULAB_DISK_RESERVE="1KiB"))["disk"]["state"], "ok")

    def test_open_to_the_world_without_tls(self):
        found = self.find(env=dict(GOOD, LULAB_LISTEN="0.0.0.0:%d" % self.port))["TLS"]
        self.assertEqual(found["state"], "warning")

    def certificate(self, name, days):
        key, cert = (os.path.join(self.dir, name + end) for end in (".key", ".pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", cert, "-days", str(days), "-subj", "/CN=localhost"],
                       check=True, stderr=subprocess.DEVNULL)
        return cert, key

    def test_certificates(self):
        good, other, short = (self.certificate(*a) for a in (("good", 90), ("other", 90), ("short", 3)))
        cases = [
            ("good", good[0], good[1], "ok", "ends in", 0),
            ("soon over", short[0], short[1], "warning", "ends in", 0),
            ("not a pair", good[0], other[1], "BAD", "belong together", 1),
            ("a key is no certificate", good[1], good[1], "BAD", "no certificate", 1),
            ("a certificate is no key", good[0], good[0], "BAD", "no key", 1),
            ("not there", "/nowhere.pem", good[1], "BAD", "no certificate", 1),
        ]
        for says, cert, key, state, words, status in cases:
            with self.subTest(says):
                found = self.find(env=dict(GOOD, LULAB_TLS_CERT=cert, LULAB_TLS_KEY=key), status=status)["TLS"]
                self.assertEqual(found["state"], state)
                self.assertIn(words, found["found"])

    @contextlib.contextmanager
    def answering(self, status, port=0):
        """Something that answers this to everything; gives its port."""
        class Other(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_error(status)

            def log_message(self, *args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", port), Other)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def test_somebody_else_on_the_port(self):
        with self.answering(404, self.port):
            found = self.find()["service"]
        self.assertEqual(found["state"], "warning")
        self.assertIn("404", found["found"])

    def test_a_log_that_is_none(self):
        self.make_data(admin_token=0o600, root_key=0o600)
        os.mkdir(os.path.join(self.data, "log"))
        with open(os.path.join(self.data, "log", "data.mdb"), "wb") as f:
            f.write(b"\0" * 16384)
        found = self.find(status=1)["log"]
        self.assertEqual(found["state"], "BAD")
        self.assertTrue(found["mend"])


if __name__ == "__main__":
    unittest.main()
