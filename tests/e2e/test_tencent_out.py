#!/usr/bin/env python3
"""From a recording that is complete to what is kept of it: everything that Tencent Meeting's REST interface is asked for,
against the simulator, which judges each request as the vendor does."""

import json
import unittest
import zlib

from harness import Server, eventually, lulab
from people import DevServer, LaterServer, People, with_clock
from simulator import Simulator

TEXTS = ("tencent.transcript", "tencent.summary", "tencent.minutes", "tencent.topics")


def settings(sim, **more):
    return {**sim.settings, "LULAB_EFFECTS_RETRY_BASE": "20ms", "LULAB_EFFECTS_BREAKER": "100ms", **more}


class OutCase(unittest.TestCase):
    def start(self, options=None, kind=Server, **env):
        self.sim = Simulator(vendors=("tencent",), options=options).start()
        self.addCleanup(self.sim.stop)
        self.server = kind(env=settings(self.sim, **env)).start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))

    def get(self, path, status=200):
        answer = self.server.get(path)
        self.assertEqual(answer.status, status, answer.body)
        return json.loads(answer.body)

    def data(self, path):
        return self.get(path)["data"]

    def webhook(self):
        return "http://127.0.0.1:%d/webhooks/tencent" % self.server.port

    def meeting(self, **how):
        return self.sim.command("tencent", "meeting", webhook=self.webhook(), **how)

    def tell(self, meeting, name, **more):
        """One more delivery about a meeting there was."""
        item = {"operate_time": 1796000000000, "operator": {"userid": "zhang.wei"},
                "meeting_info": {"meeting_id": meeting["meeting_id"], "creator": {"userid": "zhang.wei"}}, **more}
        return self.sim.command("tencent", "send", webhook=self.webhook(),
                                event={"event": name, "trace_id": "%032x" % zlib.crc32(repr(item).encode()), "payload": [item]})

    def effects(self, **filters):
        """All but the one that looks for lost recordings a while after a meeting."""
        rows = self.data("/api/v1/effects?limit=100&" + "&".join("%s=%s" % f for f in filters.items()))
        return [e for e in rows if e["effect"] != "tencent.records"]

    def settled(self, n=None, final=("DONE",)):
        """All effects, once each has ended; n: there are so many."""
        rows = eventually(lambda: (lambda r: r if r and (n is None or len(r) == n) and all(
            e["state"] in ("DONE", "FAILED", "DEAD", "CANCELLED") for e in r) else None)(self.effects()), 20)
        for e in rows:
            self.assertIn(e["state"], final, e)
        return rows

    def events(self, kind):
        return self.data("/api/v1/events?limit=100&type=" + kind)

    def recording(self, meeting):
        found = self.data("/api/v1/recordings?externalId=" + meeting["record_files"][0]["record_file_id"])
        return self.data("/api/v1/recordings/" + found[0]["id"])


