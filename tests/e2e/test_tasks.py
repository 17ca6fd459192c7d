#!/usr/bin/env python3
"""Tasks at both places they have: scheduled, fired once each, run, steered; over kills and clocks that are set."""

import datetime
import json
import os
import unittest

from admin_case import AdminCase
from harness import WRONG_CLOCK_SO, Server, eventually, lulab
from mail_server import MailServer, parsed
from simulator import Simulator

NOBODY = "0" * 32
CLEAN = {"name": "clean up", "kind": "cleanupExpiredData"}


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Tasks(AdminCase):
    # A model that nobody reaches: what is asked of it is asked for all the same.
    env = {"OPENAI_API_KEY": "sk-test", "OPENAI_MODEL": "none", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}

    def make(self, body, where="/api/v1/tasks", status=201):
        made = self.call("POST", where, body, status=status)
        return made["data"] if where.startswith("/api/v1") and status < 300 else made

    def task(self, id):
        return self.call("GET", "/api/v1/tasks/" + id)["data"]

    def runs(self, id, **filters):
        query = "".join("&%s=%s" % f for f in filters.items())
        return self.call("GET", "/api/v1/tasks/%s/runs?limit=100%s" % (id, query))["data"]

    def ended(self, id, n=1):
        return eventually(lambda: [r for r in self.runs(id) if r["endedAt"]][n - 1:] and self.runs(id))

    def effect(self, id):
        """Done, which another read model may know later."""
        return eventually(lambda: [e for e in [self.call("GET", "/api/v1/effects/" + id)["data"]] if e["state"] == "DONE"])[0]

    def events(self, type, id):
        return [e["data"] for e in self.call("GET", "/api/v1/events?type=%s&stream=task/%s&limit=100" % (type, id))["data"]]

    # ---- what is scheduled ------------------------------------------------------------------------

    def test_once(self):
        for where in ("/tasks/once", "/api/v1/tasks/once", "/api/v1/tasks"):
            with self.subTest(where=where):
                made = self.make({**CLEAN, "runAt": "2020-01-01T08:00:00+08:00", "payload": {}}, where)
                self.assertEqual((made["type"], made["queueName"], made["runAt"], made["payload"]),
                                 ("ONCE", "tasks", "2020-01-01T00:00:00.000Z", {}))
                run = self.ended(made["id"])[0]
                self.assertEqual((run["number"], run["trigger"], run["state"], run["attempt"], run["result"]),
                                 (1, "SCHEDULE", "DONE", 1, {"deliveries": 0}))
                after = self.task(made["id"])
                self.assertEqual((after["status"], after["nextRunAt"], after["lastError"], after["lastRunStatus"]),
                                 ("COMPLETED", None, None, "DONE"))
                effect = self.effect(run["id"])
                self.assertEqual((effect["effect"], effect["lane"], effect["causeType"]), ("task.run", "tasks", "task.fired"))

    def test_delayed(self):
        made = self.make({**CLEAN, "delayMs": 86400000, "priority": "LOW"})
        late = instant(made["nextRunAt"]) - instant(made["createdAt"])
        self.assertLess(abs(late.total_seconds() - 86400), 5)
        self.assertEqual((made["status"], made["runAt"]), ("SCHEDULED", made["nextRunAt"]))
        self.call("PATCH", "/tasks/" + made["id"], {"delayMs": 0})
        self.assertEqual(self.ended(made["id"])[0]["state"], "DONE")
        self.assertEqual(self.effect(self.runs(made["id"])[0]["id"])["lane"], "tasks_low")

    def test_cron(self):
        made = self.make({**CLEAN, "cron": "30 9 * * MON-FRI", "payload": {}}, "/tasks/cron")
        self.assertEqual((made["type"], made["timezone"], made["status"], made["missed"], made["maxAttempts"]),
                         ("CRON", "Asia/Shanghai", "SCHEDULED", "ONCE", 3))
        self.assertEqual(instant(made["nextRunAt"]).strftime("%H:%M:%S"), "01:30:00")
        self.assertLess(instant(made["nextRunAt"]).weekday(), 5)
        one = "/tasks/" + made["id"]
        self.assertEqual(self.call("GET", one), made)
        changed = self.call("PATCH", one, {"cron": "0 0 12 1 1 *", "timezone": "America/New_York", "name": "new year"})
        self.assertEqual((changed["name"], instant(changed["nextRunAt"]).strftime("%m-%dT%H:%M"), changed["kind"]),
                         ("new year", "01-01T17:00", "cleanupExpiredData"))
        # A run beside the schedule changes nothing about it, and knows what there is to do.
        answer = self.call("POST", one + "/run", status=202)
        run = self.ended(made["id"])[0]
        self.assertEqual((run["id"], run["trigger"], run["state"]), (answer["jobId"], "MANUAL", "DONE"))
        self.assertEqual(self.call("GET", one)["nextRunAt"], changed["nextRunAt"])
        self.assertEqual(self.call("GET", one)["status"], "SCHEDULED")
        self.assertEqual(self.call("PATCH", one, {"status": "PAUSED"})["status"], "PAUSED")
        self.assertEqual(self.call("PATCH", one, {"status": "SCHEDULED", "missedMax": 7})["missedMax"], 7)
        self.assertEqual(self.call("DELETE", one), {"ok": True})
        for method, path, body in (("GET", one, None), ("PATCH", one, {}), ("DELETE", one, None), ("POST", one + "/run", None)):
            self.assertEqual(self.call(method, path, body, status=404)["message"], "Task not found")

    def test_every_second(self):
        made = self.make({**CLEAN, "cron": "* * * * * *"})
        runs = self.ended(made["id"], 2)
        dues = sorted(r["dueAt"] for r in runs)
        self.assertEqual(len(set(dues)), len(dues))
        self.call("POST", "/api/v1/tasks/%s/pause" % made["id"])
        self.call("DELETE", "/api/v1/tasks/" + made["id"], status=204)

    def test_kinds_of_existing_clients(self):
        """What to do was said by the name, or by originalName in the payload."""
        made = self.make({"name": "personalMeetingSummary", "cron": "0 3 * * *", "payload": {"periodType": "DAILY"}}, "/tasks/cron")
        self.assertEqual((made["kind"], made["payload"]), ("personalMeetingSummary", {"periodType": "DAILY"}))
        made = self.make({"name": "weekly", "runAt": "2020-01-01T00:00:00Z",
                          "payload": {"originalName": "personalMeetingSummary", "periodType": "WEEKLY"}}, "/tasks/once")
        self.assertEqual((made["kind"], made["payload"]), ("personalMeetingSummary", {"periodType": "WEEKLY"}))
        run = self.ended(made["id"])[0]
        asked = eventually(lambda: [e["data"] for e in self.call("GET", "/api/v1/events?type=summary.requested&limit=100")["data"]
                                    if e["data"]["request_id"] == run["id"]])[0]
        self.assertEqual((asked["target"], asked["period"], asked["task_id"]), ("PERIOD", "WEEKLY", made["id"]))
        self.assertEqual(run["result"], {"requestId": run["id"]})

    def test_what_needs_a_vendor_that_is_not_configured_says_so(self):
        for kind in ("syncData", "processMeetingRecording"):
            made = self.make({"name": kind, "delayMs": 0, "payload": {}})
            self.assertIn("set TENCENT_MEETING_SECRET_ID", made["unready"])
            run = self.ended(made["id"])[0]
            self.assertEqual((run["state"], run["class"], run["attempt"], run["message"]), ("FAILED", "unready", 1, made["unready"]))

    def test_reports(self):
        empty = {"meetings": 0, "people": 0, "stays": 0, "seconds": 0}
        made = [(self.make({"name": "generateReport", "delayMs": 0, "payload": {"report": "ATTENDANCE", **span}}), span, state, result)
                for span, state, result in (
                    ({"days": 7}, "DONE", empty),
                    ({"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00+08:00"}, "DONE", empty),
                    ({"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "FAILED", None),
                    ({"from": "2026-02-01T00:00:00Z", "days": 3}, "FAILED", None))]
        for task, span, state, result in made:
            with self.subTest(span=span):
                run = self.ended(task["id"])[0]
                self.assertEqual((run["state"], run["result"]), (state, result))
        made = self.make({"name": "generateReport", "delayMs": 0, "payload": {"report": "SUMMARIES", "periodType": "WEEKLY"}})
        run = self.ended(made["id"])[0]
        self.assertEqual((run["state"], run["result"]), ("DONE", {"requestId": run["id"]}))

    def test_a_hint_has_one_task(self):
        body = {**CLEAN, "runAt": "2099-01-01T00:00:00Z", "jobIdHint": self.name()}
        made = self.make(body, "/tasks/once")
        self.assertEqual(made["jobId"], body["jobIdHint"])
        self.assertEqual(self.make(body, "/tasks/once", 200)["id"], made["id"])
        self.assertEqual(self.make({**body, "name": "another"}, "/tasks/once", 409)["code"], "taken")
        self.call("DELETE", "/tasks/" + made["id"])
        self.assertNotEqual(self.make(body, "/tasks/once")["id"], made["id"])

    # ---- lists ---------------------------------------------------------------------------------------

    def test_lists(self):
        word = self.name()
        ids = [self.make({**CLEAN, "name": "%s %d" % (word.upper(), i), "cron": "0 0 1 1 *"})["id"] for i in range(3)]
        self.call("POST", "/tasks/%s/pause" % ids[0])

        def listed(query, path="/tasks"):
            page = self.call("GET", "%s?search=%s&%s" % (path, word, query))
            return [t["id"] for t in page["items" if path == "/tasks" else "data"]], page

        self.assertEqual(listed("orderDir=asc")[0], ids)
        self.assertEqual(listed("")[0], ids[::-1])
        self.assertEqual(listed("orderBy=updatedAt")[0][0], ids[0])
        self.assertEqual(listed("status=PAUSED&type=CRON")[0], ids[:1])
        self.assertEqual(listed("type=ONCE")[0], [])
        found, page = listed("page=2&pageSize=2&orderDir=asc")
        self.assertEqual((found, page["total"], page["page"], page["pageSize"]), (ids[2:], 3, 2, 2))
        found, page = listed("page=2&limit=2&orderDir=asc", "/api/v1/tasks")
        self.assertEqual((found, page["pagination"]["total"]), (ids[2:], 3))
        for wrong in ("status=LATE", "type=TWICE", "page=0", "pageSize=x", "orderBy=name", "shoe=42"):
            self.call("GET", "/tasks?" + wrong, status=400)

    def test_what_there_is_to_know(self):
        kinds = {k["kind"]: k for k in self.call("GET", "/api/v1/tasks/kinds")["data"]}
        self.assertLessEqual({"cleanupExpiredData", "generateReport", "personalMeetingSummary"}, set(kinds))
        self.assertIsNone(kinds["personalMeetingSummary"]["unready"])
        self.assertEqual(kinds["personalMeetingSummary"]["payload"]["required"], ["periodType"])
        times = self.call("GET", "/api/v1/tasks/next?cron=30%202%20*%20*%20*&timezone=America/New_York&after=2027-03-14T00:00:00Z&count=2")
        self.assertEqual(times["data"], ["2027-03-14T07:30:00.000Z", "2027-03-15T06:30:00.000Z"])
        self.assertIn("hour", self.call("GET", "/api/v1/tasks/next?cron=0%2025%20*%20*%20*", status=400)["detail"])
        self.assertEqual(self.call("GET", "/tasks/health")["status"], "ok")

    # ---- what is not taken ------------------------------------------------------------------------------

    def test_a_wrong_member_is_named(self):
        soon = {"runAt": "2099-01-01T00:00:00Z"}
        for where, body, member in (
                ("/tasks/once", {"kind": "cleanupExpiredData", **soon}, "name"),
                ("/tasks/once", CLEAN, "runAt"),
                ("/tasks/once", {**CLEAN, "runAt": "tomorrow"}, "runAt"),
                ("/tasks/once", {**CLEAN, **soon, "delayMs": 5}, "delayMs"),
                ("/tasks/once", {**CLEAN, "delayMs": -1}, "delayMs"),
                ("/tasks/once", {**CLEAN, **soon, "cron": "* * * * *"}, "cron"),
                ("/tasks/once", {"name": "what?", **soon}, "kind"),
                ("/tasks/once", {"name": "x", "kind": "launchRockets", **soon}, "kind"),
                ("/tasks/once", {"name": "x", "kind": "'; drop table tasks; --", **soon}, "kind"),
                ("/tasks/once", {**CLEAN, **soon, "payload": {"a": 1}}, "payload"),
                ("/tasks/once", {**CLEAN, **soon, "payload": []}, "payload"),
                ("/tasks/once", {"name": "personalMeetingSummary", **soon}, "payload/periodType"),
                ("/tasks/once", {"name": "personalMeetingSummary", **soon, "payload": {"periodType": "HOURLY"}}, "payload/periodType"),
                ("/tasks/once", {"name": "personalMeetingSummary", **soon, "payload": {"periodType": "DAILY", "x": 1}}, "payload/x"),
                ("/tasks/once", {**CLEAN, **soon, "maxAttempts": 11}, "maxAttempts"),
                ("/tasks/once", {**CLEAN, **soon, "priority": "URGENT"}, "priority"),
                ("/tasks/once", {**CLEAN, **soon, "timeLimitMs": 1}, "timeLimitMs"),
                ("/tasks/once", {**CLEAN, **soon, "missed": "SOME"}, "missed"),
                ("/tasks/cron", CLEAN, "cron"),
                ("/tasks/cron", {**CLEAN, "cron": "60 * * * *"}, "cron"),
                ("/tasks/cron", {**CLEAN, "cron": "0 0 L * *"}, "cron"),
                ("/tasks/cron", {**CLEAN, "cron": "0 0 31 2 *"}, "cron"),
                ("/tasks/cron", {**CLEAN, "cron": "* * *"}, "cron"),
                ("/tasks/cron", {**CLEAN, "cron": "0 9 * * *", "timezone": "Asia/Atlantis"}, "timezone"),
                ("/tasks/cron", {**CLEAN, "cron": "0 9 * * *", "timezone": "../../etc/passwd"}, "timezone"),
                ("/api/v1/tasks", {**CLEAN, **soon, "timezone": "UTC"}, "timezone"),
                ("/api/v1/tasks", {**CLEAN, **soon, "cron": "0 9 * * *"}, "runAt")):
            with self.subTest(where=where, body=body):
                answer = self.call("POST", where, body, status=400)
                self.assertEqual(answer["errors"][0]["path"], "/" + member)
        one = "/tasks/" + self.make({**CLEAN, "cron": "0 9 * * *"})["id"]
        for body, member in (({"status": "COMPLETED"}, "status"), ({"cron": "x"}, "cron"), ({"runAt": "2099-01-01T00:00:00Z"}, "runAt"),
                             ({"kind": "x"}, "kind"), ({"timezone": "Mars/Olympus"}, "timezone"), ({"name": ""}, "name")):
            with self.subTest(body=body):
                self.assertEqual(self.call("PATCH", one, body, status=400)["errors"][0]["path"], "/" + member)

    def test_what_is_not_there(self):
        for id in (NOBODY, "x", "x%27%20or%201=1--", "%E5%BC%A0", "9" * 300):
            for method, path, body in (("GET", "/tasks/%s", None), ("PATCH", "/tasks/%s", {"name": "x"}), ("DELETE", "/tasks/%s", None),
                                       ("POST", "/tasks/%s/run", None), ("POST", "/api/v1/tasks/%s/pause", None)):
                with self.subTest(method=method, path=path, id=id):
                    self.call(method, path % id, body, status=404)

    def test_who_may(self):
        id = self.make({**CLEAN, "cron": "0 9 * * *"})["id"]
        _, member = self.user()
        for method, path, body in (("GET", "/tasks", None), ("GET", "/tasks/" + id, None), ("POST", "/tasks/once", CLEAN),
                                   ("PATCH", "/tasks/" + id, {}), ("DELETE", "/tasks/" + id, None), ("POST", "/tasks/pause", None),
                                   ("POST", "/tasks/%s/run" % id, None), ("GET", "/api/v1/tasks/%s/runs" % id, None)):
            with self.subTest(method=method, path=path):
                self.call(method, path, body, token=None, status=401)
                self.call(method, path, body, token=member, status=403)

    # ---- the command ---------------------------------------------------------------------------------

    def command(self, *args, status=0):
        done = lulab("tasks", *args, "--data", self.server.data, check=False, env={"PORT": str(self.server.port)})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def test_the_command(self):
        id = self.make({**CLEAN, "name": self.name(), "cron": "0 0 1 1 *"})["id"]
        self.assertIn(id, self.command("list", "--kind", "cleanupExpiredData"))
        self.assertEqual(json.loads(self.command("show", id))["id"], id)
        run = self.command("run", id).strip()
        self.ended(id)
        self.assertIn(run, self.command("runs", id))
        self.command("pause", id)
        self.assertEqual(self.task(id)["status"], "PAUSED")
        self.command("resume", id)
        self.assertEqual(self.task(id)["status"], "SCHEDULED")
        self.command("delete", id)
        self.command("show", id, status=3)
        self.command("delete", "*", status=2)

    # ---- all of them -----------------------------------------------------------------------------------------

    def test_all_may_be_paused(self):
        self.assertEqual(self.call("POST", "/tasks/pause"), {"ok": True})
        try:
            self.call("POST", "/tasks/pause", {"reason": "again"})
            waiting = self.make({**CLEAN, "delayMs": 0})
            self.assertEqual(waiting["status"], "PAUSED")
            self.call("POST", "/tasks/%s/run" % waiting["id"], status=409)
            self.assertIs(self.call("GET", "/tasks/health")["paused"], True)
            self.assertEqual(self.runs(waiting["id"]), [])
        finally:
            self.assertEqual(self.call("POST", "/api/v1/tasks/resume")["data"], {"ok": True})
        self.ended(waiting["id"])

    def test_what_a_deleted_one_wanted_to_know_is_gone(self):
        made = self.make({"name": "personalMeetingSummary", "cron": "0 3 * * *",
                          "payload": {"periodType": "DAILY", "personId": "a" * 32}})
        scheduled = lambda: self.events("task.scheduled", made["id"])[0]
        self.assertIn("aaaa", scheduled()["payload"])
        self.call("DELETE", "/api/v1/tasks/" + made["id"], status=204)
        self.assertIsNone(scheduled().get("payload"))


class Mails(AdminCase):
    """What a task leaves behind is another lane's work."""

    @classmethod
    def setUpClass(cls):
        cls.peer = MailServer().start()
        cls.server = Server(env={"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(cls.peer.port), "SMTP_FROM": "tasks@example.org",
                                 "LULAB_EFFECTS_RETRY_BASE": "50ms"}).start()
        cls.made = 0

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.peer.stop()

    def test_a_mail_at_its_time(self):
        body = {"name": "sendEmail", "delayMs": 0, "payload": {"to": ["Li <li@example.com>"], "bcc": ["wang@example.com"],
                                                               "subject": "提醒", "text": "明天见"}}
        self.call("POST", "/api/v1/tasks", body, status=201)
        mails = eventually(lambda: len(self.peer.mails) == 2 and self.peer.mails)
        self.assertEqual({str(parsed(m)["Subject"]) for m in mails}, {"提醒"})
        self.assertEqual(len(self.peer.to("li@example.com")), 1)
        answer = self.call("POST", "/api/v1/tasks", {**body, "payload": {"to": ["li@example.com"], "subject": "x"}}, status=400)
        self.assertEqual(answer["errors"][0]["path"], "/payload/text")

    def test_what_does_not_work_is_tried_as_often_as_the_task_says(self):
        id = self.call("POST", "/api/v1/tasks", {"name": "sendEmail", "delayMs": 0, "payload": {
            "to": ["nobody at all"], "subject": "x", "text": "y"}}, status=201)["data"]["id"]
        task = eventually(lambda: [t for t in [self.call("GET", "/api/v1/tasks/" + id)["data"]] if t["status"] == "FAILED"])[0]
        self.assertIn("address", task["lastError"])
        run = self.call("GET", "/api/v1/tasks/%s/runs" % id)["data"][0]
        self.assertEqual((run["state"], run["class"], run["attempt"]), ("FAILED", "payload", 1))
        dead = eventually(lambda: self.call("GET", "/api/v1/effects?state=DEAD&lane=tasks")["data"])
        self.assertEqual([e["id"] for e in dead], [run["id"]])


class Vendor(AdminCase):
    """What a run asks others for: done by effects, and its history says how far they are."""

    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator(vendors=("tencent",)).start()
        cls.server = Server(env={**cls.sim.settings, "LULAB_EFFECTS_RETRY_BASE": "20ms"}).start()
        cls.made = 0

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.sim.stop()

    def run_of(self, kind, state="DONE", **payload):
        """The newest run of a new task, once it and what it asked for have ended."""
        id = self.call("POST", "/api/v1/tasks", {"name": kind, "delayMs": 0, "payload": payload}, status=201)["data"]["id"]
        self.newest = id
        return self.over(id, state)

    def over(self, id, state="DONE"):
        def over():
            run = self.call("GET", "/api/v1/tasks/%s/runs" % id)["data"][0:1]
            return [r for r in run if r["state"] == state and (state != "DONE" or (
                r["progress"] and r["progress"]["done"] + r["progress"]["failed"] == r["progress"]["parts"]))]
        return eventually(over)[0]

    def recordings(self, meeting):
        return [self.call("GET", "/api/v1/recordings/" + r["id"])["data"] for m in meeting["record_files"] for r in
                self.call("GET", "/api/v1/recordings?externalId=" + m["record_file_id"])["data"]]

    def test_recordings(self):
        # Nobody told of these; one is of a meeting that comes again.
        lost = [self.sim.command("tencent", "meeting", recordings=2, minutes=5),
                self.sim.command("tencent", "meeting", recordings=1, sub_meeting_id="1796000000")]
        run = self.run_of("syncData", days=2)
        self.assertEqual((run["progress"]["parts"], run["progress"]["told"]), (1, run["progress"]["listed"]))
        self.assertGreaterEqual(run["progress"]["told"], 3)
        eventually(lambda: all(len(self.recordings(m)) == len(m["record_files"]) and all(
            r["files"] and r["transcripts"] for r in self.recordings(m)) for m in lost), 15)
        one = self.recordings(lost[1])[0]
        meeting = self.call("GET", "/api/v1/meetings/" + one["meetingId"])["data"]
        self.assertEqual(meeting["subMeetingId"], "1796000000")
        self.assertEqual(self.run_of("syncData", days=2)["progress"]["told"], 0)
        # Once more, through the whole flow: what is there stays as it is, once.
        files = self.sim.calls("tencent")["file"]
        run = self.run_of("processMeetingRecording", meetingId=one["meetingId"])
        self.assertEqual((run["result"]["recordings"], run["progress"]["parts"], run["progress"]["done"]), (1, 6, 6))
        told = lulab("tasks", "runs", self.newest, "--data", self.server.data,
                     env={"PORT": str(self.server.port)}).stdout
        self.assertIn('"parts":6', told)
        self.assertEqual(self.recordings(lost[1]), [one])
        self.assertEqual(self.sim.calls("tencent")["file"], files)
        self.assertEqual(self.run_of("processMeetingRecording", recordingId=one["id"])["progress"]["parts"], 6)
        self.assertEqual(self.run_of("processMeetingRecording", "FAILED", recordingId="c" + "0" * 24)["class"], "not_found")
        # The same, asked for of the meeting.
        path = "/meetings/%s/reprocess" % one["meetingId"]
        task = self.call("POST", "/api/v1" + path, status=202)["data"]
        self.assertEqual((task["kind"], task["payload"]), ("processMeetingRecording", {"meetingId": one["meetingId"]}))
        self.assertEqual(self.over(task["id"])["progress"]["parts"], 6)
        self.assertEqual(self.call("POST", path)["id"], one["meetingId"])
        self.call("POST", "/api/v1/meetings/c%s/reprocess" % ("0" * 24), status=404)
        self.assertEqual(self.run_of("syncData", "FAILED", **{"from": "2026-01-01T00:00:00Z"})["class"], "payload")
        self.assertEqual(self.sim.refused("tencent"), [])


class Clocks(unittest.TestCase):
    """The service dies, and its clock is set."""

    def setUp(self):
        self.server = Server(env={"LD_PRELOAD": WRONG_CLOCK_SO})
        self.clock = self.server.data + ".clock"
        self.server.env["WRONG_CLOCK"] = self.clock
        self.addCleanup(lambda: os.path.exists(self.clock) and os.unlink(self.clock))
        self.set("2027-03-01T10:00:00Z")
        self.server.start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))

    def set(self, text):
        """Stands still there."""
        with open(self.clock + ".new", "w") as f:
            f.write("0 %d" % (instant(text).timestamp() * 1e6))
        os.rename(self.clock + ".new", self.clock)

    def call(self, method, path, body=None):
        answer = self.server.request(method, path, None if body is None else json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
        self.assertLess(answer.status, 300, answer.body)
        return json.loads(answer.body)

    def make(self, **body):
        return self.call("POST", "/api/v1/tasks", {**CLEAN, **body})["data"]["id"]

    def runs(self, id):
        runs = self.call("GET", "/api/v1/tasks/%s/runs?sort=dueAt&limit=100" % id)["data"]
        return [(r["dueAt"][5:16], r["trigger"], r["state"]) for r in runs]

    def listed(self, id):
        told = lulab("tasks", "runs", id, "--json", "--data", self.server.data, env=self.server.env).stdout
        return [(r["trigger"], r["state"]) for r in json.loads(told)]

    def until(self, id, n):
        eventually(lambda: len([r for r in self.runs(id) if r[2] == "DONE"]) >= n)
        return self.runs(id)

    def test_kills_and_a_clock_that_moves(self):
        once = self.make(runAt="2027-03-01T11:00:00Z")
        skip, newest, all_ = (self.make(cron="0 * * * *", timezone="UTC", missed=m, missedMax=2) for m in ("SKIP", "ONCE", "ALL"))
        berlin = self.make(cron="30 2 * * *", timezone="Europe/Berlin")
        self.set("2027-03-01T11:00:00Z")
        first = [("03-01T11:00", "SCHEDULE", "DONE")]
        for id in (once, skip, newest, all_):
            self.assertEqual(self.until(id, 1), first)
        # Killed just before, and while it fires: once all the same.
        self.server.kill()
        self.set("2027-03-01T15:20:00Z")
        self.server.start(wait=False)
        self.server.wait_ready()
        self.server.kill()
        self.server.start()
        self.assertEqual(self.until(all_, 3), first + [("03-01T14:00", "MISSED", "DONE"), ("03-01T15:00", "MISSED", "DONE")])
        self.assertEqual(self.until(newest, 2), first + [("03-01T15:00", "MISSED", "DONE")])
        self.assertEqual(self.runs(skip), first)
        self.assertEqual(self.runs(once), first)
        # Back by an hour, and on again: nothing twice.
        self.set("2027-03-01T14:30:00Z")
        beside = self.make(delayMs=0)
        self.until(beside, 1)
        self.set("2027-03-01T16:00:00Z")
        self.assertEqual(self.until(skip, 2), first + [("03-01T16:00", "SCHEDULE", "DONE")])
        self.assertEqual(len(self.until(all_, 4)), 4)
        # The hour that is skipped in Berlin, on the 28th of March; 02:30 comes at 03:30 there.
        self.set("2027-03-28T01:30:00Z")
        self.assertEqual(self.until(berlin, 1)[-1], ("03-28T01:30", "MISSED", "DONE"))
        self.server.stop()
        # A command on the stopped directory fires nothing, and runs nothing.
        self.set("2027-06-01T00:00:00Z")
        before = self.listed(newest)
        lulab("tasks", "run", newest, "--data", self.server.data, env=self.server.env)
        self.assertEqual(self.listed(newest), [("MANUAL", "WAITING")] + before)
        lulab("projection", "verify", "tasks", "--data", self.server.data)
        lulab("log", "verify", "--data", self.server.data)


if __name__ == "__main__":
    unittest.main()
