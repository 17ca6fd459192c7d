#!/usr/bin/env python3
"""People: accounts, log-ins, tokens and what they may do, asked of the running service."""

import base64
import concurrent.futures
import json
import unittest

from harness import Server, eventually, lulab

PASSWORD = "correct horse battery"


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def with_json(answer):
    answer.json = json.loads(answer.body) if answer.body else None
    return answer


class Identity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def call(self, method, path, body=None, token=None, headers=None, status=200):
        answer = self.server.request(method, path, None if body is None else json.dumps(body).encode(), token=token,
                                     headers={"Content-Type": "application/json", **(headers or {})})
        self.assertEqual(answer.status, status, answer.body)
        return with_json(answer)

    def create(self, status=201, **body):
        return self.call("POST", "/api/v1/users", {"password": PASSWORD, **body}, self.server.admin_token(), status=status)

    def login(self, username, password=PASSWORD, status=200, **more):
        return self.call("POST", "/api/auth/login",
                         {"type": "username_password", "username": username, "password": password, **more}, status=status)

    def events(self, kind):
        return self.call("GET", "/api/v1/events?type=%s&limit=100" % kind, token=self.server.admin_token()).json["data"]

    def test_a_person_signs_in_and_out(self):
        user = self.create(username="Zhang_San", email="Zhang@Example.com", displayName="张三", role="AUDITOR").json["id"]
        first = self.login("zhang_san").json
        self.assertEqual((first["user"]["id"], first["user"]["name"], first["user"]["roles"]), (user, "张三", ["AUDITOR"]))
        self.assertEqual(first["expiresIn"], 600)
        self.assertTrue(0 < first["refreshExpiresIn"] <= 7 * 86400)
        access = first["accessToken"]
        claims = claims_of(access)
        self.assertEqual((claims["sub"], claims["aud"], claims["exp"] - claims["iat"]), (user, "lulab", 600))
        me = self.call("GET", "/api/auth/me", token=access).json
        self.assertEqual((me["username"], me["email"], me["active"]), ("Zhang_San", "Zhang@Example.com", True))
        # By its address as well, however it is written.
        by_mail = self.call("POST", "/api/v1/auth/login",
                            {"type": "email_password", "email": " ZHANG@example.COM", "password": PASSWORD}).json
        mine = self.call("GET", "/api/auth/sessions", token=access).json
        self.assertEqual(len(mine["data"]), 2)
        self.assertEqual(mine["current"], claims["sid"])
        # An auditor reads events and nothing else.
        self.call("GET", "/api/v1/events?limit=1", token=access)
        self.call("GET", "/api/v1/meetings", token=access, status=403)
        out = self.call("POST", "/api/auth/logout", {}, access).json
        self.assertEqual((out["success"], out["message"]), (True, "退出登录成功"))
        self.assertIn("ended", self.call("GET", "/api/auth/me", token=access, status=401).json["detail"])
        self.call("POST", "/api/auth/refresh-token", {"refreshToken": first["refreshToken"]}, status=401)
        self.call("GET", "/api/auth/me", token=by_mail["accessToken"])

    def test_wrong_names_and_passwords_are_told_alike(self):
        self.create(username="li_si")
        wrong = self.login("li_si", "wrong horse battery", 401).json
        unknown = self.login("nobody_here", PASSWORD, 401).json
        for member in ("detail", "code", "message", "statusCode"):
            self.assertEqual(wrong[member], unknown[member])
        self.assertEqual(wrong["message"], "用户名或密码错误")
        reasons = [e["data"]["reason"] for e in self.events("login.failed")]
        self.assertIn("UNKNOWN_USER", reasons)
        self.assertIn("WRONG_PASSWORD", reasons)

    def test_guessing_is_slowed_down_and_a_success_ends_that(self):
        self.create(username="wang_wu")
        for _ in range(5):
            self.login("wang_wu", "wrong horse battery", 401)
        refused = self.login("wang_wu", "wrong horse battery", 429)
        self.assertTrue(1 <= int(refused.headers["Retry-After"]) <= 2)
        self.assertEqual(refused.json["statusCode"], 429)

    def test_guessing_does_not_lock_out_the_owner(self):
        """S8 of the systems replaced: anybody could lock anybody out."""
        self.create(username="wei_shi")
        self.login("wei_shi", deviceId="the owner's own telephone")
        for _ in range(5):
            self.login("wei_shi", "wrong horse battery", 401)
        self.login("wei_shi", status=429)
        self.login("wei_shi", status=429, deviceId="another")
        self.login("wei_shi", "wrong horse battery", 401, deviceId="the owner's own telephone")
        self.login("wei_shi", deviceId="the owner's own telephone")

    def test_bad_input_is_named(self):
        for body, code, text in (
                ({"username": "ab"}, "invalid", "用户名至少3个字符"),
                ({"username": "13800000000"}, "invalid", "用户名必须包含至少一个字母"),
                ({"email": "nobody"}, "invalid", "邮箱格式不正确"),
                ({"phone": "12"}, "invalid", "手机号格式不正确"),
                ({}, "invalid", "请提供用户名、邮箱或手机号"),
                ({"username": "zhao_liu", "password": "short"}, "weak_password", "密码长度至少为12位"),
                ({"username": "zhao_liu", "password": "qwertyuiop[]"}, "weak_password", "密码过于常见，容易被猜到"),
                ({"username": "zhao_liu", "password": "zhao_liu likes tea"}, "weak_password",
                 "密码不能包含用户名、邮箱或产品名称"),
                ({"username": "zhao_liu", "role": "KING"}, "invalid", "角色不存在")):
            answer = self.create(400, **body).json
            self.assertEqual((answer["code"], answer["message"]), (code, text))
        self.assertEqual(self.create(400, username="zhao_liu", shoeSize=42).json["errors"][0]["path"], "/shoeSize")
        self.call("POST", "/api/auth/login", {"type": "username_password"}, status=400)
        self.call("POST", "/api/auth/login", {"type": "magic"}, status=400)

    def test_one_name_has_one_account_whoever_asks_first(self):
        mails = ("Same@Example.com", "same@example.com ")

        def one(i):
            answer = self.server.request("POST", "/api/v1/users", json.dumps({"email": mails[i % 2]}).encode(),
                                         token=self.server.admin_token(), headers={"Content-Type": "application/json"})
            return answer.status

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            statuses = list(pool.map(one, range(60)))
        self.assertEqual((statuses.count(201), statuses.count(409)), (1, 59))
        taken = self.create(409, email="SAME@example.com").json
        self.assertEqual(taken["message"], "邮箱已被注册")

    def test_of_parallel_refreshes_one_makes_a_successor(self):
        self.create(username="sun_qi")
        token = self.login("sun_qi").json["refreshToken"]

        def one(_):
            answer = self.server.request("POST", "/api/auth/refresh-token", json.dumps({"refreshToken": token}).encode(),
                                         token=None, headers={"Content-Type": "application/json"})
            return answer.status, with_json(answer).json.get("refreshToken")

        before = len(self.events("session.rotated"))
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(one, range(100)))
        self.assertEqual(len({successor for status, successor in answers if status == 200}), 1)
        self.assertEqual({status for status, _ in answers}, {200})
        self.assertEqual(len(self.events("session.rotated")) - before, 1)

    def test_a_token_used_again_ends_the_family(self):
        self.create(username="zhou_ba")
        first = self.login("zhou_ba").json
        second = self.call("POST", "/api/auth/refresh-token", {"refreshToken": first["refreshToken"]}).json
        third = self.call("POST", "/api/auth/refresh-token", {"refreshToken": second["refreshToken"]}).json
        self.call("POST", "/api/auth/refresh-token", {"refreshToken": first["refreshToken"]}, status=401)
        self.call("POST", "/api/auth/refresh-token", {"refreshToken": third["refreshToken"]}, status=401)
        self.call("GET", "/api/auth/me", token=third["accessToken"], status=401)

    def test_another_client_is_not_given_the_successor(self):
        self.create(username="wu_jiu")
        first = self.login("wu_jiu").json
        self.call("POST", "/api/auth/refresh-token", {"refreshToken": first["refreshToken"]})
        self.call("POST", "/api/auth/refresh-token", {"refreshToken": first["refreshToken"]},
                  headers={"User-Agent": "a thief"}, status=401)

    def test_web_clients_have_the_token_in_a_cookie(self):
        self.create(username="zheng_shi")
        answer = self.login("zheng_shi", clientType="web")
        self.assertNotIn("refreshToken", answer.json)
        cookie = answer.headers["Set-Cookie"]
        for part in ("__Host-refreshToken=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"):
            self.assertIn(part, cookie)
        pair = cookie.split(";")[0]
        again = self.call("POST", "/api/auth/refresh-token", {}, headers={
            "Cookie": "a=b; " + pair, "Origin": "http://127.0.0.1:%d" % self.server.port})
        self.assertNotIn("refreshToken", again.json)
        out = self.call("POST", "/api/auth/logout", {}, again.json["accessToken"])
        self.assertIn("Max-Age=0", out.headers["Set-Cookie"])

    def test_what_a_browser_says_of_itself_is_kept_within_bounds(self):
        self.create(username="agent_one")
        for said, kept in (("Plain/1.0", "Plain/1.0"), ("long" * 200, "long" * 128), ("no text \xff\xfe", None)):
            answer = self.call("POST", "/api/auth/login", {"type": "username_password", "username": "agent_one",
                                                           "password": PASSWORD}, headers={"User-Agent": said})
            listed = self.call("GET", "/api/auth/sessions", token=answer.json["accessToken"]).json
            mine, = [s for s in listed["data"] if s["id"] == listed["current"]]
            self.assertEqual(mine["userAgent"], kept)

    def test_log_ins_of_others_are_out_of_reach(self):
        self.create(username="feng_one")
        self.create(username="feng_two")
        one, two = self.login("feng_one").json, self.login("feng_two").json
        sid = claims_of(two["accessToken"])["sid"]
        self.call("DELETE", "/api/auth/sessions/" + sid, token=one["accessToken"], status=404)
        self.call("POST", "/api/auth/logout", {"refreshToken": two["refreshToken"], "revokeAllDevices": True},
                  one["accessToken"])
        self.call("GET", "/api/auth/me", token=two["accessToken"])
        self.call("DELETE", "/api/auth/sessions/" + sid, token=two["accessToken"], status=204)
        self.call("GET", "/api/auth/me", token=two["accessToken"], status=401)

    def test_logging_out_everywhere_ends_every_log_in(self):
        """However many there are: more than one append takes."""
        self.create(username="han_many")
        tokens = [self.login("han_many").json["accessToken"] for _ in range(18)]
        out = self.call("POST", "/api/auth/logout", {"revokeAllDevices": True}, tokens[0]).json
        self.assertEqual(out["details"]["revokedTokensCount"], 18)
        for token in tokens:
            self.call("GET", "/api/auth/me", token=token, status=401)

    def test_tokens_of_others_are_refused(self):
        self.create(username="chen_one")
        good = self.login("chen_one").json["accessToken"]
        head, payload, signature = good.split(".")
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode().rstrip("=")
        for bad in (head + "." + payload + ".", none + "." + payload + ".", good[:-2], good + "A", head + "." + payload,
                    head + "." + payload[:-1] + "." + signature, "a.b.c", "..", "sk_x.y"):
            self.call("GET", "/api/auth/me", token=bad, status=401)
        keys = self.call("GET", "/.well-known/jwks.json").json["keys"]
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        self.assertIn(header["kid"], [k["kid"] for k in keys])

    def test_tries_to_sign_in_can_be_read(self):
        users = [self.create(username=name).json["id"] for name in ("reader_a", "reader_b")]
        tokens = []
        for name in ("reader_a", "reader_b"):
            self.login(name, "wrong " + PASSWORD, status=401)
            tokens.append(self.login(name).json["accessToken"])

        def tries(path, token, n):
            def there():
                rows = self.call("GET", path, token=token).json["data"]
                return rows if len(rows) >= n else None
            return eventually(there)
        for _ in range(3):  # an answer that is kept is given to nobody else
            for user, token in zip(users, tokens):
                rows = tries("/api/v1/auth/logins", token, 2)
                self.assertEqual([(r["userId"], r["success"]) for r in rows], [(user, True), (user, False)])
        rows = tries("/api/v1/logins?result=FAILURE&userId=" + users[0], self.server.admin_token(), 1)
        self.assertEqual([(r["target"], r["loginType"]) for r in rows], [("reader_a", "USERNAME_PASSWORD")])
        self.call("GET", "/api/v1/logins", token=tokens[0], status=403)
        self.call("GET", "/api/v1/auth/logins", token=self.server.admin_token(), status=400)

    def test_nothing_personal_and_no_secret_is_in_the_log(self):
        self.create(username="secretive", email="very.secret@example.com", displayName="Quite Private")
        first = self.login("secretive", deviceId="private-device").json
        exported = lulab("log", "tail", "-n", "100000", "--json", "--data", self.server.data).stdout
        for text in ("secretive", "very.secret", "Quite Private", "private-device", PASSWORD, "$argon2id", first["refreshToken"]):
            self.assertNotIn(text, exported)
        for text in (PASSWORD, first["refreshToken"], first["accessToken"], "very.secret"):
            self.assertNotIn(text, self.server.log())

    def test_read_models_are_what_the_log_says(self):
        self.create(username="equal_one")
        self.login("equal_one")
        rows = json.loads(lulab("projection", "verify", "--json", "--data", self.server.data).stdout)
        self.assertTrue(all(row["equal"] for row in rows), rows)
        self.assertIn("identity", [row["model"] for row in rows])


