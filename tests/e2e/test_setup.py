#!/usr/bin/env python3
"""The first start: no default password, but a link that makes the first account, once."""

import concurrent.futures
import glob
import json
import os
import re
import unittest

from harness import Server, eventually

PASSWORD = "correct horse battery"


def links_of(server):
    return re.findall(r"^ +http://127\.0\.0\.1:%d/setup#([A-Za-z0-9_-]{43})$" % server.port, server.log(), re.M)


def link_of(server, starts=1):
    """The token of the link that this start printed, which it does when it listens already."""
    return eventually(lambda: len(links_of(server)) == starts and links_of(server)[-1])


def send(server, status=None, **body):
    answer = server.request("POST", "/api/v1/setup", json.dumps(body).encode(), token=None,
                            headers={"Content-Type": "application/json"})
    answer.json = json.loads(answer.body)
    if status is not None and answer.status != status:
        raise AssertionError("%d: %s" % (answer.status, answer.body))
    return answer


def login(server, username, password=PASSWORD):
    return server.request("POST", "/api/auth/login", json.dumps({
        "type": "username_password", "username": username, "password": password}).encode(), token=None,
        headers={"Content-Type": "application/json"})


class Setup(unittest.TestCase):
    def test_the_link_makes_one_account_and_is_used_up(self):
        with Server() as server:
            token = link_of(server)
            good = {"token": token, "username": "first_one", "password": PASSWORD}
            self.assertEqual(send(server, 403, **{**good, "token": "A" * 43}).json["code"], "invalid_token")
            self.assertEqual(send(server, 403, **{**good, "token": token[:-1]}).json["code"], "invalid_token")
            send(server, 400, username="first_one", password=PASSWORD)
            self.assertEqual(send(server, 400, **{**good, "extra": 1}).json["errors"][0]["path"], "/extra")
            self.assertEqual(send(server, 400, **{**good, "password": "short"}).json["code"], "weak_password")
            send(server, 400, token=token, password=PASSWORD) # no name
            # What was wrong has not used it up.
            made = send(server, 201, **good).json
            self.assertEqual(made["roles"], ["SUPER_ADMIN"])
            self.assertEqual(send(server, 410, **{**good, "username": "second_one"}).json["code"], "set_up")
            access = json.loads(login(server, "first_one").body)["accessToken"]
            me = server.json("/api/auth/me", token=access)
            self.assertEqual((me["roles"], me["perm"]), (["SUPER_ADMIN"], ["*"]))
            kinds = [e["type"] for e in server.json("/api/v1/events?limit=100")["data"]]
            self.assertEqual((kinds.count("setup.completed"), kinds.count("user.registered")), (1, 1))
            # Nor is there another link after the next start.
            server.stop()
            server.start()
            self.assertEqual(send(server, 403, **{**good, "username": "third_one"}).json["code"], "invalid_token")
            server.stop()
            self.assertEqual(links_of(server), [token])

    def test_of_many_uses_at_once_one_wins(self):
        with Server() as server:
            token = link_of(server)

            def one(i):
                return send(server, token=token, username="racer_%d" % i, password=PASSWORD).status

            with concurrent.futures.ThreadPoolExecutor(12) as pool:
                statuses = list(pool.map(one, range(12)))
            self.assertEqual((statuses.count(201), statuses.count(410)), (1, 11), statuses)
            self.assertEqual(server.json("/api/v1/users")["pagination"]["total"], 1)

    def test_a_start_without_use_makes_the_link_anew(self):
        with Server() as server:
            first = link_of(server)
            server.stop()
            server.start()
            second = link_of(server, 2)
            self.assertNotEqual(first, second)
            send(server, 403, token=first, username="first_one", password=PASSWORD)
            send(server, 201, token=second, username="first_one", password=PASSWORD)

    def test_the_token_is_nowhere_but_on_the_screen(self):
        with Server() as server:
            token = link_of(server)
            send(server, 201, token=token, username="first_one", password=PASSWORD)
            server.get("/setup", token=None)
            server.stop()
            for path in glob.glob(os.path.join(server.data, "**"), recursive=True):
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        self.assertNotIn(token.encode(), f.read(), path)
            self.assertEqual(server.log().count(token), 1)

    def test_an_operators_account_is_a_first_one_too(self):
        with Server() as server:
            token = link_of(server)
            answer = server.request("POST", "/api/v1/users", json.dumps({
                "username": "by_operator", "password": PASSWORD, "role": "SUPER_ADMIN"}).encode(),
                headers={"Content-Type": "application/json"})
            self.assertEqual(answer.status, 201)
            send(server, 410, token=token, username="first_one", password=PASSWORD)
            server.stop()
            server.start()
            server.stop()
            self.assertEqual(links_of(server), [token])

    def test_the_page_may_do_nothing_but_this(self):
        with Server() as server:
            page = server.get("/setup", token=None)
            self.assertEqual((page.status, page.headers["Content-Type"]), (200, "text/html; charset=utf-8"))
            policy = page.headers.get_all("Content-Security-Policy")
            self.assertEqual(len(policy), 1)
            self.assertIn("default-src 'none'", policy[0])
            self.assertNotIn("unsafe", policy[0])
            # The hashes are those of what is there.
            import base64
            import hashlib
            text = page.body.decode()
            for tag in ("script", "style"):
                inner = re.search(r"<%s>(.*)</%s>" % (tag, tag), text, re.S).group(1)
                self.assertIn("'sha256-%s'" % base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode(), policy[0])
            self.assertEqual(page.headers["Cache-Control"], "no-store")
            self.assertEqual(page.headers["Referrer-Policy"], "no-referrer")


if __name__ == "__main__":
    unittest.main(verbosity=2)
