#!/usr/bin/env python3
"""Who may what: every route of the document by every role, with a token that is good and with one that has ended.

What a route asks for is its own declaration, as /openapi.json tells it (routes that are not in it are public:
tests/core/app/test_routes.c). What a role has is what it says of itself, held against the few sentences that
must be true of it.
"""

import http.client
import json
import re
import unittest

from test_api_keys import Base

ROLES = ("SUPER_ADMIN", "ADMIN", "MEMBER", "AUDITOR", "SERVICE")
NOTHING = b"["  # no JSON: whoever is let in changes nothing
ADMIN_ONLY = re.compile(r"(users|roles|permissions|orgs|departments|members|identities|api_keys|projections|webhooks|system)[:_]")


class Matrix(Base):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        self = cls("routes")
        cls.operations = []
        for path, methods in self.call("GET", "/openapi.json").json["paths"].items():
            for method, operation in methods.items():
                cls.operations.append((method.upper(), path, operation))
        cls.tokens, cls.ended, cls.has = {}, {}, {}
        for role in ROLES:
            name = "has_" + role.lower()
            cls.tokens[role] = self.person(name, role)
            cls.ended[role] = self.login(name)["accessToken"]
            self.call("POST", "/api/auth/logout", {}, cls.ended[role])
            cls.has[role] = set(self.call("GET", "/api/auth/permissions", token=cls.tokens[role]).json["perm"])
        cls.tokens["operator"] = self.server.admin_token()
        cls.has["operator"] = {"*"}

    def routes(self):
        pass

    def ask(self, method, path, token, header="Authorization"):
        """The status; what is streamed is not waited for."""
        filled = re.sub(r"\{[^}]*\}", lambda m: "0" if m.group() == "{position}" else "0" * 32, path)
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers[header] = token if header == "X-API-Key" else "Bearer " + token
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        try:
            connection.request(method, filled, NOTHING if method in ("POST", "PUT", "PATCH") else None, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    @staticmethod
    def may(has, operation):
        return operation.get("x-signed-in") or "*" in has or operation["x-permission"] in has

    def test_every_route_says_who_may(self):
        self.assertGreater(len(self.operations), 30)
        for method, path, operation in self.operations:
            with self.subTest(method=method, path=path):
                declared = [operation.get("security") == [], "x-permission" in operation, operation.get("x-signed-in") is True]
                self.assertEqual(declared.count(True), 1)
                self.assertRegex(operation.get("x-permission", "a:b"), r"^[a-z_]+:[a-z_-]+$")

    def test_what_routes_ask_for_is_a_permission_that_roles_can_give(self):
        """The read model names the program's permissions, the routes ask for them: neither knows of one more."""
        listed = self.call("GET", "/admin/permissions?pageSize=100", token=self.server.admin_token()).json["items"]
        built_in = {p["code"] for p in listed if p["builtIn"]}
        asked = {o["x-permission"] for _, _, o in self.operations if "x-permission" in o}
        # One is for who may do everything, some are asked for within handlers.
        self.assertEqual(asked - built_in, {"users:impersonate"})
        self.assertEqual(built_in - asked, {"api_keys:manage", "metrics:read", "personal:read"})
        for role in ROLES[1:]:
            self.assertLessEqual(self.has[role], built_in, role)

    def test_nobody_known_gets_nothing(self):
        for method, path, operation in self.operations:
            with self.subTest(method=method, path=path):
                for token in (None, "no such token", "a.b.c", "sk_0123456789." + "A" * 43):
                    status = self.ask(method, path, token)
                    if operation.get("security") == []:
                        self.assertNotEqual(status, 403)
                    else:
                        self.assertEqual(status, 401)

    def test_every_role_gets_what_it_has_and_no_more(self):
        for role, token in self.tokens.items():
            for method, path, operation in self.operations:
                if operation.get("security") == []:
                    continue
                with self.subTest(role=role, method=method, path=path):
                    status = self.ask(method, path, token)
                    if self.may(self.has[role], operation):
                        self.assertNotIn(status, (401, 403))
                    else:
                        self.assertEqual(status, 403)

    def test_a_token_that_has_ended_gets_nothing(self):
        for role, token in self.ended.items():
            for method, path, operation in self.operations:
                if operation.get("security") != []:
                    with self.subTest(role=role, method=method, path=path):
                        self.assertEqual(self.ask(method, path, token), 401)

    def test_a_key_gets_what_its_role_has_but_no_log_in(self):
        for role in ("ADMIN", "AUDITOR"):
            made = self.make(self.tokens[role], scopes=sorted(self.has[role]))
            for method, path, operation in self.operations:
                if operation.get("security") == []:
                    continue
                with self.subTest(role=role, method=method, path=path):
                    status = self.ask(method, path, made["key"], "X-API-Key")
                    if operation["x-api-keys"] if operation.get("x-signed-in") else self.may(self.has[role], operation):
                        self.assertNotIn(status, (401, 403))
                    else:
                        self.assertEqual(status, 403)
            self.call("DELETE", "/api/v1/api-keys/" + made["id"], token=self.tokens[role], status=204)
            for method, path, operation in self.operations:
                if operation.get("security") != []:
                    with self.subTest(role=role, method=method, path=path, revoked=True):
                        self.assertEqual(self.ask(method, path, made["key"], "X-API-Key"), 401)

    def test_what_must_be_true_of_the_roles(self):
        self.assertEqual(self.has["SUPER_ADMIN"], {"*"})
        self.assertNotIn("*", self.has["ADMIN"])
        self.assertEqual(self.has["AUDITOR"], {"events:read"})
        for role in ("MEMBER", "SERVICE", "AUDITOR"):
            for permission in self.has[role]:
                self.assertIsNone(ADMIN_ONLY.match(permission), (role, permission))
        for role in ("MEMBER", "AUDITOR"):
            self.assertFalse([p for p in self.has[role] if not p.endswith(":read")], role)


if __name__ == "__main__":
    unittest.main()
