#!/usr/bin/env python3
"""Who people are on the meeting platforms, and whose account that is."""

import concurrent.futures
import json
import unittest

from harness import Server, eventually, meeting_event

PASSWORD = "correct horse battery"
PATH = "/api/v1/platform-identities"


def person(number, name):
    return {"userid": "mock-user-id-%03d" % number, "user_name": name, "uuid": "mock-uuid-%03d" % number,
            "instance_id": "1", "ms_open_id": "mock-ms-%03d" % number}


class PlatformIdentities(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()
        for i, name in enumerate(["张三", "李四", "王五"], 1):
            cls.server.post_event(meeting_event("meeting.participant-joined", "join-%d" % i, operator=person(i, name)))
        cls.server.post_event(meeting_event("meeting.participant-joined", "renamed", operator=person(2, "李四 (新)"),
                                            operate_time=1767051029171 + 60000))

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def call(self, method, path, body=None, token="admin", status=200):
        answer = self.server.request(method, path, None if body is None else json.dumps(body).encode(), token=token,
                                     headers={"Content-Type": "application/json"})
        self.assertEqual(answer.status, status, answer.body)
        return json.loads(answer.body) if answer.body else None

    def account(self, name, role="MEMBER"):
        user = self.call("POST", "/api/v1/users", {"username": name, "password": PASSWORD, "role": role}, status=201)["id"]
        access = self.call("POST", "/api/auth/login", {"type": "username_password", "username": name, "password": PASSWORD},
                           token=None)["accessToken"]
        return user, access

    def identity(self, union_id):
        def found():
            return [i for i in self.call("GET", PATH + "?limit=100")["data"] if i["ptUnionId"] == union_id]
        return eventually(found)[0]

    def assert_linked(self, identity, user):
        eventually(lambda: self.call("GET", "%s/%s" % (PATH, identity))["data"]["localUserId"] == user)

    def test_meetings_show_them(self):
        renamed = eventually(lambda: self.identity("mock-uuid-002")["displayName"] == "李四 (新)"
                             and self.identity("mock-uuid-002"))
        self.assertEqual((renamed["platform"], renamed["ptUserId"], renamed["localUserId"]),
                         ("TENCENT_MEETING", "mock-user-id-002", None))
        self.assertEqual(len([i for i in self.call("GET", PATH)["data"] if i["ptUnionId"] == "mock-uuid-002"]), 1)

    def test_linking_and_unlinking(self):
        user, access = self.account("linker")
        other, _ = self.account("other")
        identity = self.identity("mock-uuid-001")["id"]
        where = "%s/%s/user" % (PATH, identity)
        self.call("PUT", where, {"userId": user}, status=204)
        self.call("PUT", where, {"userId": user}, status=204)  # said before: nothing to do
        self.assert_linked(identity, user)
        self.assertIn("another account", self.call("PUT", where, {"userId": other}, status=409)["detail"])
        for path, token in (("/api/v1/users/%s/platform-identities" % user, "admin"),
                            ("/api/v1/auth/platform-identities", access), (PATH + "?linked=YES&localUserId=" + user, "admin")):
            eventually(lambda: [i["id"] for i in self.call("GET", path, token=token)["data"]] == [identity])
        self.call("DELETE", where, status=204)
        self.assert_linked(identity, None)
        self.call("DELETE", where, status=409)
        self.call("PUT", where, {"userId": other}, status=204)
        self.assert_linked(identity, other)
        self.call("DELETE", where, status=204)

    def test_of_many_who_link_it_one_does(self):
        users = [self.account("racer%d" % i)[0] for i in range(3)]
        identity = self.identity("mock-uuid-003")["id"]

        def link(i):
            return self.server.request("PUT", "%s/%s/user" % (PATH, identity), json.dumps({"userId": users[i % 3]}).encode(),
                                       headers={"Content-Type": "application/json"}).status
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            statuses = set(pool.map(link, range(24)))
        self.assertLessEqual(statuses, {204, 409})
        events = [e for e in self.call("GET", "/api/v1/events?type=identity.linked&limit=100")["data"]
                  if e["data"]["identity_id"] == identity]
        self.assertEqual(len(events), 1)
        self.assert_linked(identity, events[0]["data"]["user_id"])

    def test_bad_input(self):
        user, access = self.account("nobody")
        identity = self.identity("mock-uuid-002")["id"]
        where = "%s/%s/user" % (PATH, identity)
        self.call("PUT", where, {"userId": "f" * 32}, status=404)
        self.call("PUT", where, {"userId": "../x"}, status=400)
        self.call("PUT", where, {}, status=400)
        self.call("PUT", "%s/%s/user" % (PATH, "0" * 32), {"userId": user}, status=404)
        self.call("PUT", PATH + "/%2e%2e%2fx/user", {"userId": user}, status=400)
        self.call("GET", PATH + "/" + "0" * 32, status=404)
        self.call("GET", PATH + "?linked=PERHAPS", status=400)
        for method, path in (("GET", PATH), ("GET", "%s/%s" % (PATH, identity)), ("PUT", where), ("DELETE", where)):
            body = {"userId": user} if method == "PUT" else None
            self.call(method, path, body, token=None, status=401)
            self.call(method, path, body, token=access, status=403)
        self.assertEqual(self.call("GET", "/api/v1/auth/platform-identities", token=access)["data"], [])
        self.call("GET", "/api/v1/auth/platform-identities", status=400)
        self.assert_linked(identity, None)


if __name__ == "__main__":
    unittest.main()
