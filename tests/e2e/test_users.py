#!/usr/bin/env python3
"""Accounts as administrators see them: looked through, closed, given back; asked of the running service."""

import concurrent.futures
import json
import unittest
import urllib.parse

from harness import Server, lulab

PASSWORD = "correct horse battery"
NOBODY = "0" * 32


class Users(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    position = None # of the newest event that an answer told of: what is read afterwards holds it

    def call(self, method, path, body=None, token="admin", status=200, raw=None, headers=None):
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if method == "GET" and self.position:
            headers = {"Lulab-Min-Position": self.position, **(headers or {})}
        answer = self.server.request(method, path, data, token=token,
                                     headers={"Content-Type": "application/json", **(headers or {})})
        self.assertEqual(answer.status, status, answer.body)
        self.position = answer.headers["Lulab-Position"] or self.position
        answer.json = json.loads(answer.body) if answer.body else None
        return answer

    def create(self, username, status=201, **body):
        return self.call("POST", "/api/v1/users", {"username": username, "password": PASSWORD, **body},
                         status=status).json["id"]

    def login(self, username, password=PASSWORD, status=200):
        return self.call("POST", "/api/auth/login", {"type": "username_password", "username": username,
                                                     "password": password}, token=None, status=status).json

    def me(self, login, status=200):
        return self.call("GET", "/api/auth/me", token=login["accessToken"], status=status).json

    def users(self, **query):
        return self.call("GET", "/api/v1/users?" + urllib.parse.urlencode({"limit": 100, **query})).json

    def names(self, **query):
        return {u["username"] for u in self.users(**query)["data"]}

    # ---- looking ----------------------------------------------------------------------------

    def test_one_is_found(self):
        user = self.create("Look_One", email="Look@Example.com", phone="138 0000 1111", displayName="张小明", role="AUDITOR")
        row = self.call("GET", "/api/v1/users/" + user).json["data"]
        self.assertEqual({k: row[k] for k in ("id", "username", "email", "countryCode", "phone", "displayName", "role",
                                              "state", "active", "hasPassword", "emailVerified", "deletedAt")},
                         {"id": user, "username": "Look_One", "email": "Look@Example.com", "countryCode": "+86",
                          "phone": "+8613800001111", "displayName": "张小明", "role": "AUDITOR", "state": "ACTIVE",
                          "active": True, "hasPassword": True, "emailVerified": False, "deletedAt": None})
        self.call("GET", "/api/v1/users/" + NOBODY, status=404)
        self.call("GET", "/api/v1/users/x%27%20or%201", status=404)
        # By any part of what they are called; two characters of Chinese are a word.
        for search in ("look_one", "look@example.com", "小明", "+8613800001111"):
            self.assertEqual(self.names(search=search), {"Look_One"}, search)
        self.assertEqual(self.names(search="nobody at all"), set())
        self.assertEqual(self.names(search="\" OR 1=1 --"), set())

    def test_lists_have_filters_and_pages(self):
        for i in range(5):
            self.create("paged_%d" % i, role="SERVICE")
        first = self.users(role="SERVICE", limit=2)
        self.assertEqual(first["pagination"]["total"], 5)
        seen, cursor = [u["username"] for u in first["data"]], first["pagination"]["nextCursor"]
        while cursor:
            page = self.users(role="SERVICE", limit=2, cursor=cursor)
            seen += [u["username"] for u in page["data"]]
            cursor = page["pagination"]["nextCursor"]
        self.assertEqual(sorted(seen), ["paged_%d" % i for i in range(5)])
        self.assertEqual(seen, sorted(seen, reverse=True)) # newest first
        for bad in ("limit=101", "state=GONE", "sort=password", "shoe=42", "page=0"):
            self.call("GET", "/api/v1/users?" + bad, status=400)

    def test_only_who_may(self):
        self.create("plain_member")
        self.create("some_admin", role="ADMIN")
        member = self.login("plain_member")["accessToken"]
        admin = self.login("some_admin")["accessToken"]
        user = self.create("somebody")
        for method, path in (("GET", ""), ("GET", "/" + user), ("DELETE", "/" + user), ("POST", "/" + user + "/disable"),
                             ("POST", "/" + user + "/enable"), ("POST", "/" + user + "/restore"),
                             ("PUT", "/" + user + "/password")):
            body = {"password": PASSWORD} if method == "PUT" else None
            self.call(method, "/api/v1/users" + path, body, token=member, status=403)
            self.call(method, "/api/v1/users" + path, body, token=None, status=401)
        self.call("POST", "/api/v1/users/%s/disable" % user, token=admin)

    # ---- what becomes of them ------------------------------------------------------------------

    def test_disabling_ends_every_log_in_for_good(self):
        user = self.create("to_disable")
        logins = [self.login("to_disable") for _ in range(3)]
        self.assertEqual(self.call("POST", "/api/v1/users/%s/disable" % user, {"reason": "left"}).json["data"]["state"],
                         "DISABLED")
        for login in logins:
            self.me(login, 401)
            self.call("POST", "/api/auth/refresh-token", {"refreshToken": login["refreshToken"]}, token=None, status=401)
        self.login("to_disable", status=401)
        self.assertIn("to_disable", self.names(state="DISABLED"))
        self.assertIn("to_disable", self.names(active="false"))
        # Repeated, it changes nothing.
        before = self.call("GET", "/api/v1/events?limit=1").json["pagination"]["total"]
        self.call("POST", "/api/v1/users/%s/disable" % user)
        self.assertEqual(self.call("GET", "/api/v1/events?limit=1").json["pagination"]["total"], before)
        self.assertTrue(self.call("POST", "/api/v1/users/%s/enable" % user).json["data"]["active"])
        for login in logins:
            self.me(login, 401)
            self.call("POST", "/api/auth/refresh-token", {"refreshToken": login["refreshToken"]}, token=None, status=401)
        self.me(self.login("to_disable"))
        self.call("POST", "/api/v1/users/%s/disable" % user, {"reason": "x" * 257}, status=400)
        self.call("POST", "/api/v1/users/%s/disable" % NOBODY, status=404)

    def test_deleted_and_given_back(self):
        user = self.create("to_delete", email="to@delete.example")
        login = self.login("to_delete")
        self.call("DELETE", "/api/v1/users/" + user, status=204)
        self.me(login, 401)
        self.login("to_delete", status=401)
        self.call("DELETE", "/api/v1/users/" + user, status=204)
        self.assertNotIn("to_delete", self.names())
        self.assertIn("to_delete", self.names(deleted="true"))
        self.assertIn("to_delete", self.names(state="DELETED"))
        # The names stay theirs, so that they can come back.
        self.call("POST", "/api/v1/users", {"username": "TO_DELETE"}, status=409)
        for what in ("enable", "disable"):
            self.assertEqual(self.call("POST", "/api/v1/users/%s/%s" % (user, what), status=409).json["code"], "deleted")
        self.call("PUT", "/api/v1/users/%s/password" % user, {"password": PASSWORD}, status=409)
        self.assertEqual(self.call("POST", "/api/v1/users/%s/restore" % user).json["data"]["state"], "ACTIVE")
        self.me(login, 401)
        self.me(self.login("to_delete"))

    def test_a_password_given_by_an_operator(self):
        user = self.create("to_reset")
        login = self.login("to_reset")
        self.assertEqual(self.call("PUT", "/api/v1/users/%s/password" % user, {"password": "to_reset is me"},
                                   status=400).json["code"], "weak_password")
        self.call("PUT", "/api/v1/users/%s/password" % user, {}, status=400)
        self.call("PUT", "/api/v1/users/%s/password" % user, {"password": "another horse battery"}, status=204)
        self.me(login, 401)
        self.login("to_reset", status=401)
        self.me(self.login("to_reset", "another horse battery"))

    def test_nobody_gets_hold_of_an_account_that_may_do_more(self):
        """S4 of the systems replaced: who administers accounts could make themselves anything."""
        top = self.create("top_one", role="SUPER_ADMIN")
        self.create("middle_one", role="ADMIN")
        admin = self.login("middle_one")["accessToken"]
        for method, path, body in (("PUT", "/password", {"password": PASSWORD}), ("DELETE", "", None),
                                   ("POST", "/disable", None), ("POST", "/enable", None), ("POST", "/restore", None)):
            self.assertEqual(self.call(method, "/api/v1/users/%s%s" % (top, path), body, token=admin,
                                       status=403).json["code"], "forbidden")
        # Nor does the last that may do everything lock everybody out.
        others = [u["id"] for u in self.users(role="SUPER_ADMIN")["data"] if u["id"] != top]
        for other in others:
            self.call("DELETE", "/api/v1/users/" + other, status=204)
        token = self.login("top_one")["accessToken"]
        self.assertEqual(self.call("POST", "/api/v1/users/%s/disable" % top, token=token, status=409).json["code"],
                         "last_admin")
        self.call("DELETE", "/api/v1/users/" + top, token=token, status=409)
        self.create("top_two", role="SUPER_ADMIN")
        self.call("DELETE", "/api/v1/users/" + top, token=token, status=204)

    def test_who_it_is_that_is_called_so(self):
        user = self.create("find_me", email="find@me.example", phone="13800007777")
        for name in ("find_me", "FIND_ME", " Find@Me.example", "13800007777", "+8613800007777"):
            self.assertEqual(self.call("POST", "/api/v1/users/find", {"name": name}).json["data"]["id"], user, name)
        for name in ("nobody_there", "nobody@me.example", "13800007778", "find_m%", "' or 1=1"):
            self.call("POST", "/api/v1/users/find", {"name": name}, status=400 if "%" in name or "'" in name else 404)
        for body in ({}, {"name": ""}, {"name": 7}, {"name": "x" * 300}, {"name": "find_me", "all": True}):
            self.call("POST", "/api/v1/users/find", body, status=400)
        self.assertEqual(self.call("GET", "/api/v1/users/%s/platform-identities" % NOBODY).json["data"], [])
        self.call("GET", "/api/v1/users/%s/platform-identities?shoe=42" % user, status=400)
        self.call("GET", "/api/v1/logins?result=MAYBE", status=400)

    def test_a_log_in_made_for_somebody(self):
        user = self.create("made_for")
        self.create("makes_none", role="ADMIN")
        made = self.call("POST", "/api/v1/users/%s/tokens" % user, status=201).json
        self.assertEqual(self.me(made)["username"], "made_for")
        self.call("POST", "/api/auth/refresh-token", {"refreshToken": made["refreshToken"]}, token=None)
        # Not for who may not do everything; nor of who is not to be let in.
        self.call("POST", "/api/v1/users/%s/tokens" % user, token=self.login("makes_none")["accessToken"], status=403)
        self.call("POST", "/api/v1/users/%s/disable" % user)
        self.assertEqual(self.call("POST", "/api/v1/users/%s/tokens" % user, status=409).json["code"], "disabled")
        self.call("DELETE", "/api/v1/users/" + user, status=204)
        self.assertEqual(self.call("POST", "/api/v1/users/%s/tokens" % user, status=409).json["code"], "deleted")
        for nobody in (NOBODY, "x", "x%27--"):
            self.call("POST", "/api/v1/users/%s/tokens" % nobody, status=404)

    def test_of_many_who_change_one_account_each_is_answered(self):
        user = self.create("contended")

        def one(i):
            return self.server.request("POST", "/api/v1/users/%s/%s" % (user, ("disable", "enable")[i % 2]),
                                       token="admin").status

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            statuses = set(pool.map(one, range(40)))
        self.assertTrue(statuses <= {200, 409}, statuses)
        kinds = [e["type"] for e in self.call("GET", "/api/v1/events?stream=user/%s&limit=100" % user).json["data"]
                 if e["type"] in ("user.enabled", "user.disabled")]
        self.assertTrue(all(a != b for a, b in zip(kinds, kinds[1:])), kinds)

    def test_rebuilt_rows_are_equal(self):
        self.create("for_rebuild")
        self.server.stop()
        try:
            lulab("projection", "verify", "--data", self.server.data)
        finally:
            self.server.start()


if __name__ == "__main__":
    unittest.main(verbosity=2)
