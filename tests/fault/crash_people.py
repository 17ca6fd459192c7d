#!/usr/bin/env python3
"""Kills `lulab serve` with SIGKILL while people get accounts, tokens and API keys and lose them.

    tests/fault/crash_people.py                              12 kills (what tools/test runs)
    tests/fault/crash_people.py --rounds 1200 --spread 0.3   the long form

Four workers make accounts, log in, use up refresh tokens, log out, make, rotate and revoke API keys without a pause.
What was acknowledged must be so for ever: the account is there, the successor of a token or key is good, what ended
stays ended, in the very next request as after every kill. What was not acknowledged may be either. At the end of an
epoch (--epoch kills, a data directory each) everything is asked for once more, and the log is verified.

Prints the seed and a verdict. --planted NAME runs a program with that bug (core/base/planted.h); it must fail, and
tests/fault/test_planted.py sees to it.
"""

import argparse
import base64
import hashlib
import http.client
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "load"))
import sender as load  # noqa: E402
from sender import harness  # noqa: E402

PASSWORD = "correct horse battery"
WORKERS = 4
STEPS = 32  # which are answered before a kill, at most, when there is no time for more
GONE = (OSError, http.client.HTTPException)


class Unanswered(Exception):
    """Nobody knows what became of it."""


class Worker:
    """One person, and what they were told."""

    def __init__(self, server, number, rng):
        self.server, self.number, self.rng = server, number, rng
        self.made = 0
        self.users = set()       # ids of accounts
        self.sessions = []       # [access token, refresh token] of log-ins that are good
        self.ended = []          # those that are not
        self.keys = []           # [id, key] that are good
        self.dead = []           # keys that are not
        self.rotated = set()     # digests of refresh tokens that were given out
        self.steps = 0           # that were answered
        self.breach = None
        self.main = None

    def call(self, method, path, body=None, token=None):
        """(status, JSON); Unanswered when it was cut short or told to come again."""
        try:
            answer = self.server.request(method, path, None if body is None else json.dumps(body).encode(), token=token,
                                         headers={"Content-Type": "application/json"})
        except GONE as e:
            raise Unanswered() from e
        if answer.status == 503:
            raise Unanswered()
        return answer.status, json.loads(answer.body) if answer.body else None

    def must(self, wanted, what, method, path, body=None, token=None):
        status, answer = self.call(method, path, body, token)
        if status != wanted:
            raise load.Breach("%s: %d and not %d, %s" % (what, status, wanted, answer))
        return answer

    def name(self):
        self.made += 1
        return "worker_%d_%d" % (self.number, self.made)

    def begin(self):
        self.person = "person_%d" % self.number
        self.must(201, "an account", "POST", "/api/v1/users", {"username": self.person, "password": PASSWORD}, self.admin())
        self.main = self.login()

    def admin(self):
        return self.server.admin_token()

    def login(self):
        answer = self.must(200, "a log-in", "POST", "/api/auth/login", {
            "type": "username_password", "username": self.person, "password": PASSWORD})
        return [answer["accessToken"], answer["refreshToken"]]

    # What happens. Things in doubt are taken off the lists first, and come back with the acknowledgement.

    def new_account(self):
        answer = self.must(201, "an account", "POST", "/api/v1/users", {"username": self.name()}, self.admin())
        self.users.add(answer["id"])

    def new_key(self):
        answer = self.must(201, "a key", "POST", "/api/v1/api-keys",
                           {"name": "k", "scopes": ["meetings:read"], "rateLimit": 1000000}, self.main[0])
        self.keys.append([answer["id"], answer["key"]])

    def rotate_key(self):
        if self.keys:
            old = self.keys.pop(self.rng.randrange(len(self.keys)))
            answer = self.must(201, "a rotation", "POST", "/api/v1/api-keys/%s/rotate" % old[0], {}, self.main[0])
            self.dead.append(old)
            self.keys.append([answer["id"], answer["key"]])
            self.check_dead(old)

    def revoke_key(self):
        if self.keys:
            old = self.keys.pop(self.rng.randrange(len(self.keys)))
            self.check_key(old)  # who is remembered as good is asked about
            self.must(204, "a revocation", "DELETE", "/api/v1/api-keys/" + old[0], None, self.main[0])
            self.dead.append(old)
            self.check_dead(old)

    def new_session(self):
        self.sessions.append(self.login())

    def refresh(self):
        if self.sessions:
            session = self.sessions.pop(self.rng.randrange(len(self.sessions)))
            answer = self.must(200, "a refresh", "POST", "/api/auth/refresh-token", {"refreshToken": session[1]})
            self.rotated.add(answer["refreshToken"])
            self.sessions.append([answer["accessToken"], answer["refreshToken"]])

    def end_session(self):
        if self.sessions:
            session = self.sessions.pop(self.rng.randrange(len(self.sessions)))
            self.must(200, "a logout", "POST", "/api/auth/logout", {}, session[0])
            self.ended.append(session)
            self.check_ended(session)

    # What must be so.

    def check_key(self, key):
        self.must(200, "a key that is good", "GET", "/v1/me", None, key[1])

    def check_dead(self, key):
        self.must(401, "a key that was revoked", "GET", "/v1/me", None, key[1])

    def check_session(self, session):
        self.must(200, "a log-in that is good", "GET", "/api/auth/me", None, session[0])

    def check_ended(self, session):
        self.must(401, "a log-in that has ended", "GET", "/api/auth/me", None, session[0])
        self.must(401, "a refresh token that has ended", "POST", "/api/auth/refresh-token", {"refreshToken": session[1]})

    def work(self, stop):
        steps = [self.new_account] * 4 + [self.new_key] * 4 + [self.rotate_key] * 2 + [self.revoke_key] * 2 + [
            self.refresh] * 3 + [self.end_session]
        step = self.new_session
        try:
            while not stop.is_set():
                try:
                    step()
                    self.steps += 1
                except Unanswered:
                    stop.wait(0.01)
                step = self.rng.choice(steps)
        except BaseException as e:  # told by the main thread
            self.breach = e

    def check(self, n):
        """So many of each kind, the newest first."""
        for things, check in ((self.keys, self.check_key), (self.dead, self.check_dead),
                              (self.sessions, self.check_session), (self.ended, self.check_ended)):
            for thing in things[-n:]:
                check(thing)


