#!/usr/bin/env python3
"""A crowd of connections that mean no good, while good webhooks arrive: the good ones notice nothing
and every bad one is dropped by its limit.

    tests/load/crowd.py                                    1,500 connections (what tools/test runs)
    tests/load/crowd.py --connections 12000 --seconds 30 --rate 500 --p99-ms 50 --memory-mib 300

A third of the crowd sends a head, a third a body, a byte now and then; a third
asks for much and reads nothing (tests/load/crowd.c). Whoever is dropped comes back,
until the time is over; then the last ones are waited for. Good webhooks come at
an even rate from before the crowd to the end; their time counts from when they
were due, and is told apart for while the crowd gathers and from then on. All of
them must be acknowledged and be in the log once; slow senders must have been told
408; the memory of the server, file maps not counted, stays below --memory-mib.
With --p99-ms none may get a 503, and their time stays below that, once the crowd
is there. Prints the seed, counts and a verdict.
"""

import argparse
import os
import resource
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import frame  # noqa: E402
import sender as load  # noqa: E402

CROWD = frame.program("CROWD", "crowd")
SLOW_SENDERS = ("slow head", "slow body")


def watch(server, until, seconds):
    """Until it is so, or the time is over. Whether it is so, and the most memory seen."""
    most, end = 0, time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        most = max(most, frame.memory_mib(server))
        time.sleep(0.2)
    return until(), most


def tell(what, good):
    print("crowd: good ones %s: %d acknowledged, p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, longest %.1f ms" % (
        (what, good["ok_us"]["n"]) + tuple(good["ok_us"][k] / 1000 for k in ("p50", "p99", "p999", "max"))),
        flush=True)


def judge(args, good, crowd, memory):
    """What is wrong, a line each."""
    for kind in SLOW_SENDERS:
        seen = crowd["kinds"][kind]
        if seen["told"] < seen["dropped"]:
            yield "%s: only %d of %d were told 408" % (kind, seen["told"], seen["dropped"])
    for kind, seen in crowd["kinds"].items():
        if seen["failed"]:
            yield "%s: %d could not connect" % (kind, seen["failed"])
    if crowd["most"] < args.connections:
        yield "only %d bad connections at once" % crowd["most"]
    # A 503 on a busy machine is one more way to be late: it is told again and must be acknowledged then.
    if (args.p99_ms and good["refused"]) or good["unanswered"] or good["ok_us"]["n"] == 0:
        yield "good webhooks: %d acknowledged, %d refused, %d without an answer" % (
            good["acked"], good["refused"], good["unanswered"])
    if memory > args.memory_mib:
        yield "%.0f MiB of memory" % memory
    if args.p99_ms and good["ok_us"]["p99"] > args.p99_ms * 1000:
        yield "p99 of good webhooks is %.1f ms" % (good["ok_us"]["p99"] / 1000)


def attack(args, server, sender, crowd):
    """The crowd comes and goes. What the good ones and the crowd met, and the most memory."""
    crowd.call("full")
    tell("while it gathered", sender.call("stats"))
    sender.call("reset")
    _, memory = watch(server, lambda: False, args.seconds)
    crowd.call("leave")
    dropped, memory_after = watch(server, lambda: frame.descriptors(server, "socket:") <= sender.sockets, args.drop_s)
    good = sender.call("stats")
    tell("in the crowd", good)
    if not dropped:
        raise load.Breach("the crowd was not dropped within %d s: the server has %d sockets, %d without it" % (
            args.drop_s, frame.descriptors(server, "socket:"), sender.sockets))
    return good, crowd.call("gone"), max(memory, memory_after)


def run(args):
    _, descriptors_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    args.connections = min(args.connections, descriptors_max // 5 * 4 - 100)  # the server keeps a fifth for itself
    print("crowd: seed %d, %d bad connections for %g s, %d good webhooks a second" % (
        args.seed, args.connections, args.seconds, args.rate), flush=True)
    with frame.service("crowd", args.seed, lambda data: load.server(data, planted=args.planted)) as server, \
            load.Sender(seed=args.seed, port=server.port, connections=args.good_connections, unique=1000000,
                        rate=args.rate) as sender:
        server.start()
        sender.call("wait 500")
        sender.call("reset")
        sender.sockets = frame.descriptors(server, "socket:")
        with frame.Commanded(CROWD, {"port": server.port, "connections": args.connections,
                                     "opens_per_s": args.opens}) as crowd:
            good, met, memory = attack(args, server, sender, crowd)
        print("crowd: at most %d at once; memory %.0f MiB" % (met["most"], memory))
        for kind, seen in met["kinds"].items():
            print("crowd: %s: %d opened, %d dropped, %d told 408, longest stay %.1f s" % (
                kind, seen["opened"], seen["dropped"], seen["told"], seen["longest_ms"] / 1000), flush=True)
        sender.call("pause")
        frame.stop(server)
        sender.check(server.data)
        findings = list(judge(args, good, met, memory))
        if findings:
            raise load.Breach("; ".join(findings))


def options(args=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1500)
    parser.add_argument("--opens", type=int, default=4000, help="of the crowd, a second at most")
    parser.add_argument("--seconds", type=float, default=8, help="from when all are there")
    parser.add_argument("--rate", type=int, default=100, help="good webhooks a second")
    parser.add_argument("--good-connections", type=int, default=32)
    parser.add_argument("--memory-mib", type=float, default=300)
    parser.add_argument("--p99-ms", type=float, default=0, help="0: any; a busy machine is no finding")
    parser.add_argument("--drop-s", type=int, default=100, help="all are dropped so long after the last came")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", help="a bug of core/base/planted.h")
    return parser.parse_args(args)


if __name__ == "__main__":
    run(options())
