#!/usr/bin/env python3
"""Feishu out: rows of the tables are kept in step and messages sent, each once, against the simulator of the vendor."""

import json
import unittest

from admin_case import AdminCase
from harness import Server, eventually, lulab, meeting_event
from simulator import Simulator

MEETING = "tblSimMeeting"
CHAT = "oc_simulatedChat01"
ENDED = ("DONE", "DEAD", "FAILED", "CANCELLED")


def person(n, **more):
    return {"userid": "user-%s" % n, "user_name": "与会者%s" % n, "uuid": "uuid-%s" % n, "instance_id": "1",
            "ms_open_id": "ms-%s" % n, **more}


class LarkCase(AdminCase):
    """A simulator and a service for a class; each test has a meeting and people of its own, and sees what came of these."""
    vendors = ["lark"]
    options = {}
    env = {}

    @classmethod
    def setUpClass(cls):
        cls.made = 0
        cls.sim = Simulator(vendors=cls.vendors, options={"lark.rates": 0, **cls.options}).start()
        cls.server = Server(env={**cls.sim.settings, "LULAB_EFFECTS_RETRY_BASE": "20", "LULAB_EFFECTS_BREAKER": "50",
                                 "LULAB_EFFECTS_BATCH_WAIT": "20", "LARK_CONNECTION": "off", **cls.env}).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        cls.sim.__exit__(None, None, None)

    def setUp(self):
        type(self).made += 1
        self.me = "%s%03d" % (type(self).__name__.lower(), self.made)
        eventually(lambda: all(e["state"] in ENDED for e in self.newest("/api/v1/effects") if e["effect"] != "tencent.records"))
        self.meeting_id = "m-" + self.me
        self.base = len(self.sim.told("acts", "lark"))
        self.n_refused = len(self.sim.refused("lark"))
        self.old = {r["id"] for path in ("/api/v1/effects", "/api/v1/lark/rows") for r in self.newest(path)}
        self.addCleanup(self.sim.no_faults)

    def who(self, n):
        return person("%s-%d" % (self.me, n))

    def happens(self, name, at=1767051029171, who=1, n=None, **info):
        """An event of this test's meeting, or its n-th, which person 1 made."""
        meeting = self.meeting_id if n is None else "%s-%d" % (self.meeting_id, n)
        event = meeting_event(name, trace_id="%s-%s-%d" % (name, meeting, type(self).made), meeting_id=meeting,
                              operator=self.who(who), operate_time=at,
                              meeting_info={"creator": self.who(1), "subject": "一次会议", **info})
        type(self).made += 1
        answer = self.server.post_event(event)
        self.assertEqual(answer.status, 200, answer.body)

    def newest(self, path, **more):
        """The rows of a list that has seen all there is in the log."""
        return self.server.newest_data(path + "?limit=100&" + "&".join("%s=%s" % p for p in more.items()))

    def effects(self, **more):
        return [e for e in self.newest("/api/v1/effects", **more) if e["id"] not in self.old]

    def until_quiet(self, lane="lark_table"):
        """All of the lane has ended, what was asked for just now included."""
        def done():
            rows = self.effects(lane=lane)
            return rows and all(r["state"] in ENDED for r in rows) and rows
        return eventually(done)

    def attempts(self):
        return {a["outcome"] for e in self.effects() for a in self.call("GET", "/api/v1/effects/" + e["id"])["data"]["attempts"]}

    def meetings(self):
        return [m for m in self.sim.command("lark", "records", table="MEETING")
                if m.get("meeting_id", "").lower().startswith(self.meeting_id)]

    def people(self):
        return [p for p in self.sim.command("lark", "records", table="USER") if p.get("uuid", "").startswith("uuid-%s-" % self.me)]

    def rows(self, **more):
        return [r for r in self.newest("/api/v1/lark/rows", **more) if r["id"] not in self.old]

    def conflicts(self):
        return [r for r in self.newest("/api/v1/lark/conflicts") if r["id"] not in self.old]

    def acts(self, *did):
        return [a for a in self.sim.told("acts", "lark")[self.base:] if a["did"] in did]

    def refused(self):
        return self.sim.refused("lark")[self.n_refused:]


