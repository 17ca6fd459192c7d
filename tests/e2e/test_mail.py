#!/usr/bin/env python3
"""One-time codes by mail, through a real SMTP server: sent once as far as the world allows, and never lost."""

import json
import os
import re
import subprocess
import tempfile
import unittest
import zlib

from harness import Server, eventually, lulab, meeting_event
from mail_server import MailServer, code_in, parsed
from people import PASSWORD, DevServer, People


def mail_env(peer, **more):
    return {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(peer.port), "SMTP_FROM": "会议 <codes@example.org>",
            "LULAB_EFFECTS_RETRY_BASE": "50ms", "LULAB_EFFECTS_BREAKER": "200ms", "LULAB_TRUSTED_PROXIES": "127.0.0.1/32",
            **more}


class MailCase(People, unittest.TestCase):
    def effects(self, **filters):
        query = "&".join("%s=%s" % f for f in filters.items())
        return self.call("GET", "/api/v1/effects?limit=100&" + query, token=self.server.admin_token()).json["data"]

    def effect(self, number=0):
        rows = self.effects()
        return self.call("GET", "/api/v1/effects/" + rows[number]["id"], token=self.server.admin_token()).json["data"]

    def until_state(self, state, n=1):
        return eventually(lambda: len(self.effects(state=state)) >= n and self.effects(state=state))


