#!/usr/bin/env python3
"""Moves the wall clock under the loaded service: an hour forward, an hour back, standing still, slowly
and at a restart; nothing but the stamps may notice.

    tests/fault/clock.py [--steps 8] [--seed N]          (what tools/test runs)
    tests/fault/clock.py --steps 200                     the long form, some minutes

After every step and while it lasts: webhooks are acknowledged, the log is
signed up to its new size, read models follow, the rate limit counts on as if
nothing had happened, a request that never ends is dropped. Every fourth step
comes with a SIGKILL. At the end: recorded time never falls, everything
acknowledged is there once, and a rebuild under the true clock gives the same
read models. --planted NAME runs a program with that bug.
"""

import argparse
import json
import os
import random
import shutil
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "load"))
import sender as load  # noqa: E402
from sender import harness  # noqa: E402

WRONG_CLOCK_SO = os.environ.get("WRONG_CLOCK_SO", os.path.join(os.path.dirname(load.SENDER), "libwrong_clock.so"))
HOUR_US = 3600 * 1000000
RATE_LIMIT = 1000000


class Clock:
    """The wall clock of the server."""

    def __init__(self, path):
        self.path = path
        self.set(0, 0)

    def set(self, offset_us, frozen_us):
        with open(self.path + ".new", "w") as f:
            f.write("%d %d" % (offset_us, frozen_us))
        os.rename(self.path + ".new", self.path)

    def step(self, number, rng):
        """To somewhere else; says where."""
        offset = [HOUR_US, -HOUR_US, rng.randrange(-HOUR_US, HOUR_US)][number % 3]
        frozen = number % 4 == 2
        self.set(offset, int(time.time() * 1e6) + offset if frozen else 0)
        return "%+.0f s%s" % (offset / 1e6, ", standing still" if frozen else "")


def metric(server, name):
    for line in server.get("/metrics", token=None).body.decode().splitlines():
        if line.startswith(name) and line[len(name)] in " {":
            return float(line.split()[-1])
    raise AssertionError("no metric %s" % name)


def reach(what, check):
    try:
        return harness.eventually(check, timeout_s=120)
    except AssertionError:
        raise load.Breach("%s, not within 30 s" % what) from None


class Watch:
    """What must go on whatever the clock shows. One for each life of the server."""

    def __init__(self, server):
        self.server = server
        self.remaining = None
        # Read models are opened, or made, while webhooks are taken already.
        reach("the service is ready", lambda: server.get("/readyz", token=None).status == 200)
        self.idle = socket.create_connection(("127.0.0.1", server.port))
        self.idle.settimeout(30)

    def look(self):
        server = self.server
        size = metric(server, "lulab_log_events")
        reach("the log is signed", lambda: metric(server, "lulab_log_signed_events") >= size)
        tries, answer = 0, None

        def follows():
            """A 503 asks to come again; on a busy machine read models are the last to get a processor."""
            nonlocal tries, answer
            tries += 1
            answer = server.get("/api/v1/meetings?limit=1", headers={"Lulab-Min-Position": "%d" % (size - 1)})
            return answer.status != 503

        reach("read models follow", follows)
        if answer.status != 200:
            raise load.Breach("read models do not follow: %d %s" % (answer.status, answer.body[:200]))
        remaining = int(answer.getheader("X-RateLimit-Remaining"))
        if self.remaining is not None and remaining != self.remaining - tries:
            raise load.Breach("the rate limit went from %d to %d in %d requests" % (self.remaining, remaining, tries))
        self.remaining = remaining

    def end(self):
        """Before the server is killed. The connection was idle all the while, or is so long enough now."""
        reach("an idle connection is closed", lambda: self.idle.recv(4096) == b"")
        self.idle.close()


def steps(server, sender, clock, n, rng):
    server.start(wait=False)
    sender.call("wait 20")
    watch = Watch(server)
    for number in range(n):
        where = clock.step(number, rng)
        sender.call("wait %d" % rng.randrange(20, 200))
        watch.look()
        if number % 4 == 3:
            watch.end()
            server.kill()
            sender.check(server.data)
            server.start(wait=False)
            sender.call("wait 20")
            watch = Watch(server)
            where += ", and a kill"
        print("clock: step %d: %s" % (number + 1, where), flush=True)


def check_times(data):
    """Recorded time never falls. The number of events."""
    done = harness.lulab("log", "tail", "--json", "--from", "0", "--limit", "1000000000", "--data", data)
    last, n = "", 0
    for n, line in enumerate(done.stdout.splitlines()):
        entry = json.loads(line)
        if entry["time"] < last:
            raise load.Breach("recorded time falls from %s to %s at position %s" % (last, entry["time"], entry["sequence"]))
        last = entry["time"]
    return n + 1


def run(n, seed, planted=None):
    print("clock: seed %d, %d steps%s" % (seed, n, ", planted %s" % planted if planted else ""), flush=True)
    began = time.monotonic()
    data = tempfile.mkdtemp(prefix="lulab-clock-")
    clock = Clock(data + ".clock")
    server = load.server(data, planted=planted, env={
        "LD_PRELOAD": WRONG_CLOCK_SO, "WRONG_CLOCK": clock.path,
        "LULAB_WEBHOOK_MAX_AGE": "0",  # the vendor's clock stays right
        "LULAB_RATE_LIMIT": "%d" % RATE_LIMIT, "LULAB_RATE_LIMIT_MEETINGS": "%d" % RATE_LIMIT,
        "LULAB_IDLE_TIMEOUT": "5000"})
    try:
        with load.Sender(seed=seed, port=server.port, connections=16, unique=2000000, repeats=200000,
                         rate=400) as sender:
            steps(server, sender, clock, n, random.Random(seed))
            if server.stop() != 0:
                raise load.Breach("the stop ended with %s:\n%s" % (server.process.returncode, server.log()[-2000:]))
            counts = sender.check(data)
        events = check_times(data)
        load.check_stopped(data, counts["position"])
    except BaseException as e:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        print("clock: FAILED, seed %d, data kept in %s" % (seed, data), flush=True)
        if isinstance(e, load.Breach):
            check_times(data)  # a service that found it by itself takes no webhooks any more; this says why
        raise
    shutil.rmtree(data)
    os.unlink(server.log_path)
    os.unlink(clock.path)
    print("clock: ok, %d steps, %d acknowledged, %d events whose time never falls, %.0f s" % (
        n, counts["acked"], events, time.monotonic() - began), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--planted", help="a bug of core/base/planted.h")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(31)
    run(args.steps, seed, args.planted)


if __name__ == "__main__":
    main()
