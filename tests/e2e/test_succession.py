#!/usr/bin/env python3
"""A log that lost events goes on as another: made, exported, verified and, wherever it is killed, finished."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "audit")]
import verify as second  # noqa: E402
from harness import ACK, BINARY, Server, eventually, lulab, meeting_event  # noqa: E402
from witness import Signer  # noqa: E402

PARTS = ["log", "origin", "log.vkey", "signer.key", "signer.state"]


def read(*path):
    with open(os.path.join(*path)) as f:
        return f.read()


class Succession(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """A data directory whose log was put back to an older state, by all it knows itself."""
        cls.top = tempfile.mkdtemp(prefix="lulab-succession-")
        cls.lost = os.path.join(cls.top, "lost")
        os.mkdir(cls.lost)
        cls.post_some(cls.lost, 0, 5)
        shutil.copytree(os.path.join(cls.lost, "log"), os.path.join(cls.top, "log"))
        cls.post_some(cls.lost, 5, 5)
        cls.last_note = cls.newest_note(cls.lost)
        shutil.rmtree(os.path.join(cls.lost, "log"))
        shutil.copytree(os.path.join(cls.top, "log"), os.path.join(cls.lost, "log"))
        cls.old_key = read(cls.lost, "log.vkey").strip()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    @staticmethod
    def post_some(data, first, n):
        with Server(data=data) as s:
            for i in range(first, first + n):
                answer = s.post_event(meeting_event(trace_id="t-%d" % i, meeting_id="m-%d" % i))
                assert (answer.status, answer.body) == (200, ACK), answer.body

    @staticmethod
    def newest_note(data):
        out = tempfile.mkdtemp(prefix="lulab-export-")
        lulab("log", "export", out, "--data", data)
        note = read(out, "checkpoint")
        shutil.rmtree(out)
        return note

    def setUp(self):
        self.data = os.path.join(self.top, self.id())
        shutil.copytree(self.lost, self.data)
        self.addCleanup(shutil.rmtree, self.data)

    def succeed(self, *more, check=True, reason="the disk broke"):
        return lulab("log", "succeed", "--data", self.data, "--reason", reason, *more, check=check)

    def first(self):
        return json.loads(lulab("log", "show", "0", "--data", self.data).stdout)

    def test_the_old_one_is_not_written_and_its_successor_is(self):
        s = Server(data=self.data).start(wait=False)
        try:
            eventually(lambda: self.ready(s) == 503)
            refused = s.post_event(meeting_event(trace_id="t-new"))
            self.assertEqual(refused.status, 503)
            self.assertEqual(json.loads(refused.body)["code"], "read_only")
            self.assertIn(b"events were lost: the log has 6", refused.body)
            self.assertIn(b"successor", s.get("/health", token=None).body)
            self.assertEqual(self.succeed(check=False).returncode, 5)
        finally:
            s.stop()
        old_origin = read(self.data, "origin").strip()
        done = self.succeed()
        self.assertIn("6 events were found, its last checkpoint was of 11", done.stdout)
        first = self.first()
        self.assertEqual(first["type"], "log.succeeded")
        self.assertEqual((first["data"]["origin"], first["data"]["size"]), (old_origin, 6))
        self.assertEqual(first["data"]["reason"], "the disk broke")
        # Though the log lost it, the last note is byte for byte what had been signed and shown.
        self.assertEqual(first["data"]["note"], self.last_note)
        size, *_ = second.open_checkpoint(first["data"]["note"].encode(), [second.Key(self.old_key)])
        self.assertEqual(size, 11)
        self.assertNotEqual(read(self.data, "origin").strip(), old_origin)
        self.assertNotEqual(read(self.data, "log.vkey").split("+")[2], self.old_key.split("+")[2])
        self.post_some(self.data, 20, 3)
        size = json.loads(lulab("log", "stats", "--json", "--data", self.data).stdout)["size"]
        self.assertEqual(size, 4)
        lulab("projection", "verify", "--data", self.data)
        lulab("log", "verify", "--data", self.data)
        old = os.path.join(self.data, "previous", "1")
        self.assertEqual(json.loads(lulab("log", "stats", "--json", "--data", old).stdout)["size"], 6)

    def meetings(self, s, n):
        rows = eventually(lambda: (found := s.json("/api/v1/meetings?limit=50")["data"]) and len(found) == n and found)
        self.assertEqual({row["title"] for row in rows}, {"季度预算评审会"})
        return rows

    def repeat(self, s, n, **changed):
        answer = s.post_event(meeting_event(trace_id="t-%d" % n, meeting_id="m-%d" % n, **changed))
        self.assertEqual((answer.status, answer.body), (200, ACK))

    def size(self):
        return json.loads(lulab("log", "stats", "--json", "--data", self.data).stdout)["size"]

    def test_it_goes_on_where_the_old_one_ended(self):
        """Nothing that came is forgotten: repeats of it are known, and the read models begin with it."""
        self.succeed()
        with Server(data=self.data) as s:
            self.meetings(s, 5)
            # What the old log has is not stored again, and what it lost is when the vendor repeats it.
            for n in range(10):
                self.repeat(s, n)
            self.meetings(s, 10)
        self.assertEqual(self.size(), 1 + 5 + 1)  # log.succeeded, the lost ones, one count of repeats
        with Server(data=self.data) as s:
            rows = eventually(lambda: [r for r in s.json("/api/v1/webhooks?limit=50")["data"] if r["duplicates"] == 1])
            self.assertEqual({(r["traceId"], r["position"] >> 48) for r in rows}, {("t-%d" % n, 1) for n in range(5)})
            # The same id with another content is seen to be another one.
            self.repeat(s, 3, meeting_info={"subject": "别的会议"})
        self.assertEqual(self.size(), 9)  # and a count of it
        self.assertEqual(json.loads(lulab("log", "show", "7", "--data", self.data).stdout)["type"], "source.conflict")
        lulab("projection", "verify", "--data", self.data)
        self.assertIn("the old index was equal", lulab("log", "reindex", "--data", self.data).stdout)
        # Another log after that: both before it are looked through.
        self.succeed("--force", reason="moved to another house")
        with Server(data=self.data) as s:
            self.meetings(s, 10)
            for n in range(12):
                self.repeat(s, n)
            self.meetings(s, 12)
        self.assertEqual(self.size(), 1 + 2 + 1)
        with Server(data=self.data) as s:
            rows = eventually(lambda: (r := s.json("/api/v1/webhooks?limit=50")["data"]) and sum(
                x["duplicates"] for x in r) == 16 and r)
            self.assertEqual({r["traceId"]: (r["position"] >> 48, r["duplicates"]) for r in rows if r["verdict"] == "ACCEPTED"},
                             {"t-%d" % n: (1, 3) if n == 3 else (1, 2) if n < 5 else (2, 1) if n < 10 else (0, 0) for n in range(12)})
        # Made anew from all three logs they are the same, and a deleted index is made again from all of them.
        lulab("projection", "verify", "--data", self.data)
        lulab("projection", "rebuild", "--data", self.data)
        lulab("projection", "verify", "--data", self.data)
        shutil.rmtree(os.path.join(self.data, "index"))
        before = self.size()
        with Server(data=self.data) as s:
            self.meetings(s, 12)
            self.repeat(s, 0)
            self.repeat(s, 9)
            self.repeat(s, 11)
        self.assertEqual(self.size(), before + 1)
        # Somebody who takes a log before away is told what that means.
        os.rename(os.path.join(self.data, "previous"), os.path.join(self.data, "elsewhere"))
        with Server(data=self.data) as s:
            self.assertIn("a log before this one is missing", s.log())

    def test_the_roles_of_the_log_before_are_known(self):
        """What they give is in the old log; the start says it again only where it is wrong."""
        self.succeed()
        with Server(data=self.data) as s:
            made = s.request("POST", "/api/v1/users", json.dumps({"username": "li_ming", "role": "AUDITOR"}).encode(), token="admin",
                             headers={"Content-Type": "application/json"})
            self.assertEqual(made.status, 201, made.body)
            role = [e["data"] for e in s.json("/api/v1/events?type=role.created")["data"] if e["data"]["code"] == "AUDITOR"][0]
        self.succeed("--force", reason="moved to another house")
        for wrong in (False, True, False):
            if wrong:
                data = {"role_id": role["role_id"], "name": "x", "level": 1, "active": True, "permissions": ["users:write"]}
                subprocess.check_call([os.environ["APPEND_EVENT"], self.data, "role.changed", "role/" + role["role_id"],
                                       json.dumps(data, separators=(",", ":"))], stdout=subprocess.DEVNULL)
            before = self.size()
            with Server(data=self.data) as s:
                self.assertEqual(s.json("/api/v1/roles/code/AUDITOR")["permissionIds"], ["events:read"])
            self.assertEqual(self.size(), before + wrong)

    @staticmethod
    def ready(server):
        try:
            return server.get("/readyz", token=None).status
        except OSError:
            return 0

    def verify_both(self, out, *more):
        done = lulab("log", "verify", "--export", out, "--key", os.path.join(self.data, "log.vkey"), "--json", *more, check=False)
        return done.returncode, json.loads(done.stdout)

    def test_both_are_exported_and_the_link_is_verified(self):
        self.succeed()
        self.post_some(self.data, 20, 3)
        out = os.path.join(self.data, "export")
        lulab("log", "export", out, "--data", self.data)
        status, ours = self.verify_both(out, "--previous-key", self.old_key)
        self.assertEqual((status, ours["verdict"]), (0, "good"), ours)
        self.assertEqual((ours["succeeds"]["found"], ours["succeeds"]["signed"]), (6, 11))
        for directory, key in ((out, read(self.data, "log.vkey").strip()), (os.path.join(out, "previous", "1"), self.old_key)):
            self.assertEqual(second.verify(directory, key)["verdict"], "good")
        # Without the old log's key, or with another one, or without the old log, it cannot be told.
        self.assertEqual(self.verify_both(out)[0], 1)
        self.assertEqual(self.verify_both(out, "--previous-key", read(self.data, "log.vkey").strip())[0], 1)
        forged = Signer(self.old_key.split("+")[0], b"\x77" * 32).vkey
        self.assertEqual(self.verify_both(out, "--previous-key", forged)[0], 4)
        os.rename(os.path.join(out, "previous"), os.path.join(out, "elsewhere"))
        self.assertEqual(self.verify_both(out, "--previous-key", self.old_key)[0], 1)
        os.rename(os.path.join(out, "elsewhere"), os.path.join(out, "previous"))
        # An altered record of the old log is found, and so is another log in its place.
        bundle = os.path.join(out, "previous", "1", "tile", "entries", "000.p")
        path = os.path.join(bundle, os.listdir(bundle)[0])
        with open(path, "r+b") as f:
            f.seek(100)
            f.write(b"X")
        self.assertEqual(self.verify_both(out, "--previous-key", self.old_key)[0], 4)

    def test_a_successor_can_be_succeeded(self):
        self.succeed()
        self.post_some(self.data, 20, 3)
        key = read(self.data, "log.vkey").strip()
        self.assertEqual(self.succeed(check=False).returncode, 5)
        self.succeed("--force", reason="moved to another house")
        self.post_some(self.data, 30, 1)
        self.assertEqual(sorted(os.listdir(os.path.join(self.data, "previous"))), ["1", "2"])
        out = os.path.join(self.data, "export")
        lulab("log", "export", out, "--data", self.data)
        status, ours = self.verify_both(out, "--previous-key", self.old_key, "--previous-key", key)
        self.assertEqual((status, ours["verdict"]), (0, "good"), ours)

    def test_names_and_notes(self):
        self.assertEqual(lulab("log", "succeed", "--data", self.data, check=False).returncode, 2)
        self.assertEqual(self.succeed("--origin", read(self.data, "origin").strip(), check=False).returncode, 2)
        self.assertEqual(self.succeed("--origin", "two words", check=False).returncode, 2)
        note = os.path.join(self.data, "note")
        with open(note, "w") as f:
            f.write(self.last_note.replace("\n11\n", "\n12\n"))
        self.assertEqual(self.succeed("--note", note, check=False).returncode, 4)
        self.assertTrue(os.path.exists(os.path.join(self.data, "signer.state")))
        # Where the machine forgot what it signed, a note that was kept elsewhere tells.
        os.unlink(os.path.join(self.data, "signer.state"))
        with open(note, "w") as f:
            f.write(self.last_note)
        self.succeed("--note", note, "--origin", "log.example.test/second")
        self.assertEqual(self.first()["data"]["note"], self.last_note)
        self.assertEqual(read(self.data, "origin").strip(), "log.example.test/second")

    def test_killed_at_any_moment_it_can_be_finished(self):
        seed = random.SystemRandom().getrandbits(32)
        rng = random.Random(seed)
        began, whole_s = {}, time.monotonic()
        self.succeed()
        whole_s = time.monotonic() - whole_s
        for n in range(int(os.environ.get("KILLS", "12"))):
            shutil.rmtree(self.data)
            shutil.copytree(self.lost, self.data)
            process = subprocess.Popen([BINARY, "log", "succeed", "--data", self.data, "--reason", "the disk broke"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if n % 3 == 0:
                time.sleep(rng.uniform(0.2, 1.1) * whole_s)
            else:  # most of the time is spent before the move begins, and it is the move that matters
                while process.poll() is None and not os.path.exists(os.path.join(self.data, "succession")):
                    pass
                time.sleep(rng.uniform(0, 0.004))
            process.send_signal(signal.SIGKILL)
            process.wait()
            under_way = os.path.exists(os.path.join(self.data, "succession"))
            changed = os.path.exists(os.path.join(self.data, "previous", "1", "log"))
            began[(under_way, changed)] = began.get((under_way, changed), 0) + 1
            if under_way:
                self.assertNotEqual(lulab("serve", "--data", self.data, "--listen", "127.0.0.1:0", check=False).returncode, 0)
            done = self.succeed(check=False)
            # 5: it was complete already.
            self.assertIn(done.returncode, (0, 5), "seed %d round %d: %s" % (seed, n, done.stderr))
            self.assertEqual(self.first()["data"]["size"], 6, "seed %d round %d" % (seed, n))
            self.assertEqual(sorted(os.listdir(os.path.join(self.data, "previous"))), ["1"], "seed %d round %d" % (seed, n))
            self.assertEqual(sorted(os.listdir(os.path.join(self.data, "previous", "1"))), sorted(PARTS))
            self.assertFalse(os.path.exists(os.path.join(self.data, "successor.tmp")))
            lulab("log", "verify", "--data", self.data)
        print("succession: seed %d, killed (under way, changed): %s" % (seed, began))


if __name__ == "__main__":
    unittest.main()