class Codes(MailCase):
    """One service for all; each test writes to addresses of its own, from an address of its own, and sees what came after its beginning."""

    @classmethod
    def setUpClass(cls):
        cls.peer = MailServer().start()
        cls.addClassCleanup(cls.peer.stop)
        cls.server = Server(env=mail_env(cls.peer)).start()
        cls.addClassCleanup(lambda: cls.server.__exit__(None, None, None))

    def setUp(self):
        self.address = "198.51.%d.%d" % divmod(zlib.crc32(self.id().encode()) % 60000, 250)
        self.since = 0
        eventually(lambda: not any(self.server.newest_data("/api/v1/effects?limit=100&state=" + state)
                                   for state in ("WANTED", "TRYING", "WAITING")))
        self.since = self.call("GET", "/api/v1/events?limit=1", token=self.server.admin_token()).json["pagination"]["total"]
        self.addCleanup(lambda: self.peer.tell(data=[], rcpt=[]))

    def call(self, method, path, body=None, token=None, headers=None, status=200):
        return super().call(method, path, body, token, {"X-Forwarded-For": self.address, **(headers or {})}, status)

    def effects(self, **filters):
        return [e for e in super().effects(**filters) if e["cause"] >= self.since]

    def events(self, kind):
        return [e for e in super().events(kind) if e["position"] >= self.since]

    def sent(self):
        found = re.search(r'lulab_effects_attempts_total{lane="mail",outcome="done"} (\d+)', self.server.get("/metrics", token=None).body.decode())
        return int(found.group(1)) if found else 0

    def test_a_code_arrives_and_is_used(self):
        before = self.sent()
        self.send("ada@example.com")
        mail = eventually(lambda: self.peer.to("ada@example.com"))[0]
        message = parsed(mail)
        self.assertEqual(mail["from"], "codes@example.org")
        self.assertEqual(str(message["From"]), "会议 <codes@example.org>")
        self.assertEqual(str(message["Subject"]), "LuLab 注册验证码")
        self.assertEqual(message["Auto-Submitted"], "auto-generated")
        row = self.until_state("DONE")[0]
        self.assertEqual(message["Message-ID"], "<%s@example.org>" % row["id"])
        self.assertEqual((row["effect"], row["lane"], row["attempt"]), ("mail.code", "mail", 1))
        code = code_in(mail)
        self.assertIn(code, message.get_body(("html",)).get_content())
        self.assertTrue(all(len(line) <= 78 and all(32 <= ord(c) < 127 for c in line)
                            for line in mail["raw"].split("\r\n")))
        self.register("ada@example.com", code)
        kinds = [e["type"] for e in self.call("GET", "/api/v1/events?stream=effect/%s&limit=10" % row["id"],
                                              token=self.server.admin_token()).json["data"]]
        self.assertEqual(sorted(kinds), ["effect.attempted", "effect.done"])
        self.assertNotIn(code, self.server.log())
        metrics = self.server.get("/metrics", token=None).body.decode()
        self.assertGreater(self.sent(), before)
        self.assertIn('lulab_effects_breaker_open{lane="mail"} 0', metrics)

    def test_english_is_written_to_who_reads_it(self):
        self.call("POST", "/api/auth/otp/send", {"target": "en@example.com", "type": "register"},
                  headers={"Accept-Language": "en-GB,en;q=0.9"})
        mail = eventually(lambda: self.peer.to("en@example.com"))[0]
        self.assertEqual(str(parsed(mail)["Subject"]), "LuLab: your code to sign up")
        self.assertTrue(self.is_right("en@example.com", code_in(mail)))

    def test_nothing_goes_to_who_has_no_account(self):
        self.send("nobody@example.com", "login")
        self.send("somebody@example.com")
        eventually(lambda: self.peer.to("somebody@example.com"))
        self.assertEqual(self.peer.to("nobody@example.com"), [])
        self.assertEqual(len(self.effects()), 1)

    def test_what_is_refused_for_now_is_tried_once_more(self):
        self.peer.tell(data=["451 4.3.0 later"])
        self.send("later@example.com")
        self.until_state("DONE")
        mails = self.peer.to("later@example.com")
        self.assertEqual([m["answer"] for m in mails], ["451 4.3.0 later", "250 OK"])
        self.assertEqual(mails[0]["raw"], mails[1]["raw"])
        effect = self.effect()
        self.assertEqual([(a["outcome"], a["status"]) for a in effect["attempts"]], [("WAITING", 451), ("DONE", 250)])
        self.assertTrue(self.is_right("later@example.com", code_in(mails[1])))

    def test_what_is_refused_for_good_waits_for_a_person(self):
        self.peer.tell(data=["554 5.7.1 no"])
        self.send("dead@example.com")
        dead = self.until_state("DEAD")[0]
        self.assertEqual((dead["reason"], dead["class"], dead["status"]), ("REFUSED", "smtp_refused", 554))
        listed = lulab("effects", "list", "--data", self.server.data, "--state", "DEAD",
                       "--to", "http://127.0.0.1:%d" % self.server.port).stdout
        self.assertIn(dead["id"], listed)
        self.assertEqual(len(self.peer.to("dead@example.com")), 1)
        lulab("effects", "retry", dead["id"], "--data", self.server.data, "--to",
              "http://127.0.0.1:%d" % self.server.port)
        self.until_state("DONE")
        mails = self.peer.to("dead@example.com")
        self.assertEqual(len(mails), 2)
        self.assertEqual(parsed(mails[0])["Message-ID"], parsed(mails[1])["Message-ID"])
        self.assertTrue(self.is_right("dead@example.com", code_in(mails[1])))

    def test_a_mailbox_that_does_not_exist_is_no_dead_letter(self):
        self.peer.tell(rcpt=["550 5.1.1 nobody here"])
        self.send("typo@example.com")
        failed = self.until_state("FAILED")[0]
        self.assertEqual((failed["class"], failed["status"]), ("mailbox", 550))
        self.assertEqual(self.peer.to("typo@example.com"), [])

    def test_no_answer_is_unknown_and_the_same_mail_goes_again(self):
        self.peer.tell(data=["silent"])
        self.send("silent@example.com")
        self.until_state("DONE")
        mails = self.peer.to("silent@example.com")
        self.assertEqual(len(mails), 2)
        self.assertEqual(mails[0]["raw"], mails[1]["raw"])
        self.assertEqual([a["outcome"] for a in self.effect()["attempts"]], ["UNKNOWN", "DONE"])

    def test_a_kill_before_the_answer(self):
        self.peer.tell(data=["hang"])
        self.send("kill@example.com")
        eventually(lambda: self.peer.to("kill@example.com"))
        self.server.kill()
        self.server.start()
        self.until_state("DONE")
        mails = self.peer.to("kill@example.com")
        self.assertEqual(len(mails), 2)
        self.assertEqual(mails[0]["raw"], mails[1]["raw"])
        attempts = self.effect()["attempts"]
        self.assertEqual([(a["outcome"], a["class"]) for a in attempts], [("UNKNOWN", "process_ended"), ("DONE", None)])
        self.assertTrue(self.is_right("kill@example.com", code_in(mails[1])))

    def test_a_restart_sends_nothing_again(self):
        self.send("once@example.com")
        self.until_state("DONE")
        self.assertEqual(self.server.stop(), 0)
        lulab("projection", "rebuild", "effects", "--data", self.server.data)
        self.server.start()
        self.send("next@example.com")
        self.until_state("DONE", 2)
        self.assertEqual(len(self.peer.to("once@example.com")), 1)
        lulab("log", "verify", "--data", self.server.data)

    def test_a_server_that_is_down_is_waited_for(self):
        self.peer.stop()
        for i in range(8):
            self.send("down%d@example.com" % i)
        eventually(lambda: [e for e in self.events("breaker.opened")])
        # Nothing else waits for it.
        self.create(username="meanwhile")
        self.call("POST", "/api/auth/login", {"type": "username_password", "username": "meanwhile", "password": PASSWORD})
        self.peer.start()
        self.until_state("DONE", 8)
        self.assertEqual([len(self.peer.to("down%d@example.com" % i)) for i in range(8)], [1] * 8)
        eventually(lambda: self.events("breaker.closed"))

    def test_a_paused_lane_waits(self):
        admin = self.server.admin_token()
        self.call("POST", "/api/v1/effects/lanes/mail/pause", {"reason": "the provider moves"}, admin)
        self.send("paused@example.com")
        lanes = self.call("GET", "/api/v1/effects/lanes", token=admin).json["data"]
        self.assertEqual([lane["lane"] for lane in lanes if lane["paused"]], ["mail"])
        # What a person does elsewhere goes on, so that the wait is no accident of timing.
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.assertEqual([e["state"] for e in self.effects()], ["WANTED"])
        self.assertEqual(self.peer.to("paused@example.com"), [])
        self.call("POST", "/api/v1/effects/lanes/mail/resume", token=admin)
        self.until_state("DONE")

    def test_a_dead_one_can_be_let_be(self):
        self.peer.tell(data=["554 no", "554 no"])
        for who in ("one", "two"):
            self.send("%s@example.com" % who)
        dead = self.until_state("DEAD", 2)
        eventually(lambda: "were given up and wait for a person" in self.server.log())
        admin = self.server.admin_token()
        path = "/api/v1/effects/%s" % dead[0]["id"]
        self.call("POST", path + "/drop", {}, admin, status=400)
        self.call("POST", path + "/drop", {"reason": "too late"}, admin)
        self.call("POST", path + "/drop", {"reason": "too late"}, admin, status=409)
        self.assertEqual([e["id"] for e in self.effects(state="DEAD", closed="NO")], [dead[1]["id"]])
        self.call("POST", "/api/v1/effects/retry", {"lane": "mail"}, admin)
        self.until_state("DONE")
        self.assertEqual(len(self.effects(state="DEAD")), 1)
        self.assertEqual(self.server.get("/health", token=None).status, 200)
        self.call("POST", "/api/v1/effects/%s/retry" % ("0" * 32), token=admin, status=404)
        self.call("POST", "/api/v1/effects/%s/retry" % self.effects(state="DONE")[0]["id"], token=admin, status=409)
        self.call("GET", "/api/v1/effects", status=401)


