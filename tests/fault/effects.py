#!/usr/bin/env python3
"""Kills `lulab serve` while mails go to a server that misbehaves, and looks that each has its end.

    tests/fault/effects.py                                    160 codes, 19 kills (what tools/test runs)
    tests/fault/effects.py --codes 4000 --kills 500 --seed N  a longer one

The mail server refuses one mail in ten for now, is slow with one in ten, and
takes one in ten without an answer; now and then the service is killed. Every
code that was asked for (each by an address and for a target of its own) must reach its target; every
effect must end, and none as dead; no mail may arrive that the log did not know to be under way; all mails of an effect are the
same to the byte; at most as many arrive as attempts are in the log. Then the log verifies and every read model equals
its rebuild.

Prints the seed, counts and a verdict. --planted NAME runs a program with that bug (core/base/planted.h).
"""

import argparse
import collections
import json
import os
import random
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
sys.path.insert(0, os.path.join(HERE, "..", "load"))
from harness import Server, eventually, lulab  # noqa: E402
from mail_server import MailServer, parsed  # noqa: E402
from sender import Breach  # noqa: E402

ENDS = {"DONE", "FAILED", "CANCELLED"}


def serve(data, peer, planted):
    return Server(data=data, planted=planted, env={
        "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(peer.port), "SMTP_FROM": "codes@example.org",
        "LULAB_EFFECTS_RETRY_BASE": "20ms", "LULAB_EFFECTS_BREAKER": "50ms", "LULAB_TRUSTED_PROXIES": "127.0.0.1/32"})


def ask(server, i):
    answer = server.request("POST", "/api/auth/otp/send", json.dumps({"target": target(i), "type": "register"}).encode(),
                            {"Content-Type": "application/json", "X-Forwarded-For": "10.%d.%d.7" % divmod(i, 250)}, token=None)
    if answer.status != 200:
        raise Breach("asking for a code: %d %s" % (answer.status, answer.body[:200]))


def target(i):
    return "p%d@example.com" % i


def effects(server):
    rows, cursor = [], ""
    while True:
        page = server.json("/api/v1/effects?limit=100" + ("&cursor=" + cursor if cursor else ""))
        rows += page["data"]
        cursor = page["pagination"]["nextCursor"]
        if not cursor:
            return rows


def all_ended(server):
    # Asked for by state, one that moves meanwhile would be in none of the answers.
    return all(r["state"] in ENDS for r in effects(server))


def judge(server, peer, codes):
    rows = effects(server)
    if len(rows) != codes:
        raise Breach("%d effects of %d codes" % (len(rows), codes))
    open_ones = [r for r in rows if r["state"] not in ENDS]
    if open_ones:
        raise Breach("an effect has not ended well: %s" % open_ones[0])
    lost = [target(i) for i in range(codes) if not any(m["answer"] != "451 4.3.0 chaos" for m in peer.to(target(i)))]
    if lost:
        raise Breach("%d codes are lost, as that of %s" % (len(lost), lost[0]))
    mails, attempts = collections.defaultdict(list), {r["id"]: r["attempt"] for r in rows}
    for mail in peer.mails:
        mails[parsed(mail)["Message-ID"].strip("<>").split("@")[0]].append(mail["raw"])
    for effect, sent in mails.items():
        if len(set(sent)) != 1:
            raise Breach("the mails of %s are not the same" % effect)
        if len(sent) > attempts.get(effect, 0):
            raise Breach("%s was sent %d times, and the log knows of %d attempts" % (
                effect, len(sent), attempts.get(effect, 0)))
    return rows


def check_stopped(data):
    lulab("log", "verify", "--data", data)
    for model in ("effects", "identity"):
        lulab("projection", "verify", model, "--data", data)


def run(codes=160, kills=19, seed=1, planted=None):
    print("effects: seed %d, %d codes, %d kills%s" % (seed, codes, kills, ", planted %s" % planted if planted else ""),
          flush=True)
    rng, began = random.Random(seed), time.monotonic()
    data = tempfile.mkdtemp(prefix="lulab-effects-")
    with MailServer() as peer:
        peer.tell(chaos={"seed": seed, "fail": 0.1, "slow": 0.1, "silent": 0.1, "slow_s": 0.1})
        server = serve(data, peer, planted)
        try:
            server.start()
            # Each process has a budget of repetitions and a burst of mails: so many codes as are well within both.
            share = -(-codes // (kills + 1))
            for first in range(0, codes, share):
                some = range(first, min(first + share, codes))
                for i in some[:-4]:
                    ask(server, i)
                eventually(lambda: all_ended(server), 120)
                n = len(peer.mails)
                for i in some[-4:]:
                    ask(server, i)
                if some[-1] < codes - 1:
                    # While a mail is on its way: that is when it counts.
                    eventually(lambda: len(peer.mails) > n)
                    time.sleep(rng.uniform(0, 0.02))
                    server.kill()
                    server.start()
            eventually(lambda: all_ended(server), 120)
            rows = judge(server, peer, codes)
            unknown = len(server.json("/api/v1/events?type=effect.unknown&limit=100")["data"])
            if server.stop() != 0:
                raise Breach("the service ended badly:\n%s" % server.log()[-2000:])
            check_stopped(data)
        except BaseException:
            if server.process.poll() is None:
                server.kill()
            print("effects: data kept in %s" % data, flush=True)
            raise
    attempts = sum(r["attempt"] for r in rows)
    if attempts == codes or unknown == 0:
        raise AssertionError("nothing went wrong: the mail server behaved")
    shutil.rmtree(data)
    os.unlink(server.log_path)
    print("effects: ok, %d codes, %d attempts, %d mails, %s unknown, 0 lost, %.0f s" % (
        codes, attempts, len(peer.mails), unknown if unknown < 100 else "100 or more", time.monotonic() - began), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codes", type=int, default=160)
    parser.add_argument("--kills", type=int, default=19)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", help="a bug of core/base/planted.h")
    args = parser.parse_args()
    try:
        run(args.codes, args.kills, args.seed, args.planted)
    except BaseException:
        print("effects: FAILED, seed %d" % args.seed, flush=True)
        raise


if __name__ == "__main__":
    main()
