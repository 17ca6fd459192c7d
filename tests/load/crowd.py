#!/usr/bin/env python3
"""A crowd of connections that mean no good, while good webhooks arrive: the good ones notice nothing
and every bad one is dropped by its limit.

    tests/load/crowd.py                                    1,500 connections (what tools/test runs)
    tests/load/crowd.py --connections 12000 --seconds 30 --rate 500 --p99-ms 50 --memory-mib 300

A third of the crowd sends a head, a third a body, a byte now and then; a third
asks for much and reads nothing. Whoever is dropped comes back, until the time
is over; then the last ones are waited for. Good webhooks come at an even rate,
their time counted from when they were due. All of them must be acknowledged at
the first try and be in the log once; slow senders must have been told 408; the
memory of the server, file maps not counted, stays below --memory-mib, and with
--p99-ms the good ones' time below that. Prints the seed, counts and a verdict.
"""

import argparse
import collections
import os
import random
import resource
import select
import shutil
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sender as load  # noqa: E402

DRIP_S = 2.0
HEAD = b"POST /webhooks/tencent HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"x" * 400
BODY = b"POST /webhooks/tencent HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n{\"data\":\"" + b"x" * 400
ASK = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 100
KINDS = {"slow head": HEAD, "slow body": BODY, "slow reader": ASK}
AT_ONCE = {"slow head": 50, "slow body": 80, "slow reader": len(ASK)}