class Notices(MailCase):
    """What people are told of their account."""

    def setUp(self):
        self.peer = MailServer().start()
        self.addCleanup(self.peer.stop)

    def serve(self, **more):
        self.server = Server(env=mail_env(self.peer, **more)).start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))

    def mail(self, to, subject):
        found = eventually(lambda: [m for m in map(parsed, self.peer.to(to)) if m["Subject"] == subject])
        text, html = (found[0].get_body((kind,)).get_content() for kind in ("plain", "html"))
        return text, html

    def code(self, address):
        return code_in(eventually(lambda: [m for m in self.peer.to(address) if "验证码" in parsed(m)["Subject"]])[-1])

    def test_welcome_and_a_new_device(self):
        self.serve()
        address = "ada@example.com"
        self.send(address)
        self.register(address, self.code(address), username="ada_l", password=PASSWORD)
        text, html = self.mail(address, "欢迎加入 LuLab！")
        self.assertIn("ada_l，您好", text)
        # From elsewhere than they registered from.
        self.call("POST", "/api/auth/login", {"type": "username_password", "username": "ada_l", "password": PASSWORD},
                  headers={"X-Forwarded-For": "203.0.113.9", "User-Agent": "<Strange>"})
        text, html = self.mail(address, "LuLab 新设备登录提醒")
        self.assertIn("203.0.113.9", text)
        self.assertIn("<Strange>", text)
        self.assertIn("&lt;Strange&gt;", html)

    def test_a_reset_in_english(self):
        self.serve(LULAB_MAIL_LANGUAGE="en")
        address = "en@example.com"
        self.create(username="english", email=address)
        self.call("POST", "/api/auth/otp/send", {"target": address, "type": "reset_password"},
                  headers={"Accept-Language": "en"})
        code = code_in(eventually(lambda: self.peer.to(address))[0])
        self.call("POST", "/api/auth/reset-password", {"target": address, "code": code, "newPassword": "another long horse"})
        text, _ = self.mail(address, "LuLab: your password was reset")
        self.assertRegex(text, r"reset at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d \(Beijing time, UTC\+8\)")
        eventually(lambda: self.effects(state="DONE", effect="mail.password_reset"))


