#!/usr/bin/env python3
"""Roles, permissions and how far they reach: who may do what where, asked of the running service."""

import concurrent.futures
import json
import os
import subprocess
import unittest

from admin_case import AdminCase
from harness import lulab

NOBODY = "0" * 32
EVERYTHING = ["departments:read", "departments:write", "members:read", "members:write", "orgs:read", "orgs:write", "roles:read",
              "roles:write", "roles:grant"]


class Roles(AdminCase):
    def bind(self, org, role, member, token="admin", status=201):
        return self.call("POST", "/admin/roles/orgs/%s/role-bindings" % org, {"roleId": role, "membershipId": member},
                         token=token, status=status)

    def manager(self, org, permissions=EVERYTHING, scope="ORGANIZATION", departments=()):
        """(member id, token, user id) of somebody with a role in an organisation."""
        user, token = self.user()
        member = self.member(org, user, departments, [self.role(org, permissions, scope)])
        return member, token, user

    # ---- the systems replaced: functional-spec 16.4 ---------------------------------------------------

    def test_s4_administration_is_not_open_to_everybody(self):
        org = self.org()
        department = self.department(org)
        member = self.member(org, self.person())
        role = self.role(org, [])
        _, token = self.user()
        for method, path, body in (
                ("GET", "/admin/orgs", None), ("POST", "/admin/orgs", {"name": "x", "code": "x"}),
                ("GET", "/admin/orgs/" + org, None), ("PUT", "/admin/orgs/" + org, {}), ("DELETE", "/admin/orgs/" + org, None),
                ("PATCH", "/admin/orgs/%s/status" % org, {"active": False}), ("GET", "/admin/orgs/%s/stats" % org, None),
                ("GET", "/admin/orgs/%s/departments" % org, None), ("GET", "/admin/orgs/%s/departments/tree" % org, None),
                ("POST", "/admin/orgs/%s/departments" % org, {"name": "x", "code": "x"}),
                ("GET", "/admin/departments/" + department, None), ("PUT", "/admin/departments/" + department, {}),
                ("DELETE", "/admin/departments/" + department, None),
                ("PATCH", "/admin/departments/%s/move" % department, {}),
                ("PATCH", "/admin/departments/%s/status" % department, {"active": False}),
                ("GET", "/admin/departments/%s/members" % department, None),
                ("GET", "/admin/departments/%s/ancestors" % department, None),
                ("GET", "/admin/departments/%s/children" % department, None),
                ("GET", "/admin/orgs/%s/members" % org, None), ("POST", "/admin/orgs/%s/members" % org, {"userId": NOBODY}),
                ("POST", "/admin/orgs/%s/members/batch" % org, {"members": [{"userId": NOBODY}]}),
                ("GET", "/admin/members/" + member, None), ("PUT", "/admin/members/" + member, {}),
                ("DELETE", "/admin/members/" + member, None),
                ("PATCH", "/admin/members/%s/status" % member, {"status": "LEFT"}),
                ("PATCH", "/admin/members/%s/departments" % member, {"departmentIds": []}),
                ("GET", "/admin/roles", None), ("GET", "/admin/roles/" + role, None), ("GET", "/admin/roles/code/ADMIN", None),
                ("POST", "/admin/roles", {"orgId": org, "name": "x", "code": "x"}), ("PUT", "/admin/roles/" + role, {}),
                ("DELETE", "/admin/roles/" + role, None),
                ("PUT", "/admin/roles/orgs/%s/roles/%s/permissions" % (org, role), {"permissionKeys": []}),
                ("POST", "/admin/roles/orgs/%s/role-bindings" % org, {"roleId": role, "membershipId": member}),
                ("DELETE", "/admin/roles/orgs/%s/role-bindings/%s" % (org, NOBODY), None),
                ("POST", "/admin/roles/SUPER_ADMIN/users", {"userId": NOBODY}),
                ("DELETE", "/admin/roles/SUPER_ADMIN/users/" + NOBODY, None),
                ("GET", "/admin/permissions", None), ("POST", "/admin/permissions", {}),
                ("GET", "/admin/permissions/tree", None), ("GET", "/admin/permissions/code/orgs:read", None),
                ("GET", "/admin/permissions/orgs:read", None), ("PUT", "/admin/permissions/orgs:read", {}),
                ("DELETE", "/admin/permissions/orgs:read", None),
                ("GET", "/admin/data-permission-rules", None), ("POST", "/admin/data-permission-rules", {}),
                ("GET", "/admin/data-permission-rules/code/x", None), ("GET", "/admin/data-permission-rules/" + NOBODY, None),
                ("PUT", "/admin/data-permission-rules/" + NOBODY, {}), ("DELETE", "/admin/data-permission-rules/" + NOBODY, None)):
            for place in ("/admin", "/api/v1"):
                self.call(method, place + path[len("/admin"):], body, token=token, status=403)
                self.call(method, place + path[len("/admin"):], body, token=None, status=401)

    def test_rights_hold_in_their_organisation_only(self):
        mine, other = self.org(), self.org()
        member, token, _ = self.manager(mine)
        self.call("GET", "/admin/orgs/" + mine, token=token)
        department = self.call("POST", "/admin/orgs/%s/departments" % mine, {"name": "x", "code": "x"}, token, 201)["id"]
        self.call("GET", "/admin/members/" + member, token=token)
        theirs, foreigner = self.department(other), self.member(other, self.person())
        role = self.role(other, [])
        for method, path, body in (
                ("GET", "/admin/orgs/" + other, None), ("PUT", "/admin/orgs/" + other, {"name": "mine now"}),
                ("GET", "/admin/orgs/%s/stats" % other, None),
                ("POST", "/admin/orgs/%s/departments" % other, {"name": "x", "code": "x"}),
                ("GET", "/admin/departments/" + theirs, None), ("PUT", "/admin/departments/" + theirs, {"name": "x"}),
                ("GET", "/admin/orgs/%s/members" % other, None), ("GET", "/admin/members/" + foreigner, None),
                ("PATCH", "/admin/members/%s/status" % foreigner, {"status": "SUSPENDED"}),
                ("GET", "/admin/roles/" + role, None), ("PUT", "/admin/roles/" + role, {"name": "x"}),
                ("POST", "/admin/roles", {"orgId": other, "name": "x", "code": "x"}),
                ("POST", "/admin/roles/orgs/%s/role-bindings" % other, {"roleId": role, "membershipId": foreigner}),
                # What does not exist is told like what is not theirs.
                ("GET", "/admin/orgs/" + NOBODY, None), ("GET", "/admin/departments/" + NOBODY, None),
                ("GET", "/admin/members/" + NOBODY, None), ("GET", "/admin/roles/" + NOBODY, None),
                # Whether the organisation is in use, and where it stands, is decided above it.
                ("PUT", "/admin/orgs/" + mine, {"parentId": other}), ("PUT", "/admin/orgs/" + mine, {"active": False}),
                ("DELETE", "/admin/orgs/" + mine, None), ("POST", "/admin/orgs", {"name": "x", "code": "x"})):
            self.call(method, path, body, token=token, status=403)
        # Mixing ids of two organisations leads nowhere.
        self.call("POST", "/admin/roles/orgs/%s/role-bindings" % mine, {"roleId": role, "membershipId": member}, token, 404)
        self.call("POST", "/admin/roles/orgs/%s/role-bindings" % mine,
                  {"roleId": self.role(mine, []), "membershipId": foreigner}, token, 403)
        self.call("PUT", "/admin/roles/orgs/%s/roles/%s/permissions" % (mine, role), {"permissionKeys": []}, token, 403)
        self.call("PUT", "/admin/departments/" + department, {"parentId": theirs}, token, 400)
        self.call("PATCH", "/admin/members/%s/departments" % member, {"departmentIds": [theirs]}, token, 400)
        self.assertEqual([o["id"] for o in self.call("GET", "/admin/orgs", token=token)["items"]], [mine])
        seen = {r["orgId"] for r in self.call("GET", "/admin/roles?pageSize=100", token=token)["items"]}
        self.assertEqual(seen, {None, mine})
        self.call("GET", "/api/v1/meetings", token=self.manager(mine, ["meetings:read"])[1])  # by the role MEMBER
        self.call("GET", "/api/v1/events", token=token, status=403)
        # A right to read events in an organisation is none to read the log.
        self.call("GET", "/api/v1/events", token=self.manager(mine, ["events:read"])[1], status=403)

    def test_nobody_gives_what_they_do_not_have(self):
        org = self.org()
        member, token, user = self.manager(org, ["roles:read", "roles:write", "roles:grant", "members:read", "members:write"])
        mighty = self.role(org, EVERYTHING)
        for permissions in (["departments:write"], ["roles:read", "events:read"]):
            self.assertEqual(self.call("POST", "/admin/roles", {"orgId": org, "name": "x", "code": "x", "permissionIds": permissions},
                                       token, 403)["code"], "forbidden")
        self.call("POST", "/admin/roles", {"orgId": org, "name": "x", "code": "x", "permissionIds": ["*"]}, token, 400)
        self.call("POST", "/admin/roles", {"orgId": org, "name": "x", "code": "x", "type": "SYSTEM"}, token, 400)
        own = self.call("POST", "/admin/roles", {"orgId": org, "name": "x", "code": "x", "permissionIds": ["roles:read"]},
                        token, 201)["id"]
        self.call("PUT", "/admin/roles/" + own, {"permissionIds": ["orgs:write"]}, token, 403)
        path = "/admin/roles/orgs/%s/roles/%s/permissions" % (org, own)
        self.call("PUT", path, {"permissionKeys": ["roles:read", "orgs:write"]}, token, 403)
        self.assertEqual([p["code"] for p in self.call("PUT", path, {"permissionKeys": ["members:read"]}, token)], ["members:read"])
        self.call("PUT", path, {"permissionKeys": ["nothing:such"]}, token, 400)
        # Not by giving a role that is there, not to themselves, not by touching one, not by letting somebody in with one.
        self.bind(org, mighty, member, token, 403)
        self.call("PUT", "/admin/roles/" + mighty, {"name": "weaker"}, token, 403)
        self.call("DELETE", "/admin/roles/" + mighty, token=token, status=403)
        friend = self.member(org, self.person(), roles=[mighty])
        self.call("PATCH", "/admin/members/%s/status" % friend, {"status": "SUSPENDED"}, token)
        self.call("PATCH", "/admin/members/%s/status" % friend, {"status": "ACTIVE"}, token, 403)
        self.call("POST", "/admin/orgs/%s/members" % org, {"userId": self.person(), "roleIds": [mighty]}, token, 403)
        admin = self.call("GET", "/admin/roles/code/ADMIN")["id"]
        self.bind(org, admin, member, token, 403)
        binding = self.bind(org, own, member, token)
        self.assertEqual((binding["roleId"], binding["membershipId"]), (own, member))
        self.call("POST", "/admin/roles/ADMIN/users", {"userId": user}, token, 403)

    def test_an_administrator_makes_no_super_administrator(self):
        user, token = self.user("ADMIN")
        self.call("POST", "/admin/roles/SUPER_ADMIN/users", {"userId": user}, token, 403)
        self.call("POST", "/admin/permissions", {"name": "x", "code": "x:y", "resource": "x", "action": "y"}, token, 403)
        other, other_token = self.user()
        self.call("POST", "/admin/roles/AUDITOR/users", {"userId": other}, token, 204)
        self.call("GET", "/api/v1/events", token=other_token)
        self.call("DELETE", "/admin/roles/AUDITOR/users/" + other, token=token, status=204)
        self.call("GET", "/api/v1/events", token=other_token, status=403)
        self.call("DELETE", "/admin/roles/AUDITOR/users/" + other, token=token, status=404)
        self.call("POST", "/admin/roles/AUDITOR/users", {"userId": NOBODY}, token, 404)
        self.call("POST", "/admin/roles/KING/users", {"userId": other}, token, 404)

    def test_the_last_super_administrator_stays(self):
        first, token = self.user("SUPER_ADMIN")
        second, other = self.user("SUPER_ADMIN")

        def revoke(who, by):
            return self.server.request("DELETE", "/admin/roles/SUPER_ADMIN/users/" + who, token=by).status

        # Each takes the other's at once: one of them wins, whoever it is.
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda a: revoke(*a), [(first, other), (second, token)] * 4))
        self.assertEqual(done.count(204), 1, done)
        left, by = (first, token) if revoke(second, token) in (400, 404) else (second, other)
        answer = self.call("DELETE", "/admin/roles/SUPER_ADMIN/users/" + left, token=by, status=400)
        self.assertEqual((answer["code"], answer["message"]), ("last_admin", "不能移除最后一个超级管理员"))
        self.call("DELETE", "/admin/roles/SUPER_ADMIN/users/" + left, status=400)

    def test_s15_ended_and_suspended_memberships_give_nothing(self):
        org = self.org()
        path = "/admin/orgs/" + org
        member, token, user = self.manager(org)

        def allowed(yes):
            self.call("GET", path, token=token, status=200 if yes else 403)
            mine = self.call("GET", "/api/auth/permissions", token=token)
            here = [o for o in mine["organizations"] if o["orgId"] == org]
            self.assertEqual(bool(here and "orgs:read" in here[0]["perm"]), yes)

        allowed(True)
        for state in ("SUSPENDED", "ACTIVE", "LEFT", "ACTIVE"):
            self.call("PATCH", "/admin/members/%s/status" % member, {"status": state})
            allowed(state == "ACTIVE")
        self.call("PATCH", path + "/status", {"active": False})
        allowed(False)
        self.call("PATCH", path + "/status", {"active": True})
        role = self.call("GET", "/admin/members/" + member)["roles"][0]["id"]
        self.call("PUT", "/admin/roles/" + role, {"active": False})
        allowed(False)
        self.call("PUT", "/admin/roles/" + role, {"active": True})
        allowed(True)
        self.call("DELETE", "/admin/members/" + member, status=204)
        allowed(False)
        # Who comes back comes without their roles.
        self.member(org, user)
        allowed(False)

    def test_an_invitation_gives_nothing_and_shows_nothing_before_it_is_accepted(self):
        org = self.org()
        _, manager, _ = self.manager(org)
        user, token = self.user()
        role = self.role(org, ["orgs:read"])
        made = self.call("POST", "/admin/orgs/%s/members" % org, {"userId": user, "roleIds": [role]}, manager, 201)
        self.assertIsNone(made["user"])
        self.call("GET", "/admin/orgs/" + org, token=token, status=403)
        self.call("PATCH", "/admin/members/%s/status" % made["id"], {"status": "ACTIVE"}, manager, 403)
        self.call("POST", "/api/v1/members/%s/accept" % made["id"], token=token)
        self.call("GET", "/admin/orgs/" + org, token=token)
        self.assertIn("@example.com", self.call("GET", "/admin/members/" + made["id"], token=manager)["user"]["email"])
        self.call("POST", "/api/v1/members/%s/leave" % made["id"], token=token)
        self.call("GET", "/admin/orgs/" + org, token=token, status=403)

    # ---- how far ------------------------------------------------------------------------------------------

    def test_data_scope_is_shown_and_kept(self):
        org = self.org()
        top, beside = self.department(org), self.department(org)
        below = self.department(org, top)
        inside, outside = self.member(org, self.person(), [below]), self.member(org, self.person(), [beside])
        permissions = ["departments:read", "departments:write", "members:read", "members:write", "roles:grant"]
        head, token, _ = self.manager(org, permissions, "DEPARTMENT", [top])
        mine = self.call("GET", "/api/auth/permissions", token=token)["organizations"][0]
        self.assertEqual((mine["orgId"], mine["dataScopes"]["members:write"]), (org, "DEPARTMENT"))
        self.assertEqual(self.call("GET", "/admin/orgs/%s/members" % org, token=token)["total"], 2)
        self.call("GET", "/admin/members/" + inside, token=token)
        self.call("GET", "/admin/members/" + outside, token=token, status=403)
        self.call("PUT", "/admin/members/" + outside, {"title": "x"}, token, 403)
        tree = self.call("GET", "/admin/orgs/%s/departments/tree" % org, token=token)["items"]
        self.assertEqual(([d["id"] for d in tree], [d["id"] for d in tree[0]["children"]]), ([top], [below]))
        self.call("GET", "/admin/departments/" + beside, token=token, status=403)
        self.call("POST", "/admin/orgs/%s/departments" % org, {"name": "x", "code": "a"}, token, 403)
        self.call("POST", "/admin/orgs/%s/departments" % org, {"name": "x", "code": "a", "parentId": beside}, token, 403)
        self.call("POST", "/admin/orgs/%s/departments" % org, {"name": "x", "code": "a", "parentId": below}, token, 201)
        self.call("PATCH", "/admin/departments/%s/move" % below, {"parentId": None}, token, 403)
        # Reach is not widened by joining a department, nor by whom one adds, nor by a role that reaches farther.
        self.call("PATCH", "/admin/members/%s/departments" % head, {"departmentIds": [top, beside]}, token, 403)
        self.call("POST", "/admin/orgs/%s/members" % org, {"userId": self.person()}, token, 403)
        self.call("POST", "/admin/orgs/%s/members" % org, {"userId": self.person(), "departmentIds": [below]}, token, 201)
        self.bind(org, self.role(org, ["members:read"]), inside, token, 403)
        near = self.role(org, ["members:read"], "DEPARTMENT")
        self.bind(org, near, outside, token, 403)
        self.bind(org, near, inside, token)
        # Only what is their own.
        own, token, _ = self.manager(org, ["members:read", "departments:read"], "OWN", [top])
        self.assertEqual([m["id"] for m in self.call("GET", "/admin/orgs/%s/members" % org, token=token)["items"]], [own])
        self.assertEqual([d["id"] for d in self.call("GET", "/admin/orgs/%s/departments" % org, token=token)["items"]], [top])
        self.call("GET", "/admin/departments/" + below, token=token, status=403)
        self.call("GET", "/admin/members/" + inside, token=token, status=403)

    def test_reach_does_not_grow_by_moving_things(self):
        org = self.org()
        mine, other = self.department(org), self.department(org)
        user, token = self.user()
        near = self.role(org, ["members:read"], "DEPARTMENT")
        far = self.role(org, ["departments:write", "departments:read", "members:write"])
        member = self.member(org, user, [mine], [near, far])
        theirs = self.member(org, self.person(), [other])
        # They move departments and people anywhere, but see the people of their own department only.
        self.call("GET", "/admin/members/" + theirs, token=token, status=403)
        self.call("PATCH", "/admin/departments/%s/move" % other, {"parentId": mine}, token, 403)
        self.call("PATCH", "/admin/members/%s/departments" % member, {"departmentIds": [mine, other]}, token, 403)
        self.call("GET", "/admin/members/" + theirs, token=token, status=403)
        # Where nobody's reach grows by more than they have, they may.
        self.call("PATCH", "/admin/departments/%s/move" % other, {"parentId": self.department(org)}, token)
        below, beside = self.department(org, mine), self.department(org, mine)
        self.call("PATCH", "/admin/departments/%s/move" % below, {"parentId": beside}, token)
        self.call("PATCH", "/admin/members/%s/departments" % member, {"departmentIds": [mine, beside]}, token)
        # Who has the right in the whole organisation may.
        self.call("PATCH", "/admin/departments/%s/move" % other, {"parentId": mine})
        self.call("GET", "/admin/members/" + theirs, token=token)

    def test_rules_say_how_far_permissions_of_a_resource_reach(self):
        for condition in ("not JSON", "[]", "{}", '{"scope":"ALL"}', '{"scope":"OWN","sql":"1=1"}', '{"scope":1}'):
            self.call("POST", "/admin/data-permission-rules",
                      {"name": "x", "code": "bad", "resource": "members", "condition": condition}, status=400)
        rule = self.call("POST", "/admin/data-permission-rules", {"name": "Own only", "code": "own", "resource": "members",
                                                                  "condition": '{"scope":"OWN"}'}, status=201)
        self.assertEqual(self.call("POST", "/admin/data-permission-rules", {"name": "x", "code": "own", "resource": "members",
                                                                            "condition": '{"scope":"OWN"}'}, status=400)["message"],
                         'Data permission rule code "own" already exists')
        org = self.org()
        user, token = self.user()
        self.member(org, self.person())
        self.member(org, user, roles=[self.role(org, ["members:read", "departments:read"], dataRuleIds=[rule["id"]])])
        path = "/admin/orgs/%s/members" % org
        self.assertEqual(self.call("GET", path, token=token)["total"], 1)
        self.assertEqual(self.call("GET", "/api/auth/permissions", token=token)["organizations"][0]["dataScopes"],
                         {"members:read": "OWN", "departments:read": "ORGANIZATION"})
        self.call("PUT", "/admin/data-permission-rules/" + rule["id"], {"condition": '{"scope":"ORGANIZATION"}'})
        self.assertEqual(self.call("GET", path, token=token)["total"], 2)
        self.assertEqual(self.call("GET", "/admin/data-permission-rules/code/own")["condition"], '{"scope":"ORGANIZATION"}')
        self.call("DELETE", "/admin/data-permission-rules/" + rule["id"], status=204)
        self.call("GET", "/admin/data-permission-rules/" + rule["id"], status=404)
        self.assertEqual(self.call("GET", path, token=token)["total"], 2)

    # ---- roles and permissions themselves --------------------------------------------------------------------

    def test_system_roles_stay_as_they_are(self):
        self.user()
        listed = self.call("GET", "/admin/roles?type=SYSTEM")
        self.assertEqual({r["code"] for r in listed["items"]}, {"SUPER_ADMIN", "ADMIN", "MEMBER", "AUDITOR", "SERVICE"})
        for role in listed["items"]:
            self.assertEqual(self.call("PUT", "/admin/roles/" + role["id"], {"name": "x"}, status=400)["message"],
                             "Cannot update system roles")
            self.assertEqual(self.call("DELETE", "/admin/roles/" + role["id"], status=400)["message"], "Cannot delete system roles")
            self.assertEqual(role["orgId"], None)
        org = self.org()
        member = self.member(org, self.person())
        by_code = {r["code"]: r["id"] for r in listed["items"]}
        self.bind(org, by_code["SUPER_ADMIN"], member, status=400)
        self.bind(org, by_code["ADMIN"], member)
        self.assertEqual(self.call("GET", "/admin/orgs/%s/stats" % org)["adminUsers"], 1)

    def test_a_system_role_in_an_organisation_holds_there_alone(self):
        org, other = self.org(), self.org()
        user, token = self.user()
        self.bind(org, self.call("GET", "/admin/roles/code/ADMIN")["id"], self.member(org, user))
        self.call("PUT", "/admin/orgs/" + org, {"name": "renamed"}, token)
        self.call("GET", "/admin/orgs/" + other, token=token, status=403)
        self.call("GET", "/api/v1/events", token=token, status=403)
        self.call("POST", "/api/v1/users", {"username": "sneaky_one"}, token, 403)
        self.call("GET", "/admin/permissions", token=token, status=403)

    def test_a_role_is_made_changed_and_deleted(self):
        org = self.org()
        made = self.call("POST", "/admin/roles", {"orgId": org, "name": "Editor", "code": "EDITOR", "level": 5,
                                                  "permissionIds": ["orgs:read"]}, status=201)
        self.assertEqual((made["type"], made["level"], made["active"], made["permissionIds"], made["dataScope"]),
                         ("CUSTOM", 5, True, ["orgs:read"], "ORGANIZATION"))
        self.assertEqual(self.call("POST", "/admin/roles", {"orgId": org, "name": "x", "code": "EDITOR"}, status=400)["message"],
                         'Role code "EDITOR" already exists')
        self.call("POST", "/admin/roles", {"orgId": self.org(), "name": "x", "code": "EDITOR"}, status=201)
        user, token = self.user()
        member = self.member(org, user)
        binding = self.bind(org, made["id"], member)["id"]
        self.bind(org, made["id"], member, status=400)
        self.call("GET", "/admin/orgs/" + org, token=token)
        # From the commit on, in either direction.
        for _ in range(10):
            self.call("DELETE", "/admin/roles/orgs/%s/role-bindings/%s" % (org, binding), status=204)
            self.call("GET", "/admin/orgs/" + org, token=token, status=403)
            self.bind(org, made["id"], member)
            self.call("GET", "/admin/orgs/" + org, token=token)
        changed = self.call("PUT", "/admin/roles/" + made["id"], {"permissionIds": ["members:read"], "dataScope": "OWN"})
        self.assertEqual((changed["permissionIds"], changed["dataScope"]), (["members:read"], "OWN"))
        self.call("GET", "/admin/orgs/" + org, token=token, status=403)
        self.call("DELETE", "/admin/roles/" + made["id"], status=204)
        self.call("GET", "/admin/roles/" + made["id"], status=404)
        self.assertEqual(self.call("GET", "/admin/members/" + member)["roles"], [])
        self.call("DELETE", "/admin/roles/orgs/%s/role-bindings/%s" % (org, binding), status=404)
        self.call("POST", "/admin/roles", {"orgId": org, "name": "x", "code": "EDITOR"}, status=201)
        self.call("POST", "/admin/roles", {"orgId": NOBODY, "name": "x", "code": "EDITOR"}, status=404)

    def test_one_code_of_an_organisation_has_one_role(self):
        org = self.org()
        body = json.dumps({"orgId": org, "name": "x", "code": "RACE"}).encode()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(lambda _: self.server.request(
                "POST", "/admin/roles", body, token=self.server.admin_token(),
                headers={"Content-Type": "application/json"}).status, range(30)))
        self.assertEqual((statuses.count(201), statuses.count(400)), (1, 29))

    def test_what_is_not_said_stays(self):
        org, other = self.org(), self.org()
        rule = self.call("POST", "/admin/data-permission-rules", {
            "name": "R", "code": self.name(), "resource": "members", "description": "d", "active": False,
            "condition": json.dumps({"scope": "DEPARTMENT"})}, status=201)
        role = self.call("POST", "/admin/roles", {
            "orgId": org, "name": "R", "code": self.name(), "description": "d", "level": 7, "active": False,
            "permissionIds": ["members:read", "members:read", "orgs:read"], "dataRuleIds": [rule["id"]]}, status=201)
        permission = self.call("POST", "/admin/permissions", {
            "name": "P", "code": "stays:show", "resource": "stays", "action": "show", "description": "d", "type": "API",
            "level": 3, "sortOrder": 4, "active": False}, status=201)
        self.assertEqual((role["level"], role["active"], role["permissionIds"]), (7, False, ["members:read", "orgs:read"]))
        self.assertEqual((permission["level"], permission["sortOrder"], permission["active"]), (3, 4, False))
        for path in ("/admin/roles/" + role["id"], "/admin/permissions/" + permission["id"],
                     "/admin/data-permission-rules/" + rule["id"]):
            before = self.call("GET", path)
            self.assertEqual({**self.call("PUT", path, {}), "updatedAt": None}, {**before, "updatedAt": None})
        self.assertEqual(self.call("PUT", "/admin/roles/" + role["id"], {"level": 8, "dataRuleIds": []})["level"], 8)
        self.assertEqual(self.call("PUT", "/admin/roles/" + role["id"], {"dataRuleIds": [NOBODY]}, status=400)["code"], "unknown_rule")
        self.assertEqual([r["id"] for r in self.call("GET", "/admin/roles?name=R&orgId=" + org)["items"]], [role["id"]])
        # A role of one organisation is none of another, whichever path names it.
        path = "/admin/roles/orgs/%s/roles/%s/permissions" % (other, role["id"])
        self.call("PUT", path, {"permissionKeys": []}, status=404)
        member = self.member(org, self.person())
        self.bind(other, role["id"], member, status=404)
        binding = self.bind(org, role["id"], member)["id"]
        self.call("DELETE", "/admin/roles/orgs/%s/role-bindings/%s" % (other, binding), status=404)
        self.call("PUT", "/admin/permissions/" + permission["id"], {"parentId": NOBODY}, status=404)
        for condition in ("[]", "{}", '{"scope":1}', '{"scope":"ALL"}', '{"scope":"OWN","x":1}', "nonsense"):
            self.call("PUT", "/admin/data-permission-rules/" + rule["id"], {"condition": condition}, status=400)

    def test_permissions(self):
        tree = self.call("GET", "/admin/permissions/tree")["items"]
        self.assertIn("orgs:write", [p["code"] for p in tree])
        for method, body in (("PUT", {"active": False}), ("DELETE", None)):
            self.call(method, "/admin/permissions/orgs:read", body, status=400)
        menu = self.call("POST", "/admin/permissions", {"name": "Menu", "code": "menu:show", "resource": "menu", "action": "show"},
                         status=201)
        self.assertEqual((menu["type"], menu["active"], menu["level"]), ("MENU", True, 1))
        for code in ("menu:show", "orgs:read"):
            resource, action = code.split(":")
            self.assertEqual(self.call("POST", "/admin/permissions", {"name": "x", "code": code, "resource": resource, "action": action},
                                       status=400)["message"], 'Permission code "%s" already exists' % code)
        self.call("POST", "/admin/permissions", {"name": "x", "code": "a:b", "resource": "c", "action": "d"}, status=400)
        self.call("POST", "/admin/permissions", {"name": "x", "code": "*", "resource": "c", "action": "d"}, status=400)
        child = self.call("POST", "/admin/permissions", {"name": "Button", "code": "menu:push", "resource": "menu", "action": "push",
                                                         "type": "BUTTON", "parentId": menu["id"]}, status=201)["id"]
        self.call("PUT", "/admin/permissions/" + menu["id"], {"parentId": child}, status=400)
        self.assertEqual([p for p in self.call("GET", "/admin/permissions/tree")["items"] if p["id"] == menu["id"]][0]["children"][0]["id"],
                         child)
        self.call("DELETE", "/admin/permissions/" + menu["id"], status=400)
        self.assertEqual(self.call("GET", "/admin/permissions?type=BUTTON")["items"][0]["code"], "menu:push")
        self.assertEqual(self.call("GET", "/admin/permissions/code/menu:push")["id"], child)
        # What rests or is gone is given by no role.
        org = self.org()
        user, token = self.user()
        self.member(org, user, roles=[self.role(org, [child])])

        def mine():
            return self.call("GET", "/api/auth/permissions", token=token)["organizations"][0]["perm"]

        self.assertEqual(mine(), ["menu:push"])
        self.call("PUT", "/admin/permissions/" + child, {"active": False})
        self.assertEqual(mine(), [])
        self.call("PUT", "/admin/permissions/" + child, {"active": True})
        self.assertEqual(mine(), ["menu:push"])
        self.call("DELETE", "/admin/permissions/" + child, status=204)
        self.assertEqual(mine(), [])
        self.call("GET", "/admin/permissions/" + child, status=404)
        # Made again under the code it had, it comes back to nobody.
        self.call("POST", "/admin/permissions", {"name": "x", "code": "menu:push", "resource": "menu", "action": "push"}, status=201)
        self.assertEqual(mine(), [])

    def test_everything_is_there_after_a_restart_and_made_anew(self):
        org = self.org()
        _, token, user = self.manager(org, ["orgs:read"], "OWN")
        before = self.call("GET", "/api/auth/permissions", token=token)
        self.server.stop()
        try:
            lulab("projection", "verify", "--data", self.server.data)
        finally:
            self.server.start()
        self.assertEqual(self.call("GET", "/api/auth/permissions", token=token), before)

    def test_what_the_systems_roles_give_is_the_releases_to_say(self):
        """A log that an older release wrote, or one that gave too much: right from the start on, and once."""
        user, token = self.user("ADMIN")
        auditor, auditors = self.user("AUDITOR")
        before = self.call("GET", "/api/auth/permissions", token=token)["perm"]

        def of_the_release():
            return [e for e in self.events("role.changed") if e["actor"] == "system"]

        roles = {r["code"]: r for r in self.call("GET", "/admin/roles?type=SYSTEM&pageSize=100")["items"]}
        self.server.stop()
        for code, permissions in (("ADMIN", before[:-3]), ("AUDITOR", ["events:read", "users:write"])):
            data = {"role_id": roles[code]["id"], "name": code, "level": 10, "active": True, "permissions": permissions}
            subprocess.check_call([os.environ["APPEND_EVENT"], self.server.data, "role.changed", "role/" + data["role_id"],
                                   json.dumps(data, separators=(",", ":"))], stdout=subprocess.DEVNULL)
        self.server.start()
        self.assertEqual(self.call("GET", "/api/auth/permissions", token=token)["perm"], before)
        self.assertEqual(self.call("GET", "/api/auth/permissions", token=auditors)["perm"], ["events:read"])
        self.assertEqual({e["data"]["role_id"] for e in of_the_release()}, {roles["ADMIN"]["id"], roles["AUDITOR"]["id"]})
        self.server.stop()
        self.server.start()
        self.user("ADMIN")
        self.assertEqual(len(of_the_release()), 2)


if __name__ == "__main__":
    unittest.main()
