"""Commands tests/load/sender.c, which sends webhooks without a pause and over any number of restarts
of the server, remembers every acknowledgement, and holds the log of a stopped server against it."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import frame  # noqa: E402
from frame import Breach, harness  # noqa: E402, F401

SENDER = frame.program("SENDER", "sender")

# What the server must be told, that it accepts what the sender signs (tools/bench_webhook.h).
SERVER_ENV = {
    "TENCENT_MEETING_TOKEN": "benchTokenBenchToken0001",
    "TENCENT_MEETING_ENCODING_AES_KEY": "benchKeyBenchKeyBenchKeyBenchKeyBenchKey00A",
    "LULAB_LOG_LEVEL": "warn",
}


class Sender(frame.Commanded):
    """options: those at the top of sender.c. Use as a context manager."""

    def __init__(self, **options):
        super().__init__(SENDER, options)

    def answer(self, timeout_s=120):
        answer = super().answer(timeout_s)
        if answer["wrong"]:
            raise Breach("%d answers were neither 200 nor 503 but %d" % (answer["wrong"], answer["wrong_status"]))
        return answer

    def check(self, data):
        """The server of this data directory is stopped: is everything acknowledged in its log, once?"""
        return self.call("check " + os.path.join(data, "log"))


def server(data, planted=None, env=None, port=None, args=()):
    """Like harness.Server, for what the sender sends."""
    return harness.Server(data=data, env={**SERVER_ENV, **(env or {})}, port=port, args=args, planted=planted)


def check_stopped(data, positions):
    """The slow checks, by the program's own tools: the log verifies, every read model equals its rebuild,
    and the entries as they are exported have every position once. Returns the number of webhooks."""
    done = harness.lulab("log", "tail", "--json", "--from", "0", "--limit", "1000000000", "--data", data)
    webhooks = set()
    for expected, line in enumerate(done.stdout.splitlines()):
        entry = json.loads(line)
        if int(entry["sequence"]) != expected:
            raise Breach("position %s where %d was due" % (entry["sequence"], expected))
        trace = entry["data"].get("trace_id")
        if trace in webhooks:
            raise Breach("%s is in the log twice" % trace)
        if trace:
            webhooks.add(trace)
    if expected + 1 != positions:
        raise Breach("%d positions where %d were seen" % (expected + 1, positions))
    for command in (["log", "verify"], ["projection", "verify"]):
        done = harness.lulab(*command, "--data", data, check=False)
        if done.returncode != 0:
            raise Breach("lulab %s: %s%s" % (" ".join(command), done.stdout[-600:], done.stderr[-600:]))
    return len(webhooks)
