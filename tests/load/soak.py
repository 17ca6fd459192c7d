#!/usr/bin/env python3
"""So many requests, as fast as answers come: the server's memory and descriptors stay where they are.

    tests/load/soak.py                              20,000 (what tools/test runs)
    tests/load/soak.py --requests 10000000          the long form: a quarter of an hour and more, 6 GB of disk

A tenth of the requests are webhooks for the first time, the rest repeats of them.
Memory, file maps not counted, and descriptors are looked at for every hundredth of the
requests. The first half fills what is kept by design, above all the caches of the
read models, 32 MiB for each once its file is larger; in the second half neither may
grow by more than --memory-slack-mib and --descriptors-slack. All that was
acknowledged must be in the log once. Prints the seed, the curve and a verdict.
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import frame  # noqa: E402
import sender as load  # noqa: E402

POINTS = 100


def look(server, sender, requests):
    """Yields (requests, seconds, memory in MiB, descriptors) for every hundredth."""
    began = time.monotonic()
    for point in range(1, POINTS + 1):
        due = requests * point // POINTS
        while True:
            sent = sender.call("stats")["sent"]
            if sent >= due:
                break
            time.sleep(0.02)
        yield sent, time.monotonic() - began, frame.memory_mib(server), frame.descriptors(server)


def judge(args, curve):
    """What is wrong, a line each."""
    early, late = curve[:POINTS // 2], curve[POINTS // 2:]
    for column, what, slack in ((2, "MiB of memory", args.memory_slack_mib), (3, "descriptors", args.descriptors_slack)):
        before, after = max(p[column] for p in early), max(p[column] for p in late)
        if after > before + slack:
            yield "%s grow: %.0f in the first half, %.0f later" % (what, before, after)


def soak(args, server, sender):
    curve = []
    for point in look(server, sender, args.requests):
        curve.append(point)
        if len(curve) % (POINTS // 20) == 0:
            print("soak: %9d requests, %5.0f s, %4.0f MiB, %d descriptors" % point, flush=True)
    sender.call("pause")
    frame.stop(server)
    sender.check(server.data)
    findings = list(judge(args, curve))
    if findings:
        raise load.Breach("; ".join(findings))


def run(args):
    unique = args.requests // 10
    print("soak: seed %d, %d requests, %d of them unique webhooks, %d connections" % (
        args.seed, args.requests, unique, args.connections), flush=True)
    # Some more of both than is asked for: those on their way when the last is counted.
    with frame.service("soak", args.seed, lambda data: load.server(data, planted=args.planted)) as server, \
            load.Sender(seed=args.seed, port=server.port, connections=args.connections, unique=unique + 10000,
                        repeats=args.requests - unique + 90000) as sender:
        server.start()
        soak(args, server, sender)
        print("soak: %d requests and more, memory and descriptors stayed" % args.requests, flush=True)


def options(args=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=20000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--memory-slack-mib", type=float, default=64)
    parser.add_argument("--descriptors-slack", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", help="a bug of core/base/planted.h")
    return parser.parse_args(args)


if __name__ == "__main__":
    run(options())
