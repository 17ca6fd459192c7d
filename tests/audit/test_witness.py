#!/usr/bin/env python3
"""The witness from outside: each answer of integrity.md section 7 in its order, judged by the second verifier."""

import http.client
import os
import shutil
import stat
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import verify as second  # noqa: E402
from witness import LULAB, Log, Signer, Witness, check_cosignature  # noqa: E402

import subprocess  # noqa: E402

LOG = Signer("log.example.test/events", b"\x11" * 32)
SECOND_KEY = Signer("log.example.test/events", b"\x12" * 32)
OTHER = Signer("other.example.test/events", b"\x13" * 32)


class Vectors(unittest.TestCase):
    """Section 22: what this side computes is what was published."""

    def test_tree_and_checkpoint(self):
        leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
        log = Log(LOG, 8)
        log.leaves = [second.leaf_of(bytes.fromhex(x)) for x in leaves]
        self.assertEqual(log.root(7).hex(), "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c")
        self.assertEqual([h.hex() for h in log.proof(6, 8)], [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"])
        self.assertEqual([h.hex() for h in log.proof(4, 7)],
                         ["837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e"])
        self.assertEqual(LOG.vkey, "log.example.test/events+d23885f3+AdBKsjJ0K7SrOhNovUYV5ObQIkq3GgFrr4UgozLJd4c3")
        self.assertIn("0jiF89fPqN3X1jjHKgAL3rf/zHnkDL/JCQrbp+qp7oskBiIeoX/8umcdVr+JTlKSa7upLjgVrdJM8Gi1Ey63myKmYQQ=",
                      log.note(8))

    def test_a_witness_with_the_published_seed_has_the_published_key_and_signature(self):
        vkey = "witness.example.test/w1+daa85b2a+BKCapfR6Z1mAL/lV+NwtKhSlyZ0jvpf4ZBJ/+Tg0VaTw"
        with tempfile.TemporaryDirectory() as top:
            os.mkdir(os.path.join(top, "seen"))
            for name, data in (("witness.key", b"\x22" * 32), ("witness.vkey", vkey.encode()),
                               ("logs", b"log " + LOG.vkey.encode())):
                with open(os.path.join(top, name), "wb") as f:
                    f.write(data)
            w, log = Witness(top), Log(LOG, 8)
            done = w.cosign(log.request(0, 8))
            self.assertEqual(done.returncode, 0, done.stderr)
            check_cosignature(vkey, log.text(8), done.stdout)
        # And its published cosignature is what the judge of these tests calls good.
        published = ("\u2014 witness.example.test/w1 2qhbKgAAAABoTuGA2s4i1HhVC657tau2VU6kiyeWpdedIWJbt8+8HU14HkYvyyDc2HkG"
                     "es+aGhd0xkqqEssdypVlWMoqcIjDI62dCA==\n").encode()
        text = "log.example.test/events\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"
        self.assertEqual(check_cosignature(vkey, text, published), 1750000000)
        with self.assertRaises(second.Bad):
            check_cosignature(vkey, text.replace("8", "9"), published)


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="lulab-witness-")
        cls.log, cls.fork = Log(LOG, 600, shared=100), Log(LOG, 600, shared=100, branch="b")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    def setUp(self):
        self.w = Witness(os.path.join(self.top, self.id())).init(LOG.vkey, SECOND_KEY.vkey)
        self.w.start()
        self.addCleanup(self.w.end)

    def post(self, body, path="/add-checkpoint", method="POST"):
        connection = http.client.HTTPConnection("127.0.0.1", self.w.port, timeout=120)
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.text = answer.read()
        connection.close()
        return answer

    def status(self, body):
        return self.post(body).status

    def test_a_log_grows_under_its_eyes(self):
        before = int(time.time())
        for old, new in ((0, 1), (1, 7), (7, 7), (7, 256), (256, 600), (600, 600)):
            answer = self.post(self.log.request(old, new))
            self.assertEqual(answer.status, 200, answer.text)
            at = check_cosignature(self.w.vkey, self.log.text(new), answer.text)
            self.assertTrue(before <= at <= time.time() + 1, at)
        # It remembers through a stop, and through a kill.
        self.assertEqual(self.w.end(), 0)
        self.w.start()
        self.assertEqual((self.post(self.log.request(0, 600)).status, self.post(self.log.request(0, 600)).text), (409, b"600\n"))
        self.w.end(kill=True)
        self.w.start()
        self.assertEqual(self.status(self.log.request(600, 600)), 200)

    def test_an_empty_log_may_be_the_first_seen(self):
        self.assertEqual(self.status(self.log.request(0, 0)), 200)
        self.assertEqual(self.status(self.log.request(0, 0)), 200)
        self.assertEqual(self.status(self.log.request(0, 5)), 200)
        self.assertEqual(self.status(self.log.request(0, 0)), 409)

    def test_each_refusal_comes_before_those_after_it(self):
        log, stranger = self.log, Log(OTHER, 600)
        self.assertEqual(self.status(log.request(0, 100)), 200)
        unsigned = log.text(50) + "\n" + Signer(LOG.name, b"\x99" * 32).line(log.text(50))
        forged = log.note(50).replace("\n50\n", "\n51\n")
        wrong = [b"\0" * 32]
        cases = [
            # 404 though nothing else is right: another log, its own good signature, old > size, a wrong proof
            (404, stranger.request(500, 50, proof=wrong)),
            # 403 though old > size: nobody known signed, or the text is not what was signed
            (403, log.request(500, 50, proof=wrong, note=unsigned)),
            (403, log.request(500, 50, proof=wrong, note=forged)),
            # 400 though old is not what it remembers
            (400, log.request(500, 50, proof=wrong)),
            # 409 though the proof is wrong
            (409, log.request(99, 200, proof=wrong)),
            (409, log.request(0, 200, proof=wrong)),
            # 422: a wrong proof, one too short, one too long, another history, another root of the same size
            (422, log.request(100, 200, proof=wrong)),
            (422, log.request(100, 200, proof=log.proof(100, 200)[:-1])),
            (422, log.request(100, 200, proof=log.proof(100, 200) + wrong)),
            (422, log.request(100, 200, proof=log.proof(100, 201))),
            (422, log.request(100, 100, proof=wrong)),
            (200, log.request(100, 200)),
        ]
        for want, body in cases:
            answer = self.post(body)
            with self.subTest(want=want, body=body[:60]):
                self.assertEqual(answer.status, want, answer.text)
                if want == 409:
                    self.assertEqual((answer.text, answer.getheader("content-type")), (b"100\n", "text/x.tlog.size"))
        self.assertEqual(self.status(self.fork.request(200, 200)), 422)
        self.assertEqual(self.status(self.fork.request(200, 300)), 422)
        self.assertEqual(self.status(self.log.request(200, 300)), 200)

    def test_a_first_request_has_no_proof(self):
        self.assertEqual(self.status(self.log.request(0, 50, proof=[b"\0" * 32])), 422)
        self.assertEqual(self.status(self.log.request(0, 50)), 200)

    def test_either_key_of_a_log_will_do(self):
        log = Log(SECOND_KEY, 600, shared=100)
        self.assertEqual(self.status(self.log.request(0, 50)), 200)
        self.assertEqual(self.status(log.request(50, 60)), 200)
        # A good signature by one and a bad one by the other rejects the note.
        both = log.note(70) + LOG.line(log.text(71))
        self.assertEqual(self.status(log.request(60, 70, note=both)), 403)
        both = log.note(70) + LOG.line(log.text(70)) + OTHER.line("whatever")
        self.assertEqual(self.status(log.request(60, 70, note=both)), 200)

    def test_what_is_no_request(self):
        good = self.log.request(0, 5)
        note = self.log.note(5).encode()
        line = b"A" * 43 + b"=\n"
        malformed = [
            b"", b"\n", b"old\n\n" + note, b"old \n\n" + note, b"old 00\n\n" + note, b"old 01\n\n" + note,
            b"old -1\n\n" + note, b"old +1\n\n" + note, b"old 0 \n\n" + note, b"Old 0\n\n" + note, b"old 0\r\n\r\n" + note,
            b"old 99999999999999999999\n\n" + note, b"old 0\n" + note, good[:-1], good + b"\n", good.replace(b"old 0\n\n", b"old 0\n"),
            b"old 0\nAAAA\n\n" + note, b"old 0\n" + b"A" * 44 + b"\n\n" + note, b"old 0\n" + 64 * line + b"\n" + note,
            b"old 0\n\n" + self.log.text(5).encode(), b"old 0\n\n" + note.replace(b"\n5\n", b"\n05\n"),
        ]
        extended = self.log.text(5) + "more\n"
        malformed.append(b"old 0\n\n" + (extended + "\n" + LOG.line(extended)).encode())
        many = note + 64 * OTHER.line("x").encode()
        malformed.append(b"old 0\n\n" + many)
        for body in malformed:
            with self.subTest(body=body[:50]):
                self.assertEqual(self.status(body), 400)
        # 63 hashes and 64 lines are a request; a body over the limit is none.
        self.assertEqual(self.status(b"old 0\n" + 63 * line + b"\n" + note), 422)
        self.assertEqual(self.status(b"old 0\n\n" + note + 63 * OTHER.line("x").encode()), 200)
        self.assertEqual(self.status(b"old 0\n\n" + b"x" * 70000), 413)
        self.assertEqual(self.post(None, method="GET").status, 405)
        self.assertEqual(self.post(None, "/livez", "GET").status, 200)

    def test_by_hand_beside_the_service(self):
        done = self.w.cosign(self.log.request(0, 40))
        self.assertEqual(done.returncode, 0, done.stderr)
        check_cosignature(self.w.vkey, self.log.text(40), done.stdout)
        self.assertEqual((self.post(self.log.request(0, 40)).text), b"40\n")
        self.assertEqual(self.status(self.log.request(40, 90)), 200)
        late = self.w.cosign(self.log.request(40, 90))
        self.assertEqual((late.returncode, late.stdout), (5, b""))
        self.assertIn(b"seen size 90", late.stderr)
        self.assertEqual(self.w.cosign(self.fork.request(90, 200)).returncode, 0)
        self.assertEqual(self.w.cosign(self.log.request(200, 300)).returncode, 4)

    def test_a_record_that_cannot_be_trusted_signs_nothing(self):
        self.assertEqual(self.status(self.log.request(0, 40)), 200)
        seen = os.path.join(self.w.dir, "seen")
        path = os.path.join(seen, os.listdir(seen)[0])
        with open(path, "rb") as f:
            record = f.read()
        for spoiled in (b"", record[:-1], b"x" + record, record.replace(b"\n40\n", b"\n4x\n"),
                        record.replace(LOG.name.encode(), OTHER.name.encode()), b"x" * 5000):
            with open(path, "wb") as f:
                f.write(spoiled)
            with self.subTest(spoiled=spoiled[:40]):
                self.assertEqual(self.status(self.log.request(40, 50)), 500)
                self.assertEqual(self.status(self.log.request(0, 50)), 500)
        # It can be read and not replaced: a directory lies where the new one would be written.
        with open(path, "wb") as f:
            f.write(record)
        os.mkdir(path + ".tmp")
        self.assertEqual(self.status(self.log.request(40, 50)), 500)
        os.rmdir(path + ".tmp")
        self.assertEqual(self.status(self.log.request(40, 50)), 200)


class SettingUp(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="lulab-witness-")
        self.addCleanup(shutil.rmtree, self.top)
        self.dir = os.path.join(self.top, "w")

    def test_its_key_is_its_own(self):
        w = Witness(self.dir).init(LOG.vkey)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.dir, "witness.key")).st_mode), 0o400)
        self.assertTrue(w.vkey.startswith("witness.example.test/w1+"))
        self.assertEqual(second.Key(w.vkey).kind, 4)
        again = w.run("init", "witness.example.test/w2")
        self.assertEqual(again.returncode, 5)
        status = w.run("status")
        self.assertIn(w.vkey.encode(), status.stdout)
        self.assertIn(LOG.name.encode(), status.stdout)

    def test_a_file_with_two_keys_serves_both(self):
        """As log.vkey is while a log changes its key."""
        path = os.path.join(self.top, "log.vkey")
        with open(path, "w") as f:
            f.write("%s\n%s\n" % (LOG.vkey, SECOND_KEY.vkey))
        w = Witness(self.dir).init(path)
        with open(os.path.join(self.dir, "logs")) as f:
            self.assertEqual([line.split()[1] for line in f if line.startswith("log ")], [LOG.vkey, SECOND_KEY.vkey])
        for signer, old, new in ((SECOND_KEY, 0, 3), (LOG, 3, 5)):
            done = w.cosign(Log(signer, 5).request(old, new))
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(w.cosign(Log(Signer(LOG.name, b"\x55" * 32), 5).request(5, 5)).returncode, 4)

    def test_mistakes_are_named(self):
        self.assertEqual(Witness(self.dir, name="two words").run("init", "two words").returncode, 2)
        self.assertEqual(Witness(self.dir).run("init", "w", "--log", "nonsense").returncode, 2)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "witness.key")))
        w = Witness(self.dir)
        self.assertEqual(w.cosign(b"").returncode, 3)
        w.init()
        for line, says in (("log nonsense", b"line 2"), ("logs x", b"begins with"), ("log " + w.vkey, b"not a log's"),
                           ("log " + LOG.vkey.replace("d2", "d3", 1), b"cut or retyped"), ("quorum 1", b"more than there are")):
            with open(os.path.join(self.dir, "logs"), "w") as f:
                f.write("# served here\n" + line + "\n")
            done = w.cosign(b"")
            with self.subTest(line=line):
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(says, done.stderr)

    def test_another_witness_key_is_noticed(self):
        w = Witness(self.dir).init(LOG.vkey)
        key = os.path.join(self.dir, "witness.key")
        os.chmod(key, 0o600)
        with open(key, "wb") as f:
            f.write(b"\x01" * 32)
        self.assertEqual(w.cosign(b"").returncode, 6)

    def test_help_names_everything(self):
        text = subprocess.run([LULAB, "witness", "--help"], capture_output=True, text=True).stdout
        for verb in ("init", "serve", "cosign", "status"):
            self.assertIn(verb, text)


if __name__ == "__main__":
    unittest.main()
