"""What Tencent Meeting knows in the simulator: people, meetings, recordings, what was said in them. All invented, and the
same for the same ids."""

import base64
import glob
import hashlib
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(HERE, "..", "..", "examples", "webhooks")
SAMPLE_MINUTES = 60
PIECE = 1 << 20
CLIP = "meeting.mp4"

PEOPLE = [
    {"userid": "zhang.wei", "user_name": "张伟", "email": "zhang.wei@example.com", "phone": "13800000001", "job_title": "项目经理"},
    {"userid": "li.na", "user_name": "李娜", "email": "li.na@example.com", "phone": "13800000002", "job_title": "财务主管"},
    {"userid": "wang.fang", "user_name": "王芳", "email": "wang.fang@example.com", "phone": "13800000003", "job_title": "产品设计师"},
]

# Who says what; it goes round when a meeting is longer.
SAID = [
    (0, "大家好，人都到齐了，我们开始今天的会议。"),
    (0, "今天主要讨论下个季度的预算，还有新版本的发布时间。"),
    (1, "我先说预算。上个季度我们一共用了四十二万，比计划少了百分之六。"),
    (1, "省下来的主要是差旅费，服务器的费用反而涨了一成。"),
    (2, "服务器涨价是因为录像存得多了，我建议旧的录像转到便宜的存储里。"),
    (0, "同意，这件事请王芳月底之前给一个方案。"),
    (2, "好的，我二十八号之前把方案发到群里。"),
    (1, "下个季度的预算我按四十五万来做，下周三之前把表格发给大家。"),
    (0, "新版本呢？测试那边说还有三个严重的问题没有解决。"),
    (2, "有两个今天已经修好了，剩下一个要等供应商的回复。"),
    (0, "那我们就把发布推迟一周，定在十二月十二号。"),
    (1, "推迟一周的话，市场那边的活动也要改时间，我去跟他们说。"),
    (0, "好，那就这么定了。下次会议还是周五上午十点。"),
]

TOPICS = [("季度预算", 0, 8), ("新版本发布", 8, 13)]
SUMMARY = ("会议讨论了下个季度的预算和新版本的发布时间。上季度共使用四十二万元，比计划少百分之六；下季度预算定为四十五万元。"
           "旧录像将转入成本更低的存储。新版本还有一个严重问题等待供应商回复，发布推迟一周至十二月十二日。")
MINUTES = ("## 会议纪要\n\n### 季度预算\n- 上季度实际使用四十二万元，低于计划\n- 下季度预算按四十五万元编制\n\n"
           "### 新版本发布\n- 三个严重问题中两个已修复\n- 发布推迟至十二月十二日")
TODO = "- 王芳：二十八号之前给出旧录像的存储方案\n- 李娜：下周三之前发出预算表格\n- 李娜：通知市场部调整活动时间"
# What a model makes of it that has read all of it.
ABOUT = SAID[2][1]
REPORT = {
    "title": "季度预算与新版本发布",
    "content": "## 概况\n" + SUMMARY + "\n\n## 季度预算\n上季度省下的主要是差旅费，服务器费用涨了一成，原因是录像存得多了。\n\n"
               "## 新版本发布\n三个严重问题中两个已修复，一个等待供应商回复；市场活动随发布改期。",
    "key_points": [{"point": "上季度共用四十二万元，比计划少百分之六", "importance": "HIGH"},
                   {"point": "服务器费用因录像增多涨了一成", "importance": "MEDIUM"}],
    "action_items": [{"task": "给出旧录像的存储方案", "assignee": "王芳", "due": "二十八号之前"},
                     {"task": "把预算表格发给大家", "assignee": "李娜", "due": "下周三之前"},
                     {"task": "请市场部改活动时间", "assignee": "李娜", "due": ""}],
    "decisions": [{"decision": "发布推迟一周，定在十二月十二号", "reason": "还有一个严重问题等待供应商回复"},
                  {"decision": "旧录像转到便宜的存储里", "reason": ""}],
    "keywords": ["预算", "发布", "录像存储"],
}
SENTENCE_MS = 4200


