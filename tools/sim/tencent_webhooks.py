"""What Tencent Meeting sends in the simulator: the check of an address, and the events of a meeting (vendor-protocols 1.5 to
1.9), signed, encrypted, repeated until they are taken."""

import base64
import hashlib
import http.client
import json
import time
import urllib.parse

import aes
import frame
import tencent_world as world

ACK = b"successfully received callback"
MADE_LATER = ("address", "transcript", "summary", "minutes", "topics", "chapters", "speakers")


def sign_webhook(token, timestamp, nonce, data):
    return hashlib.sha1(b"".join(sorted(t.encode() for t in (token, timestamp, nonce, data)))).hexdigest()


def encrypted(plain, encoding_aes_key):
    if not encoding_aes_key:
        return base64.b64encode(plain).decode()
    key = base64.b64decode(encoding_aes_key + "=")
    return base64.b64encode(aes.encrypt_cbc(key, key[:16], plain)).decode()


def call(url, method, body, headers):
    """Status and body; no answer in 5 s is status 0."""
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=5)
    try:
        connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(65536)
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


class Webhooks:
    """The part of the vendor that its commands are. What it has of the other: option, clock, rng, lock, acts, people, meetings,
    files."""

    def keep(self, meeting):
        """The newest occurrence is what there is to know of a meeting; those before are there by their own id."""
        self.meetings[meeting.id] = self.occurrences[meeting.id, meeting.sub_meeting_id] = meeting

    def keep_samples(self):
        """What the samples of `lulab webhook send` tell of is there to be fetched: a meeting that was just over."""
        for name, item in world.samples():
            info = item.get("meeting_info", {})
            key = (info.get("meeting_id"), info.get("sub_meeting_id", ""))
            if info and key not in self.occurrences:
                self.keep(world.Meeting(key[0], info["meeting_code"], info["subject"], self.sample_people,
                                        int(self.clock()) - world.SAMPLE_MINUTES * 60, world.SAMPLE_MINUTES, key[1]))
                self.becomes(self.occurrences[key], "recording.completed")
            for told in item.get("recording_files", []) if name == "recording.completed" else []:
                r = world.Recording(self.occurrences[key], told["record_file_id"][::-1], told["record_file_id"], len(world.SAID))
                r.state = 3
                self.occurrences[key].recordings.append(r)
                self.files[r.id] = r

    def number_like(self, digits):
        return str(self.rng.randrange(10 ** (digits - 1), 10 ** digits))

    def cmd_meeting(self, webhook=None, meeting_id=None, sub_meeting_id="", subject="季度预算评审会", minutes=30, people=None,
                    recordings=1, size=None, paragraphs=len(world.SAID), not_ready=0, speakers_pending=0, events=None, pace=0,
                    ago_s=0, repeats_s=(60, 180, 360), pause=None, unlisted=(), transcript=True, clip=None):
        with self.lock:
            some = [world.Person(i, **p) for i, p in enumerate(people or world.PEOPLE)]
            if not some or not some[0].userid:
                raise frame.Unfit("the first of people creates the meeting and needs a userid")
            self.people.update({p.userid: p for p in some if p.userid})
            meeting = world.Meeting(meeting_id or self.number_like(19), self.number_like(9), subject, some,
                                    int(self.clock()) - minutes * 60 - ago_s, minutes, sub_meeting_id)
            meeting.unlisted = set(unlisted)
            self.keep(meeting)
            record_id = self.number_like(19)
            for _ in range(recordings):
                r = world.Recording(meeting, record_id, self.number_like(19), paragraphs, size, clip or world.CLIP)
                r.not_ready = {op: not_ready for op in MADE_LATER}
                r.speakers_pending = speakers_pending
                r.never_made = () if transcript else ("transcript",)
                meeting.recordings.append(r)
                self.files[r.id] = r
            story = [e for e in self.story(meeting) if events is None or e["event"] in events]
        if webhook is None:
            self.becomes(meeting, "recording.completed")
        told = self.disturbed(story, "webhook") if webhook else []
        stop = next((i for i, event in enumerate(told) if event["event"] == pause), len(told))
        self.rest[meeting.id] = (webhook, told[stop:], pace, repeats_s)
        deliveries = self.tell(meeting, webhook, told[:stop], pace, repeats_s)
        return {"meeting_id": meeting.id, "meeting_code": meeting.code, "meeting_record_id": record_id,
                "record_files": [{"record_file_id": r.id, "size": r.video.size} for r in meeting.recordings],
                "deliveries": deliveries}

    def cmd_go_on(self, meeting_id):
        """What a meeting that was asked for with a pause has not told yet."""
        if meeting_id not in self.rest:
            raise frame.Unfit("there is no meeting %s" % meeting_id)
        return {"deliveries": self.tell(self.meetings[meeting_id], *self.rest.pop(meeting_id))}

    def tell(self, meeting, webhook, events, pace, repeats_s):
        deliveries = []
        for event in events:
            if deliveries:
                time.sleep(pace)
            self.becomes(meeting, event["event"])
            deliveries.append(self.deliver(webhook, event, repeats_s))
        return deliveries

    def becomes(self, meeting, event):
        with self.lock:
            if event == "meeting.started":
                meeting.status = "MEETING_STATE_STARTED"
            if event in ("meeting.end", "recording.completed"):
                meeting.status = "MEETING_STATE_ENDED"
            for r in meeting.recordings:
                r.state = 3 if event == "recording.completed" else max(r.state, 2 if event == "meeting.end" else 1)

    def event(self, name, meeting, at_s, operator=None, **more):
        item = {"operate_time": int(at_s * 1000)}
        if operator:
            item["operator"] = operator.in_event(meeting)
        item.update(meeting_info=meeting.in_event(name.startswith("smart.")), **more)
        return {"event": name, "trace_id": "%032x" % self.rng.getrandbits(128), "payload": [item]}

    def story(self, m):
        """The events of a meeting as they happen. Everybody left on the minute; then the recordings are made ready."""
        visits = [(at, name, person) for person, came, left in m.joins()
                  for at, name in ((came, "meeting.participant-joined"), (left, "meeting.participant-left"))]
        told = [self.event("meeting.started", m, m.start_s, m.creator)]
        told += [self.event(name, m, at, person, **({"extend_info": {"customer_data": ""}} if "joined" in name else {}))
                 for at, name, person in sorted(visits, key=lambda v: v[0])]
        told.append(self.event("meeting.end", m, m.end_s, m.creator, meeting_end_type=0))
        later = m.end_s + 60
        for r in m.recordings:
            files = [{"record_file_id": r.id, "lang": "zh"}]
            told.append(self.event("recording.completed", m, later, None, recording_files=[r.in_event()]))
            if "transcript" not in r.never_made:
                told.append(self.event("smart.transcripts", m, later + 20, None, recording_files=files))
            told.append(self.event("smart.minutes", m, later + 40, None, job_id="job-" + r.id, result=1, recording_files=files))
            summary = self.event("smart.fullsummary", m, later + 60, None, recording_files=files)
            summary["payload"][0]["operate_time"] //= 1000  # this one comes in seconds
            told.append(dict(summary, result=1))
        return told

    def headers(self, data):
        timestamp, nonce = str(int(self.clock() * 1000)), str(self.rng.randrange(1, 10 ** 8))
        return {"timestamp": timestamp, "nonce": nonce, "signature": sign_webhook(self.option["token"], timestamp, nonce, data)}

    def deliver(self, webhook, event, repeats_s):
        """Until it is taken, or given up: once, and after each of the spans again."""
        plain = json.dumps(event, ensure_ascii=False).encode()
        data = encrypted(plain, self.option["aes_key"])
        told = {"event": event.get("event"), "trace_id": event.get("trace_id")}
        for attempt, wait_s in enumerate((0, *repeats_s), 1):
            time.sleep(wait_s)
            status, body = call(webhook, "POST", json.dumps({"data": data}),
                                dict(self.headers(data), **{"Content-Type": "application/json"}))
            told.update(status=status, taken=status == 200 and body == ACK, attempts=attempt)
            if told["taken"]:
                break
        with self.lock:
            self.acts.append(dict(told))
        return told

    def cmd_send(self, webhook, event, repeats_s=()):
        return self.deliver(webhook, event, repeats_s)

    def cmd_check(self, webhook, text="simulated-check-string"):
        data = encrypted(text.encode(), self.option["aes_key"])
        status, body = call("%s?check_str=%s" % (webhook, urllib.parse.quote(data, safe="")), "GET", None, self.headers(data))
        return {"status": status, "taken": status == 200 and body == text.encode()}

    def cmd_expire(self):
        """All addresses told so far."""
        self.expired_until = self.last_until

    def cmd_erase(self, record_file_id):
        if record_file_id not in self.files:
            raise frame.Unfit("there is no recording %s" % record_file_id)
        self.files[record_file_id].deleted = True
