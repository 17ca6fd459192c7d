#!/usr/bin/env python3
"""From a recording that is complete to what is kept of it: everything that Tencent Meeting's REST interface is asked for,
against the simulator, which judges each request as the vendor does."""

import json
import unittest
import zlib

from harness import Server, eventually, lulab
from people import DevServer, LaterServer, People, with_clock
from simulator import Simulator

MADE = ("tencent.recording", "tencent.transcript", "tencent.summary", "tencent.minutes", "tencent.topics")


def settings(sim, **more):
    return {**sim.settings, "LULAB_EFFECTS_RETRY_BASE": "20ms", "LULAB_EFFECTS_BREAKER": "100ms", "LULAB_FETCH_ADDRESSES": "127.0.0.1",
            **more}


class OutCase(People, unittest.TestCase):
    def start(self, options=None, kind=Server, **env):
        self.sim = Simulator(vendors=("tencent",), options=options).start()
        self.addCleanup(self.sim.stop)
        self.server = kind(env=settings(self.sim, **env)).start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))

    def get(self, path, status=200):
        answer = self.server.newest(path)
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
        trace = "%032x" % zlib.crc32((name + repr(item)).encode())
        return self.sim.command("tencent", "send", webhook=self.webhook(),
                                event={"event": name, "trace_id": trace, "payload": [item]})

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

    def kept(self, kind, meeting=None):
        """The data of events of a kind, of one meeting or all."""
        return [e["data"] for e in self.events(kind) if meeting is None or e["data"]["meeting_id"] == meeting["meeting_id"]]

    def fetched(self, kind, meeting):
        return eventually(lambda: self.kept(kind, meeting))

    def listed(self, meeting):
        return [e["data"] for e in self.data("/api/v1/events?limit=100&type=participant.listed&stream=meeting/TENCENT/" + meeting["meeting_id"])]

    def events(self, kind):
        return self.data("/api/v1/events?limit=100&type=" + kind)

    def recording(self, meeting):
        # Its event may be in the log before its row is in the read model.
        found = eventually(lambda: self.data("/api/v1/recordings?externalId=" + meeting["record_files"][0]["record_file_id"]))
        return self.data("/api/v1/recordings/" + found[0]["id"])


