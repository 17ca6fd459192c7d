#!/usr/bin/env python3
"""Puts into a store, and fetches straight into it: cut, killed, answered with errors and lies; and never whole in memory.

`test_objects.py --long` fetches 1 GiB, cut at 20 places, into the directory and into the store, and tells the memory it took
(some minutes).
"""

import hashlib
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.parse

import signatures
from peers import Judge, Source, Store

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DRIVER = os.environ.get("OBJECT_DRIVER", os.path.join(ROOT, "build", "tests", "object_driver"))
SMALL = os.environ.get("OBJECT_DRIVER_SMALL", DRIVER + "_small")
MIB = 1 << 20
MEMORY_MIB = 64
SLACK = 12 * MIB  # what sockets may hold of what was sent and not taken
SANITIZED = "asan" in DRIVER or "tsan" in DRIVER  # their own memory comes on top


def distinct(size, seed=1):
    """No two mebibytes of it alike: what lands in the wrong place is seen."""
    random_bytes = random.Random(seed).randbytes(MIB)
    whole = bytearray(random_bytes * (size // MIB + 1))
    for i in range(0, size, MIB):
        whole[i:i + 8] = (i + seed).to_bytes(8, "big")
    return bytes(whole[:size])


class Case(unittest.TestCase):
    """With parts of 64 KiB, unless it is about those of 8 MiB."""

    remote, part, driver = True, 65536, SMALL

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="lulab-objects-")
        self.addCleanup(shutil.rmtree, self.data, True)
        self.rss_kib = 0
        self.env = {"PATH": os.environ.get("PATH", ""), "LULAB_FETCH_ADDRESSES": "127.0.0.1"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        if self.remote:
            self.store = Store()
            self.addCleanup(self.store.stop)
            self.env.update({"LULAB_STORAGE": "S3", "LULAB_STORAGE_ENDPOINT": self.store.url, "LULAB_STORAGE_BUCKET": "b",
                             "LULAB_STORAGE_KEY_ID": "K", "LULAB_STORAGE_SECRET": "s", "LULAB_STORAGE_PATH_STYLE": "true"})

    def source(self, content):
        source = Source(content)
        self.addCleanup(source.stop)
        return source

    def start(self, *args):
        return subprocess.Popen([self.driver, self.data, *map(str, args)], stdout=subprocess.PIPE, env=self.env)

    def end(self, process):
        """What it said; None when it was killed."""
        out = process.communicate()[0]
        if process.returncode < 0:
            return None
        self.assertIn(process.returncode, (0, 1), out)
        said = json.loads(out)
        self.rss_kib = max(self.rss_kib, said["rss_kib"])
        return said

    def run_it(self, *args, rc="OK"):
        said = self.end(self.start(*args))
        self.assertEqual(said["rc"], rc, said)
        return said

    def kept(self, key):
        """What lies there now, or None."""
        if self.remote:
            return self.store.objects.get("/b/" + key)
        path = os.path.join(self.data, "objects", key)
        if not os.path.exists(path):
            return None
        with open(path, "rb") as f:
            return f.read()

    def left_over(self):
        """Uploads nobody goes on with."""
        if self.remote:
            return sorted(self.store.uploads)
        folder = os.path.join(self.data, "objects", ".uploads")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def assert_memory(self):
        if not SANITIZED:
            self.assertLess(self.rss_kib, MEMORY_MIB * 1024)

    def file(self, content):
        path = os.path.join(self.data, "a file")
        with open(path, "wb") as f:
            f.write(content)
        return path


class Cuts(Case):
    def fetch_through_cuts(self, content, cuts, kills):
        """The connection breaks at `cuts`, the process is killed at `kills`; nothing else ends it."""
        source, running = self.source(content), []
        killed = threading.Event()

        def kill(rq):
            running[-1].kill()
            killed.set()
            rq.cut()

        source.at = {**{c: (lambda rq: rq.cut()) for c in cuts}, **{k: kill for k in kills}}
        said = None
        while said is None:
            running.append(self.start("fetch", "r/1.mp4", "put-1", source.url + "/f?signed=%d" % len(running), len(content)))
            said = self.end(running[-1])
            self.assertEqual(said is None, killed.is_set(), said)
            killed.clear()
        self.assertEqual(said["rc"], "OK", said)
        self.assertEqual(len(running), len(kills) + 1)
        self.assertEqual(said["sha256"], hashlib.sha256(content).hexdigest())
        self.assertTrue(self.kept("r/1.mp4") == content, "other bytes are kept than were fetched")
        # What a store began while who asked for it was killed is known to nobody, and empty.
        left = self.left_over()
        self.assertLessEqual(len(left), len(kills) if self.remote else 0)
        self.assertEqual([u for u in left if self.store.uploads[u]], [])
        # It went on each time: what was sent twice is at most a part a kill, and what the sockets held a cut.
        self.assertLess(source.sent, len(content) + (len(kills) + 1) * (self.part + SLACK) + len(cuts) * SLACK)
        self.assert_memory()
        return source, said

    def test_whole_parts_exactly(self):
        content = distinct(3 * self.part)
        self.fetch_through_cuts(content, [self.part, 2 * self.part], [self.part + 1, 3 * self.part])

    def test_another_file_in_its_place(self):
        old, new = distinct(3 * self.part, 2), distinct(3 * self.part, 3)
        source = self.source(old)

        def change(rq):
            source.change(new, '"v2"')
            rq.cut()

        source.at = {2 * self.part + 5: change}
        self.run_it("fetch", "r/1.mp4", "put-1", source.url + "/f")
        self.assertTrue(self.kept("r/1.mp4") == new)
        self.assertEqual(self.left_over(), [])

    def test_no_ranges_there(self):
        content = distinct(2 * self.part + 7)
        source = self.source(content)
        source.ranges, source.at = False, {self.part + 9: lambda rq: rq.cut()}
        self.run_it("fetch", "r/1.mp4", "put-1", source.url + "/f")
        self.assertTrue(self.kept("r/1.mp4") == content)

    def test_nothing_to_know_it_by(self):
        content = distinct(2 * self.part + 7)
        source = self.source(content)
        source.etag, source.at = None, {self.part + 9: lambda rq: rq.cut()}
        self.run_it("fetch", "r/1.mp4", "put-1", source.url + "/f")
        self.assertTrue(self.kept("r/1.mp4") == content)
        self.assertEqual(self.left_over(), [])

    def test_a_date_to_know_it_by(self):
        content = distinct(2 * self.part + 7)
        source = self.source(content)
        source.etag, source.modified = 'W/"weak"', "Sat, 28 Nov 2026 10:00:00 GMT"
        source.at = {self.part + 9: lambda rq: rq.cut()}
        self.run_it("fetch", "r/1.mp4", "put-1", source.url + "/f")
        self.assertTrue(self.kept("r/1.mp4") == content)
        self.assertLess(source.sent, len(content) + self.part)

    def test_small_and_empty_ones(self):
        for n, content in enumerate((b"", b"x", distinct(self.part))):
            source = self.source(content)
            said = self.run_it("fetch", "r/%d" % n, "put-%d" % n, source.url + "/f", len(content))
            self.assertEqual(said["sha256"], hashlib.sha256(content).hexdigest())
            self.assertTrue(self.kept("r/%d" % n) == content)


class CutsHere(Cuts):
    remote = False


class Whole(Cuts):
    """As it is: parts of 8 MiB."""

    part, driver, size = 8 * MIB, DRIVER, 48 * MIB + 12345

    def test_cut_at_twenty_places(self):
        places = random.Random(20).sample(range(1, self.size), 20)
        source, said = self.fetch_through_cuts(distinct(self.size), places[:14], places[14:])
        # Once it is there it is not fetched again.
        asked = len(source.requests)
        again = self.run_it("fetch", "r/1.mp4", "put-1", source.url + "/f")
        self.assertEqual((again["sha256"], again["id"]), (said["sha256"], said["id"]))
        self.assertEqual(len(source.requests), asked)


class WholeHere(Whole):
    remote = False


class Sources(Case):
    def test_lies_and_refusals(self):
        content = distinct(2 * self.part + 1)
        for says, prepare, args, rc in (
                ("another length than was told", None, (len(content) - 1,), "ERR_CORRUPT"),
                ("gone", lambda s: setattr(s, "status", 404), (), "ERR_NOT_FOUND"),
                ("its time is over", lambda s: setattr(s, "status", 403), (), "ERR_NOT_FOUND"),
                ("leads elsewhere", lambda s: (setattr(s, "status", 302), s.headers.update(Location="http://127.0.0.1:1/")), (),
                 "ERR_DENIED"),
                ("too long", lambda s: setattr(s, "declared", 1 << 40), (), "ERR_TOO_BIG")):
            source = self.source(content)
            if prepare:
                prepare(source)
            said = self.run_it("fetch", "r/1.mp4", "put-1", source.url + "/f", *args, rc=rc)
            self.assertTrue(said["of_source"], says)
            self.assertTrue(said["message"], says)
            self.assertIsNone(self.kept("r/1.mp4"), says)
        self.assertEqual(len(self.source(b"").requests), 0)

    def test_only_where_it_may_go(self):
        source = self.source(b"secret")
        del self.env["LULAB_FETCH_ADDRESSES"]
        for url in ("http://127.0.0.1:%d/" % source.port, "http://localhost:%d/" % source.port, "https://10.0.0.1/",
                    "https://[::1]/", "https://evil.example/", "https://tencent.com.evil.example/", "file:///etc/passwd",
                    "https://user@meeting.tencent.com@127.0.0.1/", "ftp://meeting.tencent.com/", "gopher://x.tencent.com/",
                    "https://nottencent.com/", "x", ""):
            said = self.run_it("fetch", "r/1.mp4", "put-1", url, rc="ERR_DENIED")
            self.assertTrue(said["of_source"], url)
        # A name that is allowed and leads to this machine is not.
        self.env["LULAB_FETCH_HOSTS"] = "localhost"
        self.run_it("fetch", "r/1.mp4", "put-1", "http://localhost:%d/" % source.port, rc="ERR_DENIED")
        self.assertEqual(source.requests, [])
        self.env["LULAB_FETCH_ADDRESSES"] = "127.0.0.0/8, ::1"
        self.run_it("fetch", "r/1.mp4", "put-1", "http://localhost:%d/" % source.port)


def busy(store, rq, *_):
    store.error(rq, 503, "SlowDown")
    return True


def cut(store, rq, *_):
    rq.cut()


def act_then_cut(store, rq, path, query, body):
    """It happens, and nobody is told."""
    class Mute:
        command, path, headers = rq.command, rq.path, rq.headers

        def reply(self, *args):
            pass

    store.act(Mute(), path, query, body)
    rq.cut()


def spoiled(store, rq, path, query, body):
    """The store has other bytes than it was sent, and says so by its ETag."""
    store.act(rq, path, query, b"\0" + body[1:])
    return True


def error_in_success(store, rq, *_):
    store.error(rq, 200, "InternalError")
    return True


class Faults(Case):
    def put(self, rc="OK"):
        return self.run_it("put", "a/b.mp4", "put-1", self.path, rc=rc)

    def setUp(self):
        super().setUp()
        self.content = distinct(3 * self.part + 99)
        self.path = self.file(self.content)

    def test_each_request_may_fail_once(self):
        for fault in (busy, cut, act_then_cut):
            for request in (r"POST .*\?uploads", r"PUT .*partNumber=2", r"PUT .*partNumber=4", r"POST .*\?uploadId", "HEAD"):
                self.store.objects.clear()
                self.store.faults = [(request, fault)]
                self.put()
                self.assertEqual(self.store.faults, [], "%s %s" % (fault.__name__, request))
                self.assertTrue(self.kept("a/b.mp4") == self.content, request)
                shutil.rmtree(os.path.join(self.data, "uploads"))
        self.store.faults = [("PUT", busy)]
        self.run_it("put", "small", "put-2", self.file(b"small"))
        self.assertEqual(self.kept("small"), b"small")

    def test_spoiled_on_the_way(self):
        self.store.faults = [("partNumber=3", spoiled)]
        self.put()
        self.assertTrue(self.kept("a/b.mp4") == self.content)

    def test_an_error_that_calls_itself_success(self):
        self.store.faults = [(r"POST .*\?uploadId", error_in_success)]
        self.put()
        self.assertTrue(self.kept("a/b.mp4") == self.content)

    def killed_at(self, request):
        """A put that dies when that request comes."""
        running = []

        def die(store, rq, path, query, body):
            running[0].kill()
            rq.cut()

        self.store.faults = [(request, die)]
        running.append(self.start("put", "a/b.mp4", "put-1", self.path))
        self.assertIsNone(self.end(running[0]))

    def test_killed_and_gone_on_with(self):
        for lists in (True, False):
            self.store.lists = lists
            self.store.requests.clear()
            self.killed_at("partNumber=3")
            self.put()
            self.assertTrue(self.kept("a/b.mp4") == self.content)
            sent = [p.split("partNumber=")[1].split("&")[0] for m, p in self.store.requests if "partNumber=" in p and m == "PUT"]
            self.assertEqual(sent, ["1", "2", "3", "3", "4"])
            self.assertEqual(self.left_over(), [])
            shutil.rmtree(os.path.join(self.data, "uploads"))
            self.store.objects.clear()

    def test_killed_when_all_was_done(self):
        def complete_then_die(store, rq, path, query, body):
            running[0].kill()
            act_then_cut(store, rq, path, query, body)

        self.store.faults, running = [(r"POST .*\?uploadId", complete_then_die)], []
        running.append(self.start("put", "a/b.mp4", "put-1", self.path))
        self.assertIsNone(self.end(running[0]))
        # The store has forgotten the upload, for it is an object: the next attempt sends it anew, into the same place.
        self.put()
        self.assertTrue(self.kept("a/b.mp4") == self.content)
        self.assertEqual(self.left_over(), [])

    def test_a_part_the_store_lost(self):
        self.killed_at("partNumber=4")
        upload = next(iter(self.store.uploads.values()))
        del upload[2]
        self.put()
        self.assertTrue(self.kept("a/b.mp4") == self.content)

    def test_an_upload_the_store_forgot(self):
        self.killed_at("partNumber=4")
        self.store.uploads.clear()
        self.put()
        self.assertTrue(self.kept("a/b.mp4") == self.content)

    def test_a_journal_that_was_spoiled(self):
        self.killed_at("partNumber=4")
        journal = os.path.join(self.data, "uploads", "put-1")
        with open(journal, "rb") as f:
            lines = f.read().splitlines(True)
        for spoil in (b"".join(lines)[:-20], b"".join(lines[:2]) + lines[2].replace(b"part 6", b"part 7"), b"".join(lines)[:40],
                      b"\0" * 500, b"", b"".join(lines) + b"part 1 x"):
            with open(journal, "wb") as f:
                f.write(spoil)
            self.store.objects.clear()
            self.put()
            self.assertTrue(self.kept("a/b.mp4") == self.content)
            os.unlink(journal)
            self.killed_at("partNumber=4")

    def test_given_up_and_stale(self):
        self.killed_at("partNumber=3")
        self.run_it("abandon", "put-1")
        self.assertEqual(self.left_over(), [])
        self.run_it("abandon", "put-1")
        self.killed_at("partNumber=3")
        os.utime(os.path.join(self.data, "uploads", "put-1"), (1, 1))
        self.run_it("put", "other", "put-2", self.path)
        self.assertEqual(self.left_over(), [])
        self.assertEqual(os.listdir(os.path.join(self.data, "uploads")), ["put-2"])

    def test_read_through_faults(self):
        """What an error says is no part of what is read, and what was cut goes on where it was."""
        def half(store, rq, path, query, body):
            content = store.objects[path]
            rq.send_response(200 if "Range" not in rq.headers else 206)
            rq.send_header("Content-Length", str(len(content)))
            rq.end_headers()
            rq.wfile.write(content[:len(content) // 2])
            rq.cut()

        self.put()
        out = os.path.join(self.data, "out")
        for faults in ([busy], [cut], [half], [busy, half, busy, cut]):
            self.store.faults = [("GET", fault) for fault in faults]
            self.run_it("get", "a/b.mp4", out)
            with open(out, "rb") as f:
                self.assertTrue(f.read() == self.content, [fault.__name__ for fault in faults])
        self.run_it("get", "a/b.mp4", out, 1000, 70000)
        with open(out, "rb") as f:
            self.assertTrue(f.read() == self.content[1000:71000])
        self.run_it("get", "a/none", out, rc="ERR_NOT_FOUND")
        self.assertEqual(os.path.getsize(out), 0)
        self.store.ranges = False
        self.run_it("get", "a/b.mp4", out, 1000, 70000, rc="ERR_DENIED")
        self.assertEqual(os.path.getsize(out), 0)

    def test_refused_for_good(self):
        for status, code, rc in ((403, "AccessDenied", "ERR_CONFIG"), (403, "SignatureDoesNotMatch", "ERR_CONFIG"),
                                 (404, "NoSuchBucket", "ERR_CONFIG"), (400, "InvalidArgument", "ERR_DENIED")):
            def refuse(store, rq, *_, status=status, code=code):
                store.error(rq, status, code)
                return True

            self.store.faults = [("POST", refuse)]
            self.assertTrue(self.put(rc=rc)["message"])

    def test_hostile_keys(self):
        for key in ("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".a", "a/.uploads", "a b", "a\\b", "a%2fb",
                    "a\nb", "ä", "x" * 513, "a/" + "x" * 201, "a?b", "a#b", "a\tb", "~a", "a:b"):
            self.run_it("put", key, "put-1", self.path, rc="ERR_INVALID")
        for upload in ("", "..", "a/b", "A", "-a", ".a", "x" * 65, "a b"):
            self.run_it("put", "a", upload, self.path, rc="ERR_INVALID")
        self.assertEqual(self.store.requests, [])


class Signatures(Case):
    """Each kind of store, the bucket in the host's name, by one that refuses what is not signed as it should be."""

    remote = False

    def kind_of(self, provider, judge):
        store = Judge(judge)
        self.addCleanup(store.stop)
        self.env.update({"LULAB_STORAGE": provider, "LULAB_STORAGE_ENDPOINT": "http://localhost:%d" % store.port,
                         "LULAB_STORAGE_BUCKET": "b", "LULAB_STORAGE_KEY_ID": "K", "LULAB_STORAGE_SECRET": "s"})
        return store

    def follow(self, link):
        """As a browser does, which knows that names below localhost are this machine."""
        parts = urllib.parse.urlsplit(link)
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)
        try:
            connection.request("GET", parts.path + "?" + parts.query, headers={"Host": parts.netloc})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def test_all_requests_of_all_kinds(self):
        content = distinct(3 * self.part + 99)
        path = self.file(content)
        for provider, judge, tokens in (("S3", signatures.s3, ("", "a+token/==")), ("OSS", signatures.oss, ("a+token/==",)),
                                        ("COS", signatures.cos, ("a+token/==",))):
            for token in tokens:
                store = self.kind_of(provider, judge)
                self.env["LULAB_STORAGE_SESSION_TOKEN"] = token
                self.run_it("put", "a/b-c_d.mp4", "put-1", path)
                self.run_it("put", "small", "put-2", self.file(b"small"))
                self.file(content)
                self.assertTrue(store.objects == {"/a/b-c_d.mp4": content, "/small": b"small"}, provider)
                self.assertEqual(self.run_it("head", "small")["size"], 5)
                out = os.path.join(self.data, "out")
                self.run_it("get", "small", out)
                with open(out, "rb") as f:
                    self.assertEqual(f.read(), b"small")
                link = self.run_it("presign", "a/b-c_d.mp4")["url"]
                got = self.follow(link)
                self.assertTrue(got == (200, content), "%s %s %s" % (provider, link, got[1][:200]))
                self.assertEqual(self.follow(link.replace("b-c_d", "b-c_e"))[0], 403)
                self.run_it("remove", "small")
                self.assertNotIn("/small", store.objects)
                # Half a put, gone on with, and one given up.
                for last in (lambda: self.run_it("put", "c", "put-3", path), lambda: self.run_it("abandon", "put-3")):
                    shutil.rmtree(os.path.join(self.data, "uploads"))
                    running = []
                    store.faults = [("partNumber=3", lambda store, rq, *_: (running[0].kill(), rq.cut()))]
                    running.append(self.start("put", "c", "put-3", path))
                    self.assertIsNone(self.end(running[0]))
                    last()
                    self.assertEqual(store.uploads, {})
                self.env["LULAB_STORAGE_SECRET"] = "t"
                self.run_it("head", "small", rc="ERR_CONFIG")
                shutil.rmtree(os.path.join(self.data, "uploads"))


class Here(Case):
    """The directory."""

    remote = False

    def test_one_in_the_way_of_another(self):
        path = self.file(b"1")
        self.run_it("put", "a", "put-1", path)
        self.run_it("put", "a/b", "put-2", path, rc="ERR_INVALID")
        self.run_it("put", "c/d", "put-3", path)
        self.run_it("put", "c", "put-4", path, rc="ERR_INVALID")
        self.assertEqual((self.kept("a"), self.kept("c/d")), (b"1", b"1"))

    def test_a_link_in_the_directory_leads_nowhere(self):
        path = self.file(b"1")
        self.run_it("put", "a", "put-1", path)
        os.symlink("/etc/passwd", os.path.join(self.data, "objects", "b"))
        self.run_it("get", "b", os.path.join(self.data, "out"), rc="ERR_IO")
        self.run_it("head", "b", rc="ERR_IO")

    def test_given_up(self):
        source, running = self.source(distinct(20 * MIB)), []
        source.at = {19 * MIB: lambda rq: (running[0].kill(), rq.cut())}  # so much that some was taken
        running.append(self.start("fetch", "a", "put-1", source.url))
        self.assertIsNone(self.end(running[0]))
        self.assertEqual(self.left_over(), ["put-1"])
        self.run_it("abandon", "put-1")
        self.assertEqual(self.left_over(), [])


class Long(Whole):
    """Only with --long."""

    size = 1 << 30

    def tearDown(self):
        print("%s: 1 GiB, %.1f MiB of memory" % (type(self).__name__, self.rss_kib / 1024))


class LongHere(Long):
    remote = False


def load_tests(loader, tests, pattern):
    suite = unittest.TestSuite()
    if "--long" in sys.argv:
        suite.addTests([Long("test_cut_at_twenty_places"), LongHere("test_cut_at_twenty_places")])
    else:
        for case in (Cuts, CutsHere, Sources, Faults, Signatures, Here):
            suite.addTests(loader.loadTestsFromTestCase(case))
        suite.addTests([Whole("test_cut_at_twenty_places"), WholeHere("test_cut_at_twenty_places")])
    return suite


if __name__ == "__main__":
    unittest.main(argv=[a for a in sys.argv if a != "--long"])
