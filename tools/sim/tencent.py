"""Tencent Meeting: REST, the files of recordings, and the webhooks it sends (vendor-protocols 1).

Every request is judged as the vendor does: the headers, the time, the nonce, the signature over the bytes as they came,
then each parameter. What the samples of examples/webhooks tell of is there from the beginning. Commands:

    POST /tencent/meeting   a whole meeting, made and played. All optional: webhook (URL; without one nothing is sent),
        meeting_id, sub_meeting_id, subject, minutes, people [{userid, user_name, email, phone, visits, instance_id}],
        ago_s (how long it is over), recordings, size (bytes of a video; without: a real, short clip), paragraphs,
        not_ready (how often each thing made after the meeting is asked for in vain), speakers_pending, events (only these),
        pace (s between two), repeats_s, unlisted (userids whom the list of participants leaves out),
        transcript (false: none is ever made), clip (path of another video than the short one),
        pause (an event: it and what follows wait)
    POST /tencent/go_on     {"meeting_id"}                 what waits since the pause
    POST /tencent/send      {"webhook", "event": {...}}    one event, signed and encrypted
    POST /tencent/check     {"webhook"}                    the check of an address
    POST /tencent/expire    {}                             all addresses handed out end now
    POST /tencent/erase     {"record_file_id"}             a recording is deleted
"""

import base64
import hashlib
import hmac
import re
import urllib.parse

import frame
import tencent_world as world
from frame import Answer
from peer import ranged
from tencent_webhooks import Webhooks

CLOCK_OFF_S = 300
ADDRESS_LIFE_S = 6 * 3600
SPAN_S = 31 * 86400
CORP_PER_MINUTE = 10
MESSAGES = {190300: "timestamp expired", 190301: "replay request", 190303: "secret id or app id or sdk id unknown",
            190310: "api call frequency exceeded", 200001: "missing header", 200003: "signature invalid", 200005: "body is not json",
            200006: "bad parameter", 190004: "bad parameter", 10001: "invalid parameter", 9002: "bad meeting id", 9003: "MEETING NOT EXIST",
            9042: "no permission", 9061: "meeting query too frequent", 20001: "user does not exist", 4051: "record deleted", 10000: "internal error",
            400012: "generating"}

ROUTES = []


def route(method, pattern, op):
    """A path of the vendor; groups of the pattern are passed on, decoded."""
    def keep(function):
        ROUTES.append((method, re.compile(pattern + r"\Z"), op, function))
        return function
    return keep


def sign_request(secret_id, secret_key, method, target, body, nonce, timestamp):
    text = "%s\nX-TC-Key=%s&X-TC-Nonce=%s&X-TC-Timestamp=%s\n%s\n" % (method, secret_id, nonce, timestamp, target)
    return base64.b64encode(hmac.new(secret_key.encode(), text.encode() + body, hashlib.sha256).hexdigest().encode()).decode()


