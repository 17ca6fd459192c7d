#!/usr/bin/env python3
"""Files that are kept: who sees them, links to them, and their end when their recording was deleted."""

import hashlib
import http.client
import json
import os
import subprocess
import unittest
import urllib.parse

from harness import BINARY, Server, eventually, meeting_event
from people import PASSWORD, People

PROGRAMS = os.path.join(os.path.dirname(BINARY), "tests")
DRIVER = os.environ.get("OBJECT_DRIVER", os.path.join(PROGRAMS, "object_driver"))
APPEND = os.environ.get("APPEND_EVENT", os.path.join(PROGRAMS, "append_event"))
BYTES = bytes((i * 7 + i // 251) % 256 for i in range(600000))
KEY = "recordings/meeting-1/rf-1.mp4"
FILE = "f" * 32


class Storage(People, unittest.TestCase):
    """A recording with one file, put there as an effect does it."""

    provider, bucket = "LOCAL", ""

    def setUp(self):
        self.server = Server(env={"LULAB_EFFECTS_RETRY_BASE": "20ms", **self.settings()}).start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))
        self.admin = self.server.admin_token()
        self.deliver("recording.completed", "st-1")
        self.recording = eventually(lambda: self.get("/api/v1/recordings")["data"])[0]["id"]
        self.object = self.keep(KEY, "put-1", BYTES, "VIDEO", self.recording, FILE)

    def settings(self):
        return {}

    def deliver(self, event, trace, files=("rf-1",)):
        answer = self.server.post_event(meeting_event(event, trace, "meeting-1",
                                                      recording_files=[{"record_file_id": f} for f in files]))
        self.assertEqual(answer.status, 200, answer.body)

    def get(self, path, status=200, token="admin"):
        """With all that was told so far, however busy the machine is."""
        answer = self.server.newest(path, token=self.admin if token == "admin" else token)
        self.assertEqual(answer.status, status, answer.body)
        return json.loads(answer.body)

    def append(self, kind, stream, data):
        subprocess.run([APPEND, self.server.data, kind, stream, json.dumps(data, separators=(",", ":"))], check=True,
                       stdout=subprocess.DEVNULL)

    def keep(self, key, upload, content, kind, recording, file_id=None):
        """Into the directory and, the service being stopped, into the log; it is started again. The object's id."""
        self.server.stop()
        path = os.path.join(self.server.data, "source")
        with open(path, "wb") as f:
            f.write(content)
        done = self.driver("put", key, upload, path)
        self.assertEqual(done["sha256"], hashlib.sha256(content).hexdigest())
        data = {"object_id": done["id"], "provider": self.provider, "bucket": self.bucket,
                "key": self.server.env.get("LULAB_STORAGE_PREFIX", "") + key, "content_type": "video/mp4",
                "size": len(content), "sha256": done["sha256"], "kind": kind, "recording_id": recording}
        self.append("object.stored", "object/" + done["id"], data)
        if file_id:
            self.append("recording.stored", "recording/" + recording, {
                "platform": "TENCENT_MEETING", "recording_id": recording, "record_file_id": "rf-1", "meeting_id": "meeting-1",
                "file_id": file_id, "file_type": kind, "source": "PLATFORM_AUTO", "object_id": done["id"], "size": len(content),
                "sha256": done["sha256"], "duration_ms": 61000, "width": 1280, "height": 720})
        self.server.start()
        return done["id"]

    def driver(self, *args):
        """The object store by hand, with the service's settings: what it said."""
        env = {k: v for k, v in self.server.env.items() if k == "PATH" or k.startswith("LULAB_STORAGE")}
        return json.loads(subprocess.run([DRIVER, self.server.data, *map(str, args)], stdout=subprocess.PIPE, env=env).stdout)

    def raw(self, path, method="GET", headers=None):
        """Without a permission: what a link is worth by itself."""
        return self.server.request(method, path, headers=headers, token=None)

    def link(self, file_id=None, token="admin", status=302):
        path = "/api/v1/recordings/%s/files/%s/download" % (self.recording, file_id or self.object)
        self.get("/api/v1/storage/objects")  # the read model is as new as it has to be
        answer = self.server.request("GET", path, token=token)
        self.assertEqual(answer.status, status, answer.body)
        return answer.getheader("Location")


