#!/usr/bin/env python3
"""One-time codes by text message, against the simulator, which judges each request as Aliyun does: at most one a request."""

import re
import unittest

from harness import Server, eventually
from people import People, PeopleOfOneService
from simulator import Simulator

KEY = "reports-come-here-0123456789"


class SmsEffects:
    def effects(self, **filters):
        query = "&".join("%s=%s" % f for f in filters.items())
        return self.call("GET", "/api/v1/effects?limit=100&" + query, token=self.server.admin_token()).json["data"]

    def effect(self, effect_id):
        return self.call("GET", "/api/v1/effects/" + effect_id, token=self.server.admin_token()).json["data"]


class Sms(SmsEffects, PeopleOfOneService, unittest.TestCase):
    """Each test has numbers of its own."""

    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator(vendors=["aliyun"], options={"aliyun.templates": "SMS_271525576,SMS_300000001"}).start()
        cls.server = Server(env={**cls.sim.settings, "LULAB_EFFECTS_RETRY_BASE": "50ms", "LULAB_EFFECTS_BREAKER": "200ms",
                                 "LULAB_ALIYUN_SMS_REPORT_KEY": KEY, "LULAB_TRUSTED_PROXIES": "127.0.0.1/32",
                                 "ALIYUN_SMS_TEMPLATE_RESET": "SMS_300000001",
                                 "LULAB_ALIYUN_SMS_TEMPLATE_ABROAD": "SMS_900000001"}).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        cls.sim.__exit__(None, None, None)

    def tearDown(self):
        self.sim.no_faults()

    def acts(self, number):
        return self.sim.acts("aliyun", phone=number)

    def act(self, number):
        return eventually(lambda: self.acts(number))[0]

    def code(self, number):
        return self.act(number)["param"]["code"]

    def until_state(self, state, before=(), **filters):
        """The newest effect of that state that was not there before."""
        return eventually(lambda: [e for e in self.effects(state=state, **filters) if e["id"] not in before])[0]

    def there(self):
        return [e["id"] for e in self.effects()]

    def until_sent(self, number):
        effect_id = self.act(number)["out_id"]
        return eventually(lambda: (row := self.effect(effect_id))["state"] == "DONE" and row)

    def report_url(self, key=KEY):
        return "http://127.0.0.1:%d/webhooks/aliyun/sms/%s" % (self.server.port, key)

    # ---- codes ----

    def test_registration_by_telephone(self):
        phone = "13800138000"
        self.send(phone)
        code = self.code(phone)
        act = self.act(phone)
        self.assertEqual((act["sign"], act["template"], act["param"]), ("视算新里程科技", "SMS_271525576", {"code": code}))
        row = self.until_sent(phone)
        self.assertEqual((row["effect"], row["lane"], row["attempt"]), ("sms.code", "sms", 1))
        self.assertEqual(row["attempts"][0]["vendorId"], act["biz_id"])
        self.call("POST", "/api/auth/register", {"type": "phone_code", "phone": phone, "countryCode": "+86", "code": code},
                  status=201)
        self.assertNotIn(code, self.server.log())

    def test_log_in_by_telephone(self):
        phone, nobody, other = "13900139000", "13900139001", "13900139002"
        self.create(username="tel", phone=phone, countryCode="+86")
        self.send(phone, "login")
        answer = self.login("phone_code", phone=phone, countryCode="+86", code=self.code(phone))
        self.assertIn("accessToken", answer.json)
        # Who has no account is told nothing, and cannot be told apart.
        self.send(nobody, "reset_password")
        self.send(other)
        self.act(other)
        self.assertEqual(self.acts(nobody), [])

    def test_a_new_password_by_telephone(self):
        phone, password = "13900139010", "another long horse"
        self.create(username="resetter", phone=phone, countryCode="+86")
        self.send(phone, "reset_password")
        code = self.code(phone)
        self.assertEqual(self.act(phone)["template"], "SMS_300000001")
        self.call("POST", "/api/auth/reset-password", {"target": phone, "code": code, "newPassword": password})
        self.login("username_password", username="resetter", password=password)

    def test_a_number_abroad(self):
        self.send("2025550123", countryCode="+1")
        self.assertTrue(self.is_right("2025550123", self.code("+12025550123"), countryCode="+1"))
        self.assertEqual(self.act("+12025550123")["template"], "SMS_900000001")

    # ---- answers ----

    def test_what_proves_that_nothing_was_sent_is_tried_again(self):
        phone = "13800138010"
        self.sim.fault("aliyun", "limit", count=1)
        self.send(phone)
        row = self.until_sent(phone)
        self.assertEqual([a["outcome"] for a in row["attempts"]], ["WAITING", "DONE"])
        self.assertEqual(len(self.acts(phone)), 1)

    def test_a_number_that_gets_none_is_no_dead_letter(self):
        before = self.there()
        self.send("12000000000")
        failed = self.until_state("FAILED", before)
        self.assertEqual((failed["class"], failed["status"]), ("number", 200))

    def test_an_account_in_arrears_stops_the_lane(self):
        phone, before = "13800138020", self.there()
        self.sim.command("aliyun", "account", code="isv.AMOUNT_NOT_ENOUGH")
        self.send(phone)
        waiting = self.until_state("WAITING", before)
        self.assertEqual((waiting["class"], waiting["message"]), ("configuration", "Aliyun answered isv.AMOUNT_NOT_ENOUGH."))
        self.assertTrue(eventually(lambda: self.events("breaker.opened")))
        self.sim.command("aliyun", "account", code="OK")
        self.until_sent(phone)
        self.assertEqual(len(self.acts(phone)), 1)

    # ---- once ----

    def test_unknown_is_looked_up_and_never_sent_again(self):
        failed, silent, before = "13800138030", "13800138031", self.there()
        self.sim.fault("aliyun", "fail", op="send", count=1)
        self.send(failed)
        self.until_state("UNKNOWN", before)
        before = self.there()
        self.sim.fault("aliyun", "act_then_timeout", op="send", count=1, seconds=0)
        self.send(silent)
        unknown = self.until_state("UNKNOWN", before)
        self.assertEqual((unknown["effect"], unknown["class"]), ("sms.code", "no_answer"))
        eventually(lambda: self.effect(unknown["id"])["delivery"] == "ACCEPTED")
        # The report says the rest.
        answers = self.sim.command("aliyun", "report", url=self.report_url(), biz_id=self.act(silent)["biz_id"])
        self.assertEqual([a["acknowledged"] for a in answers], [True])
        eventually(lambda: self.effect(unknown["id"])["delivery"] == "DELIVERED")
        self.assertTrue(self.is_right(silent, self.code(silent)))
        self.assertEqual([a["out_id"] for a in self.acts(silent)], [unknown["id"]])
        # Of the other the vendor knows nothing.
        looked = self.until_state("FAILED", effect="sms.look")
        self.assertEqual((looked["class"], looked["attempt"]), ("not_found", 6))
        self.assertEqual(self.acts(failed), [])

    def test_a_kill_before_the_answer(self):
        phone = "13800138040"
        self.sim.fault("aliyun", "act_then_timeout", op="send", count=1)
        self.send(phone)
        sent = self.act(phone)
        self.server.kill()
        self.server.start()
        eventually(lambda: self.effect(sent["out_id"])["state"] == "UNKNOWN")
        self.sim.command("aliyun", "arrive", biz_id=sent["biz_id"])
        eventually(lambda: self.effect(sent["out_id"])["delivery"] == "DELIVERED")
        self.assertEqual(len(self.acts(phone)), 1)

    # ---- reports ----

    def test_reports(self):
        phone, lost = "13800138050", "13800138051"
        self.sim.command("aliyun", "undeliverable", number=lost, err_code="MK:0001")
        self.sim.fault("aliyun", "duplicate")
        for number, delivery, code in ((phone, "DELIVERED", "DELIVERED"), (lost, "UNDELIVERED", "MK:0001")):
            self.send(number)
            row = self.until_sent(number)
            answers = self.sim.command("aliyun", "report", url=self.report_url(), biz_id=self.act(number)["biz_id"])
            self.assertEqual([a["acknowledged"] for a in answers], [True, True])
            row = eventually(lambda: (now := self.effect(row["id"]))["delivery"] and now)
            self.assertEqual((row["delivery"], row["deliveryCode"], row["state"]), (delivery, code, "DONE"))
            self.assertIsNotNone(row["deliveryAt"])
            # Told twice, stored once.
            events = self.call("GET", "/api/v1/events?stream=sms/%s&limit=10" % row["id"], token=self.server.admin_token())
            self.assertEqual([e["type"] for e in events.json["data"]], ["sms." + delivery.lower()])

    def test_what_is_not_believed(self):
        phone = "13800138060"
        self.send(phone)
        effect_id = self.until_sent(phone)["id"]
        report = {"phone_number": phone, "success": True, "err_code": "DELIVERED", "biz_id": "1^0", "out_id": effect_id}

        def push(body, key=KEY):
            return self.sim.command("aliyun", "push", {"url": self.report_url(key), "body": body})["status"]

        self.assertEqual(push([report], key="wrong"), 401)
        for malformed in ({}, [1], [{"success": True}]):
            self.assertEqual(push(malformed), 400)
        self.assertEqual(push([]), 200)
        for strange in ("0" * 32, "x", "'; drop table effects --", effect_id.upper()):
            self.assertEqual(push([{**report, "out_id": strange}]), 200)
        self.assertIsNone(self.effect(effect_id)["delivery"])
        self.assertEqual(push([{**report, "err_code": "<script>"}] * 40), 200)
        row = eventually(lambda: (now := self.effect(effect_id))["delivery"] and now)
        self.assertEqual((row["delivery"], row["deliveryCode"]), ("DELIVERED", None))
        metrics = self.server.get("/metrics", token=None).body.decode()
        counts = dict(re.findall("^lulab_sms_reports_([a-z]+)_total ([0-9]+)$", metrics, re.M))
        self.assertEqual(counts, {"refused": "4", "strange": "4"})
        self.assertNotIn(KEY, self.server.log())


class HalfConfigured(SmsEffects, People, unittest.TestCase):
    def test_no_template_for_abroad_and_no_reports(self):
        with Server(env={"ALIBABA_CLOUD_ACCESS_KEY_ID": "a", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "b",
                         "LULAB_ALIYUN_SMS_URL": "http://127.0.0.1:1"}) as self.server:
            self.send("2025550123", countryCode="+1")
            failed = eventually(lambda: self.effects(state="FAILED"))[0]
            self.assertEqual(failed["class"], "abroad")
            self.call("POST", "/webhooks/aliyun/sms/x", [], status=503)


if __name__ == "__main__":
    unittest.main()