class Shared(LarkCase):
    """Those that need nothing of their own share a simulator and a service."""
    env = {"LULAB_LARK_CHAT": CHAT}

    @classmethod
    def setUpClass(cls):
        if not hasattr(Shared, "server"):
            super(Shared, Shared).setUpClass()
            unittest.addModuleCleanup(super(Shared, Shared).tearDownClass)
        cls.made = 0

    @classmethod
    def tearDownClass(cls):
        pass


class Rows(Shared):
    def test_a_meeting_and_its_people(self):
        self.happens("meeting.started")
        self.happens("meeting.participant-joined", who=2, at=1767051030000)
        self.until_quiet()
        people = {p["uuid"]: p for p in self.people()}
        self.assertEqual(sorted(people), [self.who(1)["uuid"], self.who(2)["uuid"]])
        one = people[self.who(1)["uuid"]]
        self.assertEqual((one["userid"], one["user_name"], one["is_enterprise_user"]),
                         (self.who(1)["userid"], self.who(1)["user_name"], True))
        meetings = self.meetings()
        self.assertEqual(len(meetings), 1)
        m = meetings[0]
        self.assertEqual({k: m[k] for k in ("platform", "subject", "meeting_id", "meeting_code", "start_time", "end_time",
                                            "meeting_type", "creator")},
                         {"platform": "腾讯会议", "subject": "一次会议", "meeting_id": self.meeting_id, "meeting_code": "361599399",
                          "start_time": 1767051000000, "end_time": 1767054600000, "meeting_type": "一次性会议",
                          "creator": [one["record_id"]]})
        self.assertNotIn("sub_meeting_id", m)
        self.assertEqual(set(m["participants"]), {p["record_id"] for p in people.values()})
        # Each record was made by a request whose client token is that of an effect.
        made = self.acts("create")
        self.assertEqual(len(made), 3)
        ids = {e["id"] for e in self.effects()}
        for act in made:
            token = act["client_token"].replace("-", "")
            self.assertTrue(any(i[:12] == token[:12] and i[13:16] == token[13:16] and i[17:] == token[17:] for i in ids), token)
        self.assertEqual({(r["table"], r["state"]) for r in self.rows()}, {("MEETING", "SYNCED"), ("USER", "SYNCED")})
        self.assertEqual(self.refused(), [])

    def test_a_meeting_of_feishu_itself(self):
        def who(n):
            return {"id": {"union_id": "uuid-%s-%d" % (self.me, n), "open_id": "ou_%s%d" % (self.me, n), "user_id": "u%d" % n},
                    "user_role": 1, "user_type": 1}
        meeting = {"id": self.meeting_id, "topic": "飞书的周会", "meeting_no": "100200300", "meeting_source": 1,
                   "start_time": "1760000400", "end_time": "1760004000", "owner": who(1), "host_user": who(1)}
        for name, event in (("all_meeting_ended", {"meeting": meeting, "operator": who(1)}),
                            ("join_meeting", {"meeting": meeting, "operator": who(2)}),
                            ("recording_ready", {"meeting": meeting, "duration": "3600000",
                                                 "url": "https://sim.feishu.invalid/minutes/obcn%s" % self.me})):
            told = self.sim.command("lark", "event", event_type="vc.meeting.%s_v1" % name, event=event, over="webhook",
                                    webhook="http://127.0.0.1:%d/webhooks/lark" % self.server.port)
            self.assertEqual(told["statuses"], [200])
        self.until_quiet()
        people = {p["uuid"]: p["record_id"] for p in self.people()}
        self.assertEqual(len(people), 2)
        row = self.meetings()[0]
        self.assertEqual({**row, "participants": sorted(row["participants"])}, {
            "record_id": row["record_id"], "platform": "飞书会议", "subject": "飞书的周会", "meeting_id": self.meeting_id,
            "meeting_code": "100200300", "start_time": 1760000400000, "end_time": 1760004000000,
            "creator": [people["uuid-%s-1" % self.me]], "participants": sorted(people.values())})
        self.assertEqual([(r["record_file_id"], r["meet"]) for r in self.sim.command("lark", "records", table="RECORDING")
                          if r["record_file_id"] == "obcn" + self.me], [("obcn" + self.me, [row["record_id"]])])
        self.assertEqual(self.refused(), [])

    def test_the_same_again_is_the_same_record(self):
        self.happens("meeting.started")
        self.until_quiet()
        writes = len(self.acts("create", "update"))
        self.happens("meeting.started", at=1767051029172)
        self.until_quiet()
        self.assertEqual(len(self.acts("create", "update")), writes)
        creator = self.meetings()[0]["creator"]
        self.happens("meeting.end", at=1767054000000, subject="改了名", creator={"userid": self.who(1)["userid"]})
        self.until_quiet()
        self.assertEqual([(m["subject"], m["creator"]) for m in self.meetings()], [("改了名", creator)])
        self.assertEqual([sorted(a["fields"]) for a in self.acts("update")], [["subject"]])
        # One occurrence of a series is another row, whatever came first.
        self.happens("meeting.started", at=1767051029173, sub_meeting_id="sub-1")
        self.until_quiet()
        self.assertEqual(sorted(m.get("sub_meeting_id", "") for m in self.meetings()), ["", "sub-1"])

    def test_records_that_are_there_already_are_ours(self):
        mine = self.sim.command("lark", "add", table="MEETING",
                                fields={"meeting_id": self.meeting_id, "subject": "old", "platform": "TENCENT_MEETING"})
        other = self.sim.command("lark", "add", table="MEETING", fields={"meeting_id": self.meeting_id.upper(), "subject": "another"})
        self.happens("meeting.started")
        self.until_quiet()
        rows = {m["record_id"]: m for m in self.meetings()}
        self.assertEqual(set(rows), {mine, other})
        self.assertEqual((rows[mine]["subject"], rows[mine]["platform"]), ("一次会议", "腾讯会议"))
        self.assertEqual(rows[other]["subject"], "another")

    def test_a_token_that_is_over(self):
        self.happens("meeting.started")
        self.until_quiet()
        self.sim.command("lark", "expire_tokens")
        self.happens("meeting.end", at=1767054000000, subject="later")
        self.until_quiet()
        self.assertEqual([m["subject"] for m in self.meetings()], ["later"])
        self.assertEqual(len(self.acts("token")), 1)
        self.assertEqual({e["attempt"] for e in self.effects()}, {1})

    def test_a_kill_while_it_is_written(self):
        self.sim.fault("lark", "act_then_timeout", op="create", count=1, seconds=60)
        self.happens("meeting.started")
        eventually(self.people)
        self.server.kill()
        self.server.start()
        self.until_quiet()
        self.assertEqual((len(self.meetings()), len(self.people())), (1, 1))
        self.assertEqual(len(self.acts("create")), 2)
        # Nothing is sent again by a rebuild.
        asked = self.acts("create", "update"), self.sim.calls("lark")["search"]
        self.assertEqual(self.server.stop(), 0)
        for model in ("effects", "lark"):
            lulab("projection", "rebuild", model, "--data", self.server.data)
        self.server.start()
        self.until_quiet()
        self.assertEqual((self.acts("create", "update"), self.sim.calls("lark")["search"]), asked)
        lulab("log", "verify", "--data", self.server.data)


