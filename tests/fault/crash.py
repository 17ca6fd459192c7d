#!/usr/bin/env python3
"""Kills `lulab serve` with SIGKILL at random moments under full load and looks what is left.

    tests/fault/crash.py [--rounds 200] [--seed N] [--threads 16]

After the rounds, and at every restart in between, this must hold:
every acknowledged webhook is in the log exactly once, the log verifies, every
read model equals its rebuild, and a repeat of an acknowledged webhook is
recognised. Prints the seed, counts and a verdict; the same seed gives the same
moments and the same events.
"""

import argparse
import collections
import http.client
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402

EVENTS = ["meeting.started", "meeting.participant-joined", "meeting.participant-left", "meeting.end"]


class Load:
    """Senders that post unique webhooks until told to stop, and note each acknowledgement."""

    def __init__(self, server, threads, round_no, rng):
        self.server, self.round = server, round_no
        self.acked, self.unknown = [], []
        self.stop = threading.Event()
        seeds = [rng.getrandbits(32) for _ in range(threads)]
        self.threads = [threading.Thread(target=self.run, args=(i, s)) for i, s in enumerate(seeds)]
        for t in self.threads:
            t.start()

    def run(self, number, seed):
        rng = random.Random(seed)
        connection, count = None, 0
        while not self.stop.is_set():
            trace = "r%d-t%d-n%d" % (self.round, number, count)
            count += 1
            event = harness.meeting_event(rng.choice(EVENTS), trace, "m-%d" % rng.randrange(40),
                                          operate_time=1767051029171 + rng.randrange(3600000))
            headers, body = harness.signed_request(event)
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
                connection.request("POST", "/webhooks/tencent", body, headers)
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException):
                self.unknown.append(trace)
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.002)
                continue
            if response.status == 200 and answer == harness.ACK:
                self.acked.append((trace, event))
            elif response.status != 503:
                raise SystemExit("answer %d %r" % (response.status, answer))

    def finish(self):
        self.stop.set()
        for t in self.threads:
            t.join()


def stored_traces(data):
    """trace id -> how often, read from the log's own bytes with the CLI, the server being down."""
    out = harness.lulab("log", "tail", "--data", data, "--json", "--limit", "1000000000").stdout
    traces = collections.Counter()
    expected = 0
    for line in out.splitlines():
        entry = json.loads(line)
        if int(entry["sequence"]) != expected:
            raise AssertionError("position %s where %d was due" % (entry["sequence"], expected))
        expected += 1
        trace = entry["data"].get("trace_id")
        if trace:
            traces[trace] += 1
    return traces


def check_stopped(data, acked):
    traces = stored_traces(data)
    lost = [t for t in acked if traces[t] == 0]
    twice = [t for t, n in traces.items() if n > 1]
    if lost or twice:
        raise AssertionError("lost %d %s, twice %d %s" % (len(lost), lost[:3], len(twice), twice[:3]))
    harness.lulab("log", "verify", "--data", data)
    harness.lulab("projection", "verify", "--data", data)
    return len(traces)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--check-every", type=int, default=50, help="full check after so many rounds")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(32)
    rng = random.Random(seed)
    data = tempfile.mkdtemp(prefix="lulab-crash-")
    print("crash: seed %d, %d rounds, %d senders, data in %s" % (seed, args.rounds, args.threads, data))
    acked, unknown, began = {}, 0, time.monotonic()
    try:
        for number in range(args.rounds):
            server = harness.Server(data=data)
            server.start()
            if acked:
                trace = rng.choice(sorted(acked))
                again = server.post_event(acked[trace])
                if again.status != 200 or again.body != harness.ACK:
                    raise AssertionError("repeat of %s: %d %r" % (trace, again.status, again.body))
            load = Load(server, args.threads, number, rng)
            time.sleep(rng.uniform(0.01, 0.6))
            server.kill()
            load.finish()
            acked.update(load.acked)
            unknown += len(load.unknown)
            if (number + 1) % args.check_every == 0 or number + 1 == args.rounds:
                stored = check_stopped(data, acked)
                print("crash: round %d: %d acknowledged, %d stored, %d unanswered" % (
                    number + 1, len(acked), stored, unknown), flush=True)
        if len(acked) < args.rounds:
            raise AssertionError("only %d acknowledgements: the load did not run" % len(acked))
    except BaseException:
        print("crash: FAILED, seed %d, data kept in %s" % (seed, data))
        raise
    shutil.rmtree(data)
    os.unlink(data + ".stderr")
    print("crash: ok, %d kills, %d acknowledged, 0 lost, 0 twice, %.0f s" % (
        args.rounds, len(acked), time.monotonic() - began))


if __name__ == "__main__":
    main()
