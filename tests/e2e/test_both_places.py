#!/usr/bin/env python3
"""Every route of administration at both places it has, /admin and /api/v1, and the way of an account at each of its own:
what is done, what is said of what is not there, and of what is not right."""

import json
import unittest

from admin_case import AdminCase
from people import PASSWORD, PeopleOfOneService, wrong

NOBODY = "0" * 32


class Stories:
    """One telling for each place; `base` is the place, `taken` what a name in use is answered with."""

    def items(self, path, **query):
        page = self.call("GET", self.base + path + "".join("%s%s=%s" % ("?&"[i > 0], k, v) for i, (k, v) in enumerate(query.items())))
        if self.base == "/admin":
            self.assertEqual(set(page), {"items", "total", "page", "pageSize", "totalPages"})
            return page["items"]
        self.assertLessEqual({"total", "page", "limit", "totalPages"}, set(page["pagination"]))
        return page["data"]

    def ask(self, method, path, body=None, status=200, token="admin"):
        return self.call(method, self.base + path, body, token, status)

    def not_there(self, *routes):
        """(method, path with %s for the id, body): of an id that is nobody's and of texts that are none."""
        for method, path, body in routes:
            for id in (NOBODY, "x", "x%27%20or%201=1--", "%E5%BC%A0", "9" * 300):
                with self.subTest(method=method, path=path, id=id):
                    self.ask(method, path % id, body, 404)

    def wrong(self, method, path, *bodies):
        """(body, the member at fault)"""
        for body, member in bodies:
            with self.subTest(method=method, path=path, body=body):
                self.assertEqual(self.ask(method, path, body, 400)["errors"][0]["path"], "/" + member)

    def wrong_page(self, path, *more):
        for query in ("page=0", "page=x", "limit=0", "limit=101", "shoe=42") + more:
            with self.subTest(path=path, query=query):
                self.ask("GET", path + "?" + query, status=400)

    # ---- organisations --------------------------------------------------------------------------

    def test_organisations(self):
        code = self.name()
        made = self.ask("POST", "/orgs", {"name": "O", "code": code}, 201)
        one = "/orgs/" + made["id"]
        self.assertEqual(self.ask("GET", one), made)
        self.assertEqual([o["id"] for o in self.items("/orgs", keyword=code)], [made["id"]])
        self.assertEqual(self.ask("PUT", one, {"name": "P", "description": "d"})["name"], "P")
        self.assertIs(self.ask("PATCH", one + "/status", {"active": False})["active"], False)
        self.assertEqual(self.ask("GET", one + "/stats")["totalUsers"], 0)
        self.ask("POST", "/orgs", {"name": "x", "code": code}, self.taken)
        self.ask("PUT", one, {"parentId": made["id"]}, 400)
        self.ask("PUT", one, {"parentId": NOBODY}, 404)
        self.wrong("POST", "/orgs", ({"code": "x"}, "name"), ({"name": "x", "code": ""}, "code"), ({"name": 1, "code": "x"}, "name"),
                   ({"name": "x", "code": "x", "shoe": 42}, "shoe"))
        self.wrong("PUT", one, ({"name": ["x"]}, "name"), ({"sortOrder": "1"}, "sortOrder"))
        self.wrong("PATCH", one + "/status", ({}, "active"), ({"active": "no"}, "active"))
        self.wrong_page("/orgs")
        self.not_there(("GET", "/orgs/%s", None), ("PUT", "/orgs/%s", {}), ("PATCH", "/orgs/%s/status", {"active": True}),
                       ("GET", "/orgs/%s/stats", None), ("DELETE", "/orgs/%s", None), ("GET", "/orgs/%s/departments", None),
                       ("GET", "/orgs/%s/departments/tree", None), ("GET", "/orgs/%s/members", None),
                       ("POST", "/orgs/%s/departments", {"name": "x", "code": "x"}),
                       ("POST", "/orgs/%s/members", {"userId": NOBODY}),
                       ("POST", "/orgs/%s/members/batch", {"members": [{"userId": NOBODY}]}))
        self.ask("DELETE", one, status=204)
        self.assertEqual(self.items("/orgs", keyword=code), [])

    # ---- departments ----------------------------------------------------------------------------

    def test_departments(self):
        org = self.org()
        top = self.ask("POST", "/orgs/%s/departments" % org, {"name": "T", "code": self.name()}, 201)
        code = self.name()
        made = self.ask("POST", "/orgs/%s/departments" % org, {"name": "D", "code": code, "parentId": top["id"]}, 201)
        one = "/departments/" + made["id"]
        self.assertEqual(self.ask("GET", one)["level"], 2)
        self.assertEqual(len(self.items("/orgs/%s/departments" % org)), 2)
        tree = self.ask("GET", "/orgs/%s/departments/tree" % org)
        tree = tree.get("items", tree.get("data"))
        self.assertEqual([[k["id"] for k in d["children"]] for d in tree], [[made["id"]]])
        self.assertEqual(self.ask("PUT", one, {"name": "E"})["name"], "E")
        self.assertEqual([d["id"] for d in self.ask("GET", one + "/ancestors")["items"]][0], top["id"])
        self.assertEqual([d["id"] for d in self.children(top["id"])], [made["id"]])
        self.assertIs(self.ask("PATCH", one + "/status", {"active": False})["active"], False)
        user = self.person()
        self.member(org, user, [made["id"]])
        self.assertEqual([m["userId"] for m in self.items(one + "/members")], [user])
        self.assertEqual([m["userId"] for m in self.items("/departments/%s/members" % top["id"], includeChildren="true")], [user])
        self.ask("PATCH", "/departments/%s/move" % top["id"], {"parentId": made["id"]}, 400)
        self.assertIsNone(self.ask("PATCH", one + "/move", {"parentId": None, "sortOrder": 3})["parentId"])
        self.ask("DELETE", one, status=400) # somebody is in it
        self.ask("POST", "/orgs/%s/departments" % org, {"name": "x", "code": code}, self.taken)
        self.wrong("POST", "/orgs/%s/departments" % org, ({"name": "x"}, "code"), ({"name": "x", "code": "y", "parentId": 1}, "parentId"))
        self.wrong("PUT", one, ({"name": {}}, "name"), ({"shoe": 42}, "shoe"))
        self.wrong("PATCH", one + "/move", ({"sortOrder": -1}, "sortOrder"), ({"parentId": 1}, "parentId"))
        self.ask("PATCH", one + "/move", {"parentId": "x"}, 404)
        self.wrong("PATCH", one + "/status", ({"active": 1}, "active"))
        self.wrong_page("/orgs/%s/departments" % org, "level=x")
        self.wrong_page(one + "/members")
        self.not_there(("GET", "/departments/%s", None), ("PUT", "/departments/%s", {}), ("DELETE", "/departments/%s", None),
                       ("PATCH", "/departments/%s/move", {"parentId": None}), ("PATCH", "/departments/%s/status", {"active": True}),
                       ("GET", "/departments/%s/members", None), ("GET", "/departments/%s/ancestors", None),
                       ("GET", "/departments/%s/children", None))
        self.ask("DELETE", "/departments/" + top["id"], status=204)

    def children(self, id):
        answer = self.ask("GET", "/departments/%s/children" % id)
        return answer.get("items", answer.get("data"))

    # ---- members ----------------------------------------------------------------------------------

    def test_members(self):
        org = self.org()
        department = self.department(org)
        user, token = self.user()
        made = self.ask("POST", "/orgs/%s/members" % org, {"userId": user, "employeeNo": "7"}, 201)
        one = "/members/" + made["id"]
        self.assertEqual(made["status"], "INVITED")
        self.assertEqual([m["id"] for m in self.items("/orgs/%s/members" % org, status="INVITED")], [made["id"]])
        self.ask("POST", one + "/accept", {}, token=token)
        self.assertEqual(self.ask("GET", one)["status"], "ACTIVE")
        self.assertEqual(self.ask("PUT", one, {"title": "T"})["title"], "T")
        self.assertEqual(self.ask("PATCH", one + "/status", {"status": "SUSPENDED"})["status"], "SUSPENDED")
        self.ask("PATCH", one + "/departments", {"departmentIds": [department], "primaryDeptId": department})
        self.assertEqual([d["id"] for d in self.ask("GET", one)["departments"]], [department])
        batch = self.ask("POST", "/orgs/%s/members/batch" % org, {"members": [{"userId": self.person()}, {"userId": user}]}, 201)
        self.assertEqual((batch["successCount"], batch["failureCount"]), (1, 1))
        self.ask("POST", "/orgs/%s/members" % org, {"userId": user}, self.taken)
        self.ask("POST", one + "/accept", {}, 404) # it is another's, or nobody's: the operator has no account
        self.wrong("POST", "/orgs/%s/members" % org, ({}, "userId"), ({"userId": user, "type": "GUEST"}, "type"))
        self.wrong("POST", "/orgs/%s/members/batch" % org, ({}, "members"), ({"members": "all"}, "members"))
        self.wrong("PUT", one, ({"status": "ACTIVE"}, "status"), ({"title": 1}, "title"))
        self.wrong("PATCH", one + "/status", ({"status": "BOSS"}, "status"))
        self.wrong("PATCH", one + "/departments", ({}, "departmentIds"), ({"departmentIds": ["x"]}, "departmentIds/0"))
        self.wrong_page("/orgs/%s/members" % org, "status=GONE", "deptId=x")
        self.ask("PATCH", one + "/departments", {"departmentIds": [NOBODY]}, 400)
        self.not_there(("GET", "/members/%s", None), ("PUT", "/members/%s", {}), ("DELETE", "/members/%s", None),
                       ("PATCH", "/members/%s/status", {"status": "LEFT"}), ("PATCH", "/members/%s/departments", {"departmentIds": []}),
                       ("POST", "/members/%s/accept", {}), ("POST", "/members/%s/leave", {}))
        self.assertEqual(self.ask("PUT", one + "/permissions/orgs:read", {"granted": True})["granted"], True)
        self.assertEqual([p["code"] for p in self.items(one + "/permissions")], ["orgs:read"])
        self.wrong_page(one + "/permissions")
        self.ask("DELETE", one + "/permissions/orgs:read", status=204)
        self.ask("PATCH", one + "/status", {"status": "ACTIVE"})
        self.ask("POST", one + "/leave", {}, token=token)
        self.assertEqual(self.ask("GET", one)["status"], "LEFT")
        self.ask("DELETE", one, status=204)
        self.ask("GET", one, status=404)

    # ---- permissions, rules, roles -------------------------------------------------------------------

    def test_permissions(self):
        code = self.name() + ":do"
        body = {"name": "N", "code": code, "resource": code.split(":")[0], "action": "do"}
        made = self.ask("POST", "/permissions", body, 201)
        one = "/permissions/" + made["id"]
        self.assertEqual((self.ask("GET", one), self.ask("GET", "/permissions/code/" + code)), (made, made))
        self.assertEqual([p["id"] for p in self.items("/permissions", code=code)], [made["id"]])
        tree = self.ask("GET", "/permissions/tree")
        self.assertIn(made["id"], [p["id"] for p in tree.get("items", tree.get("data"))])
        self.assertEqual(self.ask("PUT", one, {"name": "M"})["name"], "M")
        self.ask("POST", "/permissions", body, self.taken)
        self.ask("PUT", one, {"parentId": made["id"]}, 400)
        self.ask("PUT", "/permissions/users:read", {"active": False}, 400)
        self.ask("DELETE", "/permissions/users:read", status=400)
        self.wrong("POST", "/permissions", ({**body, "type": "X"}, "type"), ({"name": "x"}, "code"))
        self.wrong("PUT", one, ({"code": "other"}, "code"), ({"active": "x"}, "active"))
        self.wrong_page("/permissions", "type=X")
        self.not_there(("GET", "/permissions/%s", None), ("PUT", "/permissions/%s", {}), ("DELETE", "/permissions/%s", None),
                       ("GET", "/permissions/code/%s", None))
        self.ask("DELETE", one, status=204)
        self.ask("GET", one, status=404)

    def test_data_rules(self):
        code = self.name()
        body = {"name": "N", "code": code, "resource": "members", "condition": '{"scope":"OWN"}'}
        made = self.ask("POST", "/data-permission-rules", body, 201)
        one = "/data-permission-rules/" + made["id"]
        self.assertEqual((self.ask("GET", one), self.ask("GET", "/data-permission-rules/code/" + code)), (made, made))
        self.assertEqual([r["id"] for r in self.items("/data-permission-rules", code=code)], [made["id"]])
        self.assertEqual(self.ask("PUT", one, {"name": "M"})["name"], "M")
        self.ask("POST", "/data-permission-rules", body, self.taken)
        self.ask("POST", "/data-permission-rules", {**body, "code": self.name(), "condition": "1=1; drop table users"}, 400)
        self.ask("PUT", one, {"condition": '{"scope":"EVERYTHING"}'}, 400)
        self.wrong("POST", "/data-permission-rules", ({"name": "x"}, "code"), ({**body, "active": 1}, "active"))
        self.wrong("PUT", one, ({"code": "other"}, "code"))
        self.wrong_page("/data-permission-rules")
        self.not_there(("GET", "/data-permission-rules/%s", None), ("PUT", "/data-permission-rules/%s", {}),
                       ("DELETE", "/data-permission-rules/%s", None), ("GET", "/data-permission-rules/code/%s", None))
        self.ask("DELETE", one, status=204)
        self.ask("GET", one, status=404)

    def test_roles(self):
        org = self.org()
        code = self.name()
        body = {"orgId": org, "name": "R", "code": code, "permissionIds": ["orgs:read"]}
        made = self.ask("POST", "/roles", body, 201)
        one = "/roles/" + made["id"]
        self.assertEqual((self.ask("GET", one), self.ask("GET", "/roles/code/" + code)), (made, made))
        self.assertEqual([r["id"] for r in self.items("/roles", code=code)], [made["id"]])
        self.assertEqual(self.ask("PUT", one, {"name": "S"})["name"], "S")
        self.ask("PUT", "/roles/orgs/%s/roles/%s/permissions" % (org, made["id"]), {"permissionKeys": ["members:read"]})
        self.assertEqual(self.ask("GET", one)["permissionIds"], ["members:read"])
        member = self.member(org, self.person())
        bindings = "/roles/orgs/%s/role-bindings" % org
        bound = self.ask("POST", bindings, {"roleId": made["id"], "membershipId": member}, 201)
        self.ask("POST", bindings, {"roleId": made["id"], "membershipId": member}, self.taken)
        self.ask("POST", bindings, {"roleId": NOBODY, "membershipId": member}, 404)
        self.ask("POST", bindings, {"roleId": made["id"], "membershipId": NOBODY}, 404)
        self.ask("DELETE", bindings + "/" + bound["id"], status=204)
        self.not_there(("DELETE", bindings + "/%s", None), ("GET", "/roles/%s", None), ("PUT", "/roles/%s", {}),
                       ("DELETE", "/roles/%s", None), ("GET", "/roles/code/%s", None),
                       ("PUT", "/roles/orgs/" + org + "/roles/%s/permissions", {"permissionKeys": []}))
        self.ask("POST", "/roles", body, self.taken)
        self.ask("POST", "/roles", {**body, "code": self.name(), "permissionIds": ["no:such"]}, 400)
        self.ask("POST", "/roles", {**body, "code": self.name(), "type": "SYSTEM"}, 400)
        system = [r for r in self.items("/roles", type="SYSTEM", limit=100) if r["code"] == "MEMBER"][0]["id"]
        self.ask("PUT", "/roles/" + system, {"name": "x"}, 400)
        self.ask("DELETE", "/roles/" + system, status=400)
        self.wrong("POST", "/roles", ({**body, "dataScope": "ALL"}, "dataScope"), ({"name": "x", "code": "y"}, "orgId"))
        self.wrong("PUT", one, ({"code": "x"}, "code"), ({"level": "x"}, "level"))
        self.wrong("POST", bindings, ({}, "roleId"))
        self.wrong_page("/roles", "type=X")
        user = self.person()
        self.ask("POST", "/roles/AUDITOR/users", {"userId": user}, 204)
        self.ask("DELETE", "/roles/AUDITOR/users/" + user, status=204)
        self.ask("DELETE", "/roles/AUDITOR/users/" + user, status=404)
        self.ask("POST", "/roles/AUDITOR/users", {"userId": NOBODY}, 404)
        self.wrong("POST", "/roles/AUDITOR/users", ({}, "userId"), ({"userId": "x"}, "userId"))
        self.not_there(("POST", "/roles/%s/users", {"userId": user}), ("DELETE", "/roles/AUDITOR/users/%s", None))
        self.ask("DELETE", one, status=204)
        self.ask("GET", one, status=404)

    # ---- keys ----------------------------------------------------------------------------------------

    def test_api_keys(self):
        _, token = self.user()

        def ask(method, path, body=None, status=200):
            return self.ask(method, "/api-keys" + path, body, status, token)

        made = ask("POST", "", {"name": "k", "scopes": ["meetings:read"]}, 201)
        one = "/" + made["id"]
        self.assertEqual(ask("GET", one)["name"], "k")
        self.assertEqual(ask("PATCH", one, {"name": "l"})["name"], "l")
        self.assertIn(made["id"], json.dumps(ask("GET", "")))
        turned = ask("POST", one + "/rotate", {}, 201)
        ask("POST", one + "/rotate", {}, 400)
        ask("POST", "/%s/revoke" % turned["id"], None, 204)
        last = ask("POST", "", {"name": "m"}, 201)
        ask("DELETE", "/" + last["id"], None, 204)
        ask("GET", "/%s/usage" % last["id"])
        for id in (NOBODY, "x", "x%27--", "9" * 300):
            for method, path, body in (("GET", "", None), ("PATCH", "", {}), ("DELETE", "", None), ("POST", "/revoke", None),
                                       ("POST", "/rotate", {}), ("GET", "/usage", None)):
                ask(method, "/" + id + path, body, 404)
        for body, member in (({}, "name"), ({"name": "x", "scopes": "all"}, "scopes"), ({"name": "x", "rateLimit": 0}, "rateLimit")):
            self.assertEqual(ask("POST", "", body, 400)["errors"][0]["path"], "/" + member)
        self.assertEqual(ask("PATCH", one, {"key": "mine"}, 400)["errors"][0]["path"], "/key")
        for query in ("?page=0", "?status=DEAD", "?shoe=42", "?orgId=x"):
            ask("GET", query, None, 400)
            ask("GET", one + "/usage" + query, None, 400)