class Faults(Shared):
    """Few: repetitions are counted against what a lane may repeat within a minute."""
    options = {"lark.reset_s": "0.02"}

    def details(self):
        return [self.call("GET", "/api/v1/effects/" + e["id"])["data"] for e in self.effects()]

    def test_an_answer_that_is_lost(self):
        self.sim.fault("lark", "act_then_timeout", op="create", count=2, seconds=0)
        self.happens("meeting.started")
        self.until_quiet()
        self.assertEqual((len(self.meetings()), len(self.people())), (1, 1))
        self.assertEqual(self.sim.calls("lark")["create"]["act_then_timeout"], 2)
        self.assertEqual({e["attempt"] for e in self.effects()}, {1})  # asked again with the batch in hand

    def test_answers_that_are_lost_again_and_again(self):
        self.sim.fault("lark", "act_then_timeout", op="create", count=6, seconds=0)
        self.happens("meeting.started")
        self.until_quiet()
        self.assertEqual((len(self.meetings()), len(self.people())), (1, 1))
        self.assertEqual(self.attempts() - {"WAITING"}, {"UNKNOWN", "DONE"})

    def test_a_limit_costs_no_try(self):
        self.sim.fault("lark", "limit", op="search", count=6)
        self.happens("meeting.started")
        self.until_quiet()
        self.assertEqual((len(self.meetings()), len(self.people())), (1, 1))
        waited = [e for e in self.details() if e["attempt"] > 1]
        self.assertTrue(waited)
        self.assertEqual({e["attempt"] - e["tries"] for e in waited}, {1})

    def test_a_vendor_that_is_not_well(self):
        self.sim.command("lark", "expire_tokens")
        for fault, op in (("limit", "search"), ("fail", "create"), ("limit", "token")):
            self.sim.fault("lark", fault, op=op, count=1)
        self.happens("meeting.started")
        self.until_quiet()
        self.assertEqual((len(self.meetings()), len(self.people())), (1, 1))
        self.assertEqual({e["attempt"] for e in self.effects()}, {1})
        calls = self.sim.calls("lark")
        self.assertEqual((calls["create"].get("500"), calls["token"].get("429")), (1, 1))


