#!/usr/bin/env python3
"""Accounts from a CSV file: every row is told what became of it, once and for good, and a bad one stops no other."""

import json
import mmap
import os
import random
import shutil
import struct
import subprocess
import tempfile
import time
import unittest

import harness
from harness import Server, eventually, lulab

PASSWORD = "correct horse battery"
BCRYPT = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" # of "U*U", as crypt_blowfish's tests have it
PATH = "/api/v1/users/imports"
OPEN_BLOB = os.environ.get("OPEN_BLOB", os.path.join(os.path.dirname(harness.BINARY), "tests", "open_blob"))
HELD_THREAD_SO = os.environ.get("HELD_THREAD_SO", os.path.join(os.path.dirname(harness.BINARY), "tests", "libheld_thread.so"))


class Case(unittest.TestCase):
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

    def events(self, path):
        """All of them, page by page."""
        found, cursor = [], ""
        while cursor is not None:
            page = self.call("GET", "/api/v1/events?limit=100&%s%s" % (path, cursor and "&cursor=" + cursor)).json
            found, cursor = found + page["data"], page["pagination"]["nextCursor"]
        return found


class Import(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

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
        self.assertEqual([r["row"] for r in rows], list(range(1, 11)))
        self.assertEqual([r.get("field") for r in rows], [None, "username", "email", "role", "username", None, None, "displayName",
                                                          None, "email"])
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
        # All that there were are listed, the newest first.
        listed = self.call("GET", PATH + "?state=DONE").json["data"]
        ids = [i["id"] for i in listed]
        self.assertLess(ids.index(again["id"]), ids.index(told["id"]))
        self.assertEqual({k: v for k, v in told.items() if k != "rows"}, listed[ids.index(told["id"])])
        self.call("GET", PATH + "?state=SHUT", status=400)

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
        for token, status in ((None, 401), (tokens[0], 403), (tokens[1], 200)):
            self.call("GET", PATH, token=token, status=status)
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


class Hold:
    """Lets the import go on by so many steps, at least one of which is a row's, and then holds it (fault/held_thread.c)."""
    NO_END = (1 << 64) - 1

    def __init__(self):
        fd, self.path = tempfile.mkstemp(prefix="lulab-hold-")
        with open(fd, "r+b") as f:
            f.truncate(16)
            self.memory = mmap.mmap(fd, 16)
        self.env = {"LD_PRELOAD": HELD_THREAD_SO, "HELD_THREAD": "lulab-import", "HELD_FILE": self.path}

    def close(self):
        self.let_go()
        os.unlink(self.path)

    def steps(self):
        return struct.unpack_from("<Q", self.memory)[0]

    def _may(self):
        return struct.unpack_from("<Q", self.memory, 8)[0]

    def is_held(self):
        return self.steps() > self._may()

    def let(self, steps):
        struct.pack_into("<Q", self.memory, 8, self._may() + steps)

    def let_go(self):
        struct.pack_into("<Q", self.memory, 8, self.NO_END)

    def begin_held(self):
        """For the next process."""
        struct.pack_into("<QQ", self.memory, 0, 0, 0)


class Interrupted(Case):
    """The program is killed in the middle; the next start goes on behind the last row that is in the log."""
    ROWS = 900

    def setUp(self):
        self.hold = Hold()
        self.server = Server(env=self.hold.env).start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))
        self.addCleanup(self.hold.close)

    def rows(self, tag):
        """Every seventh is none, every eleventh has the name of the one before it."""
        return ["no %s %d,Zuleika Bad" % (tag, i) if i % 7 == 6 else "%s_%d,Zuleika Good" % (tag, i - (i % 11 == 10))
                for i in range(self.ROWS)]

    def come_to(self, path, n):
        """Holds the import where so many rows are done, or more if there were more already."""
        def look():
            if not self.hold.is_held():
                return None
            data = self.call("GET", path + "?limit=0").json["data"]
            if data["done"] < n:
                self.hold.let(n - data["done"])
            return data["done"] >= n and data
        return eventually(look)["done"]

    def kill_behind(self, path, n):
        """Once so many rows are done, while the next are being done, of which there are too few to be all."""
        done, on_its_way = self.come_to(path, n), self.hold.steps() + self.ROWS // 40
        self.assertLess(done + self.ROWS // 6, self.ROWS)
        self.hold.let(self.ROWS // 6)
        while self.hold.steps() < on_its_way and self.server.process.poll() is None:
            time.sleep(0)
        time.sleep(random.uniform(0, 0.003)) # anywhere between two steps
        self.server.kill()
        return done

    def opens(self, started):
        """What is in it; None: its key was destroyed."""
        opened = subprocess.run([OPEN_BLOB, self.server.data, str(started["position"]), started["data"]["import_id"], "file"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertIn(opened.returncode, (0, 3), opened.stderr)
        return opened.stdout.decode() if opened.returncode == 0 else None

    def files_with(self, text, *under):
        found = []
        for folder, _, names in os.walk(os.path.join(self.server.data, *under)):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    if text in f.read():
                        found.append(name)
        return found

    def test_each_row_is_done_once(self):
        text = "username,displayName\n" + "\n".join(self.rows("kept")) + "\n"
        id = self.send(text).json["id"]
        path, stream = PATH + "/" + id, "stream=user_import/" + id
        [started] = self.events("type=user_import.started")
        keys, self.old_keys = os.path.join(self.server.data, "keys"), os.path.join(self.server.data, "old-keys")
        for n in (1, self.ROWS // 6, self.ROWS // 3):
            acknowledged = self.kill_behind(path, n)
            self.assertEqual(self.opens(started), text)
            shutil.copytree(keys, self.old_keys, dirs_exist_ok=True)
            self.hold.begin_held()
            self.server.start()
            done = self.call("GET", path).json["data"]["done"]
            self.assertTrue(acknowledged <= done < self.ROWS, done)
            self.send("username\nother_one\n", status=409)
        self.hold.let_go()
        told = eventually(lambda: (lambda d: d["state"] == "DONE" and d)(self.call("GET", path + "?limit=1000").json["data"]))
        self.check_rows(told)
        events = self.events(stream)
        self.assertEqual([e["type"] for e in events],
                         ["user_import.started"] + ["user_import.row_done"] * self.ROWS + ["user_import.ended"])
        self.assertEqual([e["data"]["row"] for e in events[1:-1]], list(range(1, self.ROWS + 1)))
        self.check_accounts(told)
        self.check_nothing_left(started)
        self.check_old_keys(started)

    def check_rows(self, told):
        created = [i % 7 != 6 and not (i % 11 == 10 and (i - 1) % 7 != 6) for i in range(self.ROWS)]
        self.assertEqual([r["row"] for r in told["rows"]], list(range(1, self.ROWS + 1)))
        self.assertEqual([r["status"] == "CREATED" for r in told["rows"]], created)
        self.assertEqual({r["code"] for r in told["rows"] if "code" in r}, {"invalid", "taken"})
        self.assertEqual((told["done"], told["created"], told["failed"]), (self.ROWS, sum(created), self.ROWS - sum(created)))

    def check_accounts(self, told):
        """As many as were told, and each what its row says."""
        made = {r["userId"] for r in told["rows"] if r["status"] == "CREATED"}
        registered = [e["data"]["user_id"] for e in self.events("type=user.registered")]
        self.assertEqual(len(registered), len(made))
        self.assertEqual(set(registered), made)
        granted = [e["data"]["user_id"] for e in self.events("type=role.granted")]
        self.assertEqual(sorted(granted), sorted(made))

    def check_nothing_left(self, started):
        self.server.stop()
        lulab("log", "verify", "--data", self.server.data)
        lulab("projection", "verify", "--data", self.server.data)
        self.assertIsNone(self.opens(started))
        # Accounts have read models; what made none is nowhere.
        self.assertEqual(self.files_with(b"Zuleika Bad"), [])
        self.assertEqual(self.files_with(b"no kept"), [])
        self.assertEqual(self.files_with(b"Zuleika Good", "log"), [])

    def check_old_keys(self, started):
        """A keyring as it was while the import ran does not bring its key back."""
        keys = os.path.join(self.server.data, "keys")
        shutil.rmtree(keys)
        shutil.copytree(self.old_keys, keys)
        self.assertIsNotNone(self.opens(started))
        self.server.start()
        eventually(lambda: b"\nlulab_keys_erased 1\n" in self.server.get("/metrics").body)
        self.server.stop()
        self.assertIsNone(self.opens(started))
        self.server.start()

    def test_who_may_not_any_more_makes_no_more(self):
        user = self.call("POST", "/api/v1/users", json.dumps({"username": "gone_admin", "password": PASSWORD, "role": "ADMIN"}).encode(),
                         status=201).json["id"]
        token = self.call("POST", "/api/auth/login", json.dumps({
            "type": "username_password", "username": "gone_admin", "password": PASSWORD}).encode(), token=None).json["accessToken"]
        id = self.send("username,displayName\n" + "\n".join(self.rows("late")) + "\n", token=token).json["id"]
        self.come_to(PATH + "/" + id, 1) # what may be done is looked at before
        self.call("POST", "/api/v1/users/%s/disable" % user)
        self.kill_behind(PATH + "/" + id, 1)
        self.hold.let_go()
        self.server.start()
        data = eventually(lambda: (lambda d: d["state"] != "RUNNING" and d)(self.call("GET", PATH + "/" + id).json["data"]))
        self.assertEqual((data["state"], data["reason"]), ("CANCELLED", "FORBIDDEN"))
        self.assertLess(data["done"], self.ROWS)
        [started] = self.events("type=user_import.started")
        self.server.stop()
        self.assertIsNone(self.opens(started))
        self.server.start()
        # The way is free for the next.
        self.assertEqual(self.done(self.send("username\nafter_it\n"))["state"], "DONE")


if __name__ == "__main__":
    unittest.main(verbosity=2)