class Tencent(Webhooks, frame.Vendor):
    name = "tencent"
    ops = {"meeting": "GET /v1/meetings/{id}", "participants": "GET /v1/meetings/{id}/participants", "records": "GET /v1/records",
           "corp_records": "GET /v1/corp/records", "address": "GET /v1/addresses/{file}", "addresses": "GET /v1/addresses",
           "transcript": "GET /v1/records/transcripts/details", "paragraphs": "GET /v1/records/transcripts/paragraphs",
           "search": "GET /v1/records/transcripts/search", "summary": "GET /v1/smart/fullsummary",
           "minutes": "GET /v1/smart/minutes/{file}", "topics": "GET /v1/smart/topics", "chapters": "GET /v1/smart/chapters",
           "speakers": "GET /v1/smart/speakers", "user": "GET /v1/users/{id}", "users": "GET /v1/users/list",
           "open_ids": "POST /v1/users/open-id-to-userid", "history": "GET /v1/history/meetings/{userid}",
           "file": "what an address leads to"}
    sends = {"webhook": "an event"}
    # paragraphs_max: how many a page of a transcript has at most, where no limit is asked for; 0 = all of them.
    # limit_code: of the fault `limit`; 190310 lasts until the minute is over, 9061 a moment.
    options = {"secret_id": "AKIDsimulated0000000001", "secret_key": "simulatedSecretKey000001", "app_id": "200000001",
               "sdk_id": "10000000001", "token": "SimulatedToken0000000001",
               "aes_key": "c2ltdWxhdGVkLXRlbmNlbnQtbWVldGluZy1hZXMtaz0", "paragraphs_max": "0", "limit_code": "190310"}

    def started(self):
        known = world.people_of_samples()
        uuids = {p["userid"]: uuid for uuid, p in known.items()}
        self.people = {p["userid"]: world.Person(i, **p, uuid=uuids.get(p["userid"])) for i, p in enumerate(world.PEOPLE)}
        self.sample_people = [self.people.get(p["userid"]) or world.Person(
            i, p["userid"], p["user_name"], instance_id=int(p["instance_id"]), uuid=uuid) for i, (uuid, p) in enumerate(known.items())]
        self.meetings, self.occurrences, self.files, self.rest = {}, {}, {}, {}
        self.nonces, self.corp_calls = {}, []
        self.address_key, self.last_until, self.expired_until = b"address of the simulator", 0, 0
        self.keep_samples()

    def settings(self):
        return {"TENCENT_MEETING_SECRET_ID": self.option["secret_id"], "TENCENT_MEETING_SECRET_KEY": self.option["secret_key"],
                "TENCENT_MEETING_APP_ID": self.option["app_id"], "TENCENT_MEETING_SDK_ID": self.option["sdk_id"],
                "TENCENT_MEETING_TOKEN": self.option["token"], "TENCENT_MEETING_ENCODING_AES_KEY": self.option["aes_key"],
                "TENCENT_MEETING_BASE_URL": self.url, "USER_ID": "zhang.wei",
                "LULAB_FETCH_ADDRESSES": "127.0.0.1"}

    # ---- who asks, and is it allowed ----

    def found(self, request):
        for method, pattern, op, function in ROUTES:
            match = pattern.match(request.path)
            if match and method == request.method:
                return op, function, [urllib.parse.unquote(g) for g in match.groups()]
        return None, None, None

    def op(self, request):
        return "file" if request.path.startswith("/files/") else self.found(request)[0]

    def handle(self, request):
        if request.path.startswith("/files/"):
            return self.file(request)
        code, why = self.judge(request)
        if code:
            self.no(code, why)
        op, function, arguments = self.found(request)
        if function is None:
            self.refuse(Answer(404, body={"error_info": {"error_code": 10001, "new_error_code": 10001, "message": "no such api"}}),
                        "no such path")
        return function(self, request, *arguments)

    def no(self, code, why=None):
        self.refuse(self.error(code), why or MESSAGES[code])

    @staticmethod
    def error(code, status=400):
        # Old codes stand in one member and new ones in both, as with the vendor.
        return Answer(status, {"X-Tc-Trace": "sim-%d" % code}, {"error_info": {
            "error_code": code, "new_error_code": code if code >= 100000 else 0, "message": MESSAGES[code]}})

    def failed(self, request):
        if request.path.startswith("/files/"):
            return Answer(503, {"Content-Type": "application/xml"}, "<Error><Code>ServiceUnavailable</Code></Error>")
        return self.error(10000, 500)

    def limited(self, request):
        if request.path.startswith("/files/"):
            return Answer(503, {"Content-Type": "application/xml", "Retry-After": "1"}, "<Error><Code>SlowDown</Code></Error>")
        return self.error(int(self.option["limit_code"]))

    def judge(self, request):
        """(code, why) of what is wrong with its headers, or (None, None)."""
        h = request.headers
        for name in ("x-tc-key", "x-tc-timestamp", "x-tc-nonce", "x-tc-signature", "appid", "x-tc-registered", "content-type"):
            if not h.get(name):
                return 200001, "header %s is missing" % name
        if h["content-type"].partition(";")[0].strip() != "application/json" or h["x-tc-registered"] != "1":
            return 200001, "Content-Type or X-TC-Registered is another"
        if h["x-tc-key"] != self.option["secret_id"] or h["appid"] != self.option["app_id"]:
            return 190303, "X-TC-Key or AppId is unknown"
        if "sdkid" in h and h["sdkid"] != self.option["sdk_id"] or "sdkid" not in h and self.option["sdk_id"]:
            return 190303, "SdkId is not the one assigned"
        if not re.fullmatch(r"[1-9][0-9]{0,18}", h["x-tc-nonce"]) or not re.fullmatch(r"[0-9]{1,12}", h["x-tc-timestamp"]):
            return 190004, "nonce or timestamp is no number"
        now = self.clock()
        if abs(now - int(h["x-tc-timestamp"])) > CLOCK_OFF_S:
            return 190300, "the clock is off by %d s" % (now - int(h["x-tc-timestamp"]))
        wanted = sign_request(self.option["secret_id"], self.option["secret_key"], request.method, request.target,
                              request.body, h["x-tc-nonce"], h["x-tc-timestamp"])
        if not hmac.compare_digest(wanted.encode(), h["x-tc-signature"].encode()):
            return 200003, "the signature is not that of %s %s" % (request.method, request.target)
        for used in [n for n, at in self.nonces.items() if now - at > CLOCK_OFF_S]:
            del self.nonces[used]
        once = (h["x-tc-timestamp"], h["x-tc-nonce"])
        if once in self.nonces:
            return 190301, "this nonce was used before"
        self.nonces[once] = now
        if request.body and request.json() is None:
            return 200005, "the body is not JSON"
        return None, None

    def number(self, request, name, default, least, most):
        text = request.arg(name)
        if text is None and default is not None:
            return default
        if text is None or not re.fullmatch(r"-?[0-9]{1,18}", text) or not least <= int(text) <= most:
            self.no(10001, "%s is %s, and not a number from %d to %d" % (name, text, least, most))
        return int(text)

    def operator(self, request, old=False):
        """The user in whose name is asked; old: may also be told as userid."""
        for name, value in request.query:
            if value in ("", "undefined", "null"):
                self.no(10001, "%s is '%s': what is absent is left out" % (name, value))
        who = request.arg("operator_id")
        if who is None and old and request.arg("userid") is not None:
            who = request.arg("userid")
        elif who is None:
            self.no(10001, "operator_id is missing")
        elif self.number(request, "operator_id_type", None, 1, 4) != 1:
            self.no(20001, "only userids are known here")
        if who not in self.people:
            self.no(20001, "nobody is called %s" % who)
        return who

    def meeting(self, meeting_id):
        if not re.fullmatch(r"[0-9]{1,20}", meeting_id):
            self.no(9002)
        if meeting_id not in self.meetings:
            self.no(9003)
        return self.meetings[meeting_id]

    def recording(self, file_id, op, meeting_id=None):
        """One that can be read; a thing made later (op) may not be there yet."""
        if file_id is None:
            self.no(10001, "record_file_id is missing")
        if file_id not in self.files or meeting_id not in (None, self.files[file_id].meeting.id):
            self.no(10001, "there is no recording %s" % file_id)
        recording = self.files[file_id]
        if recording.deleted:
            self.no(4051)
        left = recording.not_ready.get(op, 0)
        if left > 0 or recording.state != 3 or op in recording.never_made:
            recording.not_ready[op] = left - 1
            # Some are empty and some an error: nothing of it says more than "later".
            self.refuse(self.error(400012) if left % 2 else Answer(200))
        return recording

    def paged(self, request, rows, size_max, size_default):
        """Of a list with page and page_size: the rows, page, number of pages."""
        page = self.number(request, "page", 1, 1, 1 << 31)
        size = self.number(request, "page_size", size_default, 1, size_max)
        return rows[(page - 1) * size:page * size], page, -(-len(rows) // size)

    # ---- meetings and people ----

    @route("GET", r"/v1/meetings/([^/]+)", "meeting")
    def get_meeting(self, request, meeting_id):
        self.operator(request, old=True)
        self.number(request, "instanceid", None, 0, 100)
        meeting = self.meeting(meeting_id)
        return Answer(body=meeting.detail([m for (id, _), m in self.occurrences.items() if id == meeting_id]))

    @route("GET", r"/v1/meetings/([^/]+)/participants", "participants")
    def get_participants(self, request, meeting_id):
        who, meeting = self.operator(request, old=True), self.meeting(meeting_id)
        if who != meeting.creator.userid:
            self.no(9042, "%s is not the creator" % who)
        if meeting.sub_meeting_id:
            meeting = self.occurrences.get((meeting_id, request.arg("sub_meeting_id")))
        if meeting is None:
            self.no(10001, "sub_meeting_id is not that of an occurrence")
        pos, size = self.number(request, "pos", 0, 0, 1 << 31), self.number(request, "size", 20, 1, 100)
        rows = meeting.participants(self.option["secret_id"])
        more = pos + size < len(rows)
        return Answer(body={"meeting_id": meeting.id, "meeting_code": meeting.code, "subject": meeting.subject,
                            "schedule_start_time": str(meeting.start_s), "schedule_end_time": str(meeting.end_s),
                            "participants": rows[pos:pos + size], "has_remaining": more,
                            "next_pos": pos + size if more else 0, "total_count": len(rows)})

    @route("GET", r"/v1/users/list", "users")
    def get_users(self, request):
        self.operator(request)
        rows, page, _ = self.paged(request, [p.as_user() for p in self.people.values()], 20, 10)
        return Answer(body={"total_count": len(self.people), "current_size": len(rows), "current_page": page,
                            "page_size": self.number(request, "page_size", 10, 1, 20), "users": rows})

    @route("GET", r"/v1/users/([^/]+)", "user")
    def get_user(self, request, userid):
        self.operator(request)
        if userid not in self.people:
            self.no(20001)
        return Answer(body=self.people[userid].as_user())

    @route("GET", r"/v1/users", "user")
    def get_user_by_uuid(self, request):
        self.operator(request)
        found = [p for p in self.people.values() if p.uuid == request.arg("uuid")]
        if not found:
            self.no(20001)
        return Answer(body=found[0].as_user())

    @route("POST", r"/v1/users/open-id-to-userid", "open_ids")
    def post_open_ids(self, request):
        body = request.json()
        if not isinstance(body, dict) or not isinstance(body.get("open_id_list"), list):
            self.no(200006, "open_id_list is missing")
        return Answer(body={"userid_list": []})

    @route("GET", r"/v1/history/meetings/([^/]+)", "history")
    def get_history(self, request, userid):
        if userid not in self.people:
            self.no(20001)
        ended = [m for m in self.occurrences.values() if m.status == "MEETING_STATE_ENDED"
                 and userid in [p.userid for p in m.people]]
        rows, page, pages = self.paged(request, ended, 20, 20)
        return Answer(body={"total_count": len(ended), "current_size": len(rows), "current_page": page, "total_page": pages,
                            "meeting_info_list": [{"meeting_id": m.id, "meeting_code": m.code, "subject": m.subject,
                                                   "type": 0, "sub_meeting_id": m.sub_meeting_id,
                                                   "start_time": str(m.start_s), "end_time": str(m.end_s)} for m in rows]})

    # ---- recordings ----

    def records(self, request, host_name, full):
        start = self.number(request, "start_time", None, 0, 1 << 40)
        end = self.number(request, "end_time", None, start, start + SPAN_S)
        by = {}
        for r in self.files.values():
            if start <= r.meeting.start_s <= end and not r.deleted and request.arg("meeting_id") in (None, r.meeting.id):
                by.setdefault(r.record_id, []).append(r)
        rows, page, pages = self.paged(request, list(by.values()), 20, 10)
        told = []
        for files in rows:
            m = files[0].meeting
            told.append({"meeting_record_id": files[0].record_id, "meeting_id": m.id, "meeting_code": m.code,
                         host_name: m.creator.userid, "media_start_time": m.start_s * 1000, "subject": m.subject,
                         "state": files[0].state, "record_type": 0})
            if files[0].state == 3:
                told[-1]["record_files"] = [dict(f.in_list(), **(self.links(f) if full else {})) for f in files]
        return Answer(body={"total_count": len(by), "current_size": len(rows), "current_page": page, "total_page": pages,
                            "record_meetings": told})

    @route("GET", r"/v1/records", "records")
    def get_records(self, request):
        self.operator(request)
        return self.records(request, "host_user_id", False)

    @route("GET", r"/v1/corp/records", "corp_records")
    def get_corp_records(self, request):
        self.operator(request)
        self.corp_calls = [t for t in self.corp_calls if self.clock() - t < 60]
        if len(self.corp_calls) >= CORP_PER_MINUTE:
            self.no(190310)
        self.corp_calls.append(self.clock())
        return self.records(request, "userid", True)

    def address_of(self, name):
        # Each ends after those before, so that those before can be ended.
        self.last_until = max(int((self.clock() + ADDRESS_LIFE_S) * 1000), self.last_until + 1)
        until = str(self.last_until)
        proof = hmac.new(self.address_key, ("%s %s" % (name, until)).encode(), hashlib.sha256).hexdigest()
        return "%s/files/%s?until=%s&sign=%s" % (self.url, name, until, proof)

    def links(self, r):
        return {"view_address": "https://meeting.tencent.com/crm/sim-" + r.id,
                "download_address": self.address_of("%s/video.mp4" % r.id), "download_address_file_type": "mp4"}

    def addresses(self, r):
        documents = {n: [{"download_address": self.address_of("%s/%s" % (r.id, n)), "file_type": n.rpartition(".")[2]}]
                     for n in r.documents()}
        told = dict(self.links(r), record_file_id=r.id, meeting_id=r.meeting.id, meeting_code=r.meeting.code,
                    meeting_summary=documents["summary.txt"], ai_meeting_transcripts=documents["transcript.txt"],
                    ai_minutes=documents["minutes.md"], record_name=r.meeting.subject, meeting_record_name=r.meeting.subject,
                    start_time=str(r.meeting.start_s * 1000), end_time=str(r.meeting.end_s * 1000))
        if r.audio:
            told.update(audio_address=self.address_of("%s/audio.m4a" % r.id), audio_address_file_type="m4a")
        return told

    @route("GET", r"/v1/addresses/([^/]+)", "address")
    def get_address(self, request, file_id):
        self.operator(request, old=True)
        return Answer(body=self.addresses(self.recording(file_id, "address")))

    @route("GET", r"/v1/addresses", "addresses")
    def get_addresses(self, request):
        self.operator(request, old=True)
        some = [r for r in self.files.values() if r.record_id == request.arg("meeting_record_id") and not r.deleted]
        if not some:
            self.no(10001, "meeting_record_id is unknown")
        rows, page, pages = self.paged(request, some, 50, 10)
        return Answer(body={"total_count": len(some), "current_size": len(rows), "current_page": page, "total_page": pages,
                            "meeting_record_id": some[0].record_id, "meeting_id": some[0].meeting.id,
                            "record_files": [self.addresses(r) for r in rows]})

    def file(self, request):
        """The bytes of a recording, in parts if so asked, from where the vendor's addresses lead."""
        match = re.fullmatch(r"/files/([0-9]+)/([a-z]+\.[a-z0-9]+)", request.path)
        until, proof = request.arg("until") or "", request.arg("sign") or ""
        xml = {"Content-Type": "application/xml"}
        if request.method not in ("GET", "HEAD"):
            self.refuse(Answer(405, {"Allow": "GET, HEAD"}), "only GET and HEAD")
        if not match or match.group(1) not in self.files:
            self.refuse(Answer(404, xml, "<Error><Code>NoSuchKey</Code></Error>"), "no such file")
        wanted = hmac.new(self.address_key, ("%s/%s %s" % (*match.groups(), until)).encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted.encode(), proof.encode()) or int(until) <= max(self.clock() * 1000, self.expired_until):
            self.refuse(Answer(403, xml, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"),
                        "the address has expired, or is not ours")
        r, name = self.files[match.group(1)], match.group(2)
        if r.deleted:
            self.refuse(Answer(404, xml, "<Error><Code>NoSuchKey</Code></Error>"), "deleted")
        if name in ("video.mp4", "audio.m4a") and (r.audio or name == "video.mp4"):
            return ranged(request, r.video if name == "video.mp4" else r.audio, "video/mp4" if name == "video.mp4" else "audio/mp4")
        if name not in r.documents():
            self.refuse(Answer(404, xml, "<Error><Code>NoSuchKey</Code></Error>"), "no such file")
        return Answer(200, {"Content-Type": "text/plain; charset=utf-8"}, r.documents()[name])

    # ---- what was said, and what a model made of it ----

    @route("GET", r"/v1/records/transcripts/details", "transcript")
    def get_transcript(self, request):
        self.operator(request)
        for name in ("page", "page_size"):
            if request.arg(name) is not None:
                self.no(10001, "there is no %s; pid and limit are what pages are asked for by" % name)
        r = self.recording(request.arg("record_file_id"), "transcript", request.arg("meeting_id"))
        pid = self.number(request, "pid", 0, 0, 1 << 31)
        most = int(self.option["paragraphs_max"]) or len(r.paragraphs()) or 1
        limit = min(self.number(request, "limit", most, 1, 1 << 31), most)
        pending, r.speakers_pending = r.speakers_pending > 0, max(r.speakers_pending - 1, 0)
        some = r.paragraphs()[pid:pid + limit]
        for p in some if pending else []:
            p["speaker_info"] = {"userid": "", "openId": "", "username": "", "ms_open_id": "", "tm_xid": ""}
        return Answer(body={"more": pid + limit < r.n_paragraphs, "minutes": {
            "audio_detect": 0 if pending else 1, "keywords": r.keywords, "paragraphs": some}})

    @route("GET", r"/v1/records/transcripts/paragraphs", "paragraphs")
    def get_paragraphs(self, request):
        self.operator(request)
        r = self.recording(request.arg("record_file_id"), "transcript", request.arg("meeting_id"))
        return Answer(body={"audio_detect": 1, "total": r.n_paragraphs,
                            "pids": [{k: p[k] for k in ("pid", "start_time", "end_time")} for p in r.paragraphs()]})

    @route("GET", r"/v1/records/transcripts/search", "search")
    def get_search(self, request):
        self.operator(request)
        text, hits, times = request.arg("text"), [], []
        r = self.recording(request.arg("record_file_id"), "transcript", request.arg("meeting_id"))
        if text is None:
            self.no(10001, "text is missing")
        for p in r.paragraphs():
            for s in p["sentences"]:
                at = "".join(w["text"] for w in s["words"]).find(text)
                if at >= 0:
                    hits.append({"pid": p["pid"], "sid": s["sid"], "offset": at, "length": len(text)})
                    times.append({"pid": p["pid"], "sid": s["sid"], "start_time": s["start_time"]})
        return Answer(body={"hits": hits, "timelines": times})

    @route("GET", r"/v1/smart/fullsummary", "summary")
    def get_summary(self, request):
        self.operator(request)
        self.recording(request.arg("record_file_id"), "summary")
        return Answer(body={"ai_summary": world.b64(world.SUMMARY)})

    @route("GET", r"/v1/smart/minutes/([^/]+)", "minutes")
    def get_minutes(self, request, file_id):
        self.operator(request)
        self.number(request, "minute_type", 1, 1, 3)
        markdown = self.number(request, "text_type", 1, 1, 2) == 2
        self.recording(file_id, "minutes")
        told = {"minute": world.MINUTES, "todo": world.TODO}
        if not markdown:
            told = {k: re.sub(r"(?m)^(#+|-) ", "", v) for k, v in told.items()}
        return Answer(body={"meeting_minute": {k: v.replace("\n", "\\n") for k, v in told.items()}})

    @route("GET", r"/v1/smart/topics", "topics")
    def get_topics(self, request):
        self.operator(request)
        return Answer(body={"ai_topic_list": self.recording(request.arg("record_file_id"), "topics").topics()})

    @route("GET", r"/v1/smart/chapters", "chapters")
    def get_chapters(self, request):
        self.operator(request)
        topics = self.recording(request.arg("record_file_id"), "chapters").topics()
        return Answer(body={"chapter_list": [{"chapter_id": t["topic_id"], "chapter_name": t["topic_name"],
                                              "start_time": t["topic_time"][0]["start_time"], "pic_url": ""} for t in topics]})

    @route("GET", r"/v1/smart/speakers", "speakers")
    def get_speakers(self, request):
        self.operator(request)
        speakers = self.recording(request.arg("record_file_id"), "speakers").speakers()
        return Answer(body={"total_count": len(speakers), "speaker_list": self.paged(request, speakers, 50, 50)[0]})
