#!/usr/bin/env python3
"""One-time codes: asking for them, trying them, and that they end."""

import concurrent.futures
import json
import unittest

from harness import Server, eventually, lulab
from people import DevServer, LaterServer, People, PeopleOfOneService, with_clock, wrong


class Codes(PeopleOfOneService, unittest.TestCase):
    def test_a_code_is_sent_and_looked_at(self):
        for path, kind, target, key, text in (
                ("/api/verification/send", "register", "One@Example.com", "one@example.com", "验证码已发送到邮箱"),
                ("/api/auth/otp/send", "change_contact", "two@example.com", "two@example.com", "验证码已发送到邮箱"),
                ("/api/v1/verification/send", "register", "13800000001", "+8613800000001", "验证码已发送到手机"),
                ("/api/v1/auth/otp/send", "register", "13800000002", "+8613800000002", "验证码已发送到手机")):
            answer = self.send(target, kind, path=path).json
            self.assertEqual((answer["success"], answer["message"], answer["expiresIn"]), (True, text, 300))
            self.assertRegex(answer["requestId"], "^[0-9a-f]{32}$")
            code = self.server.code(key)
            self.assertRegex(code, "^[0-9]{6}$")
            verify = path.replace("/send", "/verify")
            body = {"target": target, "type": kind, "code": code}
            self.assertEqual(self.call("POST", verify, body).json, {"valid": True, "message": "验证码验证成功"})
            # F5 of the systems replaced: looking used it up.
            self.assertTrue(self.call("POST", verify, {**body, "requestId": answer["requestId"]}).json["valid"])
            self.assertFalse(self.call("POST", verify, {**body, "requestId": "0" * 32}).json["valid"])
            self.assertFalse(self.call("POST", verify, {**body, "code": wrong(code)}).json["valid"])

    def test_a_code_is_bound_to_target_and_purpose(self):
        self.send("bound@example.com")
        code = self.server.code("bound@example.com")
        self.assertFalse(self.is_right("bound@example.com", code, "reset_password"))
        self.assertFalse(self.is_right("unbound@example.com", code))
        self.assertTrue(self.is_right(" BOUND@example.com", code))

    def test_bad_input_is_named(self):
        for target in ("nobody", "", "a@b", "12", "+86", "a b@example.com", "@example.com"):
            answer = self.send(target, status=400).json
            self.assertEqual(answer["message"], "目标必须是有效的邮箱或手机号")
        self.send("x@example.com", "magic", status=400)
        self.assertEqual(self.send("x@example.com", shoeSize=42, status=400).json["errors"][0]["path"], "/shoeSize")
        self.call("POST", "/api/auth/otp/send", {"target": "x@example.com"}, status=400)
        self.call("POST", "/api/auth/otp/send", ["x@example.com"], status=400)
        answer = self.call("POST", "/api/auth/otp/verify", {"target": "x@example.com", "type": "register", "code": "12"},
                           status=400).json
        self.assertEqual(answer["message"], "验证码至少4位")
        self.call("POST", "/api/auth/otp/verify", {"target": "x@example.com", "type": "register"}, status=400)

    def test_five_wrong_tries_end_a_code(self):
        """S2 of the systems replaced: there was no limit."""
        self.send("tries@example.com")
        code = self.server.code("tries@example.com")
        for _ in range(4):
            self.assertFalse(self.is_right("tries@example.com", wrong(code)))
        self.assertTrue(self.is_right("tries@example.com", code))
        self.assertFalse(self.is_right("tries@example.com", wrong(code)))
        self.assertFalse(self.is_right("tries@example.com", code))
        self.register("tries@example.com", code, status=400)

    def test_who_tries_at_once_has_no_more_tries(self):
        request = self.send("crowd@example.com").json["requestId"]
        code = self.server.code("crowd@example.com")
        guesses = [g for g in ("%06d" % i for i in range(200)) if g != code]
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            right = list(pool.map(lambda g: self.is_right("crowd@example.com", g), guesses))
        self.assertFalse(any(right))
        failed = [e for e in self.events("verification.failed") if e["data"]["request_id"] == request]
        self.assertEqual(len(failed), 5)
        self.assertFalse(self.is_right("crowd@example.com", code))

    def test_a_target_is_sent_one_a_minute(self):
        self.send("often@example.com")
        again = self.send("Often@example.com", status=429)
        self.assertTrue(1 <= int(again.headers["Retry-After"]) <= 60)
        self.assertEqual((again.json["statusCode"], again.json["message"]), (429, "发送过于频繁，请1分钟后再试"))
        # For whatever: it is the reader's peace that is kept.
        self.send("often@example.com", "login", status=429)
        self.assertEqual(len(self.server.codes("often@example.com")), 1)

    def test_who_asks_at_once_gets_one(self):
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            statuses = list(pool.map(lambda _: self.send("storm@example.com", status=None).status, range(64)))
        self.assertEqual((statuses.count(200), statuses.count(429)), (1, 63))

    def test_an_address_asks_for_twenty_a_day(self):
        targets = ["many%d@example.com" % i for i in range(40)]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(lambda t: self.send(t, status=None).status, targets))
        self.assertEqual((statuses.count(200), statuses.count(429)), (20, 20))
        refused = self.send("another@example.com", status=429)
        self.assertEqual(refused.json["message"], "发送过于频繁，请明天再试")
        self.assertTrue(86000 < int(refused.headers["Retry-After"]) <= 86400)
        # S5: an address is not what the client says it is, here it is what the proxy says.
        self.address = "203.0.113.7"
        self.send("another@example.com")

    def test_nobody_learns_who_has_an_account(self):
        """S14: the same is answered, and only who has an account gets a code to sign in."""
        for kind in ("login", "reset_password", "register", "change_contact"):
            here, gone = kind + ".here@example.com", kind + ".gone@example.com"
            self.create(email=here)
            known, unknown = self.send(here, kind).json, self.send(gone, kind).json
            self.assertEqual({**known, "requestId": ""}, {**unknown, "requestId": ""})
            self.assertEqual(len(self.server.codes(here)), 1)
            self.assertEqual(len(self.server.codes(gone)), 0 if kind in ("login", "reset_password") else 1)
            for target in (here, gone):
                self.assertFalse(self.is_right(target, "0000000", kind))

    def test_the_key_of_a_code_is_destroyed_when_it_was_used(self):
        answer = self.send("short.lived@example.com").json["requestId"]
        events = [e for e in self.events("verification.requested") if e["data"]["request_id"] == answer]
        self.assertEqual(events[0]["data"]["target"], "short.lived@example.com")
        self.register("short.lived@example.com", self.server.code("short.lived@example.com"))
        eventually(lambda: [e for e in self.events("verification.ended") if e["data"]["request_id"] == answer])
        ended = [e for e in self.events("verification.ended") if e["data"]["request_id"] == answer]
        self.assertEqual(ended[0]["data"]["reason"], "USED")
        events = [e for e in self.events("verification.requested") if e["data"]["request_id"] == answer]
        self.assertNotIn("short.lived", str(events))

    def test_with_a_person_their_codes_are_erased(self):
        user = self.create(email="leaver@example.com").json["id"]
        request = self.send("leaver@example.com", "login").json["requestId"]
        code = self.server.code("leaver@example.com")
        events = [e for e in self.events("verification.requested") if e["data"]["request_id"] == request]
        self.assertEqual(events[0]["data"]["target"], "leaver@example.com")
        self.call("DELETE", "/api/v1/users/%s?erase=true" % user, token=self.server.admin_token())
        events = [e for e in self.events("verification.requested") if e["data"]["request_id"] == request]
        self.assertNotIn("leaver", str(events))
        self.assertFalse(self.is_right("leaver@example.com", code, "login"))

    def test_no_code_is_in_the_log(self):
        self.send("hidden@example.com")
        code = self.server.code("hidden@example.com")
        exported = lulab("log", "tail", "-n", "100000", "--json", "--data", self.server.data).stdout
        self.assertNotIn("hidden@example", exported)
        self.assertNotIn('"%s"' % code, exported)
        # Nor shown to who may read personal data: a code is not read, it is received.
        self.assertNotIn('"%s"' % code, str(self.events("verification.requested")).replace("'", '"'))

    def test_read_models_are_what_the_log_says(self):
        self.send("equal@example.com")
        self.is_right("equal@example.com", "000000")
        rows = json.loads(lulab("projection", "verify", "--json", "--data", self.server.data).stdout)
        self.assertTrue(all(row["equal"] for row in rows), rows)


