#!/usr/bin/env python3
"""A person is erased: nothing of them is left in any file, and the log is what it was."""

import glob
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading
import unittest

import harness
from harness import Server, eventually, lulab, meeting_event

PASSWORD = "correct horse battery"
# Invented, and in no other text of the data directory. Search indexes hold words in lower case.
TRACES = ["Qvist_Zuleika", "zuleika.qvist@erase.example", "+8613911112222", "祖莱卡奎斯特", "mock-uuid-zuleika",
          "Zuleika on Tencent", "Qvistdevice", "Quillback/9.9", "Qvist likes lichens"]
OTHER = ["Bystander_One", "bystander@erase.example"]


def traces_in(data, words):
    """(file, word) of every word that stands in a file, as it is or in lower case."""
    found = []
    for path in glob.glob(os.path.join(data, "**"), recursive=True):
        if not os.path.isfile(path):
            continue
        with open(path, "rb") as f:
            content = f.read()
        for word in words:
            for form in {word, word.lower()}:
                if form.encode() in content:
                    found.append((os.path.relpath(path, data), form))
    return found


class Erasure(unittest.TestCase):
    def setUp(self):
        self.server = Server().start()

    def tearDown(self):
        self.server.__exit__(None, None, None)

    def call(self, method, path, body=None, token="admin", status=200, headers=None):
        answer = self.server.request(method, path, None if body is None else json.dumps(body).encode(), token=token,
                                     headers={"Content-Type": "application/json", **(headers or {})})
        self.assertEqual(answer.status, status, answer.body)
        return json.loads(answer.body) if answer.body else None

    def login(self, username, status=200, **more):
        return self.call("POST", "/api/auth/login", {"type": "username_password", "username": username,
                                                     "password": PASSWORD, **more}, token=None, status=status,
                         headers={"User-Agent": "Quillback/9.9"})

    def make_people(self):
        """One who leaves traces wherever they can, and one who stays."""
        user = self.call("POST", "/api/v1/users", {
            "username": TRACES[0], "email": TRACES[1], "phone": TRACES[2], "displayName": TRACES[3],
            "password": PASSWORD}, status=201)["id"]
        self.call("POST", "/api/v1/users", {"username": OTHER[0], "email": OTHER[1], "password": PASSWORD}, status=201)
        login = self.login(TRACES[0], deviceInfo="Qvistdevice", deviceId="Qvistdevice-1")
        self.call("POST", "/api/auth/login", {"type": "username_password", "username": TRACES[0],
                                              "password": "not their password"}, token=None, status=401)
        self.call("PUT", "/api/user/profile", {"bio": "Qvist likes lichens"}, token=login["accessToken"])
        person = {"userid": "mock-zuleika", "user_name": "Zuleika on Tencent", "uuid": "mock-uuid-zuleika",
                  "instance_id": "1", "ms_open_id": "mock-ms-zuleika"}
        event = meeting_event(trace_id="erase-1")
        event["payload"][0]["operator"] = event["payload"][0]["meeting_info"]["creator"] = person
        self.assertEqual(self.server.post_event(event).status, 200)
        joined = meeting_event("meeting.participant-joined", trace_id="erase-2")
        joined["payload"][0]["operator"] = person
        self.assertEqual(self.server.post_event(joined).status, 200)
        identity = eventually(lambda: [i for i in self.call("GET", "/api/v1/platform-identities")["data"]
                                       if i["displayName"] == "Zuleika on Tencent"])[0]["id"]
        self.call("PUT", "/api/v1/platform-identities/%s/user" % identity, {"userId": user}, status=204)
        eventually(lambda: [i for i in self.call("GET", "/api/v1/platform-identities")["data"] if i["localUserId"] == user])
        return user, identity, login

    def check_receipt(self, receipt, user):
        """Offline: the record says so, and the proof leads from it to a checkpoint that the log signed."""
        record = json.loads(receipt["record"])
        self.assertTrue(record["type"].endswith("privacy.erasure.completed"), record["type"])
        self.assertEqual(record["data"]["subject_id"], user)
        self.assertTrue(len(record["data"]["projections"]) >= 6)
        with tempfile.TemporaryDirectory() as dir:
            for name, text in (("receipt.json", receipt["record"]), ("receipt.tlog-proof", receipt["proof"])):
                with open(os.path.join(dir, name), "w", encoding="utf-8") as f:
                    f.write(text)
            with open(os.path.join(self.server.data, "log.vkey")) as f:
                key = f.readline().strip()
            lulab("log", "verify", "--proof", os.path.join(dir, "receipt.tlog-proof"),
                  "--record", os.path.join(dir, "receipt.json"), "--key", key)

    def check_nothing_told(self, user, identity):
        """Of what is answered; the rest is in files that are being made anew."""
        paths = ["/api/v1/users/" + user, "/api/v1/users?limit=100", "/api/v1/users?search=Zuleika",
                 "/api/v1/platform-identities/" + identity, "/api/v1/platform-identities", "/api/v1/attendance",
                 "/api/v1/events?limit=100", "/api/v1/meetings?search=Zuleika", "/api/v1/logins?limit=100"]
        meetings = self.call("GET", "/api/v1/meetings")["data"]
        self.assertEqual(len(meetings), 1)
        self.assertIsNone(meetings[0]["hostName"])
        for path in paths + ["/api/v1/meetings/" + meetings[0]["id"], "/api/v1/meetings/%s/attendance" % meetings[0]["id"]]:
            answer = self.server.request("GET", path)
            told = answer.body.decode()
            self.assertIn(answer.status, (200, 404), path)
            self.assertEqual([w for w in TRACES if w.lower() in told.lower()], [], path)
        self.assertEqual(self.call("GET", "/api/v1/meetings?search=Zuleika")["data"], [])

    def check_nothing_left(self, user, identity):
        self.assertEqual(traces_in(self.server.data, TRACES), [])
        self.assertNotEqual(traces_in(self.server.data, OTHER), [])
        self.server.stop()
        self.assertEqual(traces_in(self.server.data, TRACES), [])
        with open(os.path.join(self.server.data, "log.vkey")) as f:
            key = f.readline().strip()
        lulab("log", "verify", "--data", self.server.data, "--key", key)
        lulab("projection", "verify", "--data", self.server.data)
        self.server.start()
        self.assertEqual(traces_in(self.server.data, TRACES), [])
        row = self.call("GET", "/api/v1/users/" + user)["data"]
        self.assertEqual((row["state"], row["username"], row["email"], row["phone"], row["displayName"]),
                         ("ERASED", None, None, None, None))
        self.assertEqual(self.call("GET", "/api/v1/platform-identities/" + identity)["data"]["displayName"], None)

    def test_over_http(self):
        user, identity, login = self.make_people()
        self.assertNotEqual(traces_in(self.server.data, TRACES), [])
        before = self.call("GET", "/api/v1/events?limit=1")["pagination"]["total"]
        self.call("DELETE", "/api/v1/users/%s?erase=perhaps" % user, status=400)
        self.call("DELETE", "/api/v1/users/%s?erase=true&ground=" % user, status=400)
        self.call("DELETE", "/api/v1/users/%s?erase=true" % ("0" * 32), status=404)
        receipt = self.call("DELETE", "/api/v1/users/%s?erase=true&ground=GDPR%%20art.%%2017" % user)["data"]
        self.check_receipt(receipt, user)
        # Log-ins have ended, nobody is let in, nothing can be done to the account.
        self.call("GET", "/api/auth/me", token=login["accessToken"], status=401)
        self.login(TRACES[0], status=401)
        self.call("POST", "/api/v1/users/%s/restore" % user, status=410)
        self.call("PUT", "/api/v1/users/%s/password" % user, {"password": PASSWORD}, status=410)
        self.assertEqual(self.call("GET", "/api/v1/users?search=Zuleika")["data"], [])
        # Asked again, the same receipt is given and nothing is appended.
        size = self.call("GET", "/api/v1/events?limit=1")["pagination"]["total"]
        again = self.call("DELETE", "/api/v1/users/%s?erase=true" % user)["data"]
        self.assertEqual(again["record"], receipt["record"])
        self.assertEqual(self.call("GET", "/api/v1/events?limit=1")["pagination"]["total"], size)
        kinds = [e["type"] for e in self.call("GET", "/api/v1/events?limit=100")["data"]]
        self.assertEqual((kinds.count("privacy.erasure.requested"), kinds.count("privacy.erasure.completed")), (2, 2))
        self.assertTrue(size > before)
        self.check_nothing_left(user, identity)
        # Who comes back is somebody new, under the same names.
        back = self.call("POST", "/api/v1/users", {"username": TRACES[0], "email": TRACES[1], "phone": TRACES[2],
                                                   "password": PASSWORD}, status=201)["id"]
        self.assertNotEqual(back, user)
        self.assertEqual(self.call("GET", "/api/v1/users/" + user, headers={})["data"]["username"], None)
        self.login(TRACES[0])
        self.login(OTHER[0])

    def test_only_who_may(self):
        user, _, _ = self.make_people()
        self.call("POST", "/api/v1/users", {"username": "an_admin", "password": PASSWORD, "role": "ADMIN"}, status=201)
        admin = self.login("an_admin")["accessToken"]
        self.call("DELETE", "/api/v1/users/%s?erase=true" % user, token=admin, status=403)
        self.call("DELETE", "/api/v1/users/%s?erase=true" % user, token=None, status=401)
        self.assertEqual(self.call("GET", "/api/v1/users/" + user)["data"]["state"], "ACTIVE")

    def test_one_of_the_last_two_administrators_stays(self):
        """One erases the other, who disables the one at the same moment: one of them is told no."""
        def admin(name):
            user = self.call("POST", "/api/v1/users", {"username": name, "password": PASSWORD, "role": "SUPER_ADMIN"},
                             status=201)["id"]
            return user, self.login(name)["accessToken"]

        def standing():
            return [u["id"] for u in self.call("GET", "/api/v1/users?limit=100")["data"] if u["state"] == "ACTIVE"]

        one = admin("admin_0")
        for i in range(1, 16):
            other = admin("admin_%d" % i)
            self.assertEqual(sorted(standing()), sorted([one[0], other[0]]))
            ready, statuses = threading.Barrier(2), {}

            def ask(name, method, path, token):
                ready.wait()
                statuses[name] = self.server.request(method, path, token=token).status

            asking = [threading.Thread(target=ask, args=args) for args in (
                ("erase", "DELETE", "/api/v1/users/%s?erase=true" % other[0], one[1]),
                ("disable", "POST", "/api/v1/users/%s/disable" % one[0], other[1]))]
            for thread in asking:
                thread.start()
            for thread in asking:
                thread.join()
            left = standing()
            self.assertEqual(len(left), 1, "round %d: %s" % (i, statuses))
            one = one if left[0] == one[0] else other

    def cli(self, *args, status=0):
        done = subprocess.run([harness.BINARY, *args, "--data", self.server.data], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=self.server.data,
                              env={**self.server.env, "PORT": str(self.server.port)}, timeout=120)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def test_on_a_stopped_directory(self):
        user, identity, _ = self.make_people()
        self.server.stop()
        self.assertNotEqual(traces_in(self.server.data, TRACES), [])
        self.assertIn("--yes", self.cli("key", "erase", TRACES[1], status=2).stderr)
        receipt = json.loads(self.cli("key", "erase", TRACES[1], "--yes").stdout)
        self.check_receipt(receipt, user)
        self.server.start()
        self.check_nothing_left(user, identity)
        # On the running service: it is done already.
        self.assertEqual(json.loads(self.cli("key", "erase", user, "--yes").stdout)["record"], receipt["record"])

    def test_a_start_finishes_what_was_interrupted(self):
        """Killed as soon as the request is in the log, wherever the rest had come to."""
        user, identity, _ = self.make_people()

        def erase():
            try:
                self.server.request("DELETE", "/api/v1/users/%s?erase=true" % user)
            except (OSError, http.client.HTTPException): # it was killed meanwhile
                pass

        def count(kind):
            return self.call("GET", "/api/v1/events?limit=1&type=privacy.erasure." + kind)["pagination"]["total"]

        asking = threading.Thread(target=erase)
        asking.start()
        eventually(lambda: count("requested") == 2)
        self.server.kill()
        asking.join()
        self.server.start()
        # Ready, and it may be going on still: nothing of them is answered.
        self.check_nothing_told(user, identity)
        eventually(lambda: count("completed") == 2)
        self.check_nothing_left(user, identity)
        self.check_receipt(self.call("DELETE", "/api/v1/users/%s?erase=true" % user)["data"], user)

    def test_a_keyring_from_before_opens_nothing(self):
        """A copy of the keys was put back that still has the person's."""
        user, identity, _ = self.make_people()
        self.server.stop()
        kept = tempfile.mkdtemp(prefix="lulab-erasure-")
        keys = os.path.join(self.server.data, "keys")
        try:
            shutil.copytree(keys, os.path.join(kept, "keys"))
            self.server.start()
            self.call("DELETE", "/api/v1/users/%s?erase=true" % user)
            self.server.stop()
            shutil.rmtree(keys)
            shutil.copytree(os.path.join(kept, "keys"), keys)
        finally:
            shutil.rmtree(kept)
        self.server.start()
        self.server.stop()
        lulab("projection", "rebuild", "--data", self.server.data)
        self.server.start()
        self.check_nothing_left(user, identity)


if __name__ == "__main__":
    unittest.main(verbosity=2)