def one_kill(server, workers, rng, spread):
    stop = threading.Event()
    threads = [threading.Thread(target=w.work, args=(stop,)) for w in workers]
    enough = sum(w.steps for w in workers) + rng.randint(1, STEPS)
    for t in threads:
        t.start()
    # From some answers of the round on, so that a slow machine does work as well.
    harness.eventually(lambda: sum(w.steps for w in workers) >= enough or any(w.breach for w in workers), timeout_s=120)
    time.sleep(rng.uniform(0, spread))
    server.kill()
    stop.set()
    for t in threads:
        t.join()
    for w in workers:
        if w.breach:
            raise w.breach
    server.start()
    for w in workers:
        w.check(3)


def check_log(server, workers):
    """Every acknowledged account and token is in the log, once; the log and the read models are whole."""
    done = harness.lulab("log", "tail", "--json", "--from", "0", "--limit", "1000000000", "--data", server.data)
    users, digests = [], []
    for line in done.stdout.splitlines():
        entry = json.loads(line)
        if entry["type"] == "user.registered":
            users.append(entry["data"]["user_id"])
        elif entry["type"] == "session.rotated":
            digests.append(entry["data"]["to_digest"])
    for w in workers:
        if not w.users <= set(users):
            raise load.Breach("%d acknowledged accounts are lost" % len(w.users - set(users)))
        given = {base64.urlsafe_b64encode(hashlib.sha256(t.encode()).digest()).decode().rstrip("=") for t in w.rotated}
        if not given <= set(digests):
            raise load.Breach("%d acknowledged tokens are lost" % len(given - set(digests)))
    if len(users) != len(set(users)) or len(digests) != len(set(digests)):
        raise load.Breach("an account or a token is in the log twice")
    for command in (["log", "verify"], ["projection", "verify"]):
        done = harness.lulab(*command, "--data", server.data, check=False)
        if done.returncode != 0:
            raise load.Breach("lulab %s: %s%s" % (" ".join(command), done.stdout[-600:], done.stderr[-600:]))


def epoch(rounds, seed, spread, planted):
    rng = random.Random(seed)
    data = tempfile.mkdtemp(prefix="lulab-crash-people-")
    server = load.server(data, planted=planted)
    workers = [Worker(server, i, random.Random(rng.random())) for i in range(WORKERS)]
    try:
        server.start()
        for w in workers:
            w.begin()
        for _ in range(rounds):
            one_kill(server, workers, rng, spread)
        for w in workers:
            w.check(1 << 30)
        server.kill()
        check_log(server, workers)
    except BaseException:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        print("crash_people: data kept in %s" % data, flush=True)
        raise
    shutil.rmtree(data)
    os.unlink(server.log_path)
    return [sum(len(getattr(w, name)) for w in workers) for name in ("users", "rotated", "ended", "keys", "dead")]


def run(rounds, seed, epoch_rounds=12, spread=0.12, planted=None):
    print("crash_people: seed %d, %d kills%s" % (seed, rounds, ", planted %s" % planted if planted else ""), flush=True)
    began, done, total = time.monotonic(), 0, [0] * 5
    while done < rounds:
        n = min(epoch_rounds, rounds - done)
        total = [a + b for a, b in zip(total, epoch(n, seed + done, spread, planted))]
        done += n
    if not all(total):
        raise AssertionError("something was never done: %s" % total)
    print("crash_people: ok, %d kills, acknowledged and kept: %d accounts, %d refreshed tokens, %d log-ins ended, "
          "%d keys good, %d keys revoked or rotated; %.0f s" % (rounds, *total, time.monotonic() - began), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--epoch", type=int, default=12, help="kills of one data directory; people have twenty log-ins at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--spread", type=float, default=0.12, help="seconds of work before a kill, at most")
    parser.add_argument("--planted", help="a bug of core/base/planted.h")
    args = parser.parse_args()
    try:
        run(args.rounds, args.seed, min(args.epoch, 15), args.spread, args.planted)
    except BaseException:
        print("crash_people: FAILED, seed %d" % args.seed, flush=True)
        raise


if __name__ == "__main__":
    main()
