#!/usr/bin/env python3
"""What Feishu tells, by webhook and over the long connection: kept once, whatever the way, and nothing else is."""

import base64
import collections
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "tools", "sim")]
import harness  # noqa: E402
import lark_push  # noqa: E402
from simulator import Simulator  # noqa: E402

KEY, TOKEN = lark_push.OPTIONS["encrypt_key"], lark_push.OPTIONS["verification_token"]
OLD_KEY, OLD_TOKEN = "theKeyBefore", "theTokenBefore"
QUICK = {"lark.ping_s": 1, "lark.reconnect_s": 1, "lark.nonce_s": 0, "lark.ack_s": 20}


def until(what, true, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        got = true()
        if got:
            return got
        time.sleep(0.01)
    raise AssertionError("it never came to pass: " + what)


def event(event_id="e-1", event_type="vc.meeting.all_meeting_ended_v1", token=TOKEN, meeting_id="7000000000000000001", **meeting):
    return {"schema": "2.0", "header": {"event_id": event_id, "event_type": event_type, "create_time": "1760000401004",
                                        "token": token, "app_id": "cli_1", "tenant_key": "k"},
            "event": {"meeting": {"id": meeting_id, "topic": "虚构评审", "meeting_no": "100200300", "meeting_source": 2,
                                  "start_time": "1760000400", "end_time": "1760004000", "owner": lark_push.person(1), **meeting},
                      "operator": lark_push.person(1)}}


def encrypted(whole, key=KEY):
    plain = whole if isinstance(whole, bytes) else json.dumps(whole, ensure_ascii=False).encode()
    return json.dumps({"encrypt": lark_push.encrypted(plain, key, bytes(16))}).encode()


def signed(body, key=KEY, at=None, nonce="42"):
    timestamp = str(int(time.time())) if at is None else str(at)
    return {"Content-Type": "application/json; charset=utf-8", "X-Lark-Request-Timestamp": timestamp,
            "X-Lark-Request-Nonce": nonce, "X-Lark-Signature": lark_push.signature(timestamp, nonce, key, body)}


class Base(unittest.TestCase):
    env = {}

    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server(env=cls.env)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None, None, None)

    def post(self, body, headers=None, path="/webhooks/lark"):
        answer = self.server.request("POST", path, body, headers or {"Content-Type": "application/json"}, token=None)
        return answer.status, json.loads(answer.body or b"null")

    def told(self, path):
        return json.loads(self.server.get(path).body)["data"]

    def events(self, event_type=None):
        return [e for e in self.told("/api/v1/events?limit=100") if event_type in (None, e["type"])]

    def inbox(self, trace_id):
        """The row of one delivery, once the read model has it."""
        return until("the inbox shows " + trace_id, lambda: self.told("/api/v1/webhooks?traceId=" + trace_id))


