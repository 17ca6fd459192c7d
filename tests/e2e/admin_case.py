"""What the tests of organisations and of roles share: a service, people, and an administrator."""

import json
import unittest

from harness import Server

PASSWORD = "correct horse battery"


class AdminCase(unittest.TestCase):
    env = {}  # settings of the service

    @classmethod
    def setUpClass(cls):
        cls.server = Server(env=cls.env).start()
        cls.made = 0

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def call(self, method, path, body=None, token="admin", status=200):
        answer = self.server.request(method, path, None if body is None else json.dumps(body).encode(),
                                     token=self.server.admin_token() if token == "admin" else token,
                                     headers={"Content-Type": "application/json"})
        self.assertEqual(answer.status, status, "%s %s: %s" % (method, path, answer.body))
        answer.json = json.loads(answer.body) if answer.body else None
        return answer.json

    def name(self):
        type(self).made += 1
        return "%s%d" % (type(self).__name__.lower(), self.made)

    def user(self, role="MEMBER"):
        """(id, access token) of somebody new."""
        name = self.name()
        made = self.call("POST", "/api/v1/users", {"username": name, "email": name + "@example.com", "password": PASSWORD,
                                                   "role": role}, status=201)
        token = self.call("POST", "/api/auth/login", {"type": "username_password", "username": name, "password": PASSWORD},
                          token=None)["accessToken"]
        return made["id"], token

    def person(self):
        """Id of somebody new who never signs in: hashing passwords takes its time."""
        name = self.name()
        return self.call("POST", "/api/v1/users", {"username": name, "email": name + "@example.com"}, status=201)["id"]

    def org(self, **more):
        return self.call("POST", "/admin/orgs", {"name": "Org", "code": self.name(), **more}, status=201)["id"]

    def department(self, org, parent=None, **more):
        return self.call("POST", "/admin/orgs/%s/departments" % org,
                         {"name": "Dept", "code": self.name(), "parentId": parent, **more}, status=201)["id"]

    def role(self, org, permissions, scope="ORGANIZATION", **more):
        return self.call("POST", "/admin/roles", {"orgId": org, "name": "Role", "code": self.name(), "dataScope": scope,
                                                  "permissionIds": permissions, **more}, status=201)["id"]

    def member(self, org, user, departments=(), roles=(), active=True):
        member = self.call("POST", "/admin/orgs/%s/members" % org,
                           {"userId": user, "departmentIds": list(departments), "roleIds": list(roles)}, status=201)["id"]
        if active:
            self.call("PATCH", "/admin/members/%s/status" % member, {"status": "ACTIVE"})
        return member

    def events(self, kind):
        return self.call("GET", "/api/v1/events?type=%s&limit=1000" % kind)["data"]
