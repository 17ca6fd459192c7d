#!/usr/bin/env python3
"""The API from outside: lists, events, streams, proofs, the compatible paths, what the service says of itself."""

import base64
import collections
import csv
import hashlib
import http.client
import io
import json
import os
import re
import shutil
import socket
import subprocess
import unittest

import harness
from harness import ACK, eventually, meeting_event


class Api(unittest.TestCase):
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

    def last_position(self):
        return self.server.json("/api/v1/events?limit=1")["pagination"]["total"] - 1

    def fresh(self, path, **headers):
        """A read that has seen everything acknowledged so far."""
        headers["Lulab-Min-Position"] = str(self.last_position())
        answer = self.server.get(path, headers=headers)
        self.assertEqual(answer.status, 200, answer.body)
        return answer

    def meeting(self, meeting_id):
        found = json.loads(self.fresh("/api/v1/meetings?meetingId=" + meeting_id).body)["data"]
        self.assertEqual(len(found), 1)
        return found[0]

    def events(self, query):
        return self.server.json("/api/v1/events?limit=1000&" + query)["data"]

    # ---- repeats and refusals ----------------------------------------------------

    def test_another_content_under_a_known_id_is_kept_as_a_conflict(self):
        first = meeting_event("meeting.started", "conflict-1", "conflict")
        other = meeting_event("meeting.started", "conflict-1", "conflict", meeting_info={"subject": "另一个标题"})
        self.accept(first)
        for _ in range(3):
            self.accept(other)
        self.accept(first)
        found = [e for e in self.events("type=source.conflict") if e["data"]["trace_id"] == "conflict-1"]
        self.assertEqual(len(found), 1)
        data = found[0]["data"]
        self.assertNotEqual(data["fingerprint"], data["first_fingerprint"])
        self.assertEqual(json.loads(data["body"]), other)
        original = self.server.json("/api/v1/events/%d" % data["first_position"])["data"]
        self.assertEqual(original["data"]["trace_id"], "conflict-1")
        self.assertEqual(self.meeting("conflict")["title"], "季度预算评审会")

    def test_refusals_and_repeats_are_counted_in_the_inbox(self):
        event = meeting_event("meeting.started", "tally-1", "tally")
        self.accept(event)
        self.accept(event)
        for _ in range(3):
            self.assertEqual(self.server.post_event(event, token="wrong").status, 401)

        def counted():
            tallies = self.events("type=webhook.tallied")
            refused = sum(r["count"] for t in tallies for r in t["data"].get("refused", [])
                          if r["reason"] == "bad_signature")
            return refused >= 3 and tallies
        eventually(counted, timeout_s=120)
        rows = json.loads(self.fresh("/api/v1/webhooks?verdict=REFUSED&limit=100").body)["data"]
        self.assertTrue(any(r["reason"] == "bad_signature" and r["items"] >= 3 for r in rows))
        rows = json.loads(self.fresh("/api/v1/webhooks?traceId=tally-1").body)["data"]
        self.assertEqual([(r["verdict"], r["duplicates"]) for r in rows], [("ACCEPTED", 1)])
        alarm = [line for line in self.server.log().splitlines() if "refused within five minutes" in line]
        self.assertLessEqual(len(alarm), 1)

    def test_an_answer_tells_what_it_depends_on(self):
        answer = self.server.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(answer.headers["Content-Encoding"], "gzip")
        answer = self.server.get("/api/v1/events?limit=20", headers={"Accept-Encoding": "gzip"})
        vary = {name.strip() for value in answer.headers.get_all("Vary") for name in value.split(",")}
        self.assertLessEqual({"Accept", "Accept-Encoding"}, vary)

    def test_what_the_server_itself_refuses_is_counted_too(self):
        server = harness.Server()
        self.addCleanup(server.__exit__, None, None, None)
        server.start()

        def send(text, rest=b""):
            s = socket.create_connection(("127.0.0.1", server.port), timeout=60)
            s.sendall(b"POST /webhooks/tencent HTTP/1.1\r\nHost: x\r\n" + text + b"\r\n" + rest)
            return s

        def status(s):
            with s:
                return int(s.makefile("rb").readline().split()[1])

        slow = send(b"Content-Length: 100\r\n", b"{")  # cut off after its grace, while the others are sent
        cases = [
            (413, "body_too_big", b"Content-Length: 2000000\r\n", b""),
            (413, "body_too_big", b"Transfer-Encoding: chunked\r\n", b"100001\r\n" + b"x" * 0x100001),
            (431, "head_too_big", b"".join(b"X-%d: y\r\n" % i for i in range(80)), b""),
            (400, "malformed_request", b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", b""),
            (400, "malformed_request", b"Transfer-Encoding: chunked\r\n", b"nonsense\r\n"),
            (415, "malformed_request", b"Content-Encoding: gzip\r\nContent-Length: 3\r\n", b"abc"),
        ]
        for code, reason, head, body in cases:
            self.assertEqual(status(send(head, body)), code, reason)
        self.assertEqual(status(slow), 408)
        # A refused head that asked for something else is nobody's webhook.
        s = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n")
        self.assertEqual(status(s), 400)

        def counts():
            rows = server.json("/api/v1/webhooks?verdict=REFUSED&limit=100")["data"]
            found = collections.Counter()
            for row in rows:
                found[row["reason"]] += row["items"]
            names = ("body_too_big", "head_too_big", "malformed_request", "too_slow")
            return found["too_slow"] and [found[name] for name in names]
        self.assertEqual(eventually(counts, timeout_s=120), [2, 1, 3, 1])

    def test_an_old_time_stamp_is_refused(self):
        answer = self.server.post_event(meeting_event(trace_id="old", meeting_id="old"), timestamp="1760000401234")
        self.assertEqual(answer.status, 401)
        self.assertEqual(json.loads(answer.body)["code"], "stale_timestamp")

    def test_a_delivery_without_trace_id_is_told_apart_by_content_and_time(self):
        event = meeting_event("meeting.started", "x", "no-trace")
        del event["trace_id"]
        stamp = str(int(harness.time.time() * 1000))
        for _ in range(2):
            self.accept(event, timestamp=stamp)
        self.accept(event, timestamp=str(int(stamp) + 1))
        meeting = self.meeting("no-trace")
        found = json.loads(self.server.get("/api/v1/meetings/%s/events" % meeting["id"]).body)
        self.assertEqual(len(found["data"]), 2)

    def test_bodies_at_the_limit(self):
        headers, _ = harness.signed_request(meeting_event())
        answer = self.server.request("POST", "/webhooks/tencent", b"x" * (1024 * 1024 + 1), headers, token=None)
        self.assertEqual(answer.status, 413)
        long = meeting_event("meeting.something-long", "long-1", "long", blob="长" * 60000)
        self.accept(long)
        kept = [e for e in self.events("type=webhook.received") if e["data"].get("trace_id") == "long-1"]
        self.assertEqual(len(kept), 1)
        self.assertIn("$blob", kept[0]["data"]["body_blob"])

    # ---- lists ---------------------------------------------------------------------

    def test_whole_lists_stream(self):
        for i in range(0, 620, 10):
            event = meeting_event("meeting.created", "bulk-%d" % i, "bulk-%d" % i)
            event["payload"] = [meeting_event("", "", "bulk-%d" % (i + n))["payload"][0] for n in range(10)]
            self.accept(event)
        total = json.loads(self.fresh("/api/v1/meetings?limit=1").body)["pagination"]["total"]
        self.assertGreater(total, 600)
        lines = self.fresh("/api/v1/meetings", Accept="application/x-ndjson").body.splitlines()
        ids = [json.loads(line)["id"] for line in lines]
        self.assertEqual(len(ids), total)
        self.assertEqual(len(set(ids)), total)
        table = list(csv.reader(io.StringIO(self.fresh("/api/v1/meetings?fields=id", Accept="text/csv").body.decode())))
        self.assertEqual(table[0], ["id"])
        self.assertEqual(sorted(r[0] for r in table[1:]), sorted(ids))

    def test_a_page_that_did_not_change_is_304(self):
        self.accept(meeting_event("meeting.created", "etag-1", "etag"))
        path = "/api/v1/meetings?meetingId=etag"
        tag = self.fresh(path).getheader("ETag")
        again = self.server.get(path, headers={"If-None-Match": tag})
        self.assertEqual((again.status, again.body), (304, b""))

    def test_what_is_remembered_of_an_answer_ends_with_the_next_event(self):
        """A 304 without a query is right only for the same question, form and state of the rows."""
        self.accept(meeting_event("meeting.created", "known-1", "known"))
        one = "/api/v1/meetings/" + self.meeting("known")["id"]
        page = "/api/v1/meetings?meetingId=known"
        for path in one, page:
            first = self.fresh(path)
            for _ in range(4):  # the first may still be asked, the others are remembered
                again = self.server.get(path, headers={"If-None-Match": first.headers["etag"]})
                self.assertEqual((again.status, again.body, again.headers["etag"]),
                                 (304, b"", first.headers["etag"]))
                self.assertIn("lulab-position", again.headers)
            self.assertEqual(self.server.get(path, headers={"If-None-Match": 'W/"other"'}).status, 200)
            self.assertEqual(self.server.get(path, token="wrong", headers={"If-None-Match": first.headers["etag"]}).status,
                             401)
            csv_page = self.server.get(page + "&limit=5", headers={"Accept": "text/csv",
                                                                   "If-None-Match": first.headers["etag"]})
            self.assertEqual(csv_page.status, 200)
        tags = {path: self.fresh(path).headers["etag"] for path in (one, page)}
        total = json.loads(self.fresh("/api/v1/meetings").body)["pagination"]["total"]
        self.accept(meeting_event("meeting.started", "known-2", "known"))
        self.accept(meeting_event("meeting.created", "known-3", "known-other"))
        for path in one, page:
            self.fresh(path)
            changed = self.server.get(path, headers={"If-None-Match": tags[path]})
            self.assertEqual(changed.status, 200)
            self.assertNotEqual(changed.headers["etag"], tags[path])
        self.assertEqual(json.loads(self.fresh("/api/v1/meetings").body)["pagination"]["total"], total + 1)

    def test_a_kept_answer_is_the_one_that_would_be_read(self):
        """A question that comes again is answered from memory, never with rows of before an event."""
        self.accept(meeting_event("meeting.created", "kept-1", "kept"))
        paths = ["/api/v1/meetings/" + self.meeting("kept")["id"], "/api/v1/meetings?meetingId=kept&limit=5"]
        for title in "路线 1", "路线 2", "路线 3":
            self.accept(meeting_event("meeting.started", title, "kept", meeting_info={"subject": title}))
            for path in paths:
                for accept in "application/json", "text/csv":
                    read = self.fresh(path, Accept=accept)
                    self.assertIn(title, read.body.decode())
                    for _ in range(8):
                        kept = self.server.get(path, headers={"Accept": accept})
                        self.assertEqual((kept.status, kept.body), (200, read.body))
                        for name in ("etag", "content-type", "vary", "lulab-total"):
                            self.assertEqual(kept.headers.get(name), read.headers.get(name), name)
                        self.assertGreaterEqual(int(kept.headers["lulab-position"]), int(read.headers["lulab-position"]))
                    known = self.server.get(path, headers={"Accept": accept, "If-None-Match": read.headers["etag"]})
                    self.assertEqual((known.status, known.body), (304, b""))
                self.assertEqual(self.server.get(path, token="wrong").status, 401)
        self.assertEqual(self.server.get(paths[0], headers={"Lulab-Min-Position": "999999999"}).status, 503)

    def test_waiting_for_the_future_ends(self):
        answer = self.server.get("/api/v1/meetings", headers={"Lulab-Min-Position": "999999999"})
        self.assertEqual(answer.status, 503)
        self.assertTrue(answer.getheader("Retry-After"))
        for bad in ("soon", "newest!", "-1", ""):
            answer = self.server.get("/api/v1/meetings", headers={"Lulab-Min-Position": bad})
            self.assertEqual(answer.status, 400)
        for path in ("/api/v1/meetings", "/api/v1/users", "/api/v1/webhooks?limit=1"):
            self.assertEqual(self.server.get(path, headers={"Lulab-Min-Position": "newest"}).status, 200)

    def test_unknown_rows_are_404(self):
        for path in ("/api/v1/meetings/nope", "/api/v1/meetings/nope/events", "/api/v1/meetings/nope/participants",
                     "/api/v1/recordings/nope", "/api/v1/webhooks/nope", "/api/v1/events/99999999", "/meetings/nope"):
            answer = self.server.get(path)
            self.assertEqual(answer.status, 404, path)
            self.assertTrue(json.loads(answer.body)["detail"], path)

    def test_paths_that_existing_clients_use(self):
        files = [{"record_file_id": "legacy-file"}]
        self.accept(meeting_event("meeting.started", "legacy-1", "legacy"))
        self.accept(meeting_event("recording.completed", "legacy-2", "legacy", recording_files=files))
        page = json.loads(self.fresh("/meetings?limit=100").body)
        self.assertEqual(sorted(page), ["data", "limit", "page", "total", "totalPages"])
        one = [m for m in page["data"] if m["meetingId"] == "legacy"][0]
        self.assertEqual([r["externalId"] for r in one["recordings"]], ["legacy-file"])
        self.assertEqual(self.server.json("/meetings/" + one["id"]), one)
        self.assertEqual(self.server.json("/meetings/health")["service"], "meeting-service")
        missing = json.loads(self.server.get("/meetings/nope").body)
        self.assertIn("会议记录未找到: nope", json.dumps(missing, ensure_ascii=False))

    # ---- the log --------------------------------------------------------------------

    def test_events_by_position_type_and_stream(self):
        for i in range(5):
            self.accept(meeting_event("meeting.updated", "stream-%d" % i, "by-stream"))
        page = self.server.json("/api/v1/events?stream=meeting/TENCENT/by-stream&limit=2")
        self.assertEqual([e["version"] for e in page["data"]], [1, 2])
        self.assertEqual(page["pagination"]["total"], 5)
        seen = page["data"]
        while page["pagination"]["nextCursor"]:
            page = self.server.json("/api/v1/events?stream=meeting/TENCENT/by-stream&limit=2&cursor=" +
                                    page["pagination"]["nextCursor"])
            seen += page["data"]
        self.assertEqual([e["version"] for e in seen], [1, 2, 3, 4, 5])
        updated = self.server.json("/api/v1/events?type=meeting.updated&limit=2")
        self.assertTrue(all(e["type"] == "meeting.updated" for e in self.events("type=meeting.updated")))
        self.assertEqual(updated["pagination"]["total"], len(self.events("type=meeting.updated")))
        both = "/api/v1/events?type=meeting.updated&stream=meeting/TENCENT/by-stream&limit=2"
        self.assertEqual(self.server.json(both)["pagination"]["total"], 5)
        self.assertEqual(self.server.json(both + "&from=%d" % seen[3]["position"])["pagination"]["total"], 2)
        self.assertEqual(self.server.get(both, headers={"Accept": "text/csv"}).headers["Lulab-Total"], "5")
        first = self.server.json("/api/v1/events?limit=1")["data"][0]
        self.assertEqual((first["position"], first["type"]), (0, "log.created"))
        second = self.server.json("/api/v1/events?limit=1&page=2")["data"][0]
        self.assertEqual(second["position"], 1)
        self.assertEqual(self.server.get("/api/v1/events?type=meeting.nonsense").status, 400)
        lines = self.server.get("/api/v1/events?limit=3", headers={"Accept": "application/x-ndjson"}).body
        self.assertEqual([json.loads(line)["position"] for line in lines.splitlines()], [0, 1, 2])

    def test_the_stream_tells_what_comes(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        connection.request("GET", "/api/v1/events/stream?stream=meeting/TENCENT/live",
                           headers={"Authorization": "Bearer " + self.server.admin_token()})
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        self.accept(meeting_event("meeting.started", "live-0", "not-live"))
        ids = []
        for i in range(3):
            self.accept(meeting_event("meeting.started", "live-%d" % (i + 1), "live"))
            event = {}
            while "data" not in event:
                name, _, value = response.readline().decode().rstrip("\n").partition(": ")
                event[name] = value
            data = json.loads(event["data"])
            self.assertEqual(data["data"]["trace_id"], "live-%d" % (i + 1))
            self.assertEqual(event["event"], "meeting.started")
            self.assertEqual(data["position"], int(event["id"]))
            ids.append(data["position"])
        self.assertEqual(ids, sorted(set(ids)))
        connection.close()

    def test_a_proof_can_be_checked_with_what_the_server_cannot_change(self):
        self.accept(meeting_event("meeting.started", "proof-1", "proof"))
        position = self.last_position()
        proof = self.server.get("/api/v1/events/%d/proof" % position).body.decode()
        self.assertTrue(proof.startswith("c2sp.org/tlog-proof@v1\nindex %d\n" % position))
        checkpoint = proof.split("\n\n", 1)[1]
        origin, size, root = checkpoint.split("\n")[:3]
        key = self.server.get("/api/v1/checkpoint/key").body.decode()
        self.assertTrue(key.startswith(origin + "+"))
        self.assertGreater(int(size), position)
        self.assertEqual(len(base64.b64decode(root)), hashlib.sha256().digest_size)

    # ---- what the service says of itself --------------------------------------------------

    def test_metrics_are_clean(self):
        for path in ("/api/v1/meetings", "/api/v1/meetings/nope", "/api/v1/webhooks"):
            self.server.get(path)
        text = self.server.get("/metrics", token=None).body
        for name in ("http_requests_total{", "http_request_duration_seconds_bucket{", "db_queries_total{",
                     'db_queries_total{operation="select",table="meetings",outcome="answered"}',
                     'db_query_duration_seconds_bucket{table="webhooks",le="0.01"}',
                     "# TYPE db_query_duration_seconds histogram", "active_users", 'queue_length{queue_name="append"}',
                     "lulab_log_events", "lulab_log_commit_duration_seconds_bucket", "lulab_projection_lag_events"):
            self.assertIn(name, text.decode())
        delays = dict(re.findall(r'lulab_projection_delay_seconds_(count|bucket){read_model="meetings"(?:,le="\+Inf")?} (\d+)',
                                 text.decode()))
        self.assertGreaterEqual(int(delays["count"]), 1)
        self.assertEqual(delays["bucket"], delays["count"])
        for table in ("meetings", "webhooks"):  # every question is in the histogram, whatever became of it
            counts = dict(re.findall(r'db_query_duration_seconds_(count|bucket){table="%s"(?:,le="\+Inf")?} (\d+)'
                                     % table, text.decode()))
            self.assertGreaterEqual(int(counts["count"]), 1)
            self.assertEqual(counts["bucket"], counts["count"])
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not installed")
        done = subprocess.run(["promtool", "check", "metrics"], input=text, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        self.assertEqual((done.returncode, done.stdout), (0, b""))

    def test_the_document_describes_what_is_served(self):
        api = json.loads(self.server.get("/openapi.json", token=None).body)
        schemas = api["components"]["schemas"]

        def refs(node):
            if isinstance(node, dict):
                if isinstance(node.get("$ref"), str):
                    yield node["$ref"]
                for value in node.values():
                    yield from refs(value)
            elif isinstance(node, list):
                for value in node:
                    yield from refs(value)
        for ref in refs(api):
            place = api
            for part in ref.removeprefix("#/").split("/"):
                self.assertIn(part, place, ref)
                place = place[part]
        for path, operations in api["paths"].items():
            names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
            for method, operation in operations.items():
                self.assertIn(method, ("get", "post", "put", "patch", "delete"), path)
                self.assertTrue(operation["summary"], path)
                self.assertTrue({"200", "201", "202", "204", "302"} & set(operation["responses"]), path)
                given = [(p["name"], p["in"]) for p in operation["parameters"]]
                self.assertEqual(len(given), len(set(given)), path)
                self.assertEqual([n for n, where in given if where == "path"], names, path)
        self.accept(meeting_event("meeting.started", "doc-1", "doc"))
        meeting = self.meeting("doc")
        self.assertEqual(list(schemas["Meeting"]["properties"]), list(meeting))
        self.assertIn("data.meeting.started", schemas)
        # Each parameter the document names is taken, each sort order too.
        for p in api["paths"]["/api/v1/meetings"]["get"]["parameters"]:
            for value in p["schema"].get("enum", []):
                answer = self.server.get("/api/v1/meetings?%s=%s" % (p["name"], value))
                self.assertEqual(answer.status, 200, (p["name"], value, answer.body))

    def test_health_tells_of_every_part(self):
        health = json.loads(self.server.get("/health", token=None).body)
        self.assertEqual(health["status"], "ok")
        for part in ("log", "readModels", "memory", "disk"):
            self.assertIn(part, health["checks"])
        self.assertEqual(sorted(health["checks"]["readModels"]), ["attendance", "effects", "identity", "lark", "meetings", "platform_identities", "recordings",
                                                                     "storage", "summaries", "tasks", "webhooks"])
        self.assertIn("[ok] log", self.server.get("/readyz?verbose", token=None).body.decode())
        self.assertIn(b"Welcome to LULAB", self.server.get("/", token=None).body)

    def test_secrets_are_not_told_by_errors(self):
        for path in ("/api/v1/meetings?fields=nope", "/nope", "/api/v1/events/x"):
            answer = self.server.get(path, token="hunter2hunter2hunter2hunter2hunter2hunter2")
            self.assertIn(answer.status, (401, 404), path)
            self.assertNotIn(b"hunter2", answer.body)
        self.assertNotIn("hunter2", self.server.log())


class Vectors(unittest.TestCase):
    """The vendor's own requests, byte for byte, against a server with their secrets."""

    def test_every_vector(self):
        path = os.path.join(harness.ROOT, "tests", "vectors", "tencent-webhook-bodies.json")
        with open(path, encoding="utf-8") as f:
            cases = json.load(f)["cases"]
        by_secrets = {}
        for case in cases:
            secrets = (case["input"]["token"], case["input"]["encoding_aes_key"])
            by_secrets.setdefault(secrets, []).append(case)
        for (token, key), group in by_secrets.items():
            env = {"TENCENT_MEETING_TOKEN": token, "TENCENT_MEETING_ENCODING_AES_KEY": key or "",
                   "LULAB_WEBHOOK_MAX_AGE": "0"}
            with harness.Server(env=env) as server:
                for case in group:
                    answer = server.request("POST", "/webhooks/tencent", case["input"]["body"].encode(),
                                            case["input"]["headers"], token=None)
                    if case["kind"] == "rejected":
                        self.assertIn(answer.status, (400, 401), case["id"])
                    else:
                        self.assertEqual((answer.status, answer.body), (200, ACK), case["id"])
                self.check_urls(server, token, key)

    def check_urls(self, server, token, key):
        path = os.path.join(harness.ROOT, "tests", "vectors", "tencent-webhook-urlcheck.json")
        with open(path, encoding="utf-8") as f:
            cases = json.load(f)["cases"]
        for case in cases:
            given = case["input"]
            if (given["token"], given["encoding_aes_key"]) != (token, key):
                continue
            answer = server.get("/webhooks/tencent?" + given["query"], headers=given["headers"], token=None)
            if case["kind"] == "ok":
                self.assertEqual((answer.status, answer.body.decode()), (200, case["expect"]["body"]), case["id"])
            else:
                self.assertIn(answer.status, (400, 401), case["id"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