class History(MailCase):
    """Who came before mail was set up is told nothing, unless a person asks."""

    PEOPLE = ["one@example.com", "two@example.com", "three@example.com"]

    def replay(self, status=200, **body):
        answer = self.call("POST", "/api/v1/effects/replays", {"effect": "mail.welcome", **body}, self.server.admin_token(),
                           status=status)
        return answer.json.get("data", answer.json)

    def by_command(self, *args):
        done = lulab("effects", "replay", "mail.welcome", *args, "--data", self.server.data, "--to",
                     "http://127.0.0.1:%d" % self.server.port)
        return json.loads(done.stdout)

    def welcomes(self, state):
        return self.effects(effect="mail.welcome", state=state)

    def test_on_request_history_is_replayed(self):
        peer = MailServer().start()
        self.addCleanup(peer.stop)
        self.server = DevServer(env={"LULAB_TRUSTED_PROXIES": "127.0.0.1/32"}).start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))
        for i, who in enumerate(self.PEOPLE):
            self.send(who)
            self.register(who, self.server.code(who), username="person%d" % i)
        off = self.replay(409)
        self.assertEqual(off["code"], "effect_off")
        self.assertIn("SMTP_HOST", off["detail"])
        self.server.stop()
        self.server.env.update(mail_env(peer))
        self.server.start()
        self.assertEqual(self.replay(404, effect="mail.strange")["code"], "not_found")
        for wrong in ({"from": 9, "to": 8}, {"from": 1, "fromTime": "2026-01-01T00:00:00Z"}, {"toTime": "yesterday"},
                      {"from": 3 << 48}, {"from": -1}, {"effect": "'"}, {"strange": 1}):
            self.replay(400, **wrong)
        self.call("POST", "/api/v1/effects/replays", {"effect": "mail.welcome"}, status=401)

        places = sorted(e["position"] for e in self.events("user.registered"))
        dry = self.replay(dryRun=True)
        self.assertEqual(dry, {"effect": "mail.welcome", "from": 0, "to": dry["to"], "dryRun": True, "found": 3, "expired": 0, "known": 0,
                               "count": 3})
        self.assertGreater(dry["to"], places[-1])
        self.assertEqual(self.replay(toTime="2020-01-01T00:00:00Z")["found"], 0)
        self.assertEqual(self.by_command("--from", "2020-01-01T00:00:00Z", "--until", str(places[1]), "--dry-run")["count"], 1)
        self.assertEqual(self.events("effect.replayed"), [])
        self.assertEqual(self.by_command("--from", str(places[1]), "--until", str(places[2]))["count"], 1)
        first = eventually(lambda: self.welcomes("DONE"))
        self.assertEqual([e["cause"] for e in first], [places[1]])

        done = self.replay()
        self.assertEqual((done["found"], done["known"], done["count"]), (3, 1, 2))
        eventually(lambda: len(self.welcomes("DONE")) == 3)
        self.assertEqual(self.replay()["count"], 0)
        self.assertEqual({who: len(peer.to(who)) for who in self.PEOPLE}, dict.fromkeys(self.PEOPLE, 1))
        asked = self.events("effect.replayed")
        self.assertEqual(len(asked), 3)
        self.assertEqual({e["actor"] for e in asked}, {"admin"})
        self.assertEqual(self.server.stop(), 0)
        lulab("projection", "verify", "effects", "--data", self.server.data)
        again = lulab("effects", "replay", "mail.welcome", "--data", self.server.data)
        self.assertEqual(json.loads(again.stdout)["known"], 3)
        self.assertFalse([name for name in os.listdir(os.path.join(self.server.data, "read")) if "replay" in name])


