#!/usr/bin/env python3
"""PATCH /api/v1/users/{id}: an administrator changes what somebody goes by and what is told of them."""

import concurrent.futures
import json
import unittest

from harness import lulab
from people import PASSWORD, PeopleOfOneService

NOBODY = "0" * 32


class UserChange(PeopleOfOneService, unittest.TestCase):
    def patch(self, user, body, token=None, status=200):
        token = token or self.server.admin_token()
        return self.call("PATCH", "/api/v1/users/" + user, body, token, status=status).json

    def one(self, name, **more):
        return self.create(username=name, **more).json["id"]

    def token(self, name):
        return self.login("username_password", username=name, password=PASSWORD).json["accessToken"]

    def of_user(self, user, kind):
        path = "/api/v1/events?stream=user/%s&type=%s&limit=100" % (user, kind)
        return self.call("GET", path, token=self.server.admin_token()).json["data"]

    def test_what_is_told_of_somebody(self):
        user = self.one("told_one", displayName="Before")
        token = self.token("told_one")
        told = {"avatar": "https://example.com/a.png", "bio": "b", "firstName": "F", "lastName": "L", "dateOfBirth": "1990-12-31",
                "gender": "OTHER", "address": "A", "city": "C", "country": "X", "zipCode": "1", "website": "https://example.com"}
        data = self.patch(user, {"displayName": "After", **told})["data"]
        self.assertEqual((data["displayName"], data["profile"]), ("After", told))
        shown = self.call("GET", "/api/v1/users/" + user, token=self.server.admin_token()).json
        document = self.call("GET", "/openapi.json").json["components"]["schemas"]["User"]["properties"]
        self.assertEqual(list(shown.get("data", shown)), list(document))
        self.assertEqual(self.call("GET", "/api/user/profile", token=token).json["profile"], {"name": "After", **told})
        data = self.patch(user, {"bio": "", "city": None})["data"]
        self.assertEqual((data["displayName"], data["profile"]), ("After", {**told, "bio": None}))
        changes = self.of_user(user, "user.profile_changed")
        self.assertEqual([e["actor"] for e in changes], ["admin", "admin"])
        self.assertEqual(self.of_user(user, "user.contact_changed"), [])
        # Their log-in goes on; and nothing is nothing.
        self.call("GET", "/api/auth/me", token=token)
        self.patch(user, {})
        self.patch(user, {"username": "told_one"})
        self.assertEqual(len(self.of_user(user, "user.profile_changed") + self.of_user(user, "user.contact_changed")), 2)

    def test_each_thing_is_told_by_itself(self):
        user = self.one("told_bit_by_bit", phone="13900001111")
        for name, value in (("avatar", "/a.png"), ("avatar", "http://example.com/a.png"), ("bio", "b"), ("firstName", "F"),
                            ("lastName", "L"), ("gender", "MALE"), ("gender", "PREFER_NOT_TO_SAY"), ("address", "A"), ("city", "C"),
                            ("country", "X"), ("zipCode", "1"), ("website", "https://example.com"),
                            ("dateOfBirth", "2000-02-29"), ("dateOfBirth", "2024-02-29"), ("dateOfBirth", "1999-02-28"),
                            ("dateOfBirth", "1990-01-31")):
            self.assertEqual(self.patch(user, {name: value})["data"]["profile"][name], value)
        for name, value in (("avatar", "//evil.example"), ("avatar", "javascript:x"), ("website", "x"), ("gender", "male"),
                            *(("dateOfBirth", date) for date in ("1990-1-01", "1990-01-1", "1990/01-01", "1990-01/01",
                                                                 "199x-01-01", "1990-0x-01", "1990-01-0x", "1990-00-01",
                                                                 "1990-13-01", "1990-01-00", "1990-04-31", "1990-01-32",
                                                                 "1900-02-29", "1999-02-29"))):
            self.assertTrue(self.patch(user, {name: value}, status=400)["detail"].startswith(name + ":"))
        # The same names again are no change, however they are written.
        self.patch(user, {"phone": "+86 139 0000 1111"})
        self.patch(user, {"phone": "139 00001111", "countryCode": "+86"})
        self.assertEqual(self.of_user(user, "user.contact_changed"), [])

    def test_another_address_is_not_verified_and_ends_the_log_ins(self):
        self.create(username="by_admin", role="ADMIN")
        admin = self.token("by_admin")
        self.register("moves@example.com", username="moves", password=PASSWORD)
        token = self.token("moves")
        user = self.call("GET", "/api/auth/me", token=token).json["id"]
        data = self.patch(user, {"email": " Moved@Example.com ", "phone": "138 0000 2222"}, admin)["data"]
        self.assertEqual((data["email"], data["emailVerified"], data["phone"], data["countryCode"]),
                         ("Moved@Example.com", False, "+8613800002222", "+86"))
        self.call("GET", "/api/auth/me", token=token, status=401)
        self.login("email_password", email="moves@example.com", password=PASSWORD, status=401)
        self.login("email_password", email="moved@example.com", password=PASSWORD)
        change, = self.of_user(user, "user.contact_changed")
        self.assertEqual(change["actor"], "user:" + self.call("GET", "/api/auth/me", token=admin).json["id"])
        # The old address is anybody's again; the same one, spelled otherwise, is no change.
        self.create(email="moves@example.com")
        self.patch(user, {"email": "MOVED@example.com"}, admin)
        self.assertEqual(len(self.of_user(user, "user.contact_changed")), 1)

    def test_names_are_taken_away_but_not_the_last(self):
        user = self.one("has_three", email="three@example.com", phone="13800003333")
        data = self.patch(user, {"email": "", "phone": ""})["data"]
        self.assertEqual((data["username"], data["email"], data["phone"], data["countryCode"]), ("has_three", None, None, None))
        self.assertIn("needs a user name", self.patch(user, {"username": ""}, status=400)["detail"])
        data = self.patch(user, {"username": "", "email": "again@example.com"})["data"]
        self.assertEqual((data["username"], data["email"]), (None, "again@example.com"))
        self.login("username_password", username="has_three", password=PASSWORD, status=401)
        self.create(username="has_three", email="three@example.com", phone="13800003333")
        self.patch(user, {"email": ""}, status=400)

    def test_what_another_has_is_refused_by_name(self):
        self.create(username="Holder", email="holder@example.com", phone="13800004444")
        user = self.one("wants_it")
        for field, value in (("username", "HOLDER"), ("email", "Holder@Example.com"), ("phone", "+86 138 0000 4444")):
            problem = self.patch(user, {field: value, "bio": "not kept"}, status=409)
            self.assertEqual((problem["code"], problem["detail"].split(":")[0]), ("taken", field))
            self.assertRegex(problem["message"], "已被使用$")
        self.assertEqual(self.of_user(user, "user.profile_changed"), [])

    def test_of_many_who_take_one_name_one_gets_it(self):
        users = [self.one("racer_%d" % i) for i in range(8)]

        def take(user):
            return self.server.request("PATCH", "/api/v1/users/" + user, json.dumps({"email": "race@example.com"}).encode(),
                                       token=self.server.admin_token(), headers={"Content-Type": "application/json"}).status

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertEqual(sorted(pool.map(take, users)), [200] + [409] * 7)

    def test_who_may_not(self):
        """S4, S7 of the systems replaced: rights that one gives oneself, and an account carried away by its address."""
        top = self.one("above_all", role="SUPER_ADMIN")
        own = self.one("just_admin", role="ADMIN")
        user = self.one("only_member")
        admin, member = self.token("just_admin"), self.token("only_member")
        for who, whom, body in ((member, user, {"bio": "mine"}), (member, own, {"email": "m@example.com"}),
                                (admin, top, {"bio": "not mine"}), (admin, top, {"email": "taken-over@example.com"}),
                                (admin, own, {"email": "own@example.com"}), (admin, own, {"phone": "13800005555"})):
            self.assertEqual(self.patch(whom, body, who, 403)["status"], 403)
        self.assertEqual(self.patch(own, {"bio": "mine"}, admin)["data"]["profile"]["bio"], "mine")
        for grab in ({"roles": ["SUPER_ADMIN"]}, {"role": "SUPER_ADMIN"}, {"active": False}, {"emailVerified": True},
                     {"id": NOBODY}, {"password": PASSWORD}, {"emailCode": "123456"}):
            self.assertEqual(self.patch(user, grab, admin, 400)["errors"][0]["path"], "/" + next(iter(grab)))
        self.call("PATCH", "/api/v1/users/" + user, {"bio": "x"}, status=401)

    def test_hostile_input(self):
        user = self.one("much_abused")
        for field, bad in (("email", "no address"), ("username", "a"), ("phone", "12"), ("avatar", "javascript:alert(1)"),
                           ("website", "//evil.example"), ("dateOfBirth", "1990-02-30"), ("gender", "MALE'--")):
            self.assertTrue(self.patch(user, {field: bad}, status=400)["detail"].startswith(field + ":"), field)
        for field, bad in (("bio", "x" * 501), ("bio", 7), ("email", {"$ne": ""}), ("username", ["x"]), ("username", "x" * 51)):
            self.assertEqual(self.patch(user, {field: bad}, status=400)["errors"][0]["path"], "/" + field)
        for raw in (b"", b"[]", b"{", b'{"bio":"\xff"}', b'{"bio":"a","bio":"b"}'):
            self.assertEqual(self.server.request("PATCH", "/api/v1/users/" + user, raw, token="admin",
                                                 headers={"Content-Type": "application/json"}).status, 400, raw)
        self.patch(NOBODY, {"bio": "x"}, status=404)
        self.patch("x%27%20or%201", {"bio": "x"}, status=404)
        self.assertEqual(self.of_user(user, "user.profile_changed"), [])

    def test_one_that_is_gone(self):
        user = self.one("gone_soon")
        admin = self.server.admin_token()
        self.call("DELETE", "/api/v1/users/" + user, token=admin, status=204)
        self.assertEqual(self.patch(user, {"bio": "x"}, status=409)["code"], "deleted")
        self.call("DELETE", "/api/v1/users/%s?erase=true" % user, token=admin, status=None)
        self.assertEqual(self.patch(user, {"bio": "x"}, status=410)["code"], "erased")

    def test_rebuilt_rows_are_equal(self):
        user = self.one("for_rebuild", email="rebuild@example.com")
        self.patch(user, {"email": "", "bio": "x"})
        self.server.stop()
        try:
            lulab("projection", "verify", "--data", self.server.data)
        finally:
            self.server.start()


if __name__ == "__main__":
    unittest.main(verbosity=2)
