#!/usr/bin/env python3
"""Accounts from a CSV file: every row is told what became of it, and a bad one stops no other."""

import json
import unittest

from harness import Server, eventually

PASSWORD = "correct horse battery"
BCRYPT = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" # of "U*U", as crypt_blowfish's tests have it
PATH = "/api/v1/users/imports"


class Import(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def call(self, method, path, body=None, token="admin", status=200, kind="application/json"):
        answer = self.server.request(method, path, body, token=token, headers={"Content-Type": kind})
        self.assertEqual(answer.status, status, answer.body)
        answer.json = json.loads(answer.body) if answer.body else None
        return answer

    def send(self, text, status=202, token="admin", kind="text/csv; charset=utf-8"):
        body = text if isinstance(text, bytes) else text.encode()
        return self.call("POST", PATH, body, status=status, token=token, kind=kind)

    def done(self, started, **query):
        more = "&".join("%s=%s" % pair for pair in query.items())
        path = "%s/%s?%s" % (PATH, started.json["id"], more)
        return eventually(lambda: (lambda d: d["state"] != "RUNNING" and d)(self.call("GET", path).json["data"]))

    def users(self, **query):
        return self.call("GET", "/api/v1/users?limit=100&" + "&".join("%s=%s" % p for p in query.items())).json

    def test_each_row_is_told(self):
        started = self.send("username,email,phone,displayName,role\r\n"
                            "imp_one,imp@one.example,,\"王, 小\"\"明\"\"\",AUDITOR\r\n"
                            "ab,,,,\r\n"
                            "imp_two,nobody,,,\r\n"
                            "imp_three,,13911110001,,KING\r\n"
                            "IMP_ONE,,,,\r\n"
                            ",,,nobody at all,\r\n"
                            "imp_four,x\r\n"
                            "imp_five,,,\"" + "x" * 101 + "\",\r\n"
                            "imp_six,,,\"two\r\nlines\",\r\n"
                            "imp_seven,IMP@ONE.example,,,\r\n")
        self.assertTrue(started.headers["Location"].endswith("/" + started.json["id"]))
        self.assertEqual(started.json["total"], 10)
        told = self.done(started)
        self.assertEqual({k: told[k] for k in ("state", "total", "done", "created", "failed")},
                         {"state": "DONE", "total": 10, "done": 10, "created": 2, "failed": 8})
        rows = told["rows"]
        self.assertEqual([r["line"] for r in rows], [2, 3, 4, 5, 6, 7, 8, 9, 10, 12])
        self.assertEqual([r["status"] == "CREATED" for r in rows], [True] + [False] * 7 + [True, False])
        self.assertEqual([r.get("code") for r in rows],
                         [None, "invalid", "invalid", "invalid", "taken", "invalid", "invalid", "invalid", None, "taken"])
        self.assertIn("/displayName", rows[7]["message"])
        self.assertIn("mail", rows[9]["message"])
        row = self.call("GET", "/api/v1/users/" + rows[0]["userId"]).json["data"]
        self.assertEqual((row["username"], row["displayName"], row["role"], row["hasPassword"]),
                         ("imp_one", "王, 小\"明\"", "AUDITOR", False))
        # Pages of what is told.
        self.assertEqual([r["line"] for r in self.done(started, **{"from": 8, "limit": 1})["rows"]], [10])
        self.assertEqual(self.done(started, limit=0)["rows"], [])
        self.call("GET", PATH + "/%s?limit=1001" % started.json["id"], status=400)
        self.call("GET", PATH + "/" + "0" * 32, status=404)
        self.call("GET", PATH + "/nothing", status=404)
        # The same file again makes nothing twice.
        again = self.done(self.send("username\nimp_one\nimp_six\n"))
        self.assertEqual([r["code"] for r in again["rows"]], ["taken", "taken"])

    def test_hashes_of_the_system_before(self):
        told = self.done(self.send("username,passwordHash\nhash_one,%s\nhash_two,secret\n" % BCRYPT))
        self.assertEqual([r["status"] for r in told["rows"]], ["CREATED", "FAILED"])
        self.assertNotIn("secret", json.dumps(told))
        login = json.dumps({"type": "username_password", "username": "hash_one", "password": "U*U"}).encode()
        self.call("POST", "/api/auth/login", login, token=None)

    def test_what_is_no_file_of_accounts(self):
        for text, says in (("", "first line"), ("username\n", "no rows"), ("shoe\nx\n", "Column 1"),
                           ("username,username\na,b\n", "twice"), ("username,password\na,b\n", "Passwords"),
                           ("username\n\"open\n", "line 2"), ("username\n" + "x\n" * 5001, "5,000")):
            self.assertIn(says, self.send(text, 400).json["detail"])
        self.send("username\nabc\n", 415, kind="application/json")
        self.send(b"username\n" + b"x" * (1 << 20), 413)
        told = self.done(self.send(b"username,displayName\nlatin_one,M\xfcller\nlatin_two,M\xc3\xbcller\nnul_three,a\x00b\n"))
        self.assertEqual([r["status"] for r in told["rows"]][:2], ["FAILED", "CREATED"])

    def test_only_who_may_and_no_more_than_they(self):
        for name, role in (("imp_member", "MEMBER"), ("imp_admin", "ADMIN")):
            self.call("POST", "/api/v1/users", json.dumps({"username": name, "password": PASSWORD, "role": role}).encode(),
                      status=201)
        tokens = [self.call("POST", "/api/auth/login", json.dumps({
            "type": "username_password", "username": name, "password": PASSWORD}).encode(), token=None).json["accessToken"]
            for name in ("imp_member", "imp_admin")]
        self.send("username\nimp_a\n", 401, token=None)
        self.send("username\nimp_a\n", 403, token=tokens[0])
        told = self.done(self.send("username,role\nimp_b,SUPER_ADMIN\nimp_c,AUDITOR\n", token=tokens[1]))
        self.assertEqual([(r["status"], r.get("code")) for r in told["rows"]], [("FAILED", "forbidden"), ("CREATED", None)])
        made = self.call("GET", "/api/v1/events?stream=user/%s" % told["rows"][1]["userId"]).json["data"]
        self.assertTrue(all(e["actor"].startswith("user:") for e in made))

    def test_one_at_a_time_with_progress(self):
        started = self.send("username\n" + "".join("many_%d\n" % i for i in range(300)))
        busy = self.server.request("POST", PATH, b"username\nother_one\n", headers={"Content-Type": "text/csv"})
        self.assertIn(busy.status, (202, 409)) # it may be over already
        counts = []

        def look():
            data = self.call("GET", PATH + "/%s?limit=0" % started.json["id"]).json["data"]
            counts.append(data["done"])
            return data["state"] == "DONE"

        eventually(look)
        self.assertEqual(counts, sorted(counts))
        self.assertEqual(counts[-1], 300)
        eventually(lambda: self.users(search="many_299")["data"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
