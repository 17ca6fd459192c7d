#!/usr/bin/env python3
"""Sends three times what the server can take, from senders that do not wait.

    tests/load/overload.py                                              a few seconds (what tools/test runs)
    tests/load/overload.py --seconds 20 --goodput 0.9                   the long form
    tests/load/overload.py --seconds 20 --requests 10000000             and ten million requests

First as fast as answers come, which is the peak rate; then at --times that rate,
whether answers come or not. What gets a 200 in that time is the goodput; the
rest gets 503, or was never sent because every connection had waited for
--late-ms (it is given up then, as a vendor's time limit would). All that was
acknowledged must be in the log once, no answer may be anything but 200 and 503,
and afterwards the server serves at once and holds no more descriptors and
memory than before. With --goodput, the share of the peak that must be reached.
Server and senders run on a processor of their own where there are two.
Prints the seed, counts and a verdict.
"""

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sender as load  # noqa: E402
from crowd import memory_mib, sockets  # noqa: E402

MEMORY_SLACK_MIB = 64


def pin(pid, number):
    """Keeps a process with all its threads on one processor, where there are two."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) >= 2:
        for thread in os.listdir("/proc/%d/task" % pid):
            os.sched_setaffinity(int(thread), {processors[number]})


def measure(sender, seconds):
    """Counts of a stretch of time, and its length."""
    before, began = sender.call("reset"), time.monotonic()
    time.sleep(seconds)
    after, took = sender.call("stats"), time.monotonic() - began
    counts = {name: after[name] - before[name] for name in ("sent", "acked", "answered", "unanswered", "refused")}
    return counts, after, took


def hammer(sender, server, requests):
    """So many requests as fast as answers come. Memory and descriptors after a tenth of them and at the end."""
    seen = []
    start = sender.call("stats")["sent"]
    for share in (0.1, 1):
        while sender.call("stats")["sent"] - start < requests * share:
            time.sleep(0.2)
        seen.append((memory_mib(server.process.pid), len(os.listdir("/proc/%d/fd" % server.process.pid))))
    return seen


def overload(args, server, sender):
    """Yields what is wrong, a line each."""
    server.start()
    pin(server.process.pid, 0)
    pin(sender.process.pid, 1)
    sender.call("wait 1000")
    counts, _, took = measure(sender, args.seconds)
    peak = counts["answered"] / took
    before = memory_mib(server.process.pid), sockets(server.process.pid)
    print("overload: peak %.0f webhooks a second" % peak, flush=True)
    sender.call("rate %d" % (peak * args.times))
    time.sleep(1)
    counts, after, took = measure(sender, args.seconds)
    goodput = counts["answered"] / took
    print("overload: at %g times the peak %.0f/s acknowledged (%.0f %% of the peak), %.0f/s refused with 503, "
          "%.0f/s given up unsent, %d without an answer; p50 %.0f ms, p99 %.0f ms; memory %.0f MiB" % (
              args.times, goodput, 100 * goodput / peak, counts["refused"] / took, after["given_up"] / took,
              counts["unanswered"], after["ok_us"]["p50"] / 1000, after["ok_us"]["p99"] / 1000,
              memory_mib(server.process.pid)), flush=True)
    if counts["unanswered"]:
        yield "%d requests had no answer" % counts["unanswered"]
    if args.goodput and goodput < args.goodput * peak:
        yield "goodput is %.0f %% of the peak" % (100 * goodput / peak)
    sender.call("rate 0")
    sender.call("wait 1000", timeout_s=30)  # it serves at once
    if args.requests:
        seen = hammer(sender, server, args.requests)
        print("overload: memory (MiB) and descriptors after a tenth of %d requests and at the end: %s" % (
            args.requests, seen), flush=True)
        if seen[1][0] > seen[0][0] + MEMORY_SLACK_MIB or seen[1][1] > seen[0][1] + 8:
            yield "memory or descriptors grow: %s" % seen
    sender.call("pause")
    after = memory_mib(server.process.pid), sockets(server.process.pid)
    if after[0] > before[0] + MEMORY_SLACK_MIB or after[1] > before[1]:
        yield "memory and sockets were %s and are %s" % (before, after)
    if server.stop() != 0:
        yield "the stop ended with %s" % server.process.returncode
    sender.check(server.data)


def run(args, seed):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("overload: seed %d, %d connections, %g s each" % (seed, args.connections, args.seconds), flush=True)
    data = tempfile.mkdtemp(prefix="lulab-overload-")
    server = load.server(data, planted=args.planted)
    try:
        with load.Sender(seed=seed, port=server.port, connections=args.connections, late_ms=args.late_ms,
                         unique=20000000) as sender:
            findings = list(overload(args, server, sender))
        if findings:
            raise load.Breach("; ".join(findings))
    except BaseException:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        print("overload: FAILED, seed %d, data kept in %s" % (seed, data), flush=True)
        raise
    shutil.rmtree(data)
    os.unlink(server.log_path)
    print("overload: ok", flush=True)


def options(args=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--times", type=float, default=3)
    parser.add_argument("--late-ms", type=int, default=1000)
    parser.add_argument("--goodput", type=float, default=0, help="0: any; a busy machine is no finding")
    parser.add_argument("--requests", type=int, default=0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--planted", help="a bug of core/base/planted.h")
    return parser.parse_args(args)


def main():
    args = options()
    run(args, args.seed if args.seed is not None else random.SystemRandom().getrandbits(31))


if __name__ == "__main__":
    main()