class Batches(LarkCase):
    env = {"LULAB_EFFECTS_BATCH_WAIT": "400"}
    options = {"lark.rates": 1}

    def test_many_rows_go_together_and_one_writer_alone(self):
        for n in range(20):
            self.happens("meeting.started", n=n)
        self.until_quiet()
        self.assertEqual((len(self.meetings()), len(self.people())), (20, 1))
        for n in range(20):
            self.happens("meeting.end", n=n, at=1767054000000, subject="ended %d" % n)
        self.until_quiet()
        self.assertEqual(sorted(m["subject"] for m in self.meetings()), sorted("ended %d" % n for n in range(20)))
        calls = self.sim.calls("lark")
        self.assertLess(calls["search"]["200"], 12)
        self.assertLess(calls["batch_update"]["200"], 8)
        self.assertLess(calls["batch_get"]["200"], 16)
        self.assertEqual(self.refused(), [])

    def test_one_bad_row_does_not_spoil_the_others(self):
        for n in range(3):
            self.happens("meeting.started", n=n)
        self.until_quiet()
        gone = next(m for m in self.meetings() if m["meeting_id"].endswith("-1"))
        self.sim.command("lark", "remove", table="MEETING", record_id=gone["record_id"])
        for n in range(3):
            self.happens("meeting.end", n=n, at=1767054000000, subject="ended %d" % n)
        self.until_quiet()
        self.assertEqual(sorted(m["subject"] for m in self.meetings()), ["ended 0", "ended 2"])
        conflict = self.conflicts()
        self.assertEqual([(c["table"], c["reason"]) for c in conflict], [("MEETING", "DELETED")])
        # Who keeps theirs leaves it so; who keeps ours gets a record again.
        path = "/api/v1/lark/conflicts/%s" % conflict[0]["id"]
        self.call("POST", path + "/resolve", {"keep": "ours"})
        self.until_quiet()
        self.assertEqual(sorted(m["subject"] for m in self.meetings()), ["ended 0", "ended 1", "ended 2"])


