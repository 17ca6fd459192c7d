#!/usr/bin/env python3
"""Delivers webhooks with 30 % repeats, shuffled, over 64 connections and several restarts of the
server: what the log holds at the end is what was sent, each once.

    tests/load/deliveries.py                                            30,000 (what tools/test runs)
    tests/load/deliveries.py --deliveries 1000000 --restarts 20         the long form, some minutes

Every second restart is a SIGKILL, the others are graceful. A repeat is of any webhook
sent before or of one of the last 256, which may be under way at the same time;
a delivery without its 200 is made again, as the vendor does. Prints the seed,
counts and a verdict. --planted NAME runs a program with that bug.
"""

import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import frame  # noqa: E402
import sender as load  # noqa: E402


def restart(server, kill):
    if kill:
        server.kill()
    else:
        frame.stop(server)


def deliver(server, sender, unique, restarts, rng):
    """Runs the plan to its end. The counts."""
    server.start(wait=False)
    for number in range(restarts):
        sender.call("wait %d" % rng.randrange(1, max(2, 2 * unique // (restarts + 1) * 9 // 10)))
        restart(server, kill=number % 2 == 0)
        sender.check(server.data)
        server.start(wait=False)
    sender.call("finish", timeout_s=900)
    restart(server, kill=False)
    return sender.check(server.data)


def run(deliveries, restarts, seed, connections=64, planted=None):
    repeats = deliveries * 3 // 10
    unique = deliveries - repeats
    print("deliveries: seed %d, %d webhooks, %d repeats, %d connections, %d restarts%s" % (
        seed, unique, repeats, connections, restarts, ", planted %s" % planted if planted else ""), flush=True)
    began = time.monotonic()
    with frame.service("deliveries", seed, lambda data: load.server(data, planted=planted)) as server:
        with load.Sender(seed=seed, port=server.port, connections=connections, unique=unique,
                         repeats=repeats) as sender:
            counts = deliver(server, sender, unique, restarts, random.Random(seed))
        webhooks = load.check_stopped(server.data, counts["position"])
        if not webhooks == counts["stored"] == counts["acked"] == unique or counts["sent"] < deliveries:
            raise load.Breach("%d webhooks were to be recorded; %d are: %s" % (unique, webhooks, counts))
    print("deliveries: %d sent (%d after no answer, %d after a 503), the %d webhooks are recorded once each, %.0f s" % (
        counts["sent"], counts["unanswered"], counts["refused"], unique, time.monotonic() - began), flush=True)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deliveries", type=int, default=30000)
    parser.add_argument("--restarts", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--planted", help="a bug of core/base/planted.h")
    args = parser.parse_args()
    run(args.deliveries, args.restarts, args.seed, args.connections, args.planted)


if __name__ == "__main__":
    main()