class Flow(OutCase):
    def test_a_meeting_becomes_texts_and_attendance(self):
        self.start(options={"tencent.paragraphs_max": 5})
        meeting = self.meeting(not_ready=1)
        self.settled()
        recording = self.recording(meeting)
        self.assertEqual([(t["paragraphs"], t["speakers"], t["speakersKnown"]) for t in recording["transcripts"]], [(13, 3, True)])
        answer = self.get("/api/v1/recordings/%s/transcript?limit=4&words=true" % recording["id"])
        first = answer["data"]["paragraphs"][0]
        self.assertEqual(answer["pagination"], {"from": 0, "limit": 4, "total": 13, "next": 4})
        self.assertEqual((first["pid"], first["startTimeMs"], first["speakerName"]), (0, 600, "张伟"))
        self.assertEqual(first["sentences"][0]["text"], "大家好，人都到齐了，我们开始今天的会议。")
        self.assertEqual("".join(w["text"] for w in first["sentences"][0]["words"]), first["sentences"][0]["text"])
        rest = self.get("/api/v1/recordings/%s/transcript?from=12" % recording["id"])
        self.assertEqual(([p["pid"] for p in rest["data"]["paragraphs"]], rest["pagination"]["next"]), ([12], None))
        text = self.data("/api/v1/recordings/%s/transcript?format=text" % recording["id"])["text"]
        self.assertTrue(text.startswith("张伟(00:00:00)：大家好，人都到齐了，我们开始今天的会议。\n\n"), text[:80])
        kept = {e["data"]["kind"]: e["data"] for e in self.events("summary.stored")}
        self.assertEqual(sorted(kept), ["FULL", "MINUTES", "TODO", "TOPIC"])
        self.assertEqual({k["recording_id"] for k in kept.values()}, {recording["id"]})
        self.assertIn("- 季度预算 (00:00:00–", kept["TOPIC"]["text"])
        self.assertTrue(kept["MINUTES"]["text"].startswith("## 会议纪要\n\n###"), kept["MINUTES"]["text"])
        self.check_attendance(recording["meetingId"])
        # What is told twice, by the recording and by the text itself, is kept once.
        self.assertEqual(len(self.events("transcript.stored")), 1)
        self.assertEqual(self.sim.refused("tencent"), [])
        lulab("log", "verify", "--data", self.server.data)

    def check_attendance(self, meeting_id):
        """Notices and the list tell of the same stays, once each; who speaks is who was there."""
        stays = self.data("/api/v1/meetings/%s/participants" % meeting_id)
        self.assertEqual(sorted((s["displayName"], s["userRole"]) for s in stays), [("张伟", 3), ("李娜", 0), ("王芳", 0)])
        self.assertTrue(all(s["durationSeconds"] > 1700 for s in stays), stays)
        speakers = self.events("transcript.stored")[0]["data"]["speakers"]
        self.assertEqual({s["person"] for s in speakers}, {s["ptUserId"] for s in stays})

    def test_people_come_from_the_list_alone(self):
        self.start()
        people = [{"userid": "zhang.wei", "user_name": "主持人"}] + [{"userid": "p%d" % i, "user_name": "人%d" % i, "visits": 2}
                                                            for i in range(120)]
        meeting = self.meeting(people=people, events=["meeting.end"])
        self.settled(1)
        fetched = self.events("participants.fetched")[0]["data"]
        self.assertEqual((fetched["stays"], fetched["people"], fetched["pages"]), (241, 121, 3))
        path = "/api/v1/meetings/%s/participants?limit=1" % self.data("/api/v1/meetings")[0]["id"]
        eventually(lambda: self.get(path)["pagination"]["total"] == 241)
        self.tell(meeting, "meeting.end", meeting_end_type=0)
        self.settled(2)
        self.assertEqual(len(self.events("participants.fetched")), 1)

    def test_what_comes_before_its_recording_is_matched(self):
        self.start()
        self.sim.fault("tencent", "reorder", op="webhook", share=1)
        meeting = self.meeting(speakers_pending=1)
        self.settled()
        recording = self.recording(meeting)
        self.assertEqual({e["data"]["recording_id"] for e in self.events("summary.stored")}, {recording["id"]})
        # What was written down before voices were told apart is kept, and what came then is shown.
        self.assertEqual(sorted(t["speakersKnown"] for t in recording["transcripts"]), [False, True])
        said = self.data("/api/v1/recordings/%s/transcript?limit=1" % recording["id"])
        self.assertEqual((said["speakersKnown"], said["paragraphs"][0]["speakerName"]), (True, "张伟"))


    @with_clock
    def test_what_nobody_told_of_is_found(self):
        self.start(kind=LaterServer)
        # Its completion is never delivered.
        meeting = self.sim.command("tencent", "meeting")
        self.tell(meeting, "meeting.end", meeting_end_type=0)
        self.server.later(61)
        told = eventually(lambda: self.events("recording.completed"))[0]
        self.assertEqual(told["data"]["vendor_event"], "records.list")
        self.settled()
        recording = eventually(lambda: (lambda r: r["transcripts"] and r)(self.recording(meeting)))
        self.assertEqual((recording["status"], len(recording["transcripts"])), ("COMPLETED", 1))