class Conflicts(Shared):
    def setUp(self):
        super().setUp()
        self.happens("meeting.started")
        self.until_quiet()
        self.record = self.meetings()[0]["record_id"]

    def meeting(self):
        return self.meetings()[0]

    def edited(self, subject="人工修改"):
        self.sim.command("lark", "edit", table="MEETING", record_id=self.record, fields={"subject": subject})
        self.happens("meeting.end", at=1767054000000, subject="我们的新标题", meeting_code="222")
        self.until_quiet()

    def test_what_a_person_changed_is_kept_and_shown(self):
        self.edited()
        # The rest goes on.
        self.assertEqual((self.meeting()["subject"], self.meeting()["meeting_code"]), ("人工修改", "222"))
        found = self.conflicts()
        self.assertEqual([(c["table"], c["state"], c["reason"], c["fields"], c["recordId"]) for c in found],
                         [("MEETING", "CONFLICT", "CHANGED", ["subject"], self.record)])
        shown = self.call("GET", "/api/v1/lark/conflicts/" + found[0]["id"])["data"]
        self.assertEqual(shown["values"], [{"name": "subject", "ours": "我们的新标题", "theirs": "人工修改"}])
        self.happens("meeting.end", at=1767054000001, subject="又一个", meeting_code="333")
        self.until_quiet()
        self.assertEqual((self.meeting()["subject"], self.meeting()["meeting_code"]), ("人工修改", "333"))

    def test_ours_is_written_again(self):
        self.edited()
        path = "/api/v1/lark/conflicts/%s/resolve" % self.conflicts()[0]["id"]
        self.call("POST", path, {"keep": "ours", "note": "the calendar is right"})
        self.until_quiet()
        self.assertEqual(self.meeting()["subject"], "我们的新标题")
        self.assertEqual(self.conflicts(), [])
        self.assertEqual({r["state"] for r in self.rows()}, {"SYNCED"})
        self.call("POST", path, {"keep": "ours"}, status=409)

    def test_theirs_stays_until_ours_changes(self):
        self.edited()
        self.call("POST", "/api/v1/lark/conflicts/%s/resolve" % self.conflicts()[0]["id"], {"keep": "theirs"})
        self.happens("meeting.end", at=1767054000001, subject="我们的新标题", meeting_code="333")
        self.until_quiet()
        self.assertEqual((self.meeting()["subject"], self.meeting()["meeting_code"]), ("人工修改", "333"))
        self.assertEqual(self.conflicts(), [])
        self.happens("meeting.end", at=1767054000002, subject="第三个")
        self.until_quiet()
        self.assertEqual(self.meeting()["subject"], "第三个")

    def test_a_change_that_agrees_is_none(self):
        self.edited("我们的新标题")
        self.assertEqual(self.conflicts(), [])

    def test_who_may_decide(self):
        self.edited()
        conflict = self.conflicts()[0]["id"]
        _, member = self.user()
        for method, path, body in (("GET", "/api/v1/lark/rows", None), ("GET", "/api/v1/lark/conflicts/" + conflict, None),
                                   ("POST", "/api/v1/lark/conflicts/%s/resolve" % conflict, {"keep": "ours"}),
                                   ("POST", "/api/v1/lark/messages", {"receive_id_type": "chat_id", "receive_id": CHAT, "text": "x"})):
            self.call(method, path, body, token=member, status=403)
            self.call(method, path, body, token=None, status=401)
        path = "/api/v1/lark/conflicts/%s/resolve" % conflict
        for bad in ({}, {"keep": "both"}, {"keep": "ours", "more": 1}, {"keep": ["ours"]}, {"keep": "ours", "note": "x" * 501}):
            self.call("POST", path, bad, status=400)
        self.call("POST", "/api/v1/lark/conflicts/c000000000000000000000000/resolve", {"keep": "ours"}, status=404)
        self.call("GET", "/api/v1/lark/rows?state=SOMETHING", status=400)


TEXTS = {"fullsummary": "会议讨论了下个季度的预算", "ai_minutes": "## 会议纪要", "todo": "- 王芳：二十八号之前",
         "ai_meeting_transcripts": "张伟(00:00:00)：大家好，人都到齐了，我们开始今天的会议。\n\n"}


