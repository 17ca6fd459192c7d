#!/usr/bin/env python3
"""Sends three times what the server can take, from senders that do not wait.

    tests/load/overload.py                                  a few seconds (what tools/test runs)
    tests/load/overload.py --seconds 20 --connections 8000 --goodput 0.9     the long form

First as fast as answers come over --width connections, which is the peak rate; then
at --times that rate over all of them, whether answers come or not. What gets a 200
in that time is the goodput; the rest gets 503, or was never sent because every
connection had waited for --late-ms (it is given up then, as a vendor's time limit
would). All that was
acknowledged must be in the log once, no answer may be anything but 200 and 503,
and afterwards the server serves at once and holds no more sockets and memory
than before. With --goodput, the share of the peak that must be reached.
Server and senders run on a processor of their own where there are two.
Prints the seed, counts and a verdict.
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import frame  # noqa: E402
import sender as load  # noqa: E402

MEMORY_SLACK_MIB = 64
MEMORY_A_CONNECTION_MIB = 1 / 32  # what a request lies in while it waits is kept by the allocator


def measure(server, sender, seconds):
    """Counts of a stretch of time a second, and what the sender says at its end."""
    before, began, used_s = sender.call("reset"), time.monotonic(), frame.processor_s(server)
    time.sleep(seconds)
    after, took, used_s = sender.call("stats"), time.monotonic() - began, frame.processor_s(server) - used_s
    a_second = {name: (after[name] - before[name]) / took for name in ("sent", "answered", "unanswered", "refused")}
    a_second["given_up"] = after["given_up"] / took
    a_second["busy"] = used_s / took
    return a_second, after


def tell(what, now, seen):
    print("overload: %s: %.0f/s acknowledged, %.0f/s refused with 503, %.0f/s given up unsent; "
          "ms to a 200 p50 %.0f, p99 %.0f, to a 503 p50 %.0f, p99 %.0f; %.0f us of the processor a 200" % (
              what, now["answered"], now["refused"], now["given_up"], seen["ok_us"]["p50"] / 1000,
              seen["ok_us"]["p99"] / 1000, seen["refused_us"]["p50"] / 1000, seen["refused_us"]["p99"] / 1000,
              1e6 * now["busy"] / max(1, now["answered"])),
          flush=True)


def overload(args, server, sender):
    """Yields what is wrong, a line each."""
    sender.call("width %d" % args.width)
    sender.call("wait 1000")
    peak, seen = measure(server, sender, args.seconds)
    tell("the peak", peak, seen)
    before = frame.memory_mib(server), frame.descriptors(server, "socket:")
    sender.call("width 0")
    sender.call("rate %d" % (peak["answered"] * args.times))
    time.sleep(1)
    over, seen = measure(server, sender, args.seconds)
    share = over["answered"] / peak["answered"]
    tell("at %g times the peak, %.0f %% of it" % (args.times, 100 * share), over, seen)
    if over["unanswered"]:
        yield "requests had no answer: %s" % seen
    if share < args.goodput:
        yield "goodput is %.0f %% of the peak" % (100 * share)
    sender.call("rate 0")
    sender.call("wait 1000", timeout_s=30)  # it serves at once
    sender.call("pause")
    after = frame.memory_mib(server), frame.descriptors(server, "socket:")
    if after[0] > before[0] + MEMORY_SLACK_MIB + MEMORY_A_CONNECTION_MIB * args.connections or after[1] > before[1]:
        yield "memory (MiB) and sockets were %s and are %s" % (before, after)
    frame.stop(server)
    sender.check(server.data)


def run(args):
    print("overload: seed %d, %d connections, %g s each" % (args.seed, args.connections, args.seconds), flush=True)
    with frame.service("overload", args.seed, lambda data: load.server(data, planted=args.planted)) as server, \
            load.Sender(seed=args.seed, port=server.port, connections=args.connections, late_ms=args.late_ms,
                        unique=20000000) as sender:
        server.start()
        frame.pin(server.process, 0)
        frame.pin(sender.process, 1)
        findings = list(overload(args, server, sender))
        if findings:
            raise load.Breach("; ".join(findings))


def options(args=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--width", type=int, default=256, help="connections that make the peak")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--times", type=float, default=3)
    parser.add_argument("--late-ms", type=int, default=1000)
    parser.add_argument("--goodput", type=float, default=0, help="0: any; a busy machine is no finding")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", help="a bug of core/base/planted.h")
    return parser.parse_args(args)


if __name__ == "__main__":
    run(options())