class Webhook(Base):
    env = {"LARK_EVENT_ENCRYPT_KEY": KEY, "LARK_EVENT_VERIFICATION_TOKEN": TOKEN,
           "LARK_EVENT_ENCRYPT_KEY_OLD": OLD_KEY, "LARK_EVENT_VERIFICATION_TOKEN_OLD": OLD_TOKEN}

    def send(self, whole, key=KEY, **kw):
        body = encrypted(whole, key)
        return self.post(body, signed(body, key), **kw)

    def test_a_meeting_is_shown(self):
        self.assertEqual(self.send(event("shown-1", meeting_id="71")), (200, {}))
        joined = event("shown-2", "vc.meeting.join_meeting_v1", meeting_id="71")
        self.assertEqual(self.send(joined, path="/webhooks/feishu"), (200, {}))
        ready = event("shown-3", "vc.meeting.recording_ready_v1", meeting_id="71")
        ready["event"].update(url="https://x.feishu.invalid/minutes/obcnfake71", duration="3600000")
        self.assertEqual(self.send(ready), (200, {}))
        for trace in ("shown-1", "shown-2", "shown-3"):
            row = self.inbox(trace)[0]
            self.assertEqual((row["source"], row["verdict"]), ("lark", "ACCEPTED"))
        meeting = until("the meeting", lambda: self.told("/api/v1/meetings?platform=FEISHU&meetingId=71"))[0]
        self.assertEqual((meeting["title"], meeting["meetingCode"], meeting["state"], meeting["type"]),
                         ("虚构评审", "100200300", "ENDED", "INSTANT"))
        self.assertEqual((meeting["startAt"], meeting["durationSeconds"], meeting["scheduledStartAt"]),
                         ("2025-10-09T09:00:00.000Z", 3600, None))
        self.assertTrue(until("its recording", lambda: self.told("/api/v1/recordings?externalId=obcnfake71")))
        stay = until("who came", lambda: self.told("/api/v1/meetings/%s/participants" % meeting["id"]))[0]
        self.assertEqual(stay["joinTime"], "2025-10-09T09:00:01.004Z")
        people = until("them", lambda: self.told("/api/v1/platform-identities?platform=FEISHU"))
        self.assertIn("on_sim1", json.dumps(people))

    def test_who_joined_is_counted_once_whoever_asked_for_it(self):
        """By those who asked about the meeting, the person, or both: each tells with a time of its own, in any order."""
        def told(meeting_id, name, at_ms, **event_more):
            whole = event("%s-%s-%d" % (meeting_id, name, at_ms), "vc.meeting.%s_v1" % name, meeting_id=meeting_id)
            whole["header"]["create_time"] = str(at_ms)
            if name.endswith("joined"):
                whole["event"]["subscriber_ids"] = [lark_push.person(1)["id"]]
            whole["event"].update(event_more)
            return whole

        def stays(meeting_id):
            newest = self.server.newest_data
            meeting = newest("/api/v1/meetings?platform=FEISHU&meetingId=" + meeting_id)[0]
            rows = newest("/api/v1/meetings/%s/participants?limit=100" % meeting["id"])
            self.assertEqual((meeting["participantCount"], len({r["ptUserId"] for r in rows})), (1, 1))
            return sorted(((r["joinTime"] or "")[14:], (r["leftTime"] or "")[14:]) for r in rows)

        t = 1760000400000
        both = [("join_meeting", t + 1000, {}), ("participant_meeting_joined", t + 3500, {}),
                ("leave_meeting", t + 600000, {"leave_reason": 1}),
                ("participant_meeting_joined", t + 900000, {}), ("join_meeting", t + 900400, {}),
                ("leave_meeting", t + 3600000, {"leave_reason": 2}), ("participant_meeting_ended", t + 3601000, {})]
        for meeting_id, order in (("73", both), ("74", both[::-1]), ("75", both[::2] + both[1::2])):
            for name, at, more in order:
                self.assertEqual(self.send(told(meeting_id, name, at, **more)), (200, {}))
            self.assertEqual(stays(meeting_id), [("00:01.000Z", "10:00.000Z"), ("15:00.400Z", "00:00.000Z")], meeting_id)
        # Where nobody asked about the meeting, or its word was lost, the other's counts.
        for name, at, more in both[:1] + both[3:4] + both[6:]:
            self.assertEqual(self.send(told("76", name, at, **more)), (200, {}))
        self.assertEqual([s[0] for s in stays("76")], ["00:01.000Z", "15:00.000Z"])

    def test_the_challenge(self):
        for challenge in ("plain words", '挑战 "quoted"'):
            asked = {"type": "url_verification", "challenge": challenge, "token": TOKEN}
            self.assertEqual(self.post(encrypted(asked)), (200, {"challenge": challenge}))
            self.assertEqual(self.post(encrypted(dict(asked, token="another")))[0], 401)
            self.assertEqual(self.post(json.dumps(asked).encode())[0], 401)

    def test_the_samples_are_taken(self):
        url = "http://127.0.0.1:%d" % self.server.port
        done = subprocess.run([harness.BINARY, "webhook", "send", "feishu", "--event", "all", "--to", url, "--json"],
                              env={**os.environ, **self.env}, cwd=self.server.data, stdout=subprocess.PIPE, check=True)
        rows = json.loads(done.stdout)
        self.assertEqual({(r["event"] == "url_verification", r["status"]) for r in rows}, {(True, 200), (False, 200)})
        for row in rows:
            if row["event"] == "url_verification":
                self.assertEqual(json.loads(row["answer"])["challenge"], row["lastTraceId"])
            else:
                self.assertEqual(self.inbox(row["lastTraceId"])[0]["verdict"], "ACCEPTED", row["event"])

    def test_secrets_that_are_being_changed(self):
        for i, (key, token) in enumerate([(KEY, OLD_TOKEN), (OLD_KEY, TOKEN), (OLD_KEY, OLD_TOKEN)]):
            self.assertEqual(self.send(event("old-%d" % i, token=token), key), (200, {}))

    def test_refusals(self):
        body = encrypted(event("refused"))
        good = signed(body)
        without = {n: v for n, v in good.items() if n != "X-Lark-Signature"}
        other = encrypted(event("refused", token="another"))
        plain = json.dumps(event("refused")).encode()
        short = json.dumps({"encrypt": base64.b64encode(bytes(20)).decode()}).encode()
        for says, status, code, sent, headers in (
                ("no signature", 401, "bad_signature", body, without),
                ("of another key", 401, "bad_signature", body, signed(body, "another")),
                ("of another body", 401, "bad_signature", body + b" ", good),
                ("of another time", 401, "bad_signature", body, dict(good, **{"X-Lark-Request-Timestamp": "1"})),
                ("in capitals", 401, "bad_signature", body, dict(good, **{"X-Lark-Signature": good["X-Lark-Signature"].upper()})),
                ("signed a day and an hour ago", 401, "stale_timestamp", body, signed(body, at=int(time.time()) - 90000)),
                ("from the future", 401, "stale_timestamp", body, signed(body, at=int(time.time()) + 900)),
                ("without a time", 401, "stale_timestamp", body, signed(body, at="yesterday")),
                ("another token", 401, "bad_token", other, signed(other)),
                ("plain, where there is a key", 401, "bad_token", plain, signed(plain)),
                ("plain and unsigned", 401, "bad_signature", plain, None),
                ("undecryptable", 400, "undecryptable", short, signed(short)),
                ("encrypted with another key", 400, "undecryptable", encrypted(event("x"), "another"), signed(encrypted(event("x"), "another"))),
                ("no JSON", 401, "bad_signature", b"{", None),
                ("nothing", 401, "bad_signature", b"", None)):
            got, problem = self.post(sent, headers)
            self.assertEqual((got, problem["code"]), (status, code), says)
        self.assertEqual(self.post(b" " * (1024 * 1024 + 1), good)[0], 413)
        self.assertEqual(self.told("/api/v1/webhooks?traceId=refused"), [])
        metrics = self.server.get("/metrics").body.decode()
        self.assertIn('lulab_webhook_refused_total{source="lark",reason="bad_token"}', metrics)

    def test_an_event_is_kept_once(self):
        once = event("once-1", meeting_id="72")
        for _ in range(3):
            self.assertEqual(self.send(once), (200, {}))
        otherwise = json.dumps(once, ensure_ascii=True, sort_keys=True, indent=2).encode()
        self.assertEqual(self.send(otherwise), (200, {}))
        self.assertEqual(self.inbox("once-1")[0]["items"], 1)
        self.assertEqual([e for e in self.events("source.conflict") if e["data"].get("trace_id") == "once-1"], [])
        self.assertEqual(self.send(event("once-1", meeting_id="72", topic="another")), (200, {}))
        rows = until("the conflict", lambda: [r for r in self.told("/api/v1/webhooks?traceId=once-1") if r["verdict"] == "CONFLICT"])
        self.assertEqual(len(rows), 1)

    def test_what_is_not_known_is_kept_without_its_token(self):
        unknown = {"schema": "2.0", "header": dict(event("unknown-1")["header"], event_type="im.message.receive_v1"),
                   "event": {"message": {"content": "你好"}}}
        self.assertEqual(self.send(unknown), (200, {}))
        self.assertEqual(self.inbox("unknown-1")[0]["verdict"], "UNKNOWN")
        self.assertEqual(self.send({"no": "event"}), (200, {}))
        self.assertEqual(self.send(event("odd-1", meeting_id="")), (200, {}))
        self.assertEqual(self.inbox("odd-1")[0]["verdict"], "UNINTELLIGIBLE")
        kept = [e for e in self.events("webhook.received") if e["data"].get("trace_id") == "unknown-1"][0]
        body = kept["data"]["body"]
        self.assertIn("你好", body)
        self.assertNotIn(TOKEN, body)
        self.assertEqual(json.loads(body)["header"]["token"], "")