class Recordings(LarkCase):
    """A meeting with its recording, what is written about it, and what each said: all tables, until its people are erased."""
    vendors = ["lark", "tencent", "openai"]
    env = {"LULAB_FETCH_ADDRESSES": "127.0.0.1"}

    def table(self, name):
        return self.sim.command("lark", "records", table=name)

    def webhook(self):
        return "http://127.0.0.1:%d/webhooks/tencent" % self.server.port

    def tell_again(self, meeting):
        """The recording is told of once more: its row is looked at."""
        who = {"userid": "zhang.wei", "uuid": [p["uuid"] for p in self.table("USER") if p.get("userid") == "zhang.wei"][0]}
        item = {"operate_time": 1796000000000 + self.made, "operator": who,
                "meeting_info": {"meeting_id": meeting["meeting_id"], "creator": who},
                "recording_files": [{"record_file_id": f["record_file_id"]} for f in meeting["record_files"]]}
        self.sim.command("tencent", "send", webhook=self.webhook(),
                         event={"event": "recording.completed", "trace_id": "again-%d" % self.made, "payload": [item]})
        type(self).made += 1
        self.settle()

    def settle(self):
        eventually(lambda: all(e["state"] in ENDED for e in self.effects()
                               if e["effect"] != "tencent.records"))

    def edit(self, table, record, **fields):
        self.sim.command("lark", "edit", table=table, record_id=record["record_id"], fields=fields)

    def resolve(self, table, keep, **values):
        """The conflict of that table is about these fields, which both sides have so."""
        conflict = [c for c in self.conflicts() if c["table"] == table]
        self.assertEqual([(c["reason"], sorted(c["fields"])) for c in conflict], [("CHANGED", sorted(values))])
        path = "/api/v1/lark/conflicts/" + conflict[0]["id"]
        told = {v["name"]: (v["ours"], v["theirs"]) for v in self.call("GET", path)["data"]["values"]}
        self.assertEqual(told, {n: v for n, v in values.items() if v})
        self.call("POST", path + "/resolve", {"keep": keep})
        self.settle()

    def erase(self, *names):
        user = AdminCase.person(self)
        for identity in self.newest("/api/v1/platform-identities"):
            if identity["displayName"] in names:
                self.call("PUT", "/api/v1/platform-identities/%s/user" % identity["id"], {"userId": user}, status=204)
        self.call("DELETE", "/api/v1/users/%s?erase=true&ground=asked" % user)
        self.settle()

    def test_all_of_it_until_its_people_are_erased(self):
        self.call("POST", "/api/v1/effects/lanes/tencent/pause", {"reason": "texts come later"})
        meeting = self.sim.command("tencent", "meeting", webhook=self.webhook())
        early = eventually(lambda: [r for r in self.table("RECORDING") if r.get("meet")])[0]
        row = eventually(lambda: [m for m in self.table("MEETING") if len(m.get("participants", ())) == 3])[0]
        file = meeting["record_files"][0]
        self.assertEqual({k: v for k, v in early.items() if k != "record_id"}, {
            "record_file_id": file["record_file_id"], "meet": [row["record_id"]],
            "start_time": row["start_time"], "end_time": row["end_time"]})
        self.call("POST", "/api/v1/effects/lanes/tencent/resume")
        self.check_later(early)
        self.check_conflicts(meeting)
        self.check_erased(row)
        self.assertEqual(self.sim.refused("lark"), [])

    def check_later(self, early):
        """What is made after the meeting comes into the record there is; each who spoke has a row of their own."""
        recording = eventually(lambda: [r for r in self.table("RECORDING") if set(TEXTS) <= set(r)])[0]
        self.assertEqual((recording["record_id"], recording["participants"]), (early["record_id"], "张伟,李娜,王芳"))
        self.assertEqual({n: recording[n][:len(t)] for n, t in TEXTS.items()}, TEXTS)
        said = eventually(lambda: len(self.table("SUMMARY")) == 3 and self.table("SUMMARY"))
        people = {p["record_id"]: p for p in self.table("USER")}
        self.assertEqual(sorted(people[s["meet_participant"][0]]["user_name"] for s in said), ["张伟", "李娜", "王芳"])
        self.assertEqual({tuple(s["record_file"]) for s in said}, {(recording["record_id"],)})
        self.assertTrue(all(s["participant_summary"] for s in said))
        self.settle()
        self.assertEqual({p["phone_hase"] is not None and p["is_enterprise_user"] for p in people.values()}, {True})
        self.assertEqual({r["state"] for r in self.rows()}, {"SYNCED"})

    def check_conflicts(self, meeting):
        recording, summary = self.table("RECORDING")[0], self.table("SUMMARY")[0]
        whole = recording["fullsummary"]
        self.edit("RECORDING", recording, fullsummary="人工总结")
        self.tell_again(meeting)
        self.resolve("RECORDING", "theirs", fullsummary=(whole, "人工总结"))
        self.tell_again(meeting)
        self.assertEqual((self.table("RECORDING")[0]["fullsummary"], self.conflicts()), ("人工总结", []))
        self.edit("RECORDING", recording, fullsummary="又改了", participants="王芳和别人")
        self.tell_again(meeting)
        self.resolve("RECORDING", "ours", fullsummary=(whole, "又改了"), participants=None)
        self.assertEqual((self.table("RECORDING")[0], self.conflicts()), (recording, []))
        # What each said is written again when it is summed up again.
        for keep, text in (("theirs", "我没有这么说"), ("ours", "也没有这么说")):
            before = [s for s in self.table("SUMMARY") if s["record_id"] == summary["record_id"]][0]["participant_summary"]
            self.edit("SUMMARY", summary, participant_summary=text)
            self.call("POST", "/api/v1/meetings/%s/summaries" % self.newest("/api/v1/meetings")[0]["id"], {}, status=202)
            eventually(lambda: [c for c in self.conflicts() if c["table"] == "SUMMARY"])
            self.settle()
            self.resolve("SUMMARY", keep, participant_summary=(summary["participant_summary"], text))
            now = [s for s in self.table("SUMMARY") if s["record_id"] == summary["record_id"]][0]["participant_summary"]
            self.assertEqual(now, text if keep == "theirs" else summary["participant_summary"], before)
        self.assertEqual({r["state"] for r in self.rows()}, {"SYNCED"})
        self.edit("RECORDING", recording, participants="张伟,李娜,王芳（设计）", todo="- 王芳：给出方案")
        self.edit("SUMMARY", self.of("王芳"), participant_summary="王芳说得不多")
        self.tell_again(meeting)

    def of(self, name):
        record = [p["record_id"] for p in self.table("USER") if p.get("user_name") == name]
        return [s for s in self.table("SUMMARY") if s.get("meet_participant") == record][0]

    def check_erased(self, row):
        """Whatever names somebody goes, also what a person wrote over it; what is others' stays."""
        recording, others = self.table("RECORDING")[0], self.of("李娜")
        stays = others["meet_participant"][0]
        self.erase("王芳", "张伟")
        for table, record in (("USER", stays), ("SUMMARY", others["record_id"])):
            rows = self.table(table)
            self.assertEqual([r for r in rows if r["record_id"] != record], [{"record_id": r["record_id"]} for r in rows
                                                                            if r["record_id"] != record])
        self.assertEqual(self.of("李娜"), others)
        self.assertEqual(self.table("MEETING")[0], {**{n: v for n, v in row.items() if n != "creator"}, "participants": [stays]})
        after = self.table("RECORDING")[0]
        self.assertEqual({n: v for n, v in after.items() if n != "ai_meeting_transcripts"},
                         {**{n: v for n, v in recording.items() if n not in TEXTS}, "participants": "李娜"})
        said = recording["ai_meeting_transcripts"]
        self.assertEqual(after["ai_meeting_transcripts"], said.replace("王芳(", "已删除用户(").replace("张伟(", "已删除用户("))
        self.assertEqual(self.conflicts(), [])
        self.assertEqual(sorted(r["state"] for r in self.rows() if r["table"] in ("USER", "SUMMARY")), 4 * ["BLANKED"] + 2 * ["SYNCED"])
        for text in ("王芳说得不多", "王芳（设计）"):
            self.assertNotIn(text, json.dumps(self.events("lark.row_conflict"), ensure_ascii=False))


