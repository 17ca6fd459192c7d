#!/usr/bin/env python3
"""The frame of tools/lulab-sim: what comes arrives as it was sent, faults are what they are called, and nothing that is
sent to it makes it stumble."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from simulator import PROGRAM, Simulator  # noqa: E402

ECHO = os.path.join(HERE, "echo.py")


class Frame(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator(seed=7, vendors=["echo"], options={"echo.word": "hallo"}, files=[ECHO]).start()

    @classmethod
    def tearDownClass(cls):
        cls.sim.stop()

    def setUp(self):
        self.sim.no_faults()

    def address(self, name="echo"):
        host, _, port = self.sim.url[name].partition("//")[2].partition(":")
        return host, int(port)

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(*self.address(), timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            answer.text = answer.read()
            return answer
        finally:
            connection.close()

    def say(self, text="hi"):
        return self.ask("POST", "/say", json.dumps({"text": text}))

    def said(self, text):
        return len(self.sim.acts("echo", text=text))

    def raw(self, data, name="echo"):
        """All that comes back until the simulator closes."""
        with socket.create_connection(self.address(name), timeout=20) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: s.recv(65536), b""))


class Requests(Frame):
    def test_settings_are_told(self):
        self.assertEqual(self.sim.settings, {"ECHO_BASE": self.sim.url["echo"], "ECHO_WORD": "hallo"})

    def test_a_request_arrives_as_it_was_sent(self):
        answer = self.ask("POST", "/say?a=%2B1&b=&a=2", json.dumps({"text": "你好"}))
        self.assertEqual((answer.status, answer.headers["X-Word"]), (201, "hallo"))
        self.assertEqual(json.loads(answer.text), {"target": "/say?a=%2B1&b=&a=2", "text": "你好",
                                                   "query": [["a", "+1"], ["b", ""], ["a", "2"]]})

    def test_a_chunked_body(self):
        answer = self.ask("POST", "/say", iter([b'{"te', b'xt":"chunks"}']))
        self.assertEqual(json.loads(answer.text)["text"], "chunks")

    def test_one_that_waits_to_be_asked_for_its_body(self):
        got = self.raw(b'POST /say HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n{"text":"e"}')
        self.assertTrue(got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 "), got)

    def test_a_streamed_answer(self):
        self.assertEqual(self.ask("GET", "/count?to=3").text, b"0\n1\n2\n")

    def test_a_connection_is_kept_and_requests_may_queue(self):
        one = b"GET /count?to=1 HTTP/1.1\r\n\r\n"
        self.assertEqual(self.raw(one * 5).count(b"200 OK"), 5)

    def test_a_connection_can_be_taken_over(self):
        got = self.raw(b"GET /take HTTP/1.1\r\nUpgrade: echo\r\n\r\nabcde")
        self.assertTrue(got.startswith(b"HTTP/1.1 101 "), got)
        self.assertTrue(got.endswith(b"edcba"), got)

    def test_what_the_vendor_refuses_is_kept(self):
        self.assertEqual(self.ask("POST", "/say?x", "[]").status, 422)
        self.assertIn({"op": "say", "target": "/say?x", "status": 422, "why": "there is no text"}, self.sim.refused("echo"))

    def test_garbage_is_answered_and_survived(self):
        for data in (b"\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"get http://x HTTP/1.1\r\n\r\n",
                     b"POST /say HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"POST /say HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                     b"POST /say HTTP/1.1\r\nContent-Length: 9\r\n\r\nab", b"POST /say HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
                     b"POST /say HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
                     b"GET / HTTP/1.1\r\n : x\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"x" * 70000 + b"\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"\xff" * 5000, b"GET / HTTP/1.1\r\nA: b"):
            for name in ("echo", "control"):
                with self.subTest(data=data[:60], name=name):
                    self.assertRegex(self.raw(data, name), rb"^HTTP/1.1 4\d\d ")
        self.assertEqual(self.say().status, 201)

    def test_a_mistake_of_a_vendors_file_is_told(self):
        self.assertEqual(self.ask("GET", "/count?to=x").status, 500)
        self.assertRegex(self.sim.told("crashes", "echo")[-1], r"echo: ValueError: .*\(echo.py:\d+\)")
        self.assertEqual(self.say().status, 201)


class Faults(Frame):
    def test_what_fails_or_is_limited_did_not_happen(self):
        for fault, status in (("fail", 500), ("limit", 429)):
            with self.subTest(fault=fault):
                self.sim.fault("echo", fault, count=1)
                answer = self.say(fault)
                self.assertEqual((answer.status, self.said(fault)), (status, 0))
                self.assertEqual(self.say(fault).status, 201)
        self.assertEqual(self.sim.told("faults", "echo")[0],
                         {"fault": "fail", "op": None, "share": 1, "count": 0, "seconds": None})

    def test_what_acts_and_times_out_did_happen(self):
        self.sim.fault("echo", "act_then_timeout", count=1, seconds=0)
        with self.assertRaises(http.client.RemoteDisconnected):
            self.say("acted")
        self.assertEqual(self.said("acted"), 1)

    def test_it_waits_for_who_gives_up(self):
        self.sim.fault("echo", "act_then_timeout", count=1)
        with socket.create_connection(self.address(), timeout=20) as s:
            s.sendall(b'POST /say HTTP/1.1\r\nContent-Length: 15\r\n\r\n{"text":"wait"}')
            s.settimeout(0.05)
            with self.assertRaises(TimeoutError):
                s.recv(1)

    def test_slow_is_slow_and_done(self):
        self.sim.fault("echo", "slow", count=1, seconds=0.05)
        began = time.monotonic()
        self.assertEqual(self.say("slow").status, 201)
        self.assertGreaterEqual(time.monotonic() - began, 0.05)

    def test_down_refuses_connections_and_comes_back(self):
        with socket.create_connection(self.address(), timeout=20) as kept:
            kept.sendall(b"GET /count?to=1 HTTP/1.1\r\n\r\n")
            got = b""
            while not got.endswith(b"\r\n0\r\n\r\n"):
                got += kept.recv(4096)
            self.sim.fault("echo", "down")
            try:
                self.assertEqual(kept.recv(4096), b"")
            except ConnectionResetError:
                pass
        with self.assertRaises(ConnectionRefusedError):
            self.say()
        self.sim.no_faults("echo")
        self.assertEqual(self.say().status, 201)

    def test_one_op_can_be_down(self):
        self.sim.fault("echo", "down", op="say", count=1)
        with self.assertRaises(ConnectionResetError):
            self.say("broken")
        self.assertEqual(self.said("broken"), 0)
        self.assertEqual(self.ask("GET", "/count?to=1").status, 200)

    def test_an_answer_can_be_cut(self):
        self.sim.fault("echo", "cut", op="count", count=1)
        with self.assertRaises(http.client.IncompleteRead) as caught:
            self.ask("GET", "/count?to=5000")
        self.assertLess(len(caught.exception.partial), 4096)
        self.sim.fault("echo", "cut", op="say", count=1)
        with self.assertRaises(http.client.IncompleteRead):
            self.say("cut")
        self.assertEqual(self.said("cut"), 1)

    def outcomes(self, sim, n=200):
        return [self.outcome(sim) for _ in range(n)]

    def outcome(self, sim):
        connection = http.client.HTTPConnection(sim.url["echo"].partition("//")[2], timeout=20)
        try:
            connection.request("GET", "/count?to=1")
            return connection.getresponse().status
        except OSError:
            return "silent"
        finally:
            connection.close()

    def test_they_are_drawn_from_the_seed(self):
        runs = []
        for seed in (1, 1, 2):
            with Simulator(seed=seed, vendors=["echo"], files=[ECHO]) as sim:
                sim.fault("echo", "fail", share=0.1)
                sim.fault("echo", "limit", share=0.1)
                sim.fault("echo", "act_then_timeout", share=0.1, seconds=0)
                runs.append(self.outcomes(sim))
                counts = sim.calls("echo")["count"]
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0], runs[2])
        for kind, counted in ((500, "500"), (429, "429"), ("silent", "act_then_timeout")):
            self.assertTrue(10 <= runs[2].count(kind) <= 30, (kind, runs[2].count(kind)))
            self.assertEqual(runs[2].count(kind), counts[counted])

    def test_what_is_sent_can_be_doubled_and_shuffled(self):
        self.assertEqual(self.sim.command("echo", "order", n=5), [0, 1, 2, 3, 4])
        self.sim.fault("echo", "duplicate", op="event", share=0.5)
        self.sim.fault("echo", "reorder", share=0.5)
        sent = self.sim.command("echo", "order", n=20)
        self.assertEqual(sorted(set(sent)), list(range(20)))
        self.assertGreater(len(sent), 20)
        self.assertNotEqual(sent, sorted(sent))


class ControlPort(Frame):
    def test_what_cannot_be_done_is_refused_kindly(self):
        fault = {"vendor": "echo", "fault": "fail"}
        for method, path, body, status, says in (
                ("GET", "/", None, 404, "GET /acts"),
                ("GET", "/acts", None, 404, "there are: echo"),
                ("GET", "/acts?vendor=tencant", None, 404, "there is no vendor tencant; there are: echo"),
                ("POST", "/faults", {**fault, "vendor": "x"}, 404, "there are: echo"),
                ("POST", "/faults", {**fault, "fault": "explode"}, 400, "there is no fault explode; there are: act_then"),
                ("POST", "/faults", {**fault, "op": "sing"}, 400, "does not have the op sing for fail; it has: count, say"),
                ("POST", "/faults", {**fault, "fault": "reorder", "op": "say"}, 400, "it has: event"),
                ("POST", "/faults", {**fault, "share": 2}, 400, "share is not"),
                ("POST", "/faults", {**fault, "share": True}, 400, "share is not"),
                ("POST", "/faults", {**fault, "count": -1}, 400, "count is neither"),
                ("POST", "/faults", {**fault, "seconds": "1"}, 400, "seconds is not"),
                ("POST", "/faults", {**fault, "wen": 1}, 400, "a fault has no wen"),
                ("POST", "/faults", [], 400, "not a JSON object"),
                ("POST", "/echo/sing", {}, 404, "echo has no command sing; it has: order, wrong"),
                ("POST", "/echo/order", {}, 400, "missing a required argument: 'n'"),
                ("POST", "/echo/order", {"n": 1, "m": 2}, 400, "unexpected keyword argument 'm'"),
                ("POST", "/nobody/order", {}, 404, "there are: echo"),
                ("POST", "/echo/wrong", {}, 500, "ZeroDivisionError"),
                ("DELETE", "/faults?vendor=x", None, 404, "there are: echo")):
            with self.subTest(method=method, path=path, body=body):
                got, answer = self.sim.control(method, path, body)
                self.assertEqual(got, status)
                self.assertIn(says, answer["error"])

    def test_shares_of_more_than_all_are_refused(self):
        self.sim.fault("echo", "fail", share=0.6)
        self.sim.fault("echo", "limit", op="say", share=0.4)
        for op in (None, "say"):
            status, answer = self.sim.control("POST", "/faults", {"vendor": "echo", "fault": "slow", "op": op, "share": 0.1})
            self.assertEqual((status, answer["error"]), (400, "the shares of all faults together are more than 1"))
        self.sim.fault("echo", "slow", op="count", share=0.4)


class CommandLine(unittest.TestCase):
    def run_it(self, *args):
        return subprocess.run([sys.executable, PROGRAM, "--until-eof", *args], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)

    def test_all_vendors_start_and_end_with_stdin(self):
        done = self.run_it()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(json.loads(done.stdout)["ready"])

    def test_wrong_arguments_are_told(self):
        for args, says in ((["--vendor", "nobody"], "there is no vendor nobody"),
                           (["--file", ECHO, "--set", "echo.wort=x"], "echo.word"),
                           (["--file", ECHO, "--set", "echo.word"], "--set echo.word: not <vendor>.<name>=<value>")):
            done = self.run_it(*args)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(says, done.stderr)
            self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