class Guest:
    """One bad connection."""

    def __init__(self, kind, port):
        self.kind = kind
        self.sent = 0
        self.got = b""
        self.due = 0.0
        self.socket = socket.socket()
        if kind == "slow reader":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))

    def drip(self, now):
        """Says a little more."""
        text = KINDS[self.kind]
        n = AT_ONCE[self.kind] if self.sent == 0 else 1
        try:
            if self.sent < len(text):
                self.sent += self.socket.send(text[self.sent:self.sent + n])
        except BlockingIOError:
            pass
        except OSError:
            while self.kind != "slow reader" and self.hears() and self.got == b"":
                pass  # what it was told before
            return False
        self.due = now + DRIP_S
        return True

    def hears(self):
        """What a sender is told before it is dropped. False at the end."""
        try:
            got = self.socket.recv(4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.got += got
        return got != b""


class Crowd(threading.Thread):
    """Comes, and comes back until `leave` is set; ends when all are dropped."""

    def __init__(self, n, port, rng):
        super().__init__()
        self.n, self.port, self.rng = n, port, rng
        self.epoll = select.epoll()
        self.here = {}  # file descriptor -> guest
        self.guests = collections.deque()  # in the order in which they are due
        self.opened = collections.Counter()
        self.dropped = collections.Counter()
        self.told = collections.Counter()  # dropped with a 408
        self.most = 0
        self.leave = threading.Event()
        self.over = threading.Event()  # the server holds none any more
        self.trouble = None

    def invite(self, kind):
        guest = Guest(kind, self.port)
        guest.due = time.monotonic() + self.rng.uniform(0.05, 0.2)
        # One that does not read notices nothing but the reset (EPOLLERR and EPOLLHUP always tell).
        self.epoll.register(guest.socket, 0 if kind == "slow reader" else select.EPOLLIN)
        self.here[guest.socket.fileno()] = guest
        self.guests.append(guest)
        self.opened[kind] += 1

    def gone(self, guest):
        del self.here[guest.socket.fileno()]
        guest.socket.close()
        self.dropped[guest.kind] += 1
        self.told[guest.kind] += guest.got.startswith(b"HTTP/1.1 408 ")
        guest.socket = None
        if not self.leave.is_set():
            self.invite(guest.kind)

    def turn(self):
        now = time.monotonic()
        while self.guests and self.guests[0].due <= now:
            guest = self.guests.popleft()
            if guest.socket is None:
                continue
            if guest.drip(now):
                self.guests.append(guest)
            else:
                self.gone(guest)
        for number, _ in self.epoll.poll(0.02):
            guest = self.here[number]
            if guest.kind == "slow reader" or not guest.hears():
                self.gone(guest)
        self.most = max(self.most, len(self.here))

    def run(self):
        try:
            kinds = list(KINDS)
            for i in range(self.n):
                self.invite(kinds[i % len(kinds)])
                if i % 100 == 99:
                    self.turn()
            while self.here and not self.over.is_set():
                self.turn()
            for guest in list(self.here.values()):  # dropped, but it did not listen
                self.gone(guest)
        except BaseException as e:
            self.trouble = e
            raise


def memory_mib(pid):
    """What the process holds, file maps not counted."""
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon")) / 1024


def sockets(pid):
    """How many the process holds."""
    n = 0
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            n += os.readlink("/proc/%d/fd/%s" % (pid, name)).startswith("socket:")
        except OSError:
            pass  # closed just now
    return n


def watch(server, until, seconds):
    """Until it is so, or the time is over. Whether it is so, and the most memory seen."""
    most, end = 0, time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        most = max(most, memory_mib(server.process.pid))
        time.sleep(0.2)
    return until(), most


def judge(args, good, crowd, memory):
    """What is wrong, a line each."""
    for kind in ("slow head", "slow body"):
        if crowd.told[kind] < crowd.dropped[kind]:
            yield "%s: only %d of %d were told 408" % (kind, crowd.told[kind], crowd.dropped[kind])
    if crowd.most < args.connections * 9 // 10:
        yield "only %d bad connections at once" % crowd.most
    if good["refused"] or good["unanswered"] or good["ok_us"]["n"] == 0:
        yield "good webhooks: %d acknowledged, %d refused, %d without an answer" % (
            good["acked"], good["refused"], good["unanswered"])
    if memory > args.memory_mib:
        yield "%.0f MiB of memory" % memory
    if args.p99_ms and good["ok_us"]["p99"] > args.p99_ms * 1000:
        yield "p99 of good webhooks is %.1f ms" % (good["ok_us"]["p99"] / 1000)


def attack(args, server, sender, seed):
    """The crowd comes and goes. What the good ones and the crowd met, and the most memory."""
    server.start()
    sender.call("wait 500")
    sender.call("reset")
    good_ones = sockets(server.process.pid)
    crowd = Crowd(args.connections, server.port, random.Random(seed))
    crowd.start()
    _, memory = watch(server, lambda: not crowd.is_alive(), args.seconds)
    crowd.leave.set()
    dropped, memory_after = watch(server, lambda: sockets(server.process.pid) <= good_ones, args.drop_s)
    good = sender.call("stats")
    crowd.over.set()
    crowd.join(60)
    if not dropped or crowd.is_alive() or crowd.trouble:
        raise load.Breach("the crowd was not dropped within %d s: the server has %d sockets, %d without it; %s" % (
            args.drop_s, sockets(server.process.pid), good_ones, crowd.trouble))
    sender.call("pause")
    if server.stop() != 0:
        raise load.Breach("the stop ended with %s" % server.process.returncode)
    sender.check(server.data)
    return good, crowd, max(memory, memory_after)


def run(args, seed):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    args.connections = min(args.connections, hard // 5 * 4 - 100)
    print("crowd: seed %d, %d bad connections for %g s, %d good webhooks a second" % (
        seed, args.connections, args.seconds, args.rate), flush=True)
    data = tempfile.mkdtemp(prefix="lulab-crowd-")
    server = load.server(data, planted=args.planted)
    try:
        with load.Sender(seed=seed, port=server.port, connections=32, unique=1000000, rate=args.rate) as sender:
            good, crowd, memory = attack(args, server, sender, seed)
        print("crowd: at most %d at once; opened %s, dropped %s, told 408 %s; memory %.0f MiB" % (
            crowd.most, dict(crowd.opened), dict(crowd.dropped), dict(crowd.told), memory))
        print("crowd: good: %d acknowledged, p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, longest %.1f ms" % (
            (good["acked"],) + tuple(good["ok_us"][k] / 1000 for k in ("p50", "p99", "p999", "max"))), flush=True)
        findings = list(judge(args, good, crowd, memory))
        if findings:
            raise load.Breach("; ".join(findings))
    except BaseException:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        print("crowd: FAILED, seed %d, data kept in %s" % (seed, data), flush=True)
        raise
    shutil.rmtree(data)
    os.unlink(server.log_path)
    print("crowd: ok", flush=True)


def options(args=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rate", type=int, default=100, help="good webhooks a second")
    parser.add_argument("--memory-mib", type=float, default=300)
    parser.add_argument("--p99-ms", type=float, default=0, help="0: any; a busy machine is no finding")
    parser.add_argument("--drop-s", type=int, default=100, help="all are dropped so long after the last came")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--planted", help="a bug of core/base/planted.h")
    return parser.parse_args(args)


def main():
    args = options()
    run(args, args.seed if args.seed is not None else random.SystemRandom().getrandbits(31))


if __name__ == "__main__":
    main()