class Restart(unittest.TestCase):
    def test_what_ended_stays_ended_and_what_did_not_goes_on(self):
        with Server() as server:
            def call(path, body=None, token=None, method="POST"):
                return with_json(server.request(
                    method, path, None if body is None else json.dumps(body).encode(), token=token,
                    headers={"Content-Type": "application/json"}))

            body = {"type": "username_password", "username": "stays", "password": PASSWORD}
            self.assertEqual(call("/api/v1/users", {"username": "stays", "password": PASSWORD}, server.admin_token()).status, 201)
            gone, kept = (call("/api/auth/login", body).json for _ in range(2))
            self.assertEqual(call("/api/auth/logout", {}, gone["accessToken"]).status, 200)
            for _ in range(5):
                self.assertEqual(call("/api/auth/login", {**body, "password": "wrong horse battery"}).status, 401)
            server.kill()
            server.start()
            self.assertEqual(call("/api/auth/me", token=gone["accessToken"], method="GET").status, 401)
            self.assertEqual(call("/api/auth/refresh-token", {"refreshToken": gone["refreshToken"]}).status, 401)
            self.assertEqual(call("/api/auth/me", token=kept["accessToken"], method="GET").status, 200)
            self.assertEqual(call("/api/auth/refresh-token", {"refreshToken": kept["refreshToken"]}).status, 200)


if __name__ == "__main__":
    unittest.main()