class Plain(Base):
    """Only a token: nothing is signed."""
    env = {"LARK_EVENT_VERIFICATION_TOKEN": TOKEN}

    def test_a_token_alone(self):
        asked = {"type": "url_verification", "challenge": "c", "token": TOKEN}
        self.assertEqual(self.post(json.dumps(asked).encode()), (200, {"challenge": "c"}))
        self.assertEqual(self.post(json.dumps(event("plain-1")).encode()), (200, {}))
        old = {"ts": "1760000401.12", "uuid": "plain-2", "token": TOKEN, "type": "event_callback", "event": {"type": "p2p_chat_create"}}
        self.assertEqual(self.post(json.dumps(old).encode()), (200, {}))
        for says, status, code, body in (
                ("another token", 401, "bad_token", json.dumps(event("x", token="y")).encode()),
                ("no token", 401, "bad_token", json.dumps({**event("x"), "header": {"event_id": "x", "event_type": "y"}}).encode()),
                ("no event", 400, "malformed_body", json.dumps({"header": {"token": TOKEN}}).encode()),
                ("no object", 400, "malformed_body", b"[]"), ("no JSON", 400, "malformed_body", b'{"a":'),
                ("too deep", 400, "malformed_body", b"[" * 100 + b"]" * 100)):
            got, problem = self.post(body)
            self.assertEqual((got, problem["code"]), (status, code), says)
        self.assertEqual(self.inbox("plain-1")[0]["verdict"], "ACCEPTED")
        self.assertEqual(self.inbox("plain-2")[0]["verdict"], "UNKNOWN")


