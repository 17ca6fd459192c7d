#!/usr/bin/env python3
"""lulab user and lulab token: on the running service, and on the data directory of a stopped one."""

import json
import os
import pty
import subprocess
import tempfile
import unittest

import harness
from harness import Server, eventually

PASSWORD = "correct horse battery"


def run(server, *args, stdin="", status=0):
    done = subprocess.run([harness.BINARY, *args, "--data", server.data], input=stdin, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env={**server.env, "PORT": str(server.port), "NO_COLOR": "1"},
                          cwd=server.data, timeout=120)
    if done.returncode != status:
        raise AssertionError("%s: exit %d\n%s%s" % (args, done.returncode, done.stdout, done.stderr))
    return done


class UserCli(unittest.TestCase):
    def login(self, server, username, password, status=200):
        answer = server.request("POST", "/api/auth/login", json.dumps({
            "type": "username_password", "username": username, "password": password}).encode(), token=None,
            headers={"Content-Type": "application/json"})
        self.assertEqual(answer.status, status, answer.body)
        return json.loads(answer.body)

    def grants(self, server, user):
        def roles():
            rows = json.loads(run(server, "user", "list", "--json").stdout)
            return {r["username"]: r["role"] for r in rows}

        run(server, "user", "grant", "cli@one.example", "ADMIN")
        self.assertEqual(roles(), {"cli_one": "ADMIN", "cli_three": "MEMBER"}) # the most powerful of its roles
        run(server, "user", "grant", "cli_one", "ADMIN") # again, it is the same
        run(server, "user", "grant", user, "ADMIN", "--revoke")
        self.assertEqual(roles(), {"cli_one": "AUDITOR", "cli_three": "MEMBER"})
        run(server, "user", "grant", user, "ADMIN", "--revoke", status=3)
        for who, role, status, told in ((user, "BOSS", 3, "role"), ("nobody_there", "ADMIN", 3, "account"),
                                        ("0" * 32, "ADMIN", 3, ""), (user, "../users", 2, ""), (user, "", 3, "")):
            self.assertIn(told, run(server, "user", "grant", who, role, status=status).stderr.lower())
        run(server, "user", "grant", user, status=2)
        self.assertEqual(roles(), {"cli_one": "AUDITOR", "cli_three": "MEMBER"})

    def everything(self, server):
        user = run(server, "user", "create", "cli_one", "--email", "cli@one.example", "--name", "命令行", "--role", "AUDITOR",
                   stdin=PASSWORD + "\n").stdout.strip()
        self.assertRegex(user, "^[0-9a-f]{32}$")
        self.assertIn("has an account", run(server, "user", "create", "CLI_ONE", "--no-password", status=5).stderr)
        self.assertIn("12", run(server, "user", "create", "cli_two", stdin="short\n", status=2).stderr)
        self.assertIn("needed", run(server, "user", "create", "cli_two", status=2).stderr)
        run(server, "user", "create", "cli_three", "--no-password")
        rows = json.loads(run(server, "user", "list", "--json").stdout)
        self.assertEqual({r["username"]: r["role"] for r in rows}, {"cli_one": "AUDITOR", "cli_three": "MEMBER"})
        self.assertIn("命令行", run(server, "user", "list", "--search", "命令行").stdout)
        self.assertEqual(json.loads(run(server, "user", "list", "--search", "nobody", "--json").stdout), [])
        run(server, "user", "disable", "cli@one.example", "--reason", "a test")
        self.assertEqual(len(json.loads(run(server, "user", "list", "--state", "DISABLED", "--json").stdout)), 1)
        self.assertIn("disabled", run(server, "token", "create", "cli_one", status=5).stderr)
        for state, what in (("DISABLED", "enable"), ("ACTIVE", "disable")) * 8: # each list has what the command before it did
            rows = json.loads(run(server, "user", "list", "--search", "cli_one", "--json").stdout)
            self.assertEqual([r["state"] for r in rows], [state])
            run(server, "user", what, user)
        run(server, "user", "enable", user)
        self.grants(server, user)
        run(server, "user", "passwd", "cli_one", stdin="another horse battery\r\n")
        self.assertEqual(run(server, "token", "create", "cli_one").stdout.count("."), 2)
        self.assertIn("refreshToken", json.loads(run(server, "token", "create", "cli_one", "--json").stdout))
        run(server, "user", "disable", "nobody_there", status=3)
        run(server, "user", "passwd", "0" * 32, stdin=PASSWORD, status=3)
        return user

    def test_on_the_running_service(self):
        with Server() as server:
            self.everything(server)
            self.login(server, "cli_one", PASSWORD, 401)
            self.login(server, "cli_one", "another horse battery")
            token = run(server, "token", "create", "cli_one").stdout.strip()
            self.assertEqual(server.json("/api/auth/me", token=token)["username"], "cli_one")

    def test_on_the_directory_of_a_stopped_one(self):
        with Server() as server:
            server.stop()
            self.everything(server)
            refresh = json.loads(run(server, "token", "create", "cli_one", "--json").stdout)["refreshToken"]
            server.start()
            self.login(server, "cli_one", "another horse battery")
            answer = server.request("POST", "/api/auth/refresh-token", json.dumps({"refreshToken": refresh}).encode(),
                                    token=None, headers={"Content-Type": "application/json"})
            self.assertEqual(answer.status, 200, answer.body)

    def test_a_list_longer_than_a_page(self):
        with Server() as server:
            names = ["row_%03d" % i for i in range(230)]
            answer = server.request("POST", "/api/v1/users/imports", "\n".join(["username"] + names).encode(), token="admin",
                                    headers={"Content-Type": "text/csv"})
            self.assertEqual(answer.status, 202, answer.body)
            told = "/api/v1/users/imports/" + json.loads(answer.body)["id"]
            eventually(lambda: json.loads(server.get(told, token="admin").body)["data"]["state"] == "DONE")
            rows = json.loads(run(server, "user", "list", "--json").stdout)
            self.assertEqual(sorted(r["username"] for r in rows), names)

    def test_a_mistyped_directory_is_not_made(self):
        with tempfile.TemporaryDirectory() as dir:
            nowhere = os.path.join(dir, "nowhere")
            done = subprocess.run([harness.BINARY, "user", "list", "--data", nowhere], text=True, capture_output=True)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertFalse(os.path.exists(nowhere))

    def test_a_terminal_shows_no_password(self):
        with Server() as server:
            pid, terminal = pty.fork()
            if pid == 0:
                os.chdir(server.data)
                os.execve(harness.BINARY, [harness.BINARY, "user", "create", "typed_one", "--data", server.data],
                          {**server.env, "PORT": str(server.port)})
            seen = b""
            for prompt in (b"new account: ", b"Once more: "):
                while prompt not in seen:
                    seen += os.read(terminal, 4096)
                os.write(terminal, PASSWORD.encode() + b"\n")
            try:
                while True:
                    more = os.read(terminal, 4096)
                    if not more:
                        break
                    seen += more
            except OSError: # the other side has ended
                pass
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, seen)
            os.close(terminal)
            self.assertNotIn(PASSWORD.encode(), seen)
            self.login(server, "typed_one", PASSWORD)


if __name__ == "__main__":
    unittest.main(verbosity=2)
