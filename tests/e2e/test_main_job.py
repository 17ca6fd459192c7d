#!/usr/bin/env python3
"""The main job from outside: a signed webhook becomes an event, a row and a provable log."""

import csv
import http.client
import io
import json
import os
import shutil
import socket
import struct
import tempfile
import threading
import unittest

import harness
from harness import ACK, eventually, lulab, meeting_event


def rows(server, path):
    return server.json(path)["data"]


class MainJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def accept(self, event, **kw):
        answer = self.server.post_event(event, **kw)
        self.assertEqual((answer.status, answer.body), (200, ACK))
        self.assertTrue(answer.getheader("Content-Type").startswith("text/plain"))
        return answer

    def meeting(self, meeting_id):
        def find():
            found = [m for m in rows(self.server, "/api/v1/meetings?limit=100")
                     if m["meetingId"] == meeting_id]
            return found[0] if found else None
        return eventually(find)

    def test_url_check_answers_the_plain_text(self):
        answer = self.server.url_check(b"a heartbeat \xe4\xb8\xad")
        self.assertEqual((answer.status, answer.body), (200, b"a heartbeat \xe4\xb8\xad"))

    def test_a_webhook_becomes_a_row_and_an_event(self):
        self.accept(meeting_event("meeting.started", "row-1", "15799355397363795495"))
        meeting = self.meeting("15799355397363795495")
        self.assertEqual(meeting["title"], "季度预算评审会")
        self.assertEqual(meeting["platform"], "TENCENT_MEETING")
        self.assertEqual(meeting["subMeetingId"], "__ROOT__")
        self.assertEqual(meeting["startAt"], "2025-12-29T23:30:29.171Z")
        self.assertEqual(meeting["scheduledStartAt"], "2025-12-29T23:30:00.000Z")
        one = self.server.json("/api/v1/meetings/" + meeting["id"])
        one = one.get("data", one)
        self.assertEqual(one["title"], "季度预算评审会")
        events = rows(self.server, "/api/v1/meetings/%s/events" % meeting["id"])
        self.assertEqual([e["type"] for e in events], ["meeting.started"])

    def test_duplicates_are_answered_alike_and_stored_once(self):
        event = meeting_event("meeting.started", "dup-1", "dup-meeting")
        self.accept(event)
        before = self.server.json("/api/v1/events?limit=1")["pagination"]["total"]
        for _ in range(5):
            self.accept(event)
        events = [e for e in rows(self.server, "/api/v1/events?type=meeting.started&limit=100")
                  if e["data"].get("trace_id") == "dup-1"]
        self.assertEqual(len(events), 1)
        self.assertGreaterEqual(before, 1)

    def test_two_copies_at_the_same_moment_are_stored_once(self):
        event = meeting_event("meeting.started", "race-1", "race-meeting")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.server.post_event(event)))
                   for _ in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([(a.status, a.body) for a in answers], [(200, ACK)] * 16)
        self.meeting("race-meeting")
        events = [e for e in rows(self.server, "/api/v1/events?type=meeting.started&limit=100")
                  if e["data"].get("trace_id") == "race-1"]
        self.assertEqual(len(events), 1)

    def test_a_wrong_signature_is_401_and_changes_nothing(self):
        before = self.server.json("/health")
        answer = self.server.post_event(meeting_event(trace_id="bad-sig", meeting_id="bad-sig"),
                                        token="notTheToken")
        self.assertEqual(answer.status, 401)
        self.assertTrue(answer.getheader("Content-Type").startswith("application/problem+json"))
        problem = json.loads(answer.body)
        self.assertEqual(problem["status"], 401)
        self.assertNotIn(harness.TOKEN, answer.body.decode())
        self.assertTrue(before)
        found = [m for m in rows(self.server, "/api/v1/meetings?limit=100")
                 if m["meetingId"] == "bad-sig"]
        self.assertEqual(found, [])

    def test_an_undecryptable_body_is_400(self):
        headers, body = harness.signed_request(
            meeting_event(), aes_key="HhwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEAHx4")
        answer = self.server.request("POST", "/webhooks/tencent", body, headers, token=None)
        self.assertEqual(answer.status, 400)

    def test_missing_pieces_name_the_cause(self):
        headers, body = harness.signed_request(meeting_event())
        for name in ("timestamp", "nonce", "signature"):
            less = {k: v for k, v in headers.items() if k != name}
            answer = self.server.request("POST", "/webhooks/tencent", body, less, token=None)
            self.assertEqual(answer.status, 400, name)
            self.assertIn(name, answer.body.decode())
        answer = self.server.request("POST", "/webhooks/tencent", b"{}", headers, token=None)
        self.assertEqual(answer.status, 400)
        self.assertIn("data", answer.body.decode())

    def test_verified_but_unknown_or_unintelligible_is_kept(self):
        unknown = {"event": "meeting.something-new", "trace_id": "new-1", "payload": [{"x": 1}]}
        self.accept(unknown)
        self.accept(b"this is not JSON at all")
        kept = eventually(lambda: rows(self.server, "/api/v1/events?type=webhook.received&limit=100"))
        self.assertGreaterEqual(len(kept), 2)

    def test_attendance_in_any_order(self):
        meeting_id = "attendance-1"

        def person(uuid, name):
            return {"userid": uuid, "user_name": name, "uuid": uuid, "instance_id": "1"}

        base = 1767051000000
        steps = [
            ("meeting.participant-left", "a-4", person("u2", "李四"), base + 50000),
            ("meeting.participant-joined", "a-3", person("u2", "李四"), base + 20000),
            ("meeting.participant-joined", "a-1", person("u1", "王芳"), base + 10000),
            ("meeting.participant-left", "a-2", person("u1", "王芳"), base + 15000),
            ("meeting.participant-joined", "a-5", person("u1", "王芳"), base + 30000),
            ("meeting.participant-left", "a-6", person("u1", "王芳"), base + 40000),
        ]
        for name, trace, operator, at in steps:
            self.accept(meeting_event(name, trace, meeting_id, operator=operator, operate_time=at))
        meeting = self.meeting(meeting_id)

        def stays():
            found = rows(self.server, "/api/v1/meetings/%s/participants" % meeting["id"])
            return found if len(found) == 3 and all(s["leftTime"] for s in found) else None
        found = eventually(stays)
        self.assertEqual(sorted(s["durationSeconds"] for s in found), [5, 10, 30])

    def test_recordings_and_smart_events_meet(self):
        files = [{"record_file_id": "2005979751095140353"}]
        smart = meeting_event("smart.fullsummary", "s-1", "rec-meeting", operate_time=1767101253,
                              recording_files=[dict(files[0], lang="zh")])
        del smart["payload"][0]["operator"]
        self.accept(smart)
        self.accept(meeting_event("recording.completed", "s-2", "rec-meeting",
                                  operate_time=1767101273615, recording_files=files))

        def recording():
            found = [r for r in rows(self.server, "/api/v1/recordings?limit=100")
                     if r["externalId"] == "2005979751095140353"]
            return found[0] if found and found[0]["status"] == "COMPLETED" else None
        self.assertIsNotNone(eventually(recording))
        meeting = self.meeting("rec-meeting")
        eventually(lambda: self.meeting("rec-meeting")["hasRecording"])
        self.assertTrue(rows(self.server, "/api/v1/meetings/%s/recordings" % meeting["id"]))

    def test_two_character_chinese_words_are_found(self):
        self.accept(meeting_event("meeting.created", "zh-1", "zh-meeting",
                                  meeting_info={"subject": "产品路线图讨论"}))
        self.meeting("zh-meeting")
        found = rows(self.server, "/api/v1/meetings?search=%E8%B7%AF%E7%BA%BF")
        self.assertEqual([m["meetingId"] for m in found], ["zh-meeting"])
        self.assertEqual(rows(self.server, "/api/v1/meetings?search=%E7%81%AB%E6%98%9F"), [])

    def test_lists_page_filter_and_change_shape(self):
        for i in range(5):
            self.accept(meeting_event("meeting.created", "page-%d" % i, "page-%d" % i,
                                      meeting_info={"subject": "分页测试%d" % i}))
        self.meeting("page-4")
        page = self.server.json("/api/v1/meetings?page=1&limit=2&sort=-createdAt")
        self.assertEqual(len(page["data"]), 2)
        for member in ("page", "limit", "total", "totalPages"):
            self.assertIn(member, page["pagination"])
        seen, cursor = [], ""
        while True:
            page = self.server.json("/api/v1/meetings?limit=2" + cursor)
            seen += [m["id"] for m in page["data"]]
            if not page["pagination"].get("nextCursor"):
                break
            cursor = "&cursor=" + page["pagination"]["nextCursor"]
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual(len(seen), page["pagination"]["total"])
        few = rows(self.server, "/api/v1/meetings?fields=id,title&limit=1")
        self.assertEqual(sorted(few[0]), ["id", "title"])
        text = self.server.get("/api/v1/meetings", headers={"Accept": "text/csv"})
        table = list(csv.reader(io.StringIO(text.body.decode("utf-8-sig"))))
        self.assertIn("title", table[0])
        lines = self.server.get("/api/v1/meetings", headers={"Accept": "application/x-ndjson"})
        self.assertTrue(all(json.loads(line)["id"] for line in lines.body.splitlines()))

    def test_bad_queries_name_the_parameter(self):
        for query in ("limit=0", "limit=1000000", "page=x", "platform=NOPE", "startDate=yesterday",
                      "nonsense=1", "sort=password", "fields=nope", "cursor=%21"):
            answer = self.server.get("/api/v1/meetings?" + query)
            self.assertEqual(answer.status, 400, query)
            self.assertIn(query.split("=")[0], answer.body.decode(), query)

    def test_the_api_wants_a_token(self):
        for token in (None, "wrong", ""):
            answer = self.server.get("/api/v1/meetings", token=token)
            self.assertEqual(answer.status, 401)
            self.assertIn("Bearer", answer.getheader("WWW-Authenticate"))
        mode = os.stat(os.path.join(self.server.data, "admin.token")).st_mode & 0o777
        self.assertEqual(mode, 0o600)

    def test_a_read_can_wait_for_a_position(self):
        answer = self.accept(meeting_event("meeting.created", "wait-1", "wait-meeting"))
        events = self.server.json("/api/v1/events?limit=1")
        last = events["pagination"]["total"] - 1
        answer = self.server.get("/api/v1/meetings?limit=100", headers={"Lulab-Min-Position": str(last)})
        self.assertEqual(answer.status, 200)
        self.assertGreaterEqual(int(answer.getheader("Lulab-Position")), last)

    def test_the_event_stream_resumes_without_gap(self):
        def read_stream(last_id, count):
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
            headers = {"Authorization": "Bearer " + self.server.admin_token(),
                       "Accept": "text/event-stream"}
            if last_id is not None:
                headers["Last-Event-ID"] = str(last_id)
            connection.request("GET", "/api/v1/events/stream", headers=headers)
            response = connection.getresponse()
            self.assertEqual(response.status, 200)
            ids = []
            while len(ids) < count:
                line = response.readline().decode()
                if line.startswith("id:"):
                    ids.append(int(line[3:]))
            connection.close()
            return ids
        for i in range(6):
            self.accept(meeting_event("meeting.created", "sse-%d" % i, "sse-meeting"))
        first = read_stream(0, 3)
        self.assertEqual(first, [1, 2, 3])
        self.assertEqual(read_stream(first[-1], 3), [4, 5, 6])

    def test_clients_that_go_in_mid_answer_do_no_harm(self):
        stop = threading.Event()

        def write_on():
            number = 0
            while not stop.is_set():
                self.server.post_event(meeting_event("meeting.created", "gone-%d" % number, "gone"))
                number += 1
        head = "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + self.server.admin_token()
        writer = threading.Thread(target=write_on)
        writer.start()
        try:
            for number in range(200):
                path = ("/api/v1/events/stream", "/api/v1/events?limit=100")[number % 2]
                with socket.create_connection(("127.0.0.1", self.server.port)) as s:
                    s.sendall((head % path).encode() + b"\r\n\r\n")
                    # Some go with a reset, some politely, having read what there was.
                    if number % 3 == 0:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    s.recv(1 << 20)
        finally:
            stop.set()
            writer.join()
        self.assertIsNone(self.server.process.poll())
        self.assertEqual(self.server.get("/livez", token=None).status, 200)

    def test_health_metrics_and_openapi(self):
        self.assertEqual(self.server.get("/livez", token=None).status, 200)
        ready = self.server.get("/readyz?verbose", token=None)
        self.assertIn("meetings", ready.body.decode())
        health = self.server.get("/health", token=None)
        self.assertEqual(health.status, 200, health.body)
        metrics = self.server.get("/metrics", token=None)
        if metrics.status == 401:
            metrics = self.server.get("/metrics")
        self.assertIn("http_requests_total", metrics.body.decode())
        api = json.loads(self.server.get("/openapi.json").body)
        self.assertEqual(api["openapi"][:3], "3.1")
        self.assertIn("/api/v1/meetings/{id}", api["paths"])

    def test_secrets_and_names_stay_out_of_the_log_file_and_program_log(self):
        self.accept(meeting_event("meeting.started", "secret-1", "secret-meeting",
                                  operator={"userid": "u-s", "user_name": "保密的姓名", "uuid": "u-s"},
                                  meeting_info={"subject": "绝密的标题"}))
        self.meeting("secret-meeting")
        stored = b""
        for name in os.listdir(os.path.join(self.server.data, "log")):
            with open(os.path.join(self.server.data, "log", name), "rb") as f:
                stored += f.read(64 << 20)
        self.assertIn(b"secret-meeting", stored)
        program = self.server.log().encode()
        for word in ("保密的姓名", "绝密的标题", harness.TOKEN, harness.AES_KEY):
            self.assertNotIn(word.encode(), stored, word)
            self.assertNotIn(word.encode(), program, word)