class Summaries(MailCase):
    """A summary that a model made, to who took part and is known."""

    def test_to_who_took_part_and_is_known(self):
        self.peer = MailServer().start()
        self.addCleanup(self.peer.stop)
        self.server = Server(env=mail_env(self.peer, LULAB_MAIL_SUMMARIES="meeting")).start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))
        admin = self.server.admin_token()
        people = {"mock-uuid-%d" % i: {"userid": "u%d" % i, "user_name": "人%d" % i, "uuid": "mock-uuid-%d" % i,
                                       "instance_id": "1", "ms_open_id": "m%d" % i} for i in range(3)}
        for trace, who in people.items():
            self.server.post_event(meeting_event("meeting.participant-joined", trace, operator=who))
        identities = eventually(lambda: len(rows := self.call("GET", "/api/v1/platform-identities?limit=100", token=admin)
                                            .json["data"]) >= 3 and {i["ptUnionId"]: i["id"] for i in rows})
        # One who showed that the address is theirs, one who did not, and one whom nobody knows.
        self.send("ada@example.com")
        code = code_in(eventually(lambda: self.peer.to("ada@example.com"))[0])
        ada = self.register("ada@example.com", code, username="ada_l").json["user"]["id"]
        eve = self.create(username="eve_l", email="eve@example.com").json["id"]
        for trace, user in (("mock-uuid-0", ada), ("mock-uuid-1", eve)):
            self.call("PUT", "/api/v1/platform-identities/%s/user" % identities[trace], {"userId": user}, admin, status=204)
        meeting = eventually(lambda: self.call("GET", "/api/v1/meetings", token=admin).json["data"])[0]["id"]
        eventually(lambda: self.call("GET", "/api/v1/platform-identities/" + identities["mock-uuid-0"], token=admin)
                   .json["data"]["localUserId"])
        self.assertEqual(self.server.stop(), 0)
        summary = {"summary_id": "1" * 32, "summary_key": "2" * 32, "version": 1, "kind": "MEETING", "period": "SINGLE",
                   "meeting": meeting, "language": "zh-CN", "model": "m", "title": "预算 <会议>", "content": "## 结论\n- 一 & 二",
                   "period_start_ms": 1767051000000}
        for version, key in ((1, "2" * 32), (2, "2" * 32)):
            subprocess.run([os.environ["APPEND_EVENT"], self.server.data, "summary.generated", "summary/" + key,
                            json.dumps({**summary, "version": version}, separators=(",", ":"), ensure_ascii=False)], check=True)
        self.server.start()
        mail = eventually(lambda: [m for m in map(parsed, self.peer.to("ada@example.com"))
                                   if m["Subject"] == "会议纪要：预算 <会议>"])[0]
        text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
        self.assertIn("## 结论\n- 一 & 二", text.replace("\r\n", "\n"))
        self.assertIn("2025-12-30 07:30:00", text)
        self.assertIn("- 一 &amp; 二", html)
        asked = self.events("mail.requested")
        self.assertEqual([e["data"]["subjects"]["person"]["id"] for e in asked], [ada])
        self.assertEqual(self.peer.to("eve@example.com"), [])
        self.assertEqual([e["effect"] for e in self.effects(state="DONE") if "summary" in e["effect"]], ["mail.summary"])


class Encrypted(MailCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.cert, self.key = (os.path.join(self.dir.name, n) for n in ("cert.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", self.key, "-out", self.cert, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)

    def serve(self, **more):
        self.peer = MailServer(args=["--tls", self.cert, self.key, "--auth", "sender", "geheim"]).start()
        self.addCleanup(self.peer.stop)
        self.server = Server(env=mail_env(self.peer, SMTP_USER="sender", **more)).start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))

    def test_starttls_and_auth(self):
        self.serve(SMTP_PASS="geheim", SMTP_CA_FILE=self.cert)
        self.send("tls@example.com")
        mail = eventually(lambda: self.peer.to("tls@example.com"))[0]
        self.assertEqual((mail["tls"], mail["user"]), (True, "sender"))
        self.until_state("DONE")

    def test_a_wrong_password_stops_the_lane(self):
        self.serve(SMTP_PASS="falsch", SMTP_CA_FILE=self.cert)
        self.send("denied@example.com")
        waiting = eventually(lambda: [e for e in self.effects() if e["class"]])[0]
        self.assertEqual((waiting["state"], waiting["class"]), ("WAITING", "credentials"))
        self.assertTrue(eventually(lambda: self.events("breaker.opened")))
        self.assertNotIn("falsch", self.server.log())

    def test_a_certificate_that_nobody_vouches_for(self):
        self.serve(SMTP_PASS="geheim")
        self.send("mitm@example.com")
        waiting = eventually(lambda: [e for e in self.effects() if e["class"]])[0]
        self.assertEqual(waiting["class"], "certificate")
        self.assertEqual(self.peer.mails, [])


if __name__ == "__main__":
    unittest.main()
