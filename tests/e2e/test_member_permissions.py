#!/usr/bin/env python3
"""Permissions given to one member of an organisation, or denied to them: what they change, and who may do so."""

import re
import unittest

from admin_case import AdminCase
from harness import lulab

NOBODY = "0" * 32
IN_ORGS = ["departments:read", "departments:write", "members:read", "members:write", "orgs:read", "orgs:write", "roles:read",
           "roles:write", "roles:grant"]


class MemberPermissions(AdminCase):
    def set(self, member, permission, granted=True, token="admin", status=200):
        return self.call("PUT", "/admin/members/%s/permissions/%s" % (member, permission), {"granted": granted}, token, status)

    def clear(self, member, permission, token="admin", status=204):
        return self.call("DELETE", "/api/v1/members/%s/permissions/%s" % (member, permission), None, token, status)

    def listed(self, member, token="admin"):
        page = self.call("GET", "/admin/members/%s/permissions?pageSize=100" % member, None, token)
        self.assertEqual(page["total"], len(page["items"]))
        return {p["code"]: p["granted"] for p in page["items"]}

    def mine(self, token, org):
        orgs = self.call("GET", "/api/auth/permissions", token=token)["organizations"]
        return {code for o in orgs if o["orgId"] == org for code in o["perm"]}

    def somebody(self, org, permissions=(), **more):
        """(member, token, user)"""
        user, token = self.user()
        return self.member(org, user, roles=[self.role(org, list(permissions))], **more), token, user

    def test_given_beside_the_roles_and_denied_whatever_these_give(self):
        org, other = self.org(), self.org()
        member, token, user = self.somebody(org, ["orgs:read", "departments:read"])
        self.member(other, user)
        given = self.set(member, "members:read")
        self.assertEqual({k: given[k] for k in ("memberId", "permissionId", "code", "granted")},
                         {"memberId": member, "permissionId": "members:read", "code": "members:read", "granted": True})
        self.assertEqual(self.mine(token, org), {"orgs:read", "departments:read", "members:read"})
        self.call("GET", "/admin/orgs/%s/members" % org, token=token)
        self.call("GET", "/admin/orgs/%s/members" % other, token=token, status=403)
        self.set(member, "departments:read", False)
        self.assertEqual(self.mine(token, org), {"orgs:read", "members:read"})
        self.call("GET", "/admin/orgs/%s/departments" % org, token=token, status=403)
        # Another role that gives it changes nothing.
        role = self.role(org, ["departments:read"])
        self.call("POST", "/admin/roles/orgs/%s/role-bindings" % org, {"roleId": role, "membershipId": member}, status=201)
        self.call("GET", "/admin/orgs/%s/departments" % org, token=token, status=403)
        self.assertEqual(self.listed(member), {"departments:read": False, "members:read": True})
        # From the one to the other, and back to what the roles give.
        self.set(member, "members:read", False)
        self.call("GET", "/admin/orgs/%s/members" % org, token=token, status=403)
        for permission in ("members:read", "departments:read"):
            self.clear(member, permission)
            self.clear(member, permission, status=404)
        self.assertEqual(self.mine(token, org), {"orgs:read", "departments:read"})
        kinds = [(e["type"], e["actor"], e["data"]["code"]) for e in
                 self.call("GET", "/api/v1/events?stream=member/%s&limit=100" % member)["data"] if ".permission_" in e["type"]]
        self.assertEqual(sorted(k for k, _, _ in kinds), ["member.permission_cleared"] * 2 + ["member.permission_set"] * 3)
        self.assertEqual({a for _, a, _ in kinds}, {"admin"})

    def test_twice_the_same_is_one_event(self):
        member, _, _ = self.somebody(self.org())
        first = self.set(member, "orgs:read")
        self.assertEqual(self.set(member, "orgs:read"), first)
        events = self.call("GET", "/api/v1/events?stream=member/%s&type=member.permission_set" % member)["data"]
        self.assertEqual(len(events), 1)

    def test_every_route_by_what_a_member_was_given(self):
        """The matrix: each permission by itself, on every route of an organisation, in one's own and in another; and denied."""
        own, other = self.org(), self.org()
        member, token, user = self.somebody(own)
        there = self.member(other, user)
        places = {"orgId": (own, other), "deptId": (self.department(own), self.department(other)), "memberId": (member, there),
                  "roleId": (self.role(own, []), self.role(other, [])), "permissionId": ("roles:grant", "roles:grant"),
                  "bindingId": (NOBODY, NOBODY)}
        routes = []
        for path, methods in self.call("GET", "/openapi.json")["paths"].items():
            names = re.findall(r"\{([^}]*)\}", path)
            if names and set(names) <= set(places):
                routes += [(m.upper(), path, o["x-permission"]) for m, o in methods.items() if "x-permission" in o]
        self.assertGreater(len(routes), 50)
        self.assertEqual({asked for _, _, asked in routes}, set(IN_ORGS) - {"roles:read"})

        def status(method, path, which):
            """Of a body that is none: who is let in changes nothing."""
            filled = re.sub(r"\{([^}]*)\}", lambda m: places[m.group(1)][which], path)
            return self.server.request(method, filled, b"[" if method in ("POST", "PUT", "PATCH") else None, token=token,
                                       headers={"Content-Type": "application/json"}).status

        for given in IN_ORGS:
            for granted in (True, False):
                self.set(member, given, granted)
                for method, path, asked in routes:
                    with self.subTest(given=given, granted=granted, method=method, path=path):
                        self.assertEqual(status(method, path, 1), 403)
                        if method == "DELETE" and granted and asked == given and "bindingId" not in path:
                            continue # it would be done
                        # One shows members by way of a department, and asks for both; one is of the whole system.
                        alone = granted and asked == given and not path.endswith(("/{deptId}/members", "/{orgId}/status"))
                        if alone:
                            self.assertIn(status(method, path, 0), (200, 400, 404))
                        else:
                            self.assertEqual(status(method, path, 0), 403)
            self.clear(member, given)
        self.set(member, "departments:read")
        self.set(member, "members:read")
        for place in (0, 1):
            self.assertEqual(status("GET", "/admin/departments/{deptId}/members", place), (200, 403)[place])

    def test_only_who_has_it_gives_it(self):
        """S4: nobody gives themselves, or others, what they have not; nor takes rights from who may do more."""
        org, other = self.org(), self.org()
        boss, boss_token, _ = self.somebody(org, IN_ORGS)
        middle, middle_token, _ = self.somebody(org, ["roles:grant", "members:read"])
        member, token, _ = self.somebody(org, ["members:read"])
        there, there_token, _ = self.somebody(other, IN_ORGS)
        self.set(member, "orgs:read", token=token, status=403)
        self.set(middle, "orgs:write", token=middle_token, status=403)
        self.set(member, "orgs:write", token=middle_token, status=403)
        self.set(member, "members:read", token=there_token, status=403)
        self.set(boss, "members:read", False, token=middle_token, status=403)
        self.set(boss, "orgs:write", False, token=middle_token, status=403)
        self.clear(member, "members:read", token=token, status=403)
        self.assertEqual(self.listed(member), {})
        # What was denied to them they do not give themselves back.
        self.set(middle, "members:read", False, token=boss_token)
        self.clear(middle, "members:read", token=middle_token, status=403)
        self.set(middle, "members:read", True, token=middle_token, status=403)
        self.set(member, "members:read", False, token=middle_token, status=403)
        self.clear(middle, "members:read", token=boss_token)
        self.set(member, "members:read", False, token=middle_token)
        self.assertEqual(self.listed(member, boss_token), {"members:read": False})
        self.call("GET", "/admin/members/%s/permissions" % member, token=there_token, status=403)
        self.call("GET", "/admin/members/%s/permissions" % member, token=None, status=401)

    def test_rights_of_the_whole_system_are_not_an_organisations_to_deny(self):
        org = self.org()
        user, token = self.user("ADMIN")
        member = self.member(org, user)
        self.set(member, "members:read", False)
        self.call("GET", "/admin/orgs/%s/members" % org, token=token)

    def test_they_go_with_the_membership_and_with_the_permission(self):
        org = self.org()
        member, token, user = self.somebody(org)
        self.set(member, "members:read")
        self.call("PATCH", "/admin/members/%s/status" % member, {"status": "SUSPENDED"})
        self.call("GET", "/admin/orgs/%s/members" % org, token=token, status=403)
        # Who makes them active again gives them that, so has to have it.
        _, clerk, _ = self.somebody(org, ["members:write"])
        self.call("PATCH", "/admin/members/%s/status" % member, {"status": "ACTIVE"}, clerk, 403)
        self.call("PATCH", "/admin/members/%s/status" % member, {"status": "ACTIVE"})
        self.call("GET", "/admin/orgs/%s/members" % org, token=token)
        made = self.call("POST", "/admin/permissions", {"name": "P", "code": "menu:own", "resource": "menu", "action": "own"},
                         status=201)["id"]
        self.set(member, made)
        self.assertEqual(self.mine(token, org), {"members:read", "menu:own"})
        self.call("PUT", "/admin/permissions/" + made, {"active": False})
        self.assertEqual(self.mine(token, org), {"members:read"})
        self.call("DELETE", "/admin/permissions/" + made, status=204)
        self.assertEqual(self.listed(member), {"members:read": True})
        self.call("DELETE", "/admin/members/" + member, status=204)
        self.call("GET", "/admin/members/%s/permissions" % member, status=404)
        self.set(member, "members:read", status=404)

    def test_hostile_input(self):
        member, _, _ = self.somebody(self.org())
        self.set(NOBODY, "members:read", status=404)
        self.set("x%27--", "members:read", status=404)
        for permission in ("*", "no:such", "members%3Aread%27--", NOBODY):
            self.set(member, permission, status=404)
        path = "/admin/members/%s/permissions/members:read" % member
        for body, where in (({}, "/granted"), ({"granted": "yes"}, "/granted"), ({"granted": None}, "/granted"),
                            ({"granted": True, "scope": "ALL"}, "/scope")):
            self.assertEqual(self.call("PUT", path, body, status=400)["errors"][0]["path"], where)
        for bad in ("page=0", "pageSize=101", "shoe=42"):
            self.call("GET", "/admin/members/%s/permissions?%s" % (member, bad), status=400)
        self.assertEqual(self.listed(member), {})

    def test_rebuilt_rows_are_equal(self):
        member, token, _ = self.somebody(self.org(), ["orgs:read"])
        self.set(member, "members:read")
        self.set(member, "orgs:read", False)
        self.server.stop()
        try:
            lulab("projection", "verify", "--data", self.server.data)
        finally:
            self.server.start()
        self.assertEqual(self.listed(member), {"members:read": True, "orgs:read": False})


if __name__ == "__main__":
    unittest.main(verbosity=2)