class Links(Storage):
    def test_a_file_is_linked_to_and_read(self):
        told = self.get("/health")["checks"]["adapters"]["storage"]
        self.assertRegex(told["note"], r"^a directory of this machine, \d+ MiB free, \d+ % used$")
        shown = self.get("/api/v1/storage/objects/" + self.object)["data"]
        self.assertEqual({k: shown[k] for k in ("provider", "bucket", "objectKey", "sizeBytes", "kind", "recordingId")},
                         {"provider": "LOCAL", "bucket": "", "objectKey": KEY, "sizeBytes": len(BYTES), "kind": "VIDEO",
                          "recordingId": self.recording})
        self.assertEqual(shown["checksumSha256"], hashlib.sha256(BYTES).hexdigest())
        files = self.get("/api/v1/recordings/%s/files" % self.recording)["data"]
        self.assertEqual([(f["id"], f["fileObjectId"], f["fileType"], f["durationMs"], f["resolution"]) for f in files],
                         [(FILE, self.object, "VIDEO", 61000, "1280x720")])
        link = self.link(FILE)
        self.assertEqual(self.raw(self.link(self.object)).body, BYTES)
        whole = self.raw(link)
        self.assertEqual((whole.status, whole.body), (200, BYTES))
        self.assertEqual(whole.getheader("Content-Length"), str(len(BYTES)))
        self.assertEqual(whole.getheader("Content-Type"), "video/mp4")
        self.assertIn('filename="rf-1.mp4"', whole.getheader("Content-Disposition"))
        self.assertEqual(whole.getheader("Accept-Ranges"), "bytes")
        # Who was given it is in the log.
        told = self.get("/api/v1/events?type=object.linked&limit=10")["data"]
        self.assertEqual([(e["data"]["object_id"], e["data"]["recording_id"]) for e in told], [(self.object, self.recording)] * 2)

        # Ranges.
        etag = whole.getheader("ETag")
        for text, status, expected in (
                ("bytes=0-0", 206, BYTES[:1]), ("bytes=100-299999", 206, BYTES[100:300000]),
                ("bytes=599999-", 206, BYTES[-1:]), ("bytes=-5", 206, BYTES[-5:]), ("bytes=-9999999", 206, BYTES),
                ("bytes=500000-9999999", 206, BYTES[500000:]),
                ("bytes=0-1,5-6", 200, BYTES), ("bytes=5-1", 200, BYTES), ("lines=1-2", 200, BYTES), ("bytes=x-", 200, BYTES)):
            got = self.raw(link, headers={"Range": text})
            self.assertEqual((got.status, got.body == expected), (status, True), text)
            self.assertEqual(got.getheader("Content-Length"), str(len(expected)))
        self.assertEqual(self.raw(link, headers={"Range": "bytes=100-199"}).getheader("Content-Range"),
                         "bytes 100-199/%d" % len(BYTES))
        beyond = self.raw(link, headers={"Range": "bytes=600000-"})
        self.assertEqual((beyond.status, beyond.getheader("Content-Range")), (416, "bytes */600000"))
        self.assertEqual(self.raw(link, headers={"Range": "bytes=-0"}).status, 416)
        self.assertEqual(self.raw(link, headers={"Range": "bytes=0-9", "If-Range": etag}).status, 206)
        self.assertEqual(self.raw(link, headers={"Range": "bytes=0-9", "If-Range": '"other"'}).status, 200)
        head = self.raw(link, "HEAD")
        self.assertEqual((head.status, head.body, head.getheader("Content-Length")), (200, b"", str(len(BYTES))))

        # A client that reads slowly, and one that goes away.
        for n in (len(BYTES), 1000, 0, 300000, 1):
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            connection.request("GET", link)
            response = connection.getresponse()
            self.assertEqual(response.read(n), BYTES[:n])
            connection.close()
        self.assertEqual(self.raw(link).body, BYTES)

    def test_links_are_only_what_was_given_out(self):
        link = self.link()
        path, _, query = link.partition("?")
        given = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        other = dict(given, key="recordings/meeting-1/rf-2.mp4")
        with open(os.path.join(self.server.data, "admin.token"), "rb") as f:
            secret = f.read().strip()
        for says, changed, status in (
                ("another key", other, 403),
                ("a path", dict(given, key="../admin.token"), 403),
                ("an absolute one", dict(given, key="/etc/passwd"), 403),
                ("later", dict(given, expires=str(int(given["expires"]) + 3600)), 403),
                ("another type", dict(given, type="text/html"), 403),
                ("another name", dict(given, name="x.html"), 403),
                ("another hash", dict(given, sha256="0" * 64), 403),
                ("a line break", dict(given, type="text/html\r\nX-A: b"), 400),
                ("no signature", {k: v for k, v in given.items() if k != "signature"}, 400),
                ("an empty one", dict(given, signature=""), 400),
                ("another one", dict(given, signature="A" * 43), 403),
                ("more", dict(given, more="1"), 400)):
            got = self.raw(path + "?" + urllib.parse.urlencode(changed))
            self.assertEqual(got.status, status, says)
            self.assertNotIn(secret, got.body)
            self.assertNotIn(b"root:", got.body)
        self.assertEqual(self.raw(link).status, 200)

        # The download itself wants a permission, and a file that there is.
        self.link(token=None, status=401)
        self.link("0" * 32, status=404)
        self.link("..%2f..%2fadmin.token", status=400)
        for role, status in (("MEMBER", 302), ("AUDITOR", 403)):
            user = self.call("POST", "/api/v1/users", {"username": role.lower(), "password": PASSWORD, "role": role},
                             token=self.admin, status=201).json["id"]
            token = self.call("POST", "/api/auth/login", {"type": "username_password", "username": role.lower(),
                                                          "password": PASSWORD}).json["accessToken"]
            self.get("/api/v1/storage/objects", token=token, status=403)
            self.link(token=token, status=status)
            told = [e["data"].get("user_id") for e in self.get("/api/v1/events?type=object.linked&limit=10")["data"]]
            self.assertEqual(told.count(user), status == 302, "who was given a link is in the log")
        self.get("/api/v1/storage/objects/" + "0" * 32, status=404)
        self.get("/api/v1/storage/objects?provider=FLOPPY", status=400)
        listed = self.get("/api/v1/storage/objects?recordingId=" + self.recording)["data"]
        self.assertEqual([o["id"] for o in listed], [self.object])

    def test_they_go_with_their_recording(self):
        link = self.link()
        self.deliver("recording.deleted", "st-2")
        eventually(lambda: self.get("/api/v1/storage/objects/" + self.object)["data"]["deletedAt"])
        self.assertEqual(self.raw(link).status, 404)
        self.link(status=404)
        self.assertFalse(os.path.exists(os.path.join(self.server.data, "objects", KEY)))
        told = self.get("/api/v1/events?type=object.deleted&limit=10")["data"]
        self.assertEqual([(e["data"]["object_id"], e["data"]["reason"]) for e in told], [(self.object, "RECORDING_DELETED")])
        # One that is stored when its recording is deleted already goes at once.
        late = self.keep("recordings/meeting-1/late.json", "put-2", b"{}", "TRANSCRIPT", self.recording)
        eventually(lambda: self.get("/api/v1/storage/objects/" + late)["data"]["deletedAt"])
        done = self.get("/api/v1/effects?effect=storage.remove&limit=10")["data"]
        self.assertEqual(sorted(e["state"] for e in done), ["DONE", "DONE"])
        self.assertEqual([o["id"] for o in self.get("/api/v1/storage/objects?deleted=NO")["data"]], [])


class ShortLinks(Storage):
    def settings(self):
        return {"LULAB_STORAGE_LINK_LIFE": "1s", "LULAB_STORAGE_PREFIX": ""}

    def test_a_link_ends(self):
        link = self.link()
        ended = eventually(lambda: self.raw(link).status == 403 and self.raw(link))
        self.assertEqual(json.loads(ended.body)["code"], "expired")


class Elsewhere(Storage):
    """Files go somewhere else from now on: what lies here stays readable."""

    def test_an_old_file_is_found_where_it_lies(self):
        self.server.stop()
        self.server.env.update({"LULAB_STORAGE": "S3", "LULAB_STORAGE_ENDPOINT": "https://s3.example.com",
                                "LULAB_STORAGE_BUCKET": "new", "LULAB_STORAGE_KEY_ID": "K", "LULAB_STORAGE_SECRET": "s"})
        self.server.start()
        self.assertEqual(self.raw(self.link()).body, BYTES)


if __name__ == "__main__":
    unittest.main()
