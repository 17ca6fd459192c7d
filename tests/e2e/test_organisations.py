#!/usr/bin/env python3
"""Organisations, departments and members, asked of the running service."""

import concurrent.futures
import json
import os
import unittest

from admin_case import AdminCase
from harness import lulab

NOBODY = "0" * 32


class Organisations(AdminCase):
    def status_of(self, method, path, body, token="admin"):
        return self.server.request(method, path, json.dumps(body).encode(),
                                   token=self.server.admin_token() if token == "admin" else token,
                                   headers={"Content-Type": "application/json"}).status

    def test_an_organisation_is_made_changed_and_deleted(self):
        made = self.call("POST", "/admin/orgs", {"name": "实验室", "code": "lab", "description": "first", "level": 7}, status=201)
        self.assertEqual({k: made[k] for k in ("name", "code", "description", "logo", "parentId", "level", "sortOrder",
                                               "active", "deletedAt")},
                         {"name": "实验室", "code": "lab", "description": "first", "logo": None, "parentId": None,
                          "level": 1, "sortOrder": 0, "active": True, "deletedAt": None})
        self.assertRegex(made["createdAt"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        path = "/admin/orgs/" + made["id"]
        child = self.org(parentId=made["id"])
        self.assertEqual(self.call("GET", "/admin/orgs/" + child)["level"], 2)
        changed = self.call("PUT", path, {"name": "Lab", "description": None, "code": "lab2"})
        self.assertEqual((changed["name"], changed["description"], changed["code"]), ("Lab", None, "lab2"))
        # The old code is free again, the new one taken.
        self.call("PUT", "/admin/orgs/" + child, {"code": "lab"})
        self.assertEqual(self.call("POST", "/admin/orgs", {"name": "x", "code": "lab2"}, status=400)["message"],
                         "Organization code already exists")
        self.call("POST", "/api/v1/orgs", {"name": "x", "code": "lab2"}, status=409)
        self.assertFalse(self.call("PATCH", path + "/status", {"active": False})["active"])
        self.assertEqual(self.call("DELETE", path, status=400)["message"],
                         "Cannot delete organization with child organizations")
        self.call("DELETE", "/admin/orgs/" + child, status=204)
        self.call("DELETE", path, status=204)
        self.assertIsNotNone(self.call("GET", path)["deletedAt"])
        self.assertEqual(self.call("PUT", path, {"name": "back"}, status=404)["message"], "Organization not found")
        # The code of a deleted one stays taken.
        self.call("POST", "/admin/orgs", {"name": "x", "code": "lab2"}, status=400)

    def test_lists_are_paged(self):
        for i in range(3):
            self.org(name="Paged %d" % i)
        page = self.call("GET", "/admin/orgs?keyword=pAGed&page=2&pageSize=2")
        self.assertEqual((page["total"], page["page"], page["pageSize"], page["totalPages"], len(page["items"])), (3, 2, 2, 2, 1))
        page = self.call("GET", "/api/v1/orgs?keyword=paged&limit=2")
        self.assertEqual((len(page["data"]), page["pagination"]["total"], page["pagination"]["limit"]), (2, 3, 2))
        self.assertEqual(self.call("GET", "/admin/orgs?page=9&keyword=paged")["items"], [])
        self.assertEqual(self.call("GET", "/admin/orgs?pageSize=1000", status=400)["errors"][0]["path"], "pageSize")
        self.assertEqual(self.call("GET", "/admin/orgs?shoe=1", status=400)["errors"][0]["path"], "shoe")

    def test_what_is_not_said_stays(self):
        org = self.call("POST", "/admin/orgs", {"name": "O", "code": self.name(), "description": "d", "logo": "l", "sortOrder": 3,
                                                "active": False}, status=201)
        self.assertEqual((org["sortOrder"], org["active"]), (3, False))
        self.call("PUT", "/admin/orgs/" + org["id"], {"active": True})
        dept = self.call("POST", "/admin/orgs/%s/departments" % org["id"], {
            "name": "D", "code": self.name(), "description": "d", "sortOrder": 4, "active": False}, status=201)
        self.assertEqual((dept["sortOrder"], dept["active"]), (4, False))
        member = self.member(org["id"], self.person(), [dept["id"]])
        for path in ("/admin/orgs/" + org["id"], "/admin/departments/" + dept["id"], "/admin/members/" + member):
            before = self.call("GET", path)
            self.assertEqual({**self.call("PUT", path, {}), "updatedAt": None}, {**before, "updatedAt": None})
        path = "/admin/departments/" + dept["id"]
        self.assertTrue(self.call("PATCH", path + "/status", {"active": True})["active"])
        # One's own code and one's own parent are no change.
        self.call("PUT", path, {"code": dept["code"]})
        self.call("PUT", path, {"parentId": None})
        self.call("PUT", "/admin/orgs/" + org["id"], {"code": org["code"], "parentId": None, "sortOrder": 5, "active": True})
        self.assertEqual(self.call("GET", "/admin/orgs/" + org["id"])["sortOrder"], 5)
        # Another organisation's department is none to be below.
        other = self.department(self.org())
        self.assertEqual(self.call("PATCH", path + "/move", {"parentId": other}, status=400)["code"], "foreign")
        self.call("DELETE", "/admin/departments/" + other, status=204)
        self.call("PATCH", path + "/move", {"parentId": other}, status=404)

    def test_lists_take_both_names_of_a_page(self):
        org = self.org()
        dept = self.department(org)
        for _ in range(3):
            self.department(org, dept)
            self.member(org, self.person(), [dept])
        for path in ("/orgs?", "/orgs/%s/departments?parentId=%s&" % (org, dept), "/orgs/%s/members?deptId=%s&" % (org, dept),
                     "/orgs/%s/members?includeChildren=false&" % org, "/departments/%s/members?" % dept,
                     "/roles?", "/permissions?", "/data-permission-rules?"):
            for size in ("limit", "pageSize"):
                page = self.call("GET", "/admin" + path + size + "=1")
                self.assertEqual((page["page"], page["pageSize"]), (1, 1))
                self.assertLessEqual(len(page["items"]), 1)
                self.assertEqual(page["totalPages"], page["total"])

    def test_bad_input_is_named(self):
        for body, path in (({"code": "a"}, "/name"), ({"name": "a"}, "/code"), ({"name": "a", "code": "a b"}, "/code"),
                           ({"name": "a", "code": "ok", "evil": 1}, "/evil"), ({"name": "", "code": "ok"}, "/name"),
                           ({"name": "a", "code": "ok", "sortOrder": "x"}, "/sortOrder")):
            self.assertEqual(self.call("POST", "/admin/orgs", body, status=400)["errors"][0]["path"], path)
        self.call("POST", "/admin/orgs", {"name": "a", "code": "ok", "parentId": NOBODY}, status=404)
        self.call("GET", "/admin/orgs/" + NOBODY, status=404)
        self.call("GET", "/admin/orgs/%27%20or%201=1--", status=404)
        self.call("GET", "/admin/departments/" + NOBODY, status=404)
        self.call("GET", "/admin/members/" + NOBODY, status=404)

    def test_one_code_has_one_organisation_whoever_asks_first(self):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(lambda _: self.status_of("POST", "/admin/orgs", {"name": "x", "code": "race"}), range(30)))
        self.assertEqual((statuses.count(201), statuses.count(400)), (1, 29))
        org = self.org()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(lambda _: self.status_of("POST", "/admin/orgs/%s/departments" % org,
                                                              {"name": "x", "code": "race"}), range(30)))
        self.assertEqual((statuses.count(201), statuses.count(400)), (1, 29))
        self.department(self.org(), code="race")  # another organisation has codes of its own

    def test_trees_have_no_circles_whoever_moves_at_the_same_time(self):
        a, b, c = self.org(), self.org(), self.org()
        self.call("PUT", "/admin/orgs/" + b, {"parentId": a})
        self.call("PUT", "/admin/orgs/" + c, {"parentId": b})
        for parent in (a, b, c):
            self.assertEqual(self.call("PUT", "/admin/orgs/" + a, {"parentId": parent}, status=400)["code"], "circle")
        org = self.org()
        for _ in range(5):
            first, second = self.department(org), self.department(org)
            moves = [(first, second), (second, first)] * 3
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                list(pool.map(lambda m: self.status_of("PATCH", "/admin/departments/%s/move" % m[0], {"parentId": m[1]}), moves))
            tops = [d["id"] for d in self.call("GET", "/admin/orgs/%s/departments/tree" % org)["items"]]
            self.assertEqual(len({first, second} & set(tops)), 1)
        self.assertEqual(self.call("PUT", "/admin/departments/" + first, {"parentId": first}, status=400)["message"],
                         "Department cannot be its own parent")

    def test_trees_have_an_end(self):
        org = self.org()
        parent = None
        for _ in range(32):
            parent = self.department(org, parent)
        self.assertEqual(self.call("POST", "/admin/orgs/%s/departments" % org, {"name": "x", "code": "deep", "parentId": parent},
                                   status=400)["code"], "too_deep")
        self.assertEqual(self.call("GET", "/admin/departments/" + parent)["level"], 32)
        other = self.department(org)
        self.department(org, other)
        line = self.call("GET", "/admin/departments/%s/ancestors" % parent)["items"]
        self.assertEqual([d["level"] for d in line], list(range(1, 32)))
        # A tree is as deep as what is put below something.
        self.call("PATCH", "/admin/departments/%s/move" % other, {"parentId": line[-1]["id"]}, status=400)
        self.call("PATCH", "/admin/departments/%s/move" % other, {"parentId": line[-2]["id"]})

    def test_departments(self):
        org, foreign = self.org(), self.org()
        top = self.department(org, name="Top", description="d")
        one, two = self.department(org, top, sortOrder=2), self.department(org, top, sortOrder=1)
        leaf = self.department(org, one)
        tree = self.call("GET", "/admin/orgs/%s/departments/tree" % org)["items"]
        self.assertEqual([d["id"] for d in tree], [top])
        self.assertEqual([d["id"] for d in tree[0]["children"]], [two, one])
        self.assertEqual([d["id"] for d in tree[0]["children"][1]["children"]], [leaf])
        self.assertEqual([d["id"] for d in self.call("GET", "/admin/departments/%s/children" % top)["items"]], [two, one])
        self.assertEqual(self.call("GET", "/admin/orgs/%s/departments?level=2" % org)["total"], 2)
        self.assertEqual(self.call("GET", "/admin/orgs/%s/departments?parentId=%s" % (org, one))["total"], 1)
        got = self.call("GET", "/admin/departments/" + leaf)
        self.assertEqual((got["organizationId"], got["parentId"], got["level"], got["leaderUserId"]), (org, one, 3, None))
        self.assertEqual(self.call("PUT", "/admin/departments/" + one, {"parentId": self.department(foreign)}, status=400)["message"],
                         "Parent department must belong to the same organization")
        self.assertEqual(self.call("PUT", "/admin/departments/" + one, {"parentId": NOBODY}, status=404)["message"],
                         "Parent department not found")
        self.assertEqual(self.call("DELETE", "/admin/departments/" + one, status=400)["message"],
                         "Cannot delete department with child departments")
        user = self.person()
        self.member(org, user, [leaf])
        self.assertEqual(self.call("DELETE", "/admin/departments/" + leaf, status=400)["message"],
                         "Cannot delete department with members")
        self.assertEqual(self.call("PUT", "/admin/departments/" + leaf, {"leaderUserId": user})["leaderUserId"], user)
        self.call("PUT", "/admin/departments/" + leaf, {"leaderUserId": self.person()}, status=400)
        self.assertEqual(self.call("GET", "/admin/departments/%s/members" % top)["total"], 0)
        below = self.call("GET", "/admin/departments/%s/members?includeChildren=true" % top)
        self.assertEqual([m["userId"] for m in below["items"]], [user])
        self.assertEqual(self.call("GET", "/admin/departments/%s/members?includeChildren=false" % top)["total"], 0)
        self.assertFalse(self.call("PATCH", "/admin/departments/%s/status" % two, {"active": False})["active"])
        self.call("DELETE", "/admin/departments/" + two, status=204)
        self.assertEqual(self.call("GET", "/admin/departments/%s/children" % top)["items"][0]["id"], one)

    def test_members(self):
        org = self.org()
        first, second = self.department(org), self.department(org)
        user, token = self.user()
        made = self.call("POST", "/admin/orgs/%s/members" % org,
                         {"userId": user, "orgDisplayName": "小张", "employeeNo": "007", "primaryDeptId": first,
                          "departmentIds": [second], "title": "Engineer"}, status=201)
        member = made["id"]
        self.assertEqual((made["status"], made["type"], made["orgId"], made["userId"], made["employeeNo"], made["primaryDeptId"]),
                         ("INVITED", "INTERNAL", org, user, "007", first))
        self.assertEqual({(d["id"], d["isPrimary"]) for d in made["departments"]}, {(first, True), (second, False)})
        self.assertEqual(made["primaryDept"]["id"], first)
        self.assertIn("@example.com", made["user"]["email"])
        self.assertEqual(self.call("POST", "/admin/orgs/%s/members" % org, {"userId": user}, status=400)["message"],
                         "User is already a member of this organization")
        other = self.person()
        self.assertEqual(self.call("POST", "/admin/orgs/%s/members" % org, {"userId": other, "employeeNo": "007"},
                                   status=400)["message"], "Employee number already exists")
        self.call("POST", "/admin/orgs/%s/members" % org, {"userId": NOBODY}, status=404)
        self.call("POST", "/admin/orgs/%s/members" % org, {"userId": other, "departmentIds": [NOBODY]}, status=400)
        foreign = self.department(self.org())
        self.call("POST", "/admin/orgs/%s/members" % org, {"userId": other, "departmentIds": [foreign]}, status=400)
        # They accept themselves, once; nobody else for them.
        self.call("POST", "/api/v1/members/%s/accept" % member, token=self.user()[1], status=404)
        self.assertEqual(self.call("POST", "/api/v1/members/%s/accept" % member, token=token)["status"], "ACTIVE")
        self.call("POST", "/api/v1/members/%s/accept" % member, token=token, status=400)
        changed = self.call("PUT", "/admin/members/" + member, {"employeeNo": "008", "title": None, "type": "EXTERNAL",
                                                                "joinedAt": "2020-01-02T03:04:05.006Z"})
        self.assertEqual((changed["employeeNo"], changed["title"], changed["type"], changed["joinedAt"], changed["orgDisplayName"]),
                         ("008", None, "EXTERNAL", "2020-01-02T03:04:05.006Z", "小张"))
        self.call("POST", "/admin/orgs/%s/members" % org, {"userId": other, "employeeNo": "007"}, status=201)
        departments = self.call("PATCH", "/admin/members/%s/departments" % member, {"departmentIds": [second]})["departments"]
        self.assertEqual([d["id"] for d in departments], [second])
        departments = self.call("PATCH", "/admin/members/%s/departments" % member,
                                {"departmentIds": [first], "append": True, "primaryDeptId": second})
        self.assertEqual({d["id"] for d in departments["departments"]}, {first, second})
        self.assertEqual(departments["primaryDeptId"], second)
        # All conditions of a list hold.
        for query, n in (("", 2), ("?keyword=小张", 1), ("?status=ACTIVE", 1), ("?status=ACTIVE&type=INTERNAL", 0),
                         ("?deptId=" + first, 1), ("?keyword=" + user, 0), ("?type=EXTERNAL&keyword=008", 1)):
            self.assertEqual(self.call("GET", "/admin/orgs/%s/members%s" % (org, query.replace("小张", "%E5%B0%8F%E5%BC%A0")))["total"],
                             n, query)
        stats = self.call("GET", "/admin/orgs/%s/stats" % org)
        self.assertEqual((stats["totalUsers"], stats["activeUsers"], stats["totalDepartments"], stats["adminUsers"]), (2, 2, 2, 0))
        self.assertEqual(self.call("DELETE", "/admin/orgs/" + org, status=400)["message"], "Cannot delete organization with members")
        self.call("DELETE", "/admin/members/" + member, status=204)
        self.call("GET", "/admin/members/" + member, status=404)
        self.call("POST", "/admin/orgs/%s/members" % org, {"userId": user, "employeeNo": "008"}, status=201)

    def test_a_batch_tells_who_could_not_be_added(self):
        org = self.org()
        first, second = self.person(), self.person()
        done = self.call("POST", "/admin/orgs/%s/members/batch" % org,
                         {"members": [{"userId": first, "employeeNo": "1"}, {"userId": second, "employeeNo": "1"},
                                      {"userId": first}, {"userId": "nobody"}, {"userId": second}]}, status=201)
        self.assertEqual((done["successCount"], done["failureCount"]), (2, 3))
        self.assertEqual([f["reason"] for f in done["failures"]],
                         ["Employee number already exists", "User is already a member of this organization", "User not found"])

    def test_nobody_becomes_a_member_twice_at_once(self):
        org, user = self.org(), self.person()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(lambda _: self.status_of("POST", "/admin/orgs/%s/members" % org, {"userId": user}), range(20)))
        self.assertEqual((statuses.count(201), statuses.count(400)), (1, 19))

    def test_of_somebody_erased_the_membership_keeps_no_name(self):
        org, user = self.org(), self.person()
        member = self.call("POST", "/admin/orgs/%s/members" % org,
                           {"userId": user, "orgDisplayName": "Gone", "employeeNo": "G-1", "title": "Was here",
                            "externalCompany": "Elsewhere"}, status=201)["id"]
        self.call("DELETE", "/api/v1/users/%s?erase=true" % user)
        left = self.call("GET", "/admin/members/" + member)
        for name in ("orgDisplayName", "employeeNo", "title", "externalCompany"):
            self.assertIsNone(left[name])
        self.assertIsNone(left["user"]["email"])
        self.server.stop()
        try:
            lulab("projection", "verify", "--data", self.server.data)
        finally:
            self.server.start()
        # What they were called there can be changed no more; the number is free once they are removed.
        other = self.person()
        self.call("POST", "/admin/orgs/%s/members" % org, {"userId": other, "employeeNo": "G-1"}, status=400)
        self.call("DELETE", "/admin/members/" + member, status=204)
        self.call("POST", "/admin/orgs/%s/members" % org, {"userId": other, "employeeNo": "G-1"}, status=201)

    def test_names_are_not_in_the_log_in_clear(self):
        org, user = self.org(), self.person()
        self.call("POST", "/admin/orgs/%s/members" % org, {"userId": user, "orgDisplayName": "Unmistakable", "employeeNo": "E-4711",
                                                           "title": "Sorcerer"}, status=201)
        for folder, _, files in os.walk(os.path.join(self.server.data, "log")):
            for name in files:
                with open(os.path.join(folder, name), "rb") as f:
                    content = f.read()
                for text in (b"Unmistakable", b"E-4711", b"Sorcerer"):
                    self.assertNotIn(text, content)


if __name__ == "__main__":
    unittest.main()
