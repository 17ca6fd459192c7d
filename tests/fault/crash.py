#!/usr/bin/env python3
"""Kills `lulab serve` with SIGKILL at random moments under full load and looks what is left.

    tests/fault/crash.py                                   500 kills (what tools/test runs)
    tests/fault/crash.py --rounds 10000 --spread 0.2 --epoch 50    the long form, about an hour

64 connections send signed and encrypted webhooks without a pause, a tenth of
them repeats, over all restarts. One kill in eight hits the start itself.
After every kill, in what the dead process left: every acknowledged webhook is
in the log exactly once, none that was not sent, no position is missing, and a
repeat of one that was there added nothing. After every --epoch kills (and then
on a new data directory): the log verifies, every read model equals its
rebuild, and all of it once more from the log's entries as the tools print them.

Prints the seed, counts and a verdict; the same seed gives the same webhooks in
the same order and the same delays. --planted NAME runs a program with that bug
(core/base/planted.h); it must fail, and tests/fault/test_planted.py sees to it.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "load"))
import sender as load  # noqa: E402

COUNTS = ("sent", "acked", "unanswered", "refused", "repeats_of_stored", "stored", "position")


def one_kill(server, sender, rng, spread):
    in_start = rng.random() < 0.125
    delay = rng.uniform(0, 0.12 if in_start else spread)
    server.start(wait=False)
    if not in_start:
        sender.call("wait 1", timeout_s=120)
    time.sleep(delay)
    if server.process.poll() is not None:
        raise load.Breach("the server ended by itself with %d:\n%s" % (server.process.returncode, server.log()[-2000:]))
    server.kill()
    return sender.check(server.data)


def read_models(data):
    """How far each has come, as its file says."""
    done = load.harness.lulab("projection", "status", "--json", "--data", data)
    return {m["model"]: m["position"] for m in json.loads(done.stdout)}


def epoch(rounds, seed, connections, spread, planted):
    """So many kills of one data directory. The counts at the end."""
    rng = random.Random(seed)
    data = tempfile.mkdtemp(prefix="lulab-crash-")
    server = load.server(data, planted=planted)
    try:
        with load.Sender(seed=seed, port=server.port, connections=connections, unique=2000000,
                         repeats=200000) as sender:
            for _ in range(rounds):
                counts = one_kill(server, sender, rng, spread)
        if counts["acked"] < rounds or counts["repeats_of_stored"] == 0:
            raise AssertionError("too few acknowledgements, the load did not run: %s" % counts)
        if rounds >= 50 and read_models(data)["meetings"] == 0:
            raise load.Breach("no meeting came into its read model between the kills")
        webhooks = load.check_stopped(data, counts["position"])
        if webhooks != counts["stored"]:
            raise load.Breach("%d webhooks where %d were seen" % (webhooks, counts["stored"]))
    except BaseException:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        print("crash: data kept in %s" % data, flush=True)
        raise
    shutil.rmtree(data)
    os.unlink(server.log_path)
    return counts


def run(rounds, seed, epoch_rounds=100, connections=64, spread=0.12, planted=None):
    print("crash: seed %d, %d kills, %d connections%s" % (
        seed, rounds, connections, ", planted %s" % planted if planted else ""), flush=True)
    began, done = time.monotonic(), 0
    total = dict.fromkeys(COUNTS, 0)
    while done < rounds:
        n = min(epoch_rounds, rounds - done)
        counts = epoch(n, seed + done, connections, spread, planted)
        done += n
        for name in COUNTS:
            total[name] += counts[name]
        print("crash: %d kills, %.0f s: %s" % (done, time.monotonic() - began, " ".join(
            "%s %d" % (name, total[name]) for name in COUNTS)), flush=True)
    print("crash: ok, %d kills, %d acknowledged, 0 lost, 0 twice, %d repeats recognised, %.0f s" % (
        rounds, total["acked"], total["repeats_of_stored"], time.monotonic() - began), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--epoch", type=int, default=100, help="full check and a new data directory after so many")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--spread", type=float, default=0.12, help="seconds of load before a kill, at most")
    parser.add_argument("--planted", help="a bug of core/base/planted.h")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(31)
    try:
        run(args.rounds, seed, args.epoch, args.connections, args.spread, args.planted)
    except BaseException:
        print("crash: FAILED, seed %d" % seed, flush=True)
        raise


if __name__ == "__main__":
    main()