class Tables(LarkCase):
    env = {"LARK_TABLE_MEETING_USE": "", "LARK_TABLE_MEETING_RECORD": "", "LARK_TABLE_MEETING": MEETING}

    def test_a_table_that_is_not_named_is_left_alone(self):
        self.happens("meeting.started")
        self.until_quiet()
        self.assertEqual({e["effect"] for e in self.effects()}, {"lark.meeting"})
        self.assertEqual((len(self.meetings()), self.people()), (1, []))
        self.assertNotIn("creator", self.meetings()[0])

    def test_a_field_that_is_not_there_waits_for_a_person(self):
        self.sim.command("lark", "drop_field", {"table": "MEETING", "name": "meeting_code"})
        self.happens("meeting.started")
        dead = self.until_quiet()[0]
        self.assertEqual((dead["state"], dead["class"]), ("DEAD", "table"))
        self.assertIn("meeting_code", dead["message"])
        self.assertEqual(self.meetings(), [])
        self.sim.command("lark", "add_field", {"table": "MEETING", "name": "meeting_code", "type": 1})
        self.call("POST", "/api/v1/effects/%s/retry" % dead["id"])
        eventually(self.meetings)

    def test_of_tables_one_is_not_there(self):
        self.sim.command("lark", "drop_table", table="MEETING")
        self.happens("meeting.started")
        dead = self.until_quiet()[0]
        self.assertEqual((dead["state"], dead["status"]), ("DEAD", 1254041))
        self.assertIn("LARK_TABLE_", dead["message"])