def b64(text):
    return base64.b64encode(text.encode()).decode()


def samples():
    """The payload items of examples/webhooks, which `lulab webhook send` sends: (name of the event, item)."""
    for path in sorted(glob.glob(os.path.join(SAMPLES, "*.json"))):
        with open(path, encoding="utf-8") as f:
            event = json.load(f)
        for item in event["payload"]:
            yield event["event"], item


def people_of_samples():
    """uuid -> how a sample names that person."""
    found = {}
    for _, item in samples():
        info = item.get("meeting_info", {})
        for person in (info.get("creator"), item.get("operator"), item.get("to_operator"), *info.get("hosts", [])):
            if person and person.get("uuid"):
                found.setdefault(person["uuid"], person)
    return found


class Person:
    def __init__(self, number, userid=None, user_name=None, email="", phone="", job_title="", visits=1, instance_id=1,
                 uuid=None):
        self.userid = userid or ""     # empty: a guest of another enterprise
        self.user_name = user_name or "访客%d" % number
        self.email, self.phone, self.job_title = email, phone, job_title
        self.visits, self.instance_id = visits, instance_id
        self.uuid = uuid or "SimUuid" + hashlib.sha1((self.userid or self.user_name).encode()).hexdigest()[:8]

    def ms_open_id(self, meeting):
        return "ms-" + hashlib.sha1((meeting.id + self.uuid).encode()).hexdigest()[:12]

    def in_event(self, meeting):
        return {"userid": self.userid, "open_id": "", "uuid": self.uuid, "user_name": self.user_name,
                "ms_open_id": self.ms_open_id(meeting), "instance_id": str(self.instance_id)}

    def as_user(self):
        return {"userid": self.userid, "uuid": self.uuid, "username": self.user_name, "email": self.email, "phone": self.phone,
                "area": "86", "avatar_url": "", "status": "1", "staff_id": "", "job_title": self.job_title, "role_code": "member",
                "role_name": "成员", "department_list": [{"department_id": "1", "department_name": "总部"}],
                "entry_time": "2026-01-05 09:00:00", "update_time": "2026-01-05 09:00:00", "phone_status": 1,
                "account_version": 1, "user_account_type": 1, "ai_account_type": 0, "enable_ai_account": False}


