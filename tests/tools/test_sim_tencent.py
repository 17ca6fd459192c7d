#!/usr/bin/env python3
"""The simulated Tencent Meeting is judged itself: by the vectors that the vendor's own SDK and node made, and by what
vendor-protocols says of each request."""

import base64
import hashlib
import json
import os
import sys
import unittest
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools", "sim"))
import tencent  # noqa: E402
import tencent_webhooks  # noqa: E402
import tencent_world as world  # noqa: E402
from peer import Request  # noqa: E402

VECTORS = os.path.join(ROOT, "tests", "vectors")
AS = "operator_id=zhang.wei&operator_id_type=1"


def cases(name, *kinds):
    with open(os.path.join(VECTORS, name + ".json"), encoding="utf-8") as f:
        return [c for c in json.load(f)["cases"] if not kinds or c["kind"] in kinds]


class Signature(unittest.TestCase):
    def asked(self, given, headers, clock=None, **changed):
        vendor = tencent.Tencent(options={n: given[n] for n in ("secret_id", "secret_key", "app_id", "sdk_id")})
        vendor.clock = lambda: clock or int(given["timestamp"])
        what = dict(given, **changed)
        headers = {n.lower(): v for n, v in headers.items() if v is not None}
        return vendor, Request(what["method"], what["uri"], headers, what["body"].encode())

    def test_what_the_vendors_sdk_signs_is_taken_once(self):
        for case in cases("tencent-rest-signature"):
            with self.subTest(case["id"]):
                vendor, request = self.asked(case["input"], case["expect"]["headers"])
                self.assertEqual(vendor.judge(request), (None, None))
                self.assertEqual(vendor.judge(request)[0], 190301)

    def test_what_is_changed_is_not(self):
        for case in cases("tencent-rest-signature"):
            given, good = case["input"], case["expect"]["headers"]
            at = int(given["timestamp"])
            for says, code, headers, more in (
                    ("another path", 200003, {}, {"uri": given["uri"] + "x"}),
                    ("another body", 200003, {}, {"body": given["body"] + " "}),
                    ("another method", 200003, {}, {"method": "PATCH"}),
                    ("another nonce", 200003, {"X-TC-Nonce": "77"}, {}),
                    ("no signature", 200001, {"X-TC-Signature": None}, {}),
                    ("bytes for a signature", 200003, {"X-TC-Signature": "\xff\xfe"}, {}),
                    ("an empty SdkId", 190303, {"SdkId": ""}, {}),
                    ("a stranger", 190303, {"X-TC-Key": "AKIDother"}, {}),
                    ("another application", 190303, {"AppId": "1"}, {}),
                    ("not registered", 200001, {"X-TC-Registered": "0"}, {}),
                    ("a nonce of letters", 190004, {"X-TC-Nonce": "abc"}, {}),
                    ("an hour ago", 190300, {}, {"clock": at + 3600}),
                    ("in an hour", 190300, {}, {"clock": at - 3600})):
                with self.subTest(case=case["id"], says=says):
                    vendor, request = self.asked(given, {**good, **headers}, **more)
                    self.assertEqual(vendor.judge(request)[0], code)

    def test_an_sdk_id_that_was_not_assigned_stays_away(self):
        case = cases("tencent-rest-signature")[0]
        vendor, request = self.asked({**case["input"], "sdk_id": ""}, {**case["expect"]["headers"], "SdkId": None})
        self.assertEqual(vendor.judge(request), (None, None))

    def test_webhooks(self):
        for case in cases("tencent-webhook-signature", "valid"):
            given = case["input"]
            with self.subTest(case["id"]):
                self.assertEqual(tencent_webhooks.sign_webhook(given["token"], given["timestamp"], given["nonce"], given["data"]),
                                 given["signature"])
        for case in cases("tencent-webhook-aes", "decrypt-ok"):
            with self.subTest(case["id"]):
                self.assertEqual(tencent_webhooks.encrypted(case["expect"]["plaintext_utf8"].encode(),
                                                            case["input"]["encoding_aes_key"]), case["input"]["data"])