class Off(LarkCase):
    env = {"LARK_APP_SECRET": ""}

    def test_without_an_app_nothing_is_wanted(self):
        self.happens("meeting.started")
        self.assertEqual(self.effects(), [])
        self.assertEqual(self.sim.calls("lark"), {})


class Messages(Shared):
    def send(self, to=CHAT, kind="chat_id", status=202, **more):
        return self.call("POST", "/api/v1/lark/messages", {"receive_id_type": kind, "receive_id": to, **more}, status=status)

    def test_a_meeting_that_ended(self):
        self.happens("meeting.started")
        self.happens("meeting.end", at=1767051029171 + 30 * 60000)
        self.until_quiet("lark_message")
        sent = self.acts("message")
        self.assertEqual([(m["to"], m["msg_type"]) for m in sent], [(CHAT, "interactive")])
        lines = [e["text"]["content"] for e in sent[0]["content"]["body"]["elements"]]
        self.assertEqual(lines, ["一次会议", "会议号：361599399", "结束时间：2025-12-30 08:00", "时长：30 分钟", "参会人数：0"])
        self.assertEqual(sent[0]["uuid"], self.effects(lane="lark_message")[0]["id"])

    def test_a_message_is_sent_once_whatever_happens(self):
        for fault in ("limit", "act_then_timeout"):
            self.sim.fault("lark", fault, op="message", share=0.5, count=1, seconds=0)
        self.send(text="开会了")
        self.until_quiet("lark_message")
        self.assertEqual([m["content"] for m in self.acts("message")], [{"text": "开会了"}])
        self.assertEqual(len([e for e in self.events("lark.message_sent") if e["data"]["effect_id"] not in self.old]), 1)

    def test_many_wait_for_one_token(self):
        self.send(text="first")
        self.until_quiet("lark_message")
        self.sim.command("lark", "expire_tokens")
        self.sim.fault("lark", "slow", op="token", count=1, seconds=0.3)
        for n in range(16):
            self.send(to="ou_person%d" % n, kind="open_id", card=json.dumps({"elements": [{"tag": "hr"}]}))
        self.until_quiet("lark_message")
        self.assertEqual(len(self.acts("message")), 17)
        self.assertEqual(len(self.acts("token")), 1)
        self.assertEqual({e["attempt"] for e in self.effects(lane="lark_message")}, {1})

    def test_what_the_vendor_never_takes(self):
        self.sim.command("lark", "leave_chat", chat="oc_left")
        self.send(to="oc_left", text="x")
        dead = self.until_quiet("lark_message")[0]
        self.assertEqual((dead["state"], dead["status"]), ("DEAD", 230002))
        self.assertIn("not in the chat", dead["message"])
        for bad in ({}, {"text": "x", "card": "{}"}, {"card": "no JSON"}, {"text": ""}, {"text": 1}, {"card": "x" * 30721}):
            self.send(status=400, **bad)
        self.send(kind="telephone", text="x", status=400)


if __name__ == "__main__":
    unittest.main()