class Meeting:
    def __init__(self, meeting_id, code, subject, people, start_s, minutes, sub_meeting_id=""):
        self.id, self.code, self.subject, self.sub_meeting_id = meeting_id, code, subject, sub_meeting_id
        self.people = people
        self.start_s, self.end_s = start_s, start_s + minutes * 60
        self.status = "MEETING_STATE_INIT"
        self.recordings = []
        self.unlisted = set()  # userids that the list of participants leaves out

    @property
    def creator(self):
        return self.people[0]

    def joins(self):
        """(person, from, to) of every visit, in seconds since 1970, by the time of coming. The creator comes first and
        leaves last."""
        found, length = [], self.end_s - self.start_s
        for i, person in enumerate(self.people):
            first, last = self.start_s + min(i * 7, length // 4), self.end_s - min(i * 5, length // 4)
            share = max((last - first) // max(person.visits, 1), 1)
            for visit in range(person.visits):
                leaves = first + share - (share // 10 if visit + 1 < person.visits else 0)
                found.append((person, first, leaves))
                first += share
        return sorted(found, key=lambda j: j[1])

    def in_event(self, smart=False):
        """smart: as notices of texts tell it, which name no occurrence and no uuid."""
        creator = self.creator.in_event(self)
        info = {"meeting_id": self.id, "meeting_code": self.code, "subject": self.subject,
                "creator": {k: v for k, v in creator.items() if not smart or k != "uuid"},
                "meeting_type": 1 if self.sub_meeting_id else 0,
                "start_time": self.start_s, "end_time": self.end_s, "meeting_create_mode": 0, "meeting_create_from": 1,
                "meeting_id_type": 0}
        if self.sub_meeting_id and not smart:
            info.update(sub_meeting_id=self.sub_meeting_id, sub_meeting_start_time=self.start_s, sub_meeting_end_time=self.end_s)
        return info

    def detail(self, occurrences):
        """occurrences: all there are of a meeting that comes again; this is the last."""
        host = {"userid": self.creator.userid, "user_name": self.creator.user_name}
        info = {"subject": self.subject, "meeting_id": self.id, "meeting_code": self.code, "status": self.status, "type": 0,
                "meeting_type": 1 if self.sub_meeting_id else 0, "join_url": "https://meeting.tencent.com/dm/sim" + self.code,
                "start_time": str(self.start_s), "end_time": str(self.end_s), "need_password": False, "password": "",
                "hosts": [host], "participants": [], "current_hosts": [host], "current_co_hosts": [],
                "settings": {"mute_enable_join": True, "auto_record_type": "cloud"}, "enable_live": False, "location": "",
                "has_more_sub_meeting": 0, "remain_sub_meetings": 0, "time_zone": "Asia/Shanghai"}
        if self.sub_meeting_id:
            info.update(current_sub_meeting_id=self.sub_meeting_id, recurring_rule={"recurring_type": 1, "until_type": 1,
                                                                                  "until_count": 10},
                        sub_meetings=[{"sub_meeting_id": m.sub_meeting_id, "status": 1 if m.status == "MEETING_STATE_ENDED"
                                       else 0, "start_time": str(m.start_s), "end_time": str(m.end_s)} for m in occurrences])
        return {"meeting_number": 1, "meeting_info_list": [info]}

    def participants(self, secret_id):
        rows = []
        for person, first, last in self.joins():
            if person.userid in self.unlisted:
                continue
            phone = hashlib.sha256(("%s/%s" % (person.phone, secret_id)).encode()).hexdigest() if person.phone else ""
            rows.append({"uuid": person.uuid, "open_id": "", "ms_open_id": person.ms_open_id(self),
                         "user_name": b64(person.user_name), "phone": phone, "join_time": str(first), "left_time": str(last),
                         "instanceid": person.instance_id, "user_role": 3 if person is self.creator else 0 if person.userid else 4,
                         "join_type": 1, "app_version": "3.30.1", "audio_state": False, "video_state": False,
                         "screen_shared_state": False, "is_enterprise_user": bool(person.userid), "webinar_member_role": 0,
                         "customer_data": "", "tm_corpid": "", "avatar_url": ""})
            if person.userid:
                rows[-1]["userid"] = person.userid
        return rows


class Recording:
    """One file of a meeting. size None: a real, short clip; else so many bytes of nothing in particular."""

    def __init__(self, meeting, record_id, file_id, paragraphs, size=None, clip=CLIP):
        self.meeting, self.record_id, self.id = meeting, record_id, file_id
        self.n_paragraphs = paragraphs
        self.video = Content(file_id, size, clip)
        self.audio = Content(file_id + "a", None, "meeting.m4a") if size is None else None
        self.state = 1
        self.deleted = False
        self.not_ready = {}          # op -> how often it is still asked in vain
        self.never_made = ()         # ops that stay in vain
        self.speakers_pending = 0    # transcripts told before speakers are told apart
        self.keywords = ["预算", "发布", "存储"]

    def documents(self):
        """name -> text, of what can be downloaded beside the recording."""
        said = "\n\n".join("%s：%s" % (p["speaker_info"]["username"], "".join(
            w["text"] for s in p["sentences"] for w in s["words"])) for p in self.paragraphs())
        return {"summary.txt": SUMMARY, "transcript.txt": said, "minutes.md": MINUTES}

    def paragraphs(self):
        out, sid, wid, at = [], 0, 0, 600
        for pid in range(self.n_paragraphs):
            who, text = SAID[pid % len(SAID)]
            person = self.meeting.people[who % len(self.meeting.people)]
            begin, sentences = at, []
            for sentence in [s + "。" for s in text.split("。") if s]:
                words, step = [], max(SENTENCE_MS // ((len(sentence) + 1) // 2), 1)
                for i in range(0, len(sentence), 2):
                    words.append({"wid": str(wid), "start_time": at + i // 2 * step, "end_time": at + (i // 2 + 1) * step,
                                  "text": sentence[i:i + 2]})
                    wid += 1
                sentences.append({"sid": str(sid), "start_time": at, "end_time": at + SENTENCE_MS, "words": words})
                sid, at = sid + 1, at + SENTENCE_MS + 300
            out.append({"pid": str(pid), "start_time": begin, "end_time": at - 300, "sentences": sentences,
                        "speaker_info": {"userid": person.userid, "openId": "", "username": person.user_name,
                                         "ms_open_id": person.ms_open_id(self.meeting), "tm_xid": ""}})
        return out

    def in_event(self):
        return {"record_file_id": self.id, "lang": "zh", "start_time": self.meeting.start_s, "end_time": self.meeting.end_s,
                "total_size": self.video.size}

    def in_list(self):
        return {"record_file_id": self.id, "record_start_time": self.meeting.start_s * 1000,
                "record_end_time": self.meeting.end_s * 1000, "record_size": self.video.size, "sharing_state": 0,
                "sharing_url": "", "required_same_corp": False, "required_participant": False, "password": "",
                "sharing_expire": 0, "allow_download": True}

    def topics(self):
        rows, said = [], self.paragraphs()
        for i, (name, first, last) in enumerate(TOPICS):
            some = said[first:last]
            if some:
                rows.append({"topic_id": str(i), "topic_name": b64(name),
                             "topic_time": [{"pid": p["pid"], "start_time": str(p["start_time"]), "end_time": str(p["end_time"])}
                                            for p in some]})
        return rows

    def speakers(self):
        by = {}
        for p in self.paragraphs():
            info = p["speaker_info"]
            row = by.setdefault(info["ms_open_id"], {
                "speaker_id": info["userid"], "speaker_id_type": 1, "speaker_name": b64(info["username"]),
                "ms_open_id": info["ms_open_id"], "total_time": 0, "speaker_time": []})
            for s in p["sentences"]:
                row["total_time"] += s["end_time"] - s["start_time"]
                row["speaker_time"].append({"sid": s["sid"], "start_time": str(s["start_time"]), "end_time": str(s["end_time"])})
        return list(by.values())


class Content:
    """The bytes of a file, any part of it without holding the rest."""

    def __init__(self, name, size, clip):
        self.clip = None
        if size is None:
            with open(os.path.join(HERE, clip), "rb") as f:
                self.clip = f.read()
            size = len(self.clip)
            self.etag = '"%s"' % hashlib.md5(self.clip).hexdigest()
        else:
            self.filler = hashlib.shake_128(name.encode()).digest(PIECE)
            self.etag = '"%s-1"' % hashlib.md5(("%s %d" % (name, size)).encode()).hexdigest()
        self.size = size

    def piece(self, i):
        """The i-th MiB: it begins with its number, so that no two are alike."""
        return (b"%016d" % i + self.filler[16:])[:self.size - i * PIECE]

    def read(self, first, n):
        """An iterator over n bytes from first on."""
        if self.clip is not None:
            yield self.clip[first:first + n]
            return
        while n > 0:
            part = self.piece(first // PIECE)[first % PIECE:][:n]
            yield part
            first, n = first + len(part), n - len(part)

    def sha256(self):
        h = hashlib.sha256()
        for part in self.read(0, self.size):
            h.update(part)
        return h.hexdigest()