class Audit(unittest.TestCase):
    def test_export_verifies_offline_and_a_changed_byte_is_named(self):
        with harness.Server() as server:
            for i in range(300):
                self.assertEqual(server.post_event(
                    meeting_event("meeting.created", "x-%d" % i, "x-%d" % (i % 7))).status, 200)
            # An export ends with the newest checkpoint; a proof of the last event asks for one.
            self.assertEqual(server.get("/api/v1/events/300/proof").status, 200)
            work = tempfile.mkdtemp(prefix="lulab-audit-")
            try:
                export = os.path.join(work, "export")

                def exported():
                    lulab("log", "export", export, "--data", server.data)
                    return os.path.exists(os.path.join(export, "tile", "entries", "000"))
                eventually(exported)  # an export ends at the newest checkpoint
                with open(os.path.join(export, "keys")) as f:
                    key = f.read().split("\n")[0].strip()
                lulab("log", "verify", "--export", export, "--key", key)
                entries = os.path.join(export, "tile", "entries", "000")
                with open(entries, "r+b") as f:
                    blob = bytearray(f.read())
                    at, index = 0, 0
                    while index < 100:
                        at += 2 + int.from_bytes(blob[at:at + 2], "big")
                        index += 1
                    place = blob.index(b'"type":"', at) + 8
                    blob[place] ^= 1
                    f.seek(0)
                    f.write(blob)
                done = lulab("log", "verify", "--export", export, "--key", key, "--json", check=False)
                self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
                self.assertIn("100", done.stdout)
                proof = lulab("log", "proof", "5", "--data", server.data).stdout
                self.assertTrue(proof.startswith("c2sp.org/tlog-proof@v1\nindex 5\n"), proof[:80])
            finally:
                shutil.rmtree(work)

    def test_everything_is_there_after_a_restart(self):
        data = tempfile.mkdtemp(prefix="lulab-e2e-")
        try:
            server = harness.Server(data=data)
            with server:
                server.post_event(meeting_event("meeting.started", "again-1", "again"))
                eventually(lambda: rows(server, "/api/v1/meetings"))
            with harness.Server(data=data) as server:
                self.assertEqual([m["meetingId"] for m in rows(server, "/api/v1/meetings")], ["again"])
                server.post_event(meeting_event("meeting.started", "again-1", "again"))
                events = rows(server, "/api/v1/events?type=meeting.started")
                self.assertEqual(len(events), 1)
            lulab("log", "verify", "--data", data)
            lulab("projection", "verify", "--data", data)
            lulab("log", "reindex", "--data", data)
        finally:
            shutil.rmtree(data)