class Unconfigured(Base):
    def test_it_says_what_to_set(self):
        answer = self.server.request("POST", "/webhooks/lark", b"{}", token=None)
        self.assertEqual((answer.status, json.loads(answer.body)["code"]), (503, "not_configured"))
        self.assertIn("LARK_EVENT_ENCRYPT_KEY", json.loads(answer.body)["detail"])
        self.assertTrue(answer.getheader("Retry-After"))
        self.assertIn("LARK_APP_ID", self.server.get("/health").body.decode())


class Connection(unittest.TestCase):
    """The long connection against the simulator, whose pings and pauses are of a second here."""

    def setUp(self):
        self.sim = self.enter(Simulator(vendors=["lark"], options=QUICK))

    def enter(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def start(self, **env):
        self.server = self.enter(harness.Server(env={**self.sim.settings, **env}))
        self.hook = "http://127.0.0.1:%d/webhooks/lark" % self.server.port

    def connected(self, number=1):
        until("connection %d" % number, lambda: [a for a in self.sim.acts("lark", did="connected") if a["number"] >= number])

    def tell(self, *args, **kw):
        return self.sim.command("lark", "event", *args, **kw)

    def metric(self, name):
        lines = self.server.get("/metrics").body.decode().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(name + " ")))

    def told(self, path):
        return json.loads(self.server.get(path).body)["data"]

    def test_events_are_kept_once_whatever_the_way(self):
        self.start()
        self.connected()
        self.assertEqual(self.sim.command("lark", "check", webhook=self.hook), {"status": 200, "answered": True})
        once = {"meeting": {"id": "81", "topic": "t", "end_time": "1760004000"}, "operator": lark_push.person(2)}
        for over in ("connection", "both", "webhook"):
            told = self.tell(event=once, event_id="both-1", over=over, webhook=self.hook, spaced=True)
            self.assertEqual(set(told["acks"] + [s[0] if isinstance(s, list) else s for s in told["statuses"]]), {200})
        self.assertEqual(self.tell(event=once, event_id="both-2", over="webhook", webhook=self.hook)["statuses"], [200])
        self.assertEqual(self.tell(event=once, event_id="both-2")["acks"], [200])
        for split, in_order in ((2, True), (7, False), (64, False)):
            self.assertEqual(self.tell(event=once, event_id="split-%d" % split, split=split, in_order=in_order)["acks"], [200])
        stored = [e for e in self.told("/api/v1/events?limit=100") if e["source"] == "/webhooks/lark"]
        self.assertEqual(sorted(e["data"]["trace_id"] for e in stored), ["both-1", "both-2", "split-2", "split-64", "split-7"])
        self.assertEqual({e["data"]["trace_id"]: e["actor"] for e in stored if e["data"]["trace_id"] != "split-2"}["both-1"],
                         "connection:lark")
        self.assertEqual(self.sim.refused("lark"), [])

    def test_what_is_hostile(self):
        self.start()
        self.connected()
        frame = lark_push.encode({"SeqID": 1, "LogID": 2, "service": 3, "method": 1, "payload": b"{}",
                                  "headers": [("type", "event"), ("message_id", "h"), ("sum", "1"), ("seq", "0")]})

        def piece(**headers):
            return lark_push.encode({"SeqID": 1, "LogID": 2, "service": 3, "method": 1, "payload": b"x" * 1000,
                                     "headers": [("type", "event"), *headers.items()]})
        frames = [frame[:n] for n in range(0, len(frame), 3)] + [b"", bytes(64), b"\xff" * 64]
        frames += [piece(message_id="a", sum=s, seq=q) for s, q in (("0", "0"), ("2", "2"), ("-1", "0"), ("x", "0"), ("65", "1"), ("2", "-1"))]
        frames += [piece(message_id="a", sum="3", seq="0"), piece(message_id="a", sum="2", seq="1"), piece(sum="1", seq="0")]
        frames += [piece(message_id="never-%d" % i, sum="64", seq=str(i % 64)) for i in range(2000)]
        frames += [lark_push.encode({"SeqID": 1, "LogID": 2, "service": 3, "method": 0, "headers": [("type", "pong")],
                                     "payload": b'{"PingInterval":-5,"ReconnectInterval":"x"}'})]
        frames += [lark_push.encode({"SeqID": 1, "LogID": 2, "service": 3, "method": 1, "payload": p, "headers": [
            ("type", "event"), ("message_id", "odd"), ("sum", "1"), ("seq", "0")]}) for p in (b"\xff\xfe", b"no JSON", b"[" * 200, b'{"a":1}')]
        self.sim.command("lark", "send_frames", frames=[f.hex() for f in frames])
        self.sim.command("lark", "send_frames", frames=["00" * 100] * 500, opcode=9)  # pings of the protocol itself
        self.assertEqual(self.tell(event_id="after")["acks"], [200])
        self.assertEqual(len(self.sim.acts("lark", did="connected")), 1)
        self.assertGreaterEqual(self.metric("lulab_lark_connection_unkept_total"), 1)
        for i, raw in enumerate(("c100", "8205", "827f7fffffffffffffff00", "827f000000000050000000", "8100" * 9 + "8300")):
            self.sim.command("lark", "send_frames", raw=raw)  # breaks the protocol, or is too big: told so, and a new connection
            self.sim.command("lark", "hang_up", how="end") if raw == "8205" else None
            self.connected(i + 2)
        self.assertEqual(self.tell(event_id="after-all")["acks"], [200])
        self.assertEqual(len([e for e in self.told("/api/v1/events?limit=100") if e["data"].get("trace_id", "").startswith("after")]), 2)

    def stored(self, prefix):
        """How often each event is kept whose id begins so."""
        counts, cursor = collections.Counter(), ""
        while cursor is not None:
            page = json.loads(self.server.get("/api/v1/events?limit=1000" + (cursor and "&cursor=" + cursor)).body)
            counts.update(e["data"]["trace_id"] for e in page["data"] if e["data"].get("trace_id", "").startswith(prefix))
            cursor = page["pagination"]["nextCursor"]
        return counts

    def begin(self, event_id, raw):
        """Two thirds of a message, and the first bytes of the frame that has the rest."""
        whole = json.dumps(event(event_id)).encode()
        size = len(whole) // 3 + 1
        pieces = [lark_push.encode({"SeqID": i, "LogID": 2, "service": 3, "method": 1, "payload": whole[i * size:][:size], "headers": [
            ("type", "event"), ("message_id", event_id), ("sum", "3"), ("seq", str(i))]}) for i in range(3)]
        self.sim.command("lark", "send_frames", frames=[p.hex() for p in pieces[:2]])
        if raw:
            self.sim.command("lark", "send_frames", raw=(b"\x82\x7e" + len(pieces[2]).to_bytes(2, "big") + pieces[2][:40]).hex())

    def test_it_comes_back(self):
        self.start()
        self.connected()
        for i, how in enumerate(("close", "reset", "end")):
            self.begin("half-" + how, raw=how != "close")
            if how == "reset":
                self.sim.fault("lark", "fail", op="endpoint", count=1)
            self.sim.command("lark", "hang_up", how=how)
            self.connected(i + 2)
            self.assertEqual(self.tell(event_id="half-" + how)["acks"], [200])
        self.assertEqual(self.stored("half-"), {"half-close": 1, "half-reset": 1, "half-end": 1})
        self.assertEqual(self.metric("lulab_lark_connection_lost_total"), 3)
        self.assertEqual(self.metric("lulab_lark_connection_attempts_total"), 5)
        self.sim.command("lark", "behave", pongs=False)  # alive, but it says nothing
        self.connected(5)
        self.sim.command("lark", "behave", pongs=True)
        self.assertEqual(self.tell()["acks"], [200])
        self.assertEqual(self.sim.refused("lark"), [])

    def test_what_was_acknowledged_outlives_a_kill(self):
        self.start()
        self.connected()
        acked, lost = [], []

        def told(event_id):
            """The same each time."""
            return self.tell(event=event()["event"], event_id=event_id, create_ms=1760000401004)["acks"]

        def send(worker):
            for n in range(1000):
                event_id = "kill-%d-%d" % (worker, n)
                if told(event_id) != [200]:
                    return lost.append(event_id)
                acked.append(event_id)

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            sent = [pool.submit(send, worker) for worker in range(6)]
            until("some are acknowledged", lambda: len(acked) > 30)
            self.server.kill()
            for s in sent:
                s.result()
        self.server.start()
        self.connected(2)
        # What nobody acknowledged may be kept or not; told again, all is kept, each once.
        self.assertEqual({i: n for i, n in self.stored("kill-").items() if i not in lost}, {i: 1 for i in acked})
        for event_id in lost:
            until("it is taken", lambda: told(event_id) == [200])
        self.assertEqual(self.stored("kill-"), {i: 1 for i in acked + lost})

    def test_who_is_refused_rests(self):
        self.sim.command("lark", "behave", refuse=1000040350)
        self.start()
        until("it is said", lambda: b"refuses the long connection" in self.server.get("/health").body)
        self.assertEqual(self.metric("lulab_lark_connection_attempts_total"), 1)
        self.assertEqual(self.tell(over="webhook", webhook=self.hook)["statuses"], [200])

    def test_a_handshake_that_is_refused(self):
        self.sim.command("lark", "behave", handshake=514)
        self.start()
        until("it is said", lambda: b"refuses the long connection" in self.server.get("/health").body)

    def test_a_busy_vendor_is_asked_again(self):
        self.sim.fault("lark", "fail", op="endpoint", count=1)
        self.start(LARK_EVENT_ENCRYPT_KEY="", LARK_EVENT_VERIFICATION_TOKEN="")
        self.assertIn(b"tried again soon", until("it waits", lambda: (lambda b: b if b"tried again soon" in b else None)(
            self.server.get("/health").body)))
        self.server.stop()

    def test_it_is_off_when_told(self):
        self.start(LARK_CONNECTION="off")
        self.assertEqual(self.tell(over="webhook", webhook=self.hook)["statuses"], [200])
        self.assertNotIn("lulab_lark_connection_up", self.server.get("/metrics").body.decode())
        self.assertEqual(self.sim.calls("lark"), {})

    def test_it_says_goodbye(self):
        self.start()
        self.connected()
        self.assertEqual(self.tell()["acks"], [200])
        self.assertEqual(self.server.stop(), 0)
        until("the goodbye", lambda: [c["goodbye"] for c in self.sim.command("lark", "connections")] == [1000])


if __name__ == "__main__":
    unittest.main()