class Flow(OutCase):
    def test_meetings_become_texts_attendance_and_links(self):
        self.start(options={"tencent.paragraphs_max": 5}, kind=DevServer)
        account = self.user_of("13800000002")
        user = account["user"]
        usual = self.meeting(not_ready=1)
        self.sim.fault("tencent", "reorder", op="webhook", share=1)
        mixed = self.meeting(speakers_pending=1)
        self.sim.no_faults()
        crowd = self.meeting(people=[{"userid": "zhang.wei", "user_name": "主持人"}] + [
            {"userid": "p%d" % i, "user_name": "人%d" % i, "visits": 2} for i in range(60)], events=["meeting.end"])
        self.settled(21)
        self.check_texts(usual)
        key = self.call("POST", "/api/v1/api-keys", {"name": "k", "scopes": ["meetings:read"]}, account["accessToken"], status=201)
        self.call("GET", "/api/v1/recordings/%s/transcript" % self.recording(usual)["id"], token=key.json["key"], status=403)
        self.check_attendance(usual)
        self.check_early(mixed)
        self.check_crowd(crowd)
        self.check_link(user, usual)
        self.check_unlisted(usual)
        self.check_erased(user, usual)
        self.check_never_again()
        self.assertEqual(self.sim.refused("tencent"), [])
        lulab("log", "verify", "--data", self.server.data)

    def user_of(self, phone):
        self.send(phone, countryCode="+86")
        return self.call("POST", "/api/auth/register", {"type": "phone_code", "phone": phone, "countryCode": "+86",
                         "code": self.server.code("+86" + phone)}, status=201).json

    def check_texts(self, meeting):
        recording = self.recording(meeting)
        self.assertEqual([(t["paragraphs"], t["speakers"], t["speakersKnown"]) for t in recording["transcripts"]], [(13, 3, True)])
        path = "/api/v1/recordings/%s/transcript" % recording["id"]
        answer = self.get(path + "?limit=4&words=true")
        first = answer["data"]["paragraphs"][0]
        self.assertEqual(answer["pagination"], {"from": 0, "limit": 4, "total": 13, "next": 4})
        self.assertEqual((first["pid"], first["startTimeMs"], first["speakerName"]), (0, 600, "张伟"))
        self.assertEqual(first["sentences"][0]["text"], "大家好，人都到齐了，我们开始今天的会议。")
        self.assertEqual("".join(w["text"] for w in first["sentences"][0]["words"]), first["sentences"][0]["text"])
        rest = self.get(path + "?from=12")
        self.assertEqual(([p["pid"] for p in rest["data"]["paragraphs"]], rest["pagination"]["next"]), ([12], None))
        text = self.data(path + "?format=text")["text"]
        self.assertTrue(text.startswith("张伟(00:00:00)：大家好，人都到齐了，我们开始今天的会议。\n\n"), text[:80])
        texts = self.kept("summary.stored", meeting)
        by_kind = {t["kind"]: t["text"] for t in texts}
        # What is told twice, by the recording and by the text itself, is kept once.
        self.assertEqual((sorted(by_kind), len(texts)), (["FULL", "MINUTES", "TODO", "TOPIC"], 4))
        self.assertEqual(len(self.kept("transcript.stored", meeting)), 1)
        self.assertEqual({t["recording_id"] for t in texts}, {recording["id"]})
        self.assertIn("- 季度预算 (00:00:00–", by_kind["TOPIC"])
        self.assertTrue(by_kind["MINUTES"].startswith("## 会议纪要\n\n###"), by_kind["MINUTES"])

    def check_attendance(self, meeting):
        """Notices and the list tell of the same stays, once each; who speaks is who was there."""
        path = "/api/v1/meetings/%s/participants" % self.recording(meeting)["meetingId"]
        stays = eventually(lambda: (lambda s: s if len(s) >= 3 and all(x["durationSeconds"] for x in s) else None)(self.data(path)))
        self.assertEqual(sorted((s["displayName"], s["userRole"]) for s in stays), [("张伟", 3), ("李娜", 0), ("王芳", 0)])
        self.assertTrue(all(s["durationSeconds"] > 1700 for s in stays), stays)
        self.assertEqual({s["person"] for s in self.kept("transcript.stored", meeting)[0]["speakers"]},
                         {s["ptUserId"] for s in stays})

    def check_early(self, meeting):
        """Texts that are told of before their recording are its own; what was written down before voices were told
        apart is kept, and what came then is shown."""
        recording = self.recording(meeting)
        self.assertEqual({t["recording_id"] for t in self.kept("summary.stored", meeting)}, {recording["id"]})
        self.assertEqual(sorted(t["speakersKnown"] for t in recording["transcripts"]), [False, True])
        said = self.data("/api/v1/recordings/%s/transcript?limit=1" % recording["id"])
        self.assertEqual((said["speakersKnown"], said["paragraphs"][0]["speakerName"]), (True, "张伟"))

    def check_crowd(self, meeting):
        """People come from the list alone, page by page; a second look at the same list adds nothing."""
        fetched = self.kept("participants.fetched", meeting)[0]
        self.assertEqual((fetched["stays"], fetched["people"], fetched["pages"]), (121, 61, 2))
        found = [m for m in self.data("/api/v1/meetings?limit=100") if m["meetingId"] == meeting["meeting_id"]]
        path = "/api/v1/meetings/%s/participants?limit=1" % found[0]["id"]
        eventually(lambda: self.get(path)["pagination"]["total"] == 121)
        self.tell(meeting, "meeting.end", meeting_end_type=0)
        self.settled(22)
        self.assertEqual(len(self.kept("participants.fetched", meeting)), 1)

    def check_link(self, user, meeting):
        """A proven number links; what a person decided stays."""
        link = eventually(lambda: self.data("/api/v1/users/%s/platform-identities" % user["id"]))
        self.assertEqual([i["displayName"] for i in link], ["李娜"])
        self.call("DELETE", "/api/v1/platform-identities/%s/user" % link[0]["id"], token=self.server.admin_token(), status=204)
        self.tell(meeting, "meeting.end", meeting_end_type=0)
        self.settled(23)
        eventually(lambda: self.get("/api/v1/platform-identities?linked=YES")["pagination"]["total"] == 0)

    def check_erased(self, user, meeting):
        """Who is erased keeps what was said without a name, and is nobody in the list; what others said is as it was."""
        admin = self.server.admin_token()
        path = "/api/v1/recordings/%s/transcript" % self.recording(meeting)["id"]
        text = self.data(path + "?format=text")["text"]
        self.assertIn("李娜(00:00:", text)
        identity = [i for i in self.data("/api/v1/platform-identities?limit=100") if i["displayName"] == "李娜"][0]
        self.call("PUT", "/api/v1/platform-identities/%s/user" % identity["id"], {"userId": user["id"]}, token=admin, status=204)
        self.call("DELETE", "/api/v1/users/%s?erase=true" % user["id"], token=admin)
        self.assertEqual(self.data(path + "?format=text")["text"], text.replace("李娜(", "已删除用户("))
        speaker = [s for s in self.data(path)["speakers"] if s["id"] == identity["id"]][0]
        self.assertEqual((speaker["name"], speaker["erased"]), (None, True))
        listed = [e for e in self.kept("participant.listed", meeting) if e.get("person", {}).get("user_name") == "李娜"]
        self.assertEqual(listed, [])

    def check_unlisted(self, usual):
        """Who speaks and is not in the list: somebody known by their userid, or whom the vendor knows by it."""
        meeting = self.meeting(events=["recording.completed"], unlisted=["li.na", "zhao.lei"], people=[
            {"userid": "zhang.wei", "user_name": "张伟"}, {"userid": "li.na", "user_name": "李娜"},
            {"userid": "zhao.lei", "user_name": "赵磊"}])
        before, now = (self.fetched("transcript.stored", m)[0]["speakers"] for m in (usual, meeting))
        self.assertEqual(len(now), 3)
        self.assertLessEqual({s["person"] for s in now[:2]}, {s["person"] for s in before})
        self.assertEqual(self.sim.calls("tencent")["user"], {"200": 1})
        # The list of another meeting means the same person.
        listed = self.meeting(events=["recording.completed"], people=[
            {"userid": "zhang.wei", "user_name": "张伟"}, {"userid": "zhao.lei", "user_name": "赵磊"}])
        self.fetched("participants.fetched", listed)
        self.assertIn(now[2]["person"], {d["subjects"]["person"]["id"] for d in self.listed(listed)})

    def check_never_again(self):
        """Nor does a later fetch bring them back: only what they do from then on is told of them, as of somebody new."""
        self.assertEqual(self.named("李娜"), [])
        late = self.meeting(events=["recording.completed"], ago_s=600)
        self.fetched("participants.fetched", late)
        self.fetched("transcript.stored", late)
        listed = self.listed(late)
        self.assertEqual(sorted(d.get("person", {}).get("user_name", "") for d in listed), ["", "张伟", "王芳"])
        nobody = [d for d in listed if "person" not in d][0]
        self.assertNotIn("phone_hash", nobody)
        text = self.data("/api/v1/recordings/%s/transcript?format=text" % self.recording(late)["id"])["text"]
        self.assertIn("已删除用户(00:00:", text)
        self.assertNotIn("李娜(", text)
        path = "/api/v1/meetings/%s/participants" % self.recording(late)["meetingId"]
        self.assertEqual(eventually(lambda: {
            s["displayName"] for s in self.data(path) if s["ptUserId"] == nobody["subjects"]["person"]["id"]}), {None})
        self.assertEqual(self.named("李娜"), [])
        after = self.meeting(events=["recording.completed"], minutes=1, ago_s=-65)
        self.fetched("participants.fetched", after)
        self.assertIn("李娜", {d["person"]["user_name"] for d in self.listed(after)})
        self.assertEqual(len(eventually(lambda: self.named("李娜"))), 1)

    def named(self, name):
        return [i for i in self.data("/api/v1/platform-identities?limit=100") if i["displayName"] == name]

    def test_every_occurrence_has_its_own(self):
        """Notices of texts name no occurrence, and come before their recording; the vendor's list has those of yesterday too."""
        self.start()
        before = self.meeting(meeting_id="7700000000000000001", sub_meeting_id="1796000000", ago_s=80000, recordings=1,
                              people=[{"userid": "zhang.wei", "user_name": "张伟"}, {"userid": "li.na", "user_name": "李娜"}],
                              events=["meeting.end", "recording.completed"])
        self.settled(7)
        self.sim.fault("tencent", "reorder", op="webhook", share=1)
        after = self.meeting(meeting_id="7700000000000000001", sub_meeting_id="1796086400")
        self.settled()
        rows = {}
        for kind in ("recording.stored", "transcript.stored", "summary.stored", "participants.fetched"):
            for data in self.kept(kind):
                rows.setdefault(data.get("sub_meeting_id"), []).append((kind, data.get("record_file_id")))
        self.assertEqual(set(rows), {"1796000000", "1796086400"})
        for occurrence, meeting in (("1796000000", before), ("1796086400", after)):
            file = meeting["record_files"][0]["record_file_id"]
            self.assertEqual(sorted(set(rows[occurrence])), [("participants.fetched", None), ("recording.stored", file),
                                                             ("summary.stored", file), ("transcript.stored", file)])
            self.assertEqual(self.data("/api/v1/meetings/%s" % self.recording(meeting)["meetingId"])["subMeetingId"], occurrence)
        people = {d["sub_meeting_id"]: d["people"] for d in self.kept("participants.fetched")}
        self.assertEqual(people, {"1796000000": 2, "1796086400": 3})
        self.assertEqual(self.sim.refused("tencent"), [])

    @with_clock
    def test_limits_are_kept_and_what_nobody_told_of_is_found(self):
        self.start(kind=LaterServer)
        self.sim.fault("tencent", "limit", op="participants", count=1)
        # Its completion is never delivered.
        meeting = self.sim.command("tencent", "meeting")
        self.tell(meeting, "meeting.end", meeting_end_type=0)
        row = eventually(lambda: self.effects(state="WAITING"))[0]
        self.assertEqual((row["class"], row["status"]), ("retry", 190310))
        self.server.later(61) # the next minute
        told = eventually(lambda: self.kept("recording.completed"))
        self.assertEqual(told[0]["vendor_event"], "records.list")
        self.settled()
        recording = eventually(lambda: (lambda r: r["transcripts"] and r["files"] and r)(self.recording(meeting)))
        self.assertEqual(recording["status"], "COMPLETED")


