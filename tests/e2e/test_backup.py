#!/usr/bin/env python3
"""Backups: made beside a running service, judged in three outcomes, restored, tried, and refused for writing when old."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE]
from harness import ACK, PLANTED, Server, eventually, lulab, meeting_event  # noqa: E402

OK, INCONCLUSIVE, FAILED, CONFLICT = 0, 1, 4, 5


class Backup(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="lulab-backup-")
        self.addCleanup(shutil.rmtree, self.top)
        self.data, self.to = os.path.join(self.top, "data"), os.path.join(self.top, "backups")
        os.mkdir(self.data)

    def post(self, s, first, n):
        for i in range(first, first + n):
            answer = s.post_event(meeting_event(trace_id="t-%d" % i, meeting_id="m-%d" % i))
            self.assertEqual((answer.status, answer.body), (200, ACK))

    def backup(self, *args, check=None, data=None):
        done = lulab("backup", *args, *(["--data", data or self.data] if args[0] != "verify" and args[0] != "list" else []),
                     check=False)
        if check is not None:
            self.assertEqual(done.returncode, check, done.stdout + done.stderr)
        return done

    def create(self):
        return self.backup("create", "--to", self.to, check=OK).stdout.strip()

    def size(self, data):
        return json.loads(lulab("log", "stats", "--json", "--data", data).stdout)["size"]

    def start_with(self, n):
        with Server(data=self.data) as s:
            self.post(s, 0, n)

    def test_beside_a_running_service(self):
        with Server(data=self.data) as s:
            self.post(s, 0, 5)
            eventually(lambda: s.get("/api/v1/checkpoint").body.split(b"\n")[1] == b"6")
            first = self.create()
            self.post(s, 5, 5)
            second = self.create()
            self.backup("drill", first, "--scratch", self.top, check=OK)
            self.post(s, 10, 1)
        self.assertIn("ok: 6 events", self.backup("verify", first, check=OK).stdout)
        rows = json.loads(self.backup("list", self.to, "--json", check=OK).stdout)
        self.assertEqual([(r["backup"], int(r["events"])) for r in rows],
                         [(os.path.basename(first), 6), (os.path.basename(second), 11)])
        # No key is in it, and nothing that was scratch is left.
        names = [n for _, _, files in os.walk(self.to) for n in files]
        self.assertEqual(sorted(set(names) - {"lock.mdb"}), ["backup", "data.mdb", "log.vkey", "origin", "signer.state"])
        self.assertEqual([n for n in os.listdir(self.top) if n.startswith("lulab-drill")], [])

    def test_each_outcome(self):
        self.start_with(5)
        good = self.create()
        self.backup("verify", good, check=OK)
        self.backup("verify", good, "--key", os.path.join(self.data, "log.vkey"), check=OK)
        path = os.path.join(good, "log", "data.mdb")
        with open(path, "rb") as f:
            store = f.read()
        for spoiled in (store.replace(b'"trace_id"', b'"trace_ix"'), store[:-4096], store[:8192], b"", b"x" * 8192):
            with open(path, "wb") as f:
                f.write(spoiled)
            done = self.backup("verify", good, check=FAILED)
            self.assertIn("failed: ", done.stderr)
            self.backup("restore", good, check=FAILED, data=os.path.join(self.top, "new"))
            self.assertFalse(os.path.exists(os.path.join(self.top, "new", "log")))
        os.unlink(path)
        self.assertIn("inconclusive: ", self.backup("verify", good, check=INCONCLUSIVE).stderr)
        with open(path, "wb") as f:
            f.write(store)
        self.backup("verify", good, check=OK)
        # A key that is another log's; a manifest of another copy, a spoiled one, none.
        other = "log.example.test/events+d23885f3+AdBKsjJ0K7SrOhNovUYV5ObQIkq3GgFrr4UgozLJd4c3"
        self.assertIn(self.backup("verify", good, "--key", other).returncode, (FAILED, INCONCLUSIVE))
        self.backup("verify", good, "--key", "nonsense", check=INCONCLUSIVE)
        manifest = os.path.join(good, "backup")
        with open(manifest) as f:
            text = f.read()
        for changed in (text.replace("\n6\n", "\n7\n"), text[:-1], text.replace("/2", "/1", 1), text.replace("/2", "/3", 1), text.replace("\n0\n", "\n1\n"),
                        text.replace("\n0\n", "\n"), ""):
            with open(manifest, "w") as f:
                f.write(changed)
            self.backup("verify", good, check=FAILED)
        # One of before there were objects in backups.
        with open(manifest, "w") as f:
            f.write(text.replace("/2", "/1", 1).removesuffix("0\n"))
        self.assertIn(", no objects,", self.backup("verify", good, check=OK).stdout)
        os.unlink(manifest)
        self.backup("verify", good, check=FAILED)
        self.backup("verify", os.path.join(self.to, "nothing"), check=INCONCLUSIVE)
        # An older copy of the store under a newer manifest is good, and not what was backed up.
        with Server(data=self.data) as s:
            self.post(s, 5, 3)
        newer = self.create()
        shutil.copy(path, os.path.join(newer, "log", "data.mdb"))
        self.assertIn("not the one that was backed up", self.backup("verify", newer, check=FAILED).stderr)

    # ---- objects ----

    def tell(self, event, number, **more):
        data = {"object_id": "%032x" % number, "provider": "LOCAL", "bucket": "", "key": "recordings/%d/video.mp4" % (number % 2), **more}
        subprocess.check_call([os.environ["APPEND_EVENT"], self.data, event, "object/%032x" % number,
                               json.dumps(data, separators=(",", ":"))], stdout=subprocess.DEVNULL)

    def place(self, key, data=None):
        return os.path.join(data or self.data, "objects", key)

    def store(self, number, content, **more):
        key = more.setdefault("key", "recordings/%d/video-%d.mp4" % (number % 2, number))
        if more.get("provider") is None:
            os.makedirs(os.path.dirname(self.place(key)), exist_ok=True)
            with open(self.place(key), "wb") as f:
                f.write(content)
        self.tell("object.stored", number, size=len(content), sha256=hashlib.sha256(content).hexdigest(), kind="VIDEO", **more)
        return key

    def files(self, directory):
        found = {}
        for top, _, names in os.walk(directory):
            for name in names:
                with open(os.path.join(top, name), "rb") as f:
                    found[os.path.relpath(os.path.join(top, name), directory)] = f.read()
        return found

    def test_objects_come_along(self):
        self.start_with(1)
        there = {self.store(n, bytes([n]) * 300000 * n): bytes([n]) * 300000 * n for n in range(3)}
        self.store(3, b"elsewhere", provider="S3", bucket="b")
        os.unlink(self.place(self.store(4, b"gone")))
        self.tell("object.deleted", 4, reason="RECORDING_DELETED")
        os.makedirs(self.place(".uploads"))
        with open(self.place(".uploads/half"), "wb") as f:
            f.write(b"not yet one")
        good = self.create()
        self.assertEqual(self.files(os.path.join(good, "objects")), there)
        self.assertIn(" 3 objects,", self.backup("verify", good, check=OK).stdout)
        self.assertRegex(self.backup("drill", good, "--scratch", self.top, check=OK).stdout, r"objects +3, each")
        if os.path.exists(PLANTED):
            done = subprocess.run([PLANTED, "backup", "create", "--to", self.to, "--data", self.data], stdout=subprocess.PIPE, text=True,
                                  env=dict(os.environ, PLANTED_BUG="backup_forgets_objects"), check=True)
            self.backup("verify", done.stdout.strip(), check=FAILED)
        # On another disk they are copies.
        if os.path.isdir("/dev/shm") and os.stat("/dev/shm").st_dev != os.stat(self.top).st_dev:
            with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
                copied = self.backup("create", "--to", other, check=OK).stdout.strip()
                self.assertEqual(self.files(os.path.join(copied, "objects")), there)
                self.backup("verify", copied, check=OK)
        # Back again, to where the settings say.
        new, apart = os.path.join(self.top, "new"), os.path.join(self.top, "apart")
        self.assertIn("3 objects are in ", self.backup("restore", good, check=OK, data=new).stdout)
        self.assertEqual(self.files(os.path.join(new, "objects")), there)
        shutil.rmtree(new)
        lulab("backup", "restore", good, "--data", new, env={"LULAB_STORAGE_DIR": apart})
        self.assertEqual((self.files(apart), os.path.exists(os.path.join(new, "objects"))), (there, False))
        shutil.rmtree(new)
        self.backup("restore", good, "--without-objects", check=OK, data=new)
        self.assertFalse(os.path.exists(os.path.join(new, "objects")))
        # One that is damaged, cut or gone fails a backup, and nothing is restored.
        key = sorted(there)[1]
        path = os.path.join(good, "objects", key)
        for spoiled in (b"x" + there[key][1:], there[key][:-1], None):
            os.unlink(path)
            if spoiled is not None:
                with open(path, "wb") as f:
                    f.write(spoiled)
            self.assertIn(key, self.backup("verify", good, check=FAILED).stderr)
            self.backup("restore", good, check=FAILED, data=os.path.join(self.top, "never"))
            self.assertFalse(os.path.exists(os.path.join(self.top, "never", "log")))
            with open(path, "wb"):
                pass
        os.unlink(path)
        shutil.copy(self.place(key), path)
        self.backup("verify", good, check=OK)
        # A file of another content is not overwritten.
        os.makedirs(os.path.dirname(self.place(key, apart)))
        with open(self.place(key, apart), "wb") as f:
            f.write(b"somebody's")
        self.assertIn("another file is there", self.backup("restore", good, check=FAILED, data=apart).stderr)

    def test_objects_that_are_lacking(self):
        self.start_with(1)
        keys = [self.store(n, b"object %d" % n) for n in range(3)]
        os.unlink(self.place(keys[0]))
        with open(self.place(keys[1]), "wb") as f:
            f.write(b"damaged!")
        done = self.backup("create", "--to", self.to, check=FAILED)
        self.assertIn("2 objects are missing from", done.stderr)
        self.assertEqual(os.listdir(self.to), [])
        without = self.backup("create", "--to", self.to, "--without-objects", check=OK).stdout.strip()
        self.assertIn(", no objects,", self.backup("verify", without, check=OK).stdout)
        lacking = self.backup("create", "--to", self.to, "--lacking", check=OK).stdout.strip()
        self.assertIn(" 1 objects,", self.backup("verify", lacking, check=OK).stdout)
        new = os.path.join(self.top, "new")
        self.assertIn("2 that the log names are not in the backup", self.backup("restore", lacking, check=OK, data=new).stdout)
        self.assertEqual(self.files(os.path.join(new, "objects")), {keys[2]: b"object 2"})
        # What the log says is gone is not missed.
        for n in (0, 1):
            self.tell("object.deleted", n, key=keys[n], reason="RECORDING_DELETED")
        self.assertIn(" 1 objects,", self.backup("verify", self.create(), check=OK).stdout)

    def test_what_cannot_be_made(self):
        self.backup("create", "--to", self.to, check=FAILED)
        self.assertEqual(os.listdir(self.to), [])
        self.backup("create", check=2)
        self.start_with(2)
        with open(os.path.join(self.top, "file"), "w"):
            pass
        self.backup("create", "--to", os.path.join(self.top, "file"), check=FAILED)
        # A damaged log gives no backup.
        path = os.path.join(self.data, "log", "data.mdb")
        with open(path, "rb") as f:
            store = f.read()
        with open(path, "wb") as f:
            f.write(store.replace(b'"trace_id"', b'"trace_ix"'))
        self.backup("create", "--to", self.to, check=FAILED)
        self.assertEqual(os.listdir(self.to), [])

    def test_nothing_is_overwritten(self):
        self.start_with(2)
        self.backup("restore", self.create(), check=CONFLICT)
        self.assertEqual(self.size(self.data), 3)

    def test_a_complete_one_is_written_again(self):
        self.start_with(4)
        good = self.create()
        for part in ("log", "index", "read"):
            shutil.rmtree(os.path.join(self.data, part))
        done = self.backup("restore", good, check=OK)
        self.assertIn("nothing that this machine signed is missing", done.stdout)
        with Server(data=self.data) as s:
            self.post(s, 4, 2)
            self.post(s, 0, 2)
            rows = eventually(lambda: (found := s.json("/api/v1/meetings")["data"]) and len(found) == 6 and found)
            self.assertEqual({row["title"] for row in rows}, {"季度预算评审会"})
        self.assertGreaterEqual(self.size(self.data), 7)

    def refuses(self, data, says):
        s = Server(data=data).start(wait=False)
        try:
            eventually(lambda: self.ready(s) == 503)
            self.assertEqual(s.post_event(meeting_event(trace_id="t-new")).status, 503)
            self.assertIn(says, s.get("/readyz?verbose", token=None).body)
            self.assertEqual(s.get("/api/v1/meetings").status, 200)
        finally:
            s.stop()

    @staticmethod
    def ready(server):
        try:
            return server.get("/readyz", token=None).status
        except OSError:
            return 0

    def test_an_older_one_goes_on_as_a_successor(self):
        self.start_with(4)
        good = self.create()
        with Server(data=self.data) as s:
            self.post(s, 4, 3)
        for part in ("log", "index", "read"):
            shutil.rmtree(os.path.join(self.data, part))
        done = self.backup("restore", good, check=OK)
        self.assertIn("8 events were signed for here and 5 are restored", done.stdout)
        self.refuses(self.data, b"events were lost")
        lulab("log", "succeed", "--data", self.data, "--reason", "restored")
        with Server(data=self.data) as s:
            self.post(s, 20, 2)
        self.assertEqual((self.size(self.data), self.size(os.path.join(self.data, "previous", "1"))), (3, 5))
        # The next backup carries the log before along, and comes back with it.
        again = self.create()
        new = os.path.join(self.top, "new")
        self.backup("restore", again, check=OK, data=new)
        self.assertEqual(self.size(os.path.join(new, "previous", "1")), 5)
        lulab("log", "verify", "--data", new)

    def test_on_another_machine_nobody_can_tell(self):
        self.start_with(4)
        good = self.create()
        new = os.path.join(self.top, "new")
        self.assertIn("no record of what was signed", self.backup("restore", good, check=OK, data=new).stdout)
        for name in ("keys", "root.key", "signer.key", "admin.token"):
            place = os.path.join(self.data, name)
            (shutil.copytree if os.path.isdir(place) else shutil.copy2)(place, os.path.join(new, name))
        self.refuses(new, b"restored from the backup")
        lulab("log", "succeed", "--data", new, "--reason", "a new machine")
        with Server(data=new) as s:
            self.post(s, 20, 2)
        self.assertEqual(self.size(new), 3)

    def keyring(self, *args, check=None):
        done = lulab("backup", "keyring", *args, "--data", self.data, check=False)
        if check is not None:
            self.assertEqual(done.returncode, check, done.stdout + done.stderr)
        return done

    def titles(self, s, n):
        rows = eventually(lambda: (r := s.json("/api/v1/meetings?limit=50")["data"]) and len(r) == n and r)
        return [row["title"] for row in rows]

    def test_the_keyring_apart_from_the_log(self):
        rings, keys = os.path.join(self.top, "rings"), os.path.join(self.data, "keys")
        with Server(data=self.data) as s:
            self.post(s, 0, 4)
            path = self.keyring("create", "--to", rings, check=OK).stdout.strip()
            self.post(s, 4, 1)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(path, "rb") as f:
            sealed = f.read()
        self.assertIn("0 erased", self.keyring("verify", path, check=OK).stdout)
        self.keyring("restore", path, check=CONFLICT)
        # Of meeting m-1 the log says that it was to be erased; the copy still has its key.
        events = [json.loads(line) for line in lulab("log", "tail", "--json", "--from", "0", "--data", self.data).stdout.splitlines()]
        subject = next(e["data"]["subjects"]["meeting"]["id"] for e in events if e["subject"].endswith("/m-1"))
        subprocess.check_call([os.environ["APPEND_EVENT"], self.data, "privacy.erasure.requested", "privacy/" + subject,
                               json.dumps({"subject_id": subject, "ground": "asked", "requested_by": "admin"}, separators=(",", ":"))],
                              stdout=subprocess.DEVNULL)
        # Damaged in any place, cut off, or under another root key it is refused, and nothing is made.
        os.rename(keys, os.path.join(self.top, "keys"))
        for spoiled in (sealed[:20] + b"x" + sealed[21:], sealed[:90] + b"x" + sealed[91:], sealed[:-1], sealed[:101], b"",
                        sealed[:3000] + bytes([sealed[3000] ^ 1]) + sealed[3001:], sealed + b"x", sealed[:16] + sealed):
            with open(path, "wb") as f:
                f.write(spoiled)
            self.keyring("verify", path, check=FAILED)
            self.keyring("restore", path, check=FAILED)
            self.assertFalse(os.path.exists(keys))
        with open(path, "wb") as f:
            f.write(sealed)
        root = os.path.join(self.data, "root.key")
        os.rename(root, root + ".true")
        with open(root, "w") as f:
            f.write("00" * 32)
        self.keyring("restore", path, check=FAILED)
        os.replace(root + ".true", root)
        # From it everything opens but what was erased meanwhile.
        self.assertIn("1 keys that it had were erased since", self.keyring("restore", path, check=OK).stdout)
        self.assertEqual(sorted(os.listdir(self.data)).count("keys.tmp"), 0)
        shutil.rmtree(os.path.join(self.data, "read"))
        with Server(data=self.data) as s:
            titles = self.titles(s, 5)
            self.assertEqual((titles.count(None), titles.count("季度预算评审会")), (1, 4))
            self.post(s, 5, 1)
            self.assertEqual(self.titles(s, 6).count(None), 1)
        # The person's, and that of the body that came as it was; the start has finished what was only requested.
        self.assertIn("2 erased", self.keyring("verify", self.keyring("create", "--to", rings, check=OK).stdout.strip()).stdout)

    def test_keys_that_came_after_the_copy_are_lost_with_them(self):
        rings, keys = os.path.join(self.top, "rings"), os.path.join(self.data, "keys")
        with Server(data=self.data) as s:
            self.post(s, 0, 1)
            path = self.keyring("create", "--to", rings, check=OK).stdout.strip()
            held = int(self.keyring("verify", path).stdout.split()[1])
            more = held // 2 + 20  # half of the keys made ahead are for deliveries
            self.post(s, 1, more)
        shutil.rmtree(keys)
        lost = int(self.keyring("restore", path, check=OK).stdout.splitlines()[2].split()[0])
        self.assertGreater(lost, 0)
        # The read models go on all the same: what cannot be opened is absent, as after an erasure.
        shutil.rmtree(os.path.join(self.data, "read"))
        with Server(data=self.data) as s:
            total = eventually(lambda: (p := s.json("/api/v1/meetings?limit=1")["pagination"]["total"]) == more + 1 and p)
            self.assertEqual(total, more + 1)


if __name__ == "__main__":
    unittest.main()
