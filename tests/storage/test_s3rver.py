#!/usr/bin/env python3
"""A real S3 server (npm s3rver) keeps our objects, gives them to who has a link, and forgets them with their recording.

Skipped (77) where there is no Node, or no registry to fetch s3rver from. It does not compute signatures of version 4: those are
judged by the vectors and by signatures.py.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..", "lib")]
import npm  # noqa: E402
import test_storage  # noqa: E402
from harness import BINARY, eventually, lulab  # noqa: E402


class S3(test_storage.Storage):
    provider, bucket = "S3", "bucket"

    def settings(self):
        files = tempfile.TemporaryDirectory(prefix="lulab-s3-")
        self.addCleanup(files.cleanup)
        process = subprocess.Popen(["node", os.path.join(HERE, "s3rver.mjs"), files.name], cwd=FOLDER, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.stdout.close)
        return {"LULAB_STORAGE": "S3", "LULAB_STORAGE_ENDPOINT": "http://127.0.0.1:" + process.stdout.readline().strip(),
                "LULAB_STORAGE_BUCKET": "bucket", "LULAB_STORAGE_PATH_STYLE": "true", "LULAB_STORAGE_PREFIX": "lulab/",
                "LULAB_STORAGE_KEY_ID": "S3RVER", "LULAB_STORAGE_SECRET": "S3RVER"}

    def doctor(self):
        """What it says of the objects."""
        done = lulab("doctor", "--objects", "--json", "--data", self.server.data, check=False,
                     env={k: v for k, v in self.server.env.items() if k.startswith("LULAB_")})
        return next((f["state"], f["found"]) for f in json.loads(done.stdout) if f["what"] == "objects")

    def test_the_doctor_asks_for_each(self):
        self.assertEqual(self.doctor()[0], "ok")
        self.assertIn("1, ", self.doctor()[1])
        short, key = os.path.join(self.server.data, "short"), "lulab/" + test_storage.KEY
        with open(short, "wb") as f:
            f.write(b"another")
        self.assertEqual(self.driver("remove", key)["rc"], "OK")
        self.assertEqual(self.doctor(), ("BAD", "of 1 that the log names, 1 are missing and 0 damaged, the first is " + key))
        self.assertEqual(self.driver("put", test_storage.KEY, "put-7", short)["rc"], "OK")
        self.assertEqual(self.doctor(), ("BAD", "of 1 that the log names, 0 are missing and 1 damaged, the first is " + key))
        self.server.env["LULAB_STORAGE_ENDPOINT"] = "http://127.0.0.1:1"
        self.assertEqual(self.doctor()[0], "BAD")
        self.assertIn("cannot be looked at", self.doctor()[1])

    def test_kept_linked_and_gone(self):
        key = "lulab/" + test_storage.KEY
        link = self.link()
        with urllib.request.urlopen(link) as answer:
            self.assertEqual(answer.read(), test_storage.BYTES)
            self.assertIn('filename="rf-1.mp4"', answer.headers["Content-Disposition"])
        with urllib.request.urlopen(urllib.request.Request(link, headers={"Range": "bytes=5-9"})) as answer:
            self.assertEqual((answer.status, answer.read()), (206, test_storage.BYTES[5:10]))
        out = os.path.join(self.server.data, "out")
        self.assertEqual(self.driver("get", key, out, 1000, 500)["rc"], "OK")
        with open(out, "rb") as f:
            self.assertEqual(f.read(), test_storage.BYTES[1000:1500])
        self.assertEqual(self.driver("head", key)["size"], len(test_storage.BYTES))
        self.deliver("recording.deleted", "st-2")
        eventually(lambda: self.get("/api/v1/storage/objects/" + self.object)["data"]["deletedAt"])
        self.assertEqual(self.driver("head", key)["rc"], "ERR_NOT_FOUND")
        self.assertEqual(self.driver("remove", key)["rc"], "OK")
        self.link(status=404)

    def test_many_parts(self):
        content = os.urandom(1 << 20) * 20 + b"the end"
        path = os.path.join(self.server.data, "big")
        with open(path, "wb") as f:
            f.write(content)
        said = self.driver("put", "big", "put-9", path)
        self.assertEqual((said["rc"], said["sha256"]), ("OK", hashlib.sha256(content).hexdigest()))
        self.assertEqual(self.driver("head", "lulab/big")["size"], len(content))
        self.assertEqual(self.driver("get", "lulab/big", path)["rc"], "OK")
        with open(path, "rb") as f:
            self.assertTrue(f.read() == content)


if __name__ == "__main__":
    FOLDER = npm.fetched("s3rver", HERE, os.path.join(os.path.dirname(os.path.abspath(BINARY)), "tests", "s3rver_node"))
    unittest.main()