class Trouble(OutCase):
    def test_failures_cuts_deletions_and_what_is_never_made(self):
        self.start()
        for fault in ("fail", "cut", "down"):
            self.sim.fault("tencent", fault, share=0.3, count=2)
        good = self.meeting(recordings=2)
        self.settled()
        self.assertEqual((len(self.kept("transcript.stored", good)), len(self.kept("summary.stored", good))), (2, 8))
        self.sim.no_faults()
        never = self.meeting(not_ready=1000, events=["recording.completed"])
        gone = self.meeting(not_ready=1, events=["recording.completed"])
        self.sim.command("tencent", "erase", record_file_id=gone["record_files"][0]["record_file_id"])
        rows = self.settled(final=("DONE", "FAILED"))
        self.assertEqual(sorted(e["effect"] for e in rows if e["class"] == "never_made"), sorted(MADE))
        self.assertEqual(self.kept("transcript.stored", never) + self.kept("summary.stored", never), [])
        self.assertEqual({e["class"] for e in rows if e["state"] == "FAILED"} - {"never_made"}, {"gone"})

    def test_a_kill_in_between(self):
        self.start()
        self.sim.fault("tencent", "slow", share=1, seconds=0.3)
        self.meeting()
        self.server.kill()
        self.sim.no_faults()
        self.server.start()
        self.settled()
        self.assertEqual((len(self.kept("transcript.stored")), len(self.kept("summary.stored")),
                          len(self.kept("participants.fetched")), len(self.kept("recording.stored"))), (1, 4, 1, 1))

    def test_keys_that_are_wrong_or_missing(self):
        self.start(TENCENT_MEETING_SECRET_ID="")
        self.meeting(events=["meeting.end", "recording.completed"])
        path = "/api/v1/recordings/%s/transcript" % eventually(lambda: self.data("/api/v1/recordings"))[0]["id"]
        self.assertEqual(self.effects(), [])
        self.get(path, 404)
        self.get("/api/v1/recordings/nothing/transcript", 404)
        self.assertIn("limit", str(self.get(path + "?limit=0&what=x", 400)["errors"]))
        self.assertEqual(self.server.request("GET", path, token=None).status, 401)
        self.server.stop()
        self.server.env.update(self.sim.settings, TENCENT_MEETING_SECRET_KEY="wrong")
        self.server.start()
        self.meeting(events=["meeting.end"])
        row = eventually(lambda: self.effects(state="WAITING"))[0]
        self.assertEqual((row["class"], row["status"]), ("configuration", 200003))
        self.assertIn("TENCENT_MEETING_SECRET_KEY", row["message"])


if __name__ == "__main__":
    unittest.main()