class AtAdmin(Stories, AdminCase):
    base, taken = "/admin", 400


class AtV1(Stories, AdminCase):
    base, taken = "/api/v1", 409


class Accounts:
    """The way of one account at each place: `auth`, `profile_path`, `codes` are where."""

    def ask(self, method, path, body=None, token=None, status=200):
        return self.call(method, self.auth + path, body, token, status=status).json

    def test_the_way_of_an_account(self):
        email, name = "%s@example.com" % self.name, self.name
        self.send(email, path=self.codes + "/send")
        code = self.server.code(email)
        self.ask("POST", "/register", {"type": "email_code", "email": email, "code": "12345"}, status=400)
        made = self.ask("POST", "/register", {"type": "email_code", "email": email, "code": code, "username": name,
                                              "password": PASSWORD}, status=201)
        token = made["accessToken"]
        me = self.ask("GET", "/me", token=token)
        self.assertEqual((me["username"], me["email"], me["emailVerified"]), (name, email, True))
        self.assertIn("meetings:read", self.ask("GET", "/permissions", token=token)["perm"])
        self.assertEqual(self.call("PUT", self.profile_path, {"bio": "b"}, token).json["profile"]["bio"], "b")
        self.assertEqual(self.call("GET", self.profile_path, token=token).json["profile"]["bio"], "b")
        self.ask("POST", "/login", {"type": "username_password", "username": name, "password": "not it at all"}, status=401)
        second = self.ask("POST", "/login", {"type": "username_password", "username": name, "password": PASSWORD})
        sessions = self.ask("GET", "/sessions", token=token)
        self.assertEqual(len(sessions["data"]), 2)
        turned = self.ask("POST", "/refresh-token", {"refreshToken": second["refreshToken"]})
        other = [s["id"] for s in sessions["data"] if s["id"] != sessions["current"]][0]
        self.ask("DELETE", "/sessions/" + NOBODY, token=token, status=404)
        self.ask("DELETE", "/sessions/" + other, token=token, status=204)
        self.ask("POST", "/refresh-token", {"refreshToken": turned["refreshToken"]}, status=401)
        self.ask("POST", "/change-password", {"oldPassword": "not it at all", "newPassword": "another horse battery"}, token, 400)
        self.ask("POST", "/change-password", {"oldPassword": PASSWORD, "newPassword": "another horse battery"}, token)
        self.ask("POST", "/logout", {}, token)
        self.ask("GET", "/me", token=token, status=401)
        # A code for a new password: not used up by a wrong one, and used once. (Of an address one code a minute is sent.)
        email = "reset-" + email
        self.create(username=name + "_reset", email=email)
        self.call("POST", self.codes + "/send", {"target": email, "type": "reset_password"})
        code = self.server.code(email)
        self.assertFalse(self.call("POST", self.codes + "/verify", {"target": email, "code": wrong(code),
                                                                    "type": "reset_password"}).json["valid"])
        reset = {"target": email, "code": code, "newPassword": "another horse battery"}
        self.ask("POST", "/reset-password", {**reset, "code": wrong(code)}, status=400)
        self.ask("POST", "/reset-password", reset)
        self.ask("POST", "/reset-password", reset, status=400)
        self.ask("POST", "/login", {"type": "email_password", "email": email, "password": "another horse battery"})

    def test_what_is_not_right_is_named(self):
        token = self.login_of("named_" + self.name)
        for method, path, body, member in (
                ("POST", "/register", {}, "type"), ("POST", "/register", {"type": "by_magic"}, "type"),
                ("POST", "/login", {"type": "username_password", "username": 7}, "username"), ("POST", "/login", {}, "type"),
                ("POST", "/refresh-token", {"refreshToken": 1}, "refreshToken"),
                ("POST", "/reset-password", {"target": "x@example.com", "code": "123456"}, "newPassword")):
            self.assertEqual(self.ask(method, path, body, status=400)["errors"][0]["path"], "/" + member)
        for method, path, body, member in (("POST", "/logout", {"refreshToken": []}, "refreshToken"),
                                           ("POST", "/change-password", {"oldPassword": "x"}, "newPassword")):
            self.assertEqual(self.ask(method, path, body, token, 400)["errors"][0]["path"], "/" + member)
        self.assertEqual(self.call("PUT", self.profile_path, {"shoe": 42}, token, status=400).json["errors"][0]["path"], "/shoe")
        for path, body, member in (("/send", {"target": "x@example.com"}, "type"), ("/send", {"type": "login"}, "target"),
                                   ("/verify", {"target": "x@example.com", "type": "login"}, "code")):
            self.assertEqual(self.call("POST", self.codes + path, body, status=400).json["errors"][0]["path"], "/" + member)
        self.call("POST", self.codes + "/send", {"target": "neither", "type": "login"}, status=400)

    def login_of(self, name):
        self.create(username=name)
        return self.login("username_password", username=name, password=PASSWORD).json["accessToken"]


class AccountsAtApi(Accounts, PeopleOfOneService, unittest.TestCase):
    name, auth, profile_path, codes = "at_api", "/api/auth", "/api/user/profile", "/api/auth/otp"


class AccountsAtV1(Accounts, PeopleOfOneService, unittest.TestCase):
    name, auth, profile_path, codes = "at_v1", "/api/v1/auth", "/api/v1/user/profile", "/api/v1/auth/otp"


class CodesAtVerification(Accounts, PeopleOfOneService, unittest.TestCase):
    name, auth, profile_path, codes = "at_old", "/api/auth", "/api/user/profile", "/api/verification"


class CodesAtV1Verification(Accounts, PeopleOfOneService, unittest.TestCase):
    name, auth, profile_path, codes = "at_v1_old", "/api/v1/auth", "/api/v1/user/profile", "/api/v1/verification"


if __name__ == "__main__":
    unittest.main()
