"""What tests about accounts share: a service that prints the codes it would send, and calls to it."""

import json
import os
import unittest
import zlib

from harness import BINARY, WRONG_CLOCK_SO, Server, eventually

PASSWORD = "correct horse battery"


class DevServer(Server):
    """LULAB_ENV=development: codes are told on stderr."""

    def __init__(self, env=None, **kw):
        super().__init__(env={"LULAB_ENV": "development", **(env or {})}, **kw)

    def codes(self, to):
        """All that would have been sent there, the oldest first."""
        found = []
        for line in self.log().splitlines():
            if "this code would have been sent" in line:
                sent = json.loads(line)
                if sent["to"] == to:
                    found.append(sent["code"])
        return found

    def code(self, to):
        return eventually(lambda: self.codes(to))[-1]


with_clock = unittest.skipUnless(os.path.exists(WRONG_CLOCK_SO) and "asan" not in BINARY,
                                 "the clock cannot be moved in this build")


class LaterServer(DevServer):
    """One whose clock can be set forward."""

    now = 0  # seconds since the start

    def start(self, **kw):
        self.clock = os.path.join(self.data, "clock")
        self.env.update({"LD_PRELOAD": WRONG_CLOCK_SO, "WRONG_CLOCK": self.clock})
        return super().start(**kw)

    def later(self, seconds):
        with open(self.clock + ".new", "w") as f:
            f.write("%d 0" % (seconds * 1000000))
        os.rename(self.clock + ".new", self.clock)
        self.now = seconds

    def refreshed(self, tokens):
        answer = self.request("POST", "/api/auth/refresh-token", json.dumps({"refreshToken": tokens["refreshToken"]}).encode(),
                              {"Content-Type": "application/json"}, token=None)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def awake_until(self, tokens, seconds):
        """The client comes back every 25 minutes until then; its last tokens."""
        while self.now < seconds:
            self.later(min(self.now + 1500, seconds))
            tokens = self.refreshed(tokens)
        return tokens


def wrong(code):
    """Six other digits."""
    return "%06d" % ((int(code) + 1) % 1000000)


class People:
    """For a TestCase with a `server`."""

    def call(self, method, path, body=None, token=None, headers=None, status=200):
        answer = self.server.request(method, path, None if body is None else json.dumps(body).encode(), token=token,
                                     headers={"Content-Type": "application/json", **(headers or {})})
        if status is not None:
            self.assertEqual(answer.status, status, answer.body)
        answer.json = json.loads(answer.body) if answer.body else None
        return answer

    def send(self, target, purpose="register", status=200, path="/api/auth/otp/send", **more):
        return self.call("POST", path, {"target": target, "type": purpose, **more}, status=status)

    def is_right(self, target, code, purpose="register", **more):
        answer = self.call("POST", "/api/auth/otp/verify", {"target": target, "code": code, "type": purpose, **more})
        self.assertEqual(answer.json["message"], "验证码验证成功" if answer.json["valid"] else "验证码无效或已过期")
        return answer.json["valid"]

    def register(self, email, code=None, status=201, **more):
        if code is None:
            self.send(email)
            code = self.server.code(email.strip().lower())
        return self.call("POST", "/api/auth/register", {"type": "email_code", "email": email, "code": code, **more},
                         status=status)

    def create(self, status=201, **body):
        return self.call("POST", "/api/v1/users", {"password": PASSWORD, **body}, self.server.admin_token(), status=status)

    def login(self, kind, status=200, **body):
        return self.call("POST", "/api/auth/login", {"type": kind, **body}, status=status)

    def events(self, kind):
        return self.call("GET", "/api/v1/events?type=%s&limit=100" % kind, token=self.server.admin_token()).json["data"]


class PeopleOfOneService(People):
    """One service for a whole class; every test comes from an address of its own, so that limits per address are its own, too."""

    @classmethod
    def setUpClass(cls):
        cls.server = DevServer(env={"LULAB_TRUSTED_PROXIES": "127.0.0.1/32"}).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def setUp(self):
        self.address = "198.51.%d.%d" % divmod(zlib.crc32(self.id().encode()) % 60000, 250)

    def call(self, method, path, body=None, token=None, headers=None, status=200):
        return super().call(method, path, body, token, {"X-Forwarded-For": self.address, **(headers or {})}, status)
