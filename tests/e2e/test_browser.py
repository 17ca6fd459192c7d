#!/usr/bin/env python3
"""What browsers are held to, and how many log-ins a person has and which of them is unusual."""

import base64
import hashlib
import hmac
import json
import re
import time
import unittest

from harness import Server, free_port
from test_api_keys import PASSWORD, Base

JSON = {"Content-Type": "application/json"}
OURS = "https://app.example.org"


class Cookies(Base):
    env = {"CORS_ORIGINS": OURS + ",*", "CORS_ORIGIN_REGEXES": r"https://[a-z]+\.example\.net", "CORS_CREDENTIALS": "true"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.own = "http://127.0.0.1:%d" % cls.server.port

    def cookie(self, username):
        """Of a new log-in of a browser."""
        self.person(username, "MEMBER")
        answer = self.call("POST", "/api/auth/login", {"type": "username_password", "username": username,
                                                       "password": PASSWORD, "clientType": "web"})
        return answer.headers["Set-Cookie"].split(";")[0]

    def refresh(self, cookie, status=200, **headers):
        names = {"origin": "Origin", "content_type": "Content-Type"}
        return self.call("POST", "/api/auth/refresh-token", {}, headers={
            "Cookie": cookie, **{names[k]: v for k, v in headers.items() if v is not None}}, status=status)

    def test_a_cookie_counts_only_from_pages_that_are_trusted(self):
        cookie = self.cookie("zhang_cookie")
        for origin in (None, "null", "", "https://evil.example.com", OURS + ".evil.example.com", OURS + "/", "http://app.example.org",
                       "https://app.example.org:444", self.own + "0", "http://", "https://a.example.net.evil.org",
                       "https://A1.example.net", "file://"):
            refused = self.refresh(cookie, 403, origin=origin).json
            self.assertEqual(refused["code"], "foreign_origin", origin)
        # Nothing of that used the token up.
        for origin in (self.own, OURS, "https://pages.example.net"):
            answer = self.refresh(cookie, origin=origin)
            cookie = answer.headers["Set-Cookie"].split(";")[0]

    def test_no_page_elsewhere_signs_its_reader_in(self):
        """As somebody else, whose history then tells what was done."""
        self.person("zhao_attacker", "MEMBER")
        body = {"type": "username_password", "username": "zhao_attacker", "password": PASSWORD}
        foreign = {"Origin": "https://evil.example.com"}
        refused = self.call("POST", "/api/auth/login", {**body, "clientType": "web"}, headers=foreign, status=403)
        self.assertIsNone(refused.headers["Set-Cookie"])
        self.call("POST", "/api/auth/login", {**body, "clientType": "web"}, status=403,
                  headers={"Origin": self.own, "Content-Type": "text/plain"})
        self.call("POST", "/api/auth/login", {**body, "clientType": "web"}, headers={"Origin": self.own})
        # Where the token is in the answer, which that page cannot read, nothing is left behind.
        self.call("POST", "/api/auth/login", body, headers=foreign)

    def test_a_form_cannot_send_what_a_cookie_needs(self):
        cookie = self.cookie("li_forms")
        for content_type in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""):
            self.refresh(cookie, 403, origin=self.own, content_type=content_type)
        self.refresh(cookie, origin=self.own, content_type="application/json; charset=utf-8")

    def test_a_token_in_the_body_needs_no_origin(self):
        self.person("wang_app", "MEMBER")
        token = self.login("wang_app")["refreshToken"]
        self.call("POST", "/api/auth/refresh-token", {"refreshToken": token}, headers={"Origin": "https://evil.example.com"})

    def test_who_may_read_answers(self):
        def headers(origin, method="GET", **more):
            answer = self.server.request(method, "/api/v1/meetings", headers={"Origin": origin, **more})
            return answer.status, answer.headers

        for origin, credentials in ((OURS, "true"), ("https://pages.example.net", "true"), ("https://evil.example.com", None)):
            status, h = headers(origin)
            self.assertEqual((status, h["Access-Control-Allow-Origin"], h["Access-Control-Allow-Credentials"]),
                             (200, origin, credentials))
            self.assertIn("Origin", h["Vary"])
        status, h = headers(OURS, "OPTIONS", **{"Access-Control-Request-Method": "GET",
                                                "Access-Control-Request-Headers": "x-api-key"})
        self.assertEqual(status, 204)
        self.assertIn("X-API-Key", h["Access-Control-Allow-Headers"])
        self.assertIn("GET", h["Access-Control-Allow-Methods"])

    def test_every_answer_has_the_headers_of_a_careful_server(self):
        for path, token, status in (("/", None, 200), ("/api/v1/meetings", "admin", 200), ("/api/v1/meetings", None, 401),
                                    ("/nowhere", None, 404), ("/openapi.json", None, 200), ("/livez", None, 200)):
            answer = self.server.get(path, token=token)
            self.assertEqual(answer.status, status)
            for name, value in (("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"),
                                ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Resource-Policy", "same-origin"),
                                ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")):
                self.assertEqual(answer.headers[name], value, path)
            self.assertIsNone(answer.headers["Server"])
            self.assertIsNone(answer.headers["X-Powered-By"])
            self.assertIsNone(answer.headers["Strict-Transport-Security"])
            if answer.headers["Content-Type"]:
                self.assertIn("charset", answer.headers["Content-Type"])
        signed_in = self.server.get("/api/v1/meetings")
        self.assertRegex(signed_in.headers["Cache-Control"], "no-store|private|no-cache")


class NoCredentials(Cookies):
    """Without CORS_CREDENTIALS no origin but our own has cookies."""

    env = {"CORS_ORIGINS": OURS}

    def test_a_cookie_counts_only_from_pages_that_are_trusted(self):
        cookie = self.cookie("zhang_cookie")
        for origin in (None, OURS, "https://pages.example.net"):
            self.refresh(cookie, 403, origin=origin)
        self.refresh(cookie, origin=self.own)

    def test_who_may_read_answers(self):
        for origin, allowed in ((OURS, OURS), ("https://evil.example.com", None)):
            h = self.server.get("/api/v1/meetings", headers={"Origin": origin}).headers
            self.assertEqual((h["Access-Control-Allow-Origin"], h["Access-Control-Allow-Credentials"]), (allowed, None))


class LogIns(Base):
    env = {"LULAB_TRUSTED_PROXIES": "127.0.0.1"}

    def from_(self, username, address, device=None, agent="a browser", status=200):
        body = {"type": "username_password", "username": username, "password": PASSWORD}
        if device:
            body["deviceId"] = device
        return self.call("POST", "/api/auth/login", body, headers={"X-Forwarded-For": address, "User-Agent": agent},
                         status=status).json

    def unusual(self):
        return [e["data"] for e in self.events("login.unusual")]

    def test_a_new_device_in_a_new_network_is_unusual(self):
        self.call("POST", "/api/v1/users", {"username": "unusual", "password": PASSWORD}, self.server.admin_token(), status=201)
        n = len(self.unusual())
        for address, device, agent, more in (
                ("198.51.100.1", "laptop", "a", 0),    # the first there is
                ("198.51.100.99", "phone", "a", 0),    # a new device at home
                ("203.0.113.1", "laptop", "a", 0),     # the laptop on the way
                ("192.0.2.1", "stolen", "a", 1),       # neither was seen
                ("192.0.2.2", "stolen", "a", 0),       # both were, by now
                ("2001:db8:1:100::1", None, "b", 1),   # a device that has no name
                ("2001:db8:1:1ff::1", None, "c", 0),   # the same /56
                ("2001:db8:1:200::1", None, "d", 1),   # another
                ("100.64.0.1", None, "b", 0)):         # the unnamed device, by what it says it is
            self.from_("unusual", address, device, agent)
            n += more
            self.assertEqual(len(self.unusual()), n, (address, device))
        exported = json.dumps(self.unusual())
        for text in ("192.0.2.1", "stolen"):
            self.assertIn(text, exported)  # the operator may see them
        from harness import lulab
        tail = lulab("log", "tail", "-n", "100000", "--json", "--data", self.server.data).stdout
        for text in ("192.0.2.1", "stolen", "2001:db8"):
            self.assertNotIn(text, tail)

    def test_twenty_live_log_ins_and_the_oldest_ends(self):
        self.call("POST", "/api/v1/users", {"username": "twenty", "password": PASSWORD}, self.server.admin_token(), status=201)
        made = [self.from_("twenty", "198.51.100.1", "device") for _ in range(20)]
        for one in made:
            self.call("GET", "/api/auth/me", token=one["accessToken"])
        newest = [self.from_("twenty", "198.51.100.1", "device") for _ in range(2)]
        for one in made[:2]:
            self.call("GET", "/api/auth/me", token=one["accessToken"], status=401)
            self.call("POST", "/api/auth/refresh-token", {"refreshToken": one["refreshToken"]}, status=401)
        for one in made[2:] + newest:
            self.call("GET", "/api/auth/me", token=one["accessToken"])
        self.assertEqual(len(self.call("GET", "/api/auth/sessions", token=newest[0]["accessToken"]).json["data"]), 20)
        closed = [e["data"]["reason"] for e in self.events("session.closed")]
        self.assertEqual(closed.count("TOO_MANY"), 2)


SECRET = "an old secret that has thirty-two bytes and some more"


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def old_token(sub, secret=SECRET, header=None, **claims):
    now = int(time.time())
    head = b64(json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode())
    body = b64(json.dumps({"sub": sub, "jti": "0b9a3b6e-1111-4222-8333-000000000001", "iat": now, "exp": now + 900, **claims}).encode())
    return "%s.%s.%s" % (head, body, b64(hmac.new(secret.encode(), (head + "." + body).encode(), hashlib.sha256).digest()))


class OldTokens(Base):
    env = {"JWT_SECRET": SECRET, "LULAB_JWT_SECRET_UNTIL": "2099-01-01T00:00:00Z"}

    def test_tokens_of_the_system_replaced_until_it_is(self):
        old_id = "clh3k2j9x0000qw8k3m5v7b1n"
        user = self.call("POST", "/api/v1/users", {"username": "moved", "password": PASSWORD, "legacyId": old_id},
                         self.server.admin_token(), status=201).json["id"]
        self.call("POST", "/api/v1/users", {"username": "again", "legacyId": old_id}, self.server.admin_token(), status=409)
        me = self.call("GET", "/api/auth/me", token=old_token(old_id)).json
        self.assertEqual((me["id"], me["roles"]), (user, ["MEMBER"]))
        self.call("GET", "/api/v1/meetings", token=old_token(old_id))
        self.call("GET", "/api/v1/events", token=old_token(old_id), status=403)
        now = int(time.time())
        for bad in (old_token(old_id, secret="another secret that has thirty-two bytes too"), old_token("somebody else"),
                    old_token(user), old_token(""), old_token(old_id, exp=now - 100), old_token(old_id, iat=now + 1000),
                    old_token(old_id, header={"alg": "none"}), old_token(old_id, header={"alg": "HS512", "typ": "JWT"}),
                    old_token(old_id, header={"alg": "HS256", "kid": "token-1"}), old_token(old_id)[:-1]):
            self.call("GET", "/api/auth/me", token=bad, status=401)
        # A session that it claims to have is none.
        mine = self.login("moved")
        sid = json.loads(base64.urlsafe_b64decode(mine["accessToken"].split(".")[1] + "=="))["sid"]
        self.call("POST", "/api/auth/logout", {}, old_token(old_id, sid=sid), status=400)
        self.call("GET", "/api/auth/me", token=mine["accessToken"])
        # Our own keys are for our own algorithm.
        keys = self.call("GET", "/.well-known/jwks.json").json["keys"]
        forged = old_token(old_id, secret=keys[0]["x"], header={"alg": "HS256", "kid": keys[0]["kid"], "typ": "at+jwt"})
        self.call("GET", "/api/auth/me", token=forged, status=401)


class OldTokensOver(Base):
    env = {"JWT_SECRET": SECRET, "LULAB_JWT_SECRET_UNTIL": "2026-01-01T00:00:00Z"}

    def test_after_its_end_no_token_of_it_is_good(self):
        self.call("POST", "/api/v1/users", {"username": "moved", "legacyId": "old-1"}, self.server.admin_token(), status=201)
        self.call("GET", "/api/auth/me", token=old_token("old-1"), status=401)


class OldTokensOff(unittest.TestCase):
    def test_a_secret_alone_does_nothing_and_a_short_one_is_refused(self):
        with Server(env={"JWT_SECRET": SECRET}) as server:
            server.request("POST", "/api/v1/users", json.dumps({"username": "moved", "legacyId": "old-1"}).encode(), headers=JSON)
            self.assertEqual(server.get("/api/auth/me", token=old_token("old-1")).status, 401)
        for env, text in (({"JWT_SECRET": "short"}, "shorter than 32 bytes"), ({}, "shorter than 32 bytes"),
                          ({"JWT_SECRET": SECRET, "LULAB_JWT_SECRET_UNTIL": "soon"}, "no instant")):
            server = Server(env={"LULAB_JWT_SECRET_UNTIL": "2099-01-01T00:00:00Z", **env}, port=free_port())
            with self.assertRaises(RuntimeError) as refused:
                server.start()
            self.assertRegex(str(refused.exception), re.escape(text))


if __name__ == "__main__":
    unittest.main()