class Rest(unittest.TestCase):
    def setUp(self):
        self.vendor = tencent.Tencent(options={"paragraphs_max": "5"})
        self.vendor.url, self.n, self.at = "http://127.0.0.1:1", 0, 1767050000
        self.vendor.clock = lambda: self.at

    def tearDown(self):
        self.assertEqual(self.vendor.crashes, [])

    def meeting(self, **more):
        return self.vendor.command("meeting", {"people": [*world.PEOPLE, {"user_name": "客人", "visits": 3}], **more})

    def ask(self, target, method="GET", body=b"", headers=None):
        self.n += 1
        o = self.vendor.option
        signed = {"content-type": "application/json", "x-tc-key": o["secret_id"], "x-tc-timestamp": str(self.at),
                  "x-tc-nonce": str(self.n), "appid": o["app_id"], "sdkid": o["sdk_id"], "x-tc-registered": "1",
                  "x-tc-signature": tencent.sign_request(o["secret_id"], o["secret_key"], method, target, body, self.n, self.at)}
        request = Request(method, target, {**signed, **(headers or {})}, body)
        return self.vendor.judged(request, self.vendor.op(request))

    def told(self, target, **more):
        answer = self.ask(target, **more)
        self.assertEqual(answer.status, 200, answer.body)
        return json.loads(answer.body)

    def code(self, target, **more):
        answer = self.ask(target, **more)
        self.assertEqual(answer.status, 400, answer.body)
        info = json.loads(answer.body)["error_info"]
        return info["new_error_code"] or info["error_code"]

    def test_a_meeting(self):
        made = self.meeting()
        told = self.told("/v1/meetings/%s?%s&instanceid=1" % (made["meeting_id"], AS))["meeting_info_list"][0]
        self.assertEqual((told["subject"], told["status"], told["hosts"][0]["userid"]),
                         ("季度预算评审会", "MEETING_STATE_ENDED", "zhang.wei"))
        for target, code in (("/v1/meetings/%s?%s" % (made["meeting_id"], AS), 10001),
                             ("/v1/meetings/%s?instanceid=1" % made["meeting_id"], 10001),
                             ("/v1/meetings/%s?operator_id=undefined&operator_id_type=1&instanceid=1" % made["meeting_id"], 10001),
                             ("/v1/meetings/%s?operator_id=nobody&operator_id_type=1&instanceid=1" % made["meeting_id"], 20001),
                             ("/v1/meetings/12?%s&instanceid=1" % AS, 9003), ("/v1/meetings/x?%s&instanceid=1" % AS, 9002)):
            with self.subTest(target=target):
                self.assertEqual(self.code(target), code)
        self.assertEqual(self.ask("/v1/nothing").status, 404)
        self.assertTrue(all(r["why"] for r in self.vendor.refused))

    def test_participants_come_in_pages_one_row_a_visit(self):
        target = "/v1/meetings/%s/participants?%s&size=2&pos=" % (self.meeting()["meeting_id"], AS)
        rows, pos, more = [], 0, True
        while more:
            page = self.told(target + str(pos))
            rows, pos, more = rows + page["participants"], page["next_pos"], page["has_remaining"]
        self.assertEqual(page["total_count"], len(rows))
        names = [base64.b64decode(r["user_name"]).decode() for r in rows]
        self.assertEqual({n: names.count(n) for n in names}, {"张伟": 1, "李娜": 1, "王芳": 1, "客人": 3})
        guests = [r for r in rows if "userid" not in r]
        self.assertEqual({(r["uuid"], r["user_role"]) for r in guests}, {(guests[0]["uuid"], 4)})
        for before, after in zip(guests, guests[1:]):
            self.assertLess(int(before["left_time"]), int(after["join_time"]))
        wanted = hashlib.sha256(("13800000001/" + self.vendor.option["secret_id"]).encode()).hexdigest()
        self.assertEqual(rows[0]["phone"], wanted)

    def test_who_may_ask_for_participants(self):
        made = self.meeting(sub_meeting_id="1767000000")
        target = "/v1/meetings/%s/participants?" % made["meeting_id"]
        self.assertEqual(self.code(target + AS), 10001)  # the occurrence is not told
        self.told(target + AS + "&sub_meeting_id=1767000000")
        self.assertEqual(self.code(target + "sub_meeting_id=1767000000&operator_id=li.na&operator_id_type=1"), 9042)
        self.assertEqual(self.code(target + AS + "&sub_meeting_id=1767000000&size=101"), 10001)

    def test_lists_of_recordings(self):
        for _ in range(3):
            made = self.meeting(recordings=2)
        span = "&start_time=%d&end_time=%d" % (self.at - 86400, self.at)
        page = self.told("/v1/records?%s%s&page=2&page_size=2" % (AS, span))
        self.assertEqual((page["total_count"], page["total_page"], page["current_page"], page["current_size"]), (3, 2, 2, 1))
        self.assertEqual([f["record_file_id"] for f in page["record_meetings"][0]["record_files"]],
                         [f["record_file_id"] for f in made["record_files"]])
        self.assertEqual(self.code("/v1/records?%s&start_time=1&end_time=%d" % (AS, self.at)), 10001)
        self.assertEqual(self.code("/v1/records?%s%s&page_size=21" % (AS, span)), 10001)
        for _ in range(10):
            page = self.told("/v1/corp/records?%s%s" % (AS, span))
        self.assertIn("download_address", page["record_meetings"][0]["record_files"][0])
        self.assertEqual(self.code("/v1/corp/records?%s%s" % (AS, span)), 190310)
        self.at += 61
        self.told("/v1/corp/records?%s%s" % (AS, span))

    def test_what_is_made_later_is_not_there_at_first(self):
        made = self.meeting(not_ready=2)
        file = made["record_files"][0]["record_file_id"]
        for target in ("/v1/addresses/%s?%s" % (file, AS), "/v1/smart/fullsummary?record_file_id=%s&%s" % (file, AS),
                       "/v1/smart/minutes/%s?%s" % (file, AS), "/v1/smart/topics?record_file_id=%s&%s" % (file, AS),
                       "/v1/records/transcripts/details?record_file_id=%s&%s" % (file, AS)):
            with self.subTest(target=target):
                first, second = self.ask(target), self.ask(target)
                self.assertEqual((first.status, first.body, second.status), (200, b"", 400))
                self.told(target)
        self.assertEqual(self.vendor.refused, [])

    def test_a_transcript_comes_in_pages(self):
        made = self.meeting(paragraphs=12, speakers_pending=1)
        target = "/v1/records/transcripts/details?record_file_id=%s&%s" % (made["record_files"][0]["record_file_id"], AS)
        first = self.told(target)["minutes"]
        self.assertEqual((first["audio_detect"], first["paragraphs"][0]["speaker_info"]["username"]), (0, ""))
        found, pid, more = [], 0, True
        while more:
            page = self.told(target + "&pid=%d&limit=7" % pid)
            self.assertLessEqual(len(page["minutes"]["paragraphs"]), 5)  # as many as there may be
            found, more = found + page["minutes"]["paragraphs"], page["more"]
            pid = int(found[-1]["pid"]) + 1
        self.assertEqual([p["pid"] for p in found], [str(i) for i in range(12)])
        words = [w for p in found for s in p["sentences"] for w in s["words"]]
        self.assertEqual([w["wid"] for w in words], [str(i) for i in range(len(words))])
        self.assertEqual({p["speaker_info"]["username"] for p in found}, {"张伟", "李娜", "王芳"})
        self.assertEqual(self.code(target + "&page=1"), 10001)
        hit = self.told("/v1/records/transcripts/search?record_file_id=%s&%s&text=%s" % (
            made["record_files"][0]["record_file_id"], AS, urllib.parse.quote("差旅费")))
        self.assertEqual((len(hit["hits"]), hit["hits"][0]["length"]), (1, 3))

    def test_what_a_model_made(self):
        file = self.meeting()["record_files"][0]["record_file_id"]
        told = self.told("/v1/smart/fullsummary?record_file_id=%s&%s" % (file, AS))
        self.assertEqual(base64.b64decode(told["ai_summary"]).decode(), world.SUMMARY)
        told = self.told("/v1/smart/minutes/%s?%s&text_type=2" % (file, AS))["meeting_minute"]
        self.assertTrue(told["minute"].startswith("## 会议纪要\\n"), told)
        self.assertIn("王芳", told["todo"])
        told = self.told("/v1/smart/topics?record_file_id=%s&%s" % (file, AS))["ai_topic_list"]
        self.assertEqual([base64.b64decode(t["topic_name"]).decode() for t in told], ["季度预算", "新版本发布"])
        self.assertEqual(len(self.told("/v1/smart/speakers?record_file_id=%s&%s" % (file, AS))["speaker_list"]), 3)
        self.assertEqual(len(self.told("/v1/smart/chapters?record_file_id=%s&%s" % (file, AS))["chapter_list"]), 2)

    def test_people(self):
        self.assertEqual(self.told("/v1/users/li.na?" + AS)["username"], "李娜")
        self.assertEqual(self.code("/v1/users/nobody?" + AS), 20001)
        page = self.told("/v1/users/list?page=2&page_size=2&" + AS)
        self.assertEqual((page["total_count"], len(page["users"])), (3, 1))
        self.assertEqual(self.told("/v1/users?uuid=%s&%s" % (page["users"][0]["uuid"], AS)), page["users"][0])
        self.assertEqual(self.told("/v1/users/open-id-to-userid", method="POST", body=b'{"open_id_list":[]}'), {"userid_list": []})
        self.assertEqual(self.code("/v1/users/open-id-to-userid", method="POST", body=b"{"), 200005)
        before = self.told("/v1/history/meetings/li.na?" + AS)["total_count"]
        self.meeting()
        self.assertEqual(self.told("/v1/history/meetings/li.na?" + AS)["total_count"], before + 1)

    # ---- files ----

    def file(self, size=3 * world.PIECE + 100, **headers):
        made = self.meeting(size=size)
        told = self.told("/v1/addresses/%s?userid=zhang.wei" % made["record_files"][0]["record_file_id"])
        return told["download_address"].partition("127.0.0.1:1")[2]

    def bytes(self, target, method="GET", **headers):
        request = Request(method, target, {n.replace("_", "-"): v for n, v in headers.items()}, b"")
        answer = self.vendor.judged(request, self.vendor.op(request))
        answer.bytes = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
        answer.headers = dict(answer.headers)
        return answer

    def test_parts_of_a_file_make_the_whole(self):
        target = self.file()
        whole = self.bytes(target)
        size = 3 * world.PIECE + 100
        self.assertEqual((whole.status, len(whole.bytes), whole.headers["Content-Length"]), (200, size, str(size)))
        cuts = [0, 1, world.PIECE - 1, world.PIECE + 5, 2 * world.PIECE, size]
        parts = [self.bytes(target, range="bytes=%d-%d" % (a, b - 1)) for a, b in zip(cuts, cuts[1:])]
        self.assertEqual({p.status for p in parts}, {206})
        self.assertEqual(b"".join(p.bytes for p in parts), whole.bytes)
        self.assertEqual(hashlib.sha256(whole.bytes).hexdigest(), list(self.vendor.files.values())[-1].video.sha256())
        etag = whole.headers["ETag"]
        for says, headers, status, n in (
                ("the rest", {"range": "bytes=100-"}, 206, size - 100),
                ("the end", {"range": "bytes=-7"}, 206, 7),
                ("past the end", {"range": "bytes=%d-" % size}, 416, 0),
                ("more than there is", {"range": "bytes=%d-%d" % (size - 2, size + 9)}, 206, 2),
                ("of this version", {"range": "bytes=0-9", "if_range": etag}, 206, 10),
                ("of another version", {"range": "bytes=0-9", "if_range": '"x"'}, 200, size),
                ("nonsense", {"range": "bytes=-"}, 200, size),
                ("had already", {"if_none_match": etag}, 304, 0),
                ("of another", {"if_match": '"x"'}, 412, 0)):
            with self.subTest(says):
                answer = self.bytes(target, **headers)
                self.assertEqual((answer.status, len(answer.bytes)), (status, n))

    def test_an_address_ends(self):
        target = self.file()
        self.assertEqual(self.bytes(target.replace("sign=", "sign=\xff0")).status, 403)
        self.assertEqual(self.bytes(target.replace("until=1", "until=2")).status, 403)
        self.assertEqual(self.bytes(target.partition("?")[0]).status, 403)
        self.assertEqual(self.bytes(target, method="POST").status, 405)
        self.at += 6 * 3600 + 1
        self.assertEqual(self.bytes(target).status, 403)
        target = self.file()
        self.assertEqual(self.bytes(target).status, 200)
        self.vendor.command("expire", {})
        self.assertEqual(self.bytes(target).status, 403)

    def test_what_is_deleted_is_gone(self):
        target, file = self.file(), list(self.vendor.files)[-1]
        self.vendor.command("erase", {"record_file_id": file})
        self.assertEqual(self.bytes(target).status, 404)
        self.assertEqual(self.code("/v1/addresses/%s?%s" % (file, AS)), 4051)

    def test_the_clip_and_its_documents(self):
        made = self.meeting()
        told = self.told("/v1/addresses/%s?%s" % (made["record_files"][0]["record_file_id"], AS))
        for address, begins in ((told["download_address"], b"\0\0\0"), (told["audio_address"], b"\0\0\0"),
                                (told["meeting_summary"][0]["download_address"], world.SUMMARY.encode()),
                                (told["ai_meeting_transcripts"][0]["download_address"], "张伟：大家好".encode()),
                                (told["ai_minutes"][0]["download_address"], "## 会议纪要".encode())):
            answer = self.bytes(address.partition("127.0.0.1:1")[2])
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.bytes.startswith(begins))
        self.assertEqual(made["record_files"][0]["size"], os.path.getsize(os.path.join(ROOT, "tools", "sim", "meeting.mp4")))


if __name__ == "__main__":
    unittest.main()