class Linking(People, OutCase):
    def test_a_proven_number_links_and_a_person_has_the_last_word(self):
        self.start(kind=DevServer)
        self.send("13800000002", countryCode="+86")
        user = self.call("POST", "/api/auth/register", {"type": "phone_code", "phone": "13800000002", "countryCode": "+86",
                         "code": self.server.code("+8613800000002")}, status=201).json["user"]
        meeting = self.meeting(events=["meeting.end"])
        self.settled()
        link = eventually(lambda: self.data("/api/v1/users/%s/platform-identities" % user["id"]))
        self.assertEqual([i["displayName"] for i in link], ["李娜"])
        self.assertEqual(self.get("/api/v1/platform-identities?linked=YES")["pagination"]["total"], 1)
        path = "/api/v1/platform-identities/%s/user" % link[0]["id"]
        self.call("DELETE", path, token=self.server.admin_token(), status=204)
        self.tell(meeting, "meeting.end", meeting_end_type=0)
        self.settled(2)
        self.assertEqual(self.get("/api/v1/platform-identities?linked=YES")["pagination"]["total"], 0)


class Trouble(OutCase):
    def test_not_made_at_all_is_no_dead_letter(self):
        self.start()
        self.meeting(not_ready=1000, events=["meeting.end", "recording.completed"])
        rows = self.settled(final=("DONE", "FAILED"))
        self.assertEqual(sorted(e["effect"] for e in rows if e["class"] == "never_made"), sorted(TEXTS))

    def test_failures_and_cuts_end_well(self):
        self.start()
        for fault in ("fail", "cut", "down"):
            self.sim.fault("tencent", fault, share=0.3, count=3)
        self.meeting(recordings=2)
        self.settled()
        self.assertEqual(len(self.events("transcript.stored")), 2)
        self.assertEqual(len(self.events("summary.stored")), 8)

    def test_a_kill_in_between(self):
        self.start()
        self.sim.fault("tencent", "slow", share=1, seconds=0.3)
        self.meeting()
        self.server.kill()
        self.sim.no_faults()
        self.server.start()
        self.settled()
        self.assertEqual(len(self.events("transcript.stored")), 1)
        self.assertEqual(len(self.events("summary.stored")), 4)
        self.assertEqual(len(self.events("participants.fetched")), 1)

    def test_wrong_keys_are_told_and_nothing_is_lost(self):
        self.start(TENCENT_MEETING_SECRET_KEY="wrong")
        self.meeting(events=["meeting.end"])
        row = eventually(lambda: self.effects(state="WAITING"))[0]
        self.assertEqual((row["class"], row["status"]), ("configuration", 200003))
        self.assertIn("TENCENT_MEETING_SECRET_KEY", row["message"])

    def test_what_was_deleted_there_is_failed(self):
        self.start()
        self.sim.fault("tencent", "slow", share=1, seconds=0.2)
        meeting = self.meeting(events=["recording.completed"], not_ready=3)
        self.sim.command("tencent", "erase", record_file_id=meeting["record_files"][0]["record_file_id"])
        self.sim.no_faults()
        rows = self.settled(final=("DONE", "FAILED"))
        self.assertEqual({e["class"] for e in rows if e["state"] == "FAILED"}, {"gone"})

    def test_without_keys_nothing_is_asked_for(self):
        self.start(TENCENT_MEETING_SECRET_ID="")
        self.meeting(events=["meeting.end", "recording.completed"])
        recording = eventually(lambda: self.data("/api/v1/recordings"))[0]
        self.assertEqual(self.effects(), [])
        self.get("/api/v1/recordings/%s/transcript" % recording["id"], 404)
        self.get("/api/v1/recordings/nothing/transcript", 404)
        self.get("/api/v1/recordings/%s/transcript?limit=0&what=x" % recording["id"], 400)
        self.assertEqual(self.server.request("GET", "/api/v1/recordings/%s/transcript" % recording["id"], token=None).status, 401)


if __name__ == "__main__":
    unittest.main()