class Edges(unittest.TestCase):
    def test_without_settings_the_webhook_says_so_and_the_rest_works(self):
        with harness.Server(env={"TENCENT_MEETING_TOKEN": "", "TENCENT_MEETING_ENCODING_AES_KEY": ""}) as s:
            answer = s.post_event(meeting_event())
            self.assertEqual(answer.status, 503)
            self.assertIn("TENCENT_MEETING_TOKEN", answer.body.decode())
            self.assertEqual(s.get("/api/v1/meetings").status, 200)

    def test_without_an_aes_key_events_come_unencrypted(self):
        with harness.Server(env={"TENCENT_MEETING_ENCODING_AES_KEY": ""}) as s:
            answer = s.post_event(meeting_event(meeting_id="plain"), aes_key=None)
            self.assertEqual((answer.status, answer.body), (200, ACK))
            self.assertEqual([m["meetingId"] for m in eventually(lambda: rows(s, "/api/v1/meetings"))],
                             ["plain"])

    def test_a_second_server_on_the_same_directory_is_refused(self):
        with harness.Server() as s:
            done = lulab("serve", "--data", s.data, "--listen", "127.0.0.1:%d" % harness.free_port(),
                         check=False, timeout=120)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(s.data, done.stderr)

    def test_a_taken_port_is_a_kind_error(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            data = tempfile.mkdtemp(prefix="lulab-e2e-")
            try:
                done = lulab("serve", "--data", data, "--listen",
                             "127.0.0.1:%d" % taken.getsockname()[1], check=False, timeout=120)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(str(taken.getsockname()[1]), done.stderr)
            finally:
                shutil.rmtree(data)

    def test_a_multi_item_payload_is_stored_whole(self):
        with harness.Server() as s:
            event = meeting_event("meeting.created", "multi", "multi-1")
            event["payload"] += meeting_event("meeting.created", "multi", "multi-2")["payload"]
            self.assertEqual(s.post_event(event).status, 200)
            found = eventually(lambda: (lambda r: r if len(r) == 2 else None)(rows(s, "/api/v1/meetings")))
            self.assertEqual(sorted(m["meetingId"] for m in found), ["multi-1", "multi-2"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