class OtherSettings(People, unittest.TestCase):
    def test_codes_are_not_printed_where_nobody_said_development(self):
        with Server() as self.server:
            self.send("quiet@example.com")
            self.assertNotIn("quiet@example.com", self.server.log())
            self.assertNotIn("would have been sent", self.server.log())

    def test_a_day_is_full_and_the_operator_is_told(self):
        with DevServer(env={"LULAB_CODES_PER_DAY": "3"}) as self.server:
            for i in range(3):
                self.send("day%d@example.com" % i)
            refused = self.send("day3@example.com", status=429)
            self.assertTrue(86000 < int(refused.headers["Retry-After"]) <= 86400)
            self.send("day4@example.com", status=429)
            self.assertEqual(self.server.log().count("LULAB_CODES_PER_DAY"), 1)

    def test_limits_and_tries_outlive_a_crash(self):
        with DevServer() as self.server:
            self.send("crash@example.com")
            code = self.server.code("crash@example.com")
            for _ in range(4):
                self.assertFalse(self.is_right("crash@example.com", wrong(code)))
            self.server.kill()
            self.server.start()
            self.send("crash@example.com", status=429)
            self.assertTrue(self.is_right("crash@example.com", code))
            self.assertFalse(self.is_right("crash@example.com", wrong(code)))
            self.assertFalse(self.is_right("crash@example.com", code))

    @with_clock
    def test_time_ends_codes_and_limits(self):
        with LaterServer() as self.server:
            later = self.server.later
            first = self.send("time@example.com").json["requestId"]
            code = self.server.code("time@example.com")
            later(299)
            self.assertTrue(self.is_right("time@example.com", code))
            later(301)
            self.assertFalse(self.is_right("time@example.com", code))
            second = self.send("time@example.com").json["requestId"]
            self.assertFalse(self.is_right("time@example.com", code, requestId=first))
            later(370)  # a new one ends the one before
            self.send("time@example.com")
            codes = self.server.codes("time@example.com")
            self.assertFalse(self.is_right("time@example.com", codes[1], requestId=second))
            self.assertTrue(self.is_right("time@example.com", codes[2]))
            for seconds in (440, 510):
                later(seconds)
                self.send("time@example.com")
            later(580)
            refused = self.send("time@example.com", status=429)
            self.assertEqual(refused.json["message"], "发送过于频繁，请1小时后再试")
            self.assertTrue(3000 < int(refused.headers["Retry-After"]) <= 3600)
            for i in range(5):
                later(2 * 3600 + i * 70)
                self.send("time@example.com")
            later(6 * 3600)
            refused = self.send("time@example.com", status=429)
            self.assertEqual(refused.json["message"], "发送过于频繁，请明天再试")
            later(25 * 3600)
            self.send("time@example.com")
            reasons = eventually(lambda: sorted(e["data"]["reason"] for e in self.events("verification.ended"))[9:] and
                                 sorted(e["data"]["reason"] for e in self.events("verification.ended")))
            self.assertIn("EXPIRED", reasons)
            self.assertIn("SUPERSEDED", reasons)


if __name__ == "__main__":
    unittest.main()
