#!/usr/bin/env python3
"""Makes each call that `lulab serve` makes fail: at every ordinal, once and from then on.

    tests/fault/calls.py [--seed N] [--sample N] [--only KIND[,KIND]] [--part path|start|first] [--piece I/N]
                         [--binary PROGRAM]

Parts: `path` accept, append, answer, project of one webhook and a query, in a running service; `start`
the start on data that is there; `first` the start on an empty directory. Without --sample every ordinal is
tried; in a start, of calls made more than 100 times, the first and the last from each place in the program (it allocates
30,000 times, nearly all of it in SQLite and from a few hundred places). With --sample so many trials a part, chosen from
the seed, and those that ever found something (KNOWN). Which calls, and with what they may fail: FAILURES. The failing is done by
fail_calls.c, which counts the calls of each kind from the moment a trial begins.

With the address sanitizer, which also tells what is lost: `ninja -C build-asan tests/lulab_failing`, then
--linked --binary build-asan/tests/lulab_failing.

What must hold is said in faults.py; moreover no trial may leave memory or descriptors behind. Prints
seed, counts and a verdict.
"""

import argparse
import collections
import os
import random
import subprocess
import sys
import time
import zlib

from faults import (EVERY_SECOND, FROM_THEN_ON, MODES, ONCE, RECOVERY_S, Victim, Violation, error_number,
                    harness)

MEMORY = ("ENOMEM",)
# What a call may fail with, by POSIX and Linux, that a healthy program has to expect. An interruption or a
# short count is never for ever: "from then on" is every second call there.
FAILURES = {
    "malloc": MEMORY, "calloc": MEMORY, "realloc": MEMORY, "memalign": MEMORY, "mmap": MEMORY, "mremap": MEMORY,
    "read_file": ("EIO", "EINTR", "short"), "pread": ("EIO", "short"),
    "read_socket": ("ECONNRESET", "ENOMEM", "EAGAIN", "EINTR", "short"), "read_event": ("EINTR",),
    "write_log": ("ENOSPC", "EAGAIN", "EINTR", "short"), "write_file": ("ENOSPC", "EIO", "EINTR", "short"),
    "write_socket": ("EPIPE", "ENOBUFS", "EAGAIN", "EINTR", "short"), "write_event": ("EINTR",),
    "pwrite": ("ENOSPC", "EIO", "short"), "writev_file": ("ENOSPC", "EIO", "short"),
    "writev_socket": ("EPIPE", "EAGAIN", "EINTR", "short"),
    "fsync": ("EIO", "ENOSPC"), "fdatasync": ("EIO", "ENOSPC"), "ftruncate": ("ENOSPC", "EIO"),
    "open": ("EMFILE", "ENOMEM", "EIO", "ENOSPC"), "close": ("EIO", "EINTR"), "lock": ("ENOLCK",),
    "stat": ("EIO", "ENOMEM"), "access": ("EIO",), "unlink": ("EIO",), "rename": ("EIO", "ENOSPC"),
    "link": ("EIO", "ENOSPC"), "mkdir": ("ENOSPC", "EIO"), "rmdir": ("EIO",), "statvfs": ("EIO",),
    "socket": ("EMFILE", "ENOBUFS"), "bind": ("EADDRINUSE",), "listen": ("EADDRINUSE",),
    "accept": ("EMFILE", "ENFILE", "ECONNABORTED", "ENOMEM", "EINTR"), "shutdown": ("ENOTCONN",),
    "setsockopt": ("ENOBUFS",), "sockname": ("ENOBUFS",), "epoll_create": ("EMFILE",),
    "epoll_ctl": ("ENOMEM", "ENOSPC"), "epoll_wait": ("EINTR",), "eventfd": ("EMFILE",), "pipe": ("EMFILE",),
    "thread": ("EAGAIN",),
}
PASSING = ("EINTR", "short", "ECONNABORTED")

# (part, kind, error, mode, ordinal) of what was found and mended; tried in every run.
KNOWN = [
    ("start", "access", "EIO", 1, 6),  # DATA/restored could not be looked at: taken for restored
    ("first", "access", "EIO", 0, 6),
    ("start", "pwrite", "ENOSPC", 0, 23),  # the head of the keys: refused for ever
    ("start", "malloc", "ENOMEM", 1, 22),  # the path of the keys
]


def modes_of(error):
    return (ONCE, EVERY_SECOND) if error in PASSING else (ONCE, FROM_THEN_ON)


class Walk:
    """All trials of one part."""

    # Calls made more often than that are tried by the places they are made from: of a sample, and when all are tried.
    PLACES_SAMPLE = PLACES_EVERY = 100

    def __init__(self, part, **victim):
        self.part, self.with_ = part, victim
        self.tried, self.fired = collections.Counter(), collections.Counter()
        self.ended, self.answers = collections.Counter(), collections.Counter()
        self.violations = []
        self.victim = None
        self.slowest_s = 0.0

    def judge_end(self):
        how = self.victim.ended()
        self.ended[how] += 1
        return how

    def run(self, trials):
        for what in trials:
            kind, error, mode, ordinal = what
            self.tried[kind] += 1
            try:
                fired = self.trial(kind, error, mode, ordinal)
            except Violation as found:
                site = self.victim.control.site()
                self.violations.append((self.part,) + what)
                print("calls: VIOLATION (%r, %r, %r, %d, %d): %s: %s\n  %s" % (
                    self.part, kind, error, mode, ordinal, MODES[mode], found, named(site)), flush=True)
                self.after_violation()
                fired = True
            self.fired[kind] += fired

    def plan(self, only, places_above):
        """kind -> the ordinals worth trying, from watching what one walk does."""
        most, ordinals = collections.Counter(), {}
        for _ in range(3):
            self.watch(self.victim.control.count_from_here)
            for kind, n in self.victim.control.calls().items():
                most[kind] = max(most[kind], n)
        for kind in FAILURES:
            if most[kind] == 0 or (only and kind not in only):
                continue
            if most[kind] > places_above:
                self.watch(lambda k=kind: self.victim.control.note_stacks(self.number(k)))
                self.victim.control.disarm()
                ordinals[kind] = self.victim.control.places()
            else:
                ordinals[kind] = list(range(1, most[kind] + 1))
        print("calls: %s: made %s, to try %s" % (self.part, {k: most[k] for k in ordinals}, {
            k: len(o) for k, o in ordinals.items()}), flush=True)
        return {k: o for k, o in ordinals.items() if o}

    def every(self, plan, piece, pieces):
        """A trial is in the same piece whatever else there is in the plan, which is hardly ever quite the same twice."""
        every = [(kind, error, mode, ordinal) for kind, ordinals in plan.items() for error in FAILURES[kind]
                 for mode in modes_of(error) for ordinal in ordinals]
        self.run([what for what in every if zlib.crc32(repr(what).encode()) % pieces == piece - 1])

    def sample(self, rng, n, plan):
        """n trials; kinds weigh by the root of how many ordinals they have, so that the few are not forgotten."""
        kinds = sorted(plan)
        for kind in rng.choices(kinds, [len(plan[k]) ** 0.5 for k in kinds], k=n):
            error = rng.choice(FAILURES[kind])
            self.run([(kind, error, rng.choice(modes_of(error)), rng.choice(plan[kind]))])

    def number(self, kind):
        return self.victim.control.kinds().index(kind)


class PathWalk(Walk):
    """The path of a webhook through a running service; one process for many trials."""

    PLACES_EVERY = float("inf")
    LEAK_REPEATS, LEAK_ROUNDS = 8, 8  # more events than what the service keeps of the newest ones

    def begin(self):
        self.victim = Victim(**self.with_).start()
        for _ in range(30):  # caches fill
            self.victim.recover(*self.victim.ledger.event("warm"))

    def watch(self, begin):
        begin()
        self.traverse(RECOVERY_S)

    def traverse(self, timeout_s):
        v = self.victim
        name, event = v.ledger.event("path")
        answers = (v.send(name, event, timeout_s), v.read("/api/v1/meetings?limit=3&search=" + name, timeout_s))
        time.sleep(0.002)  # what is done after the answer
        return name, event, answers

    def attempt(self, kind, error, mode, ordinal):
        v = self.victim
        v.control.arm(self.number(kind), ordinal, mode, error_number(error))
        name, event, answers = self.traverse(RECOVERY_S if mode == ONCE else 0.2)
        fired = v.control.disarm_and_look()
        for answer in answers:
            self.answers[answer] += 1
            if answer not in (200, 503, None) and not (answer == "late" and mode != ONCE):
                raise Violation("answered %s: %r" % (answer, v.last_body[:400]))
        took_s = v.recover(name, event, may_end=fired)
        if took_s is None:
            self.judge_end()
            v.again()
            took_s = v.recover(name, event)
        self.slowest_s = max(self.slowest_s, took_s)
        return fired

    def held(self):
        """Blocks and descriptors when nothing goes on."""
        v, last = self.victim, None
        for _ in range(50):
            now = (v.control.blocks(), v.descriptors())
            if now == last:
                break
            last = now
            time.sleep(0.002)
        return now

    def trial(self, kind, error, mode, ordinal):
        before, restarts = self.held(), self.victim.restarts
        fired = self.attempt(kind, error, mode, ordinal)
        if fired and self.victim.restarts == restarts and grown(before, self.held(), 1):
            self.look_for_leak(kind, error, mode, ordinal)
        return fired

    def look_for_leak(self, kind, error, mode, ordinal):
        """What grows with every repeat is lost; what grew once was kept for later."""
        restarts, history = self.victim.restarts, [self.held()]
        for _ in range(self.LEAK_ROUNDS):
            for _ in range(self.LEAK_REPEATS):
                self.attempt(kind, error, mode, ordinal)
            history.append(self.held())
            if self.victim.restarts != restarts or not grown(history[-2], history[-1], self.LEAK_REPEATS - 2):
                return
        raise Violation("left behind, looked at after each %d times: blocks %s, descriptors %s" % (
            self.LEAK_REPEATS, [h[0] for h in history], [h[1] for h in history]))

    def after_violation(self):
        v = self.victim
        v.control.disarm()
        if v.status() is None:
            v.server.kill()
        try:
            v.again()
        except Violation:  # what it left cannot be started on: the rest is tried on new data
            self.begin()

    def end(self):
        stored = self.victim.stop()
        return "%d acknowledged, %d stored, answers %s" % (
            len(self.victim.ledger.acked), stored, dict(self.answers))


def grown(before, after, by):
    return after[0] - before[0] >= by or after[1] - before[1] >= by


class StartWalk(Walk):
    """A start in which a call fails: it starts all the same, or ends with a status and a sentence; the next start works."""

    def begin(self):
        self.victim = Victim(label="start", **self.with_).start()
        for _ in range(30):
            self.victim.recover(*self.victim.ledger.event("before"))
        self.victim.server.kill()

    def watch(self, begin):
        self.prepare()
        begin()
        self.victim.start()
        self.victim.server.kill()

    def prepare(self):
        pass

    def trial(self, kind, error, mode, ordinal):
        v = self.victim
        self.prepare()
        v.control.arm(self.number(kind), ordinal, mode, error_number(error))
        told = os.path.getsize(v.server.log_path)
        v.start(wait=False)
        came = self.wait(mode)
        fired = v.control.disarm_and_look()
        name, event = v.ledger.event("start")
        if v.status() is not None:
            if self.judge_end() != "abort" and os.path.getsize(v.server.log_path) == told and kind != "write_log":
                raise Violation("ended with %s and no word" % v.status())
            v.again()
        elif not came and mode == ONCE:
            raise Violation("neither ready nor ended after %d s" % RECOVERY_S)
        took_s = v.recover(name, event, may_end=fired)
        if took_s is None:  # what failed was found out a moment after it was ready
            self.judge_end()
            v.again()
            took_s = v.recover(name, event)
        self.slowest_s = max(self.slowest_s, took_s)
        v.server.kill()
        return fired

    def wait(self, mode):
        """Ready, ended, or neither for too long."""
        v, began = self.victim, time.monotonic()
        while time.monotonic() - began < (RECOVERY_S if mode == ONCE else 1.0):
            if v.status() is not None or v.read("/readyz", 0.5, token=None) == 200:
                return True
            time.sleep(0.005)
        return False

    def after_violation(self):
        v = self.victim
        v.control.disarm()
        if v.status() is None:
            v.server.kill()

    def end(self):
        self.victim.start()
        return "%d acknowledged, %d stored" % (len(self.victim.ledger.acked), self.victim.stop())


class FirstWalk(StartWalk):
    """The very first start, on an empty directory."""

    def prepare(self):
        subprocess.run(["rm", "-rf", self.victim.data], check=True)
        os.mkdir(self.victim.data)
        self.victim.ledger.acked.clear()


WALKS = {"path": PathWalk, "start": StartWalk, "first": FirstWalk}
SHARES = {"path": 100, "start": 40, "first": 20}  # in hundredths of --sample


def named(site):
    """The program's functions on a stack that fail_calls.c noted."""
    names = []
    for frame in site:
        module, _, offset = frame.partition("+")
        names.append(function_at(int(offset, 16)) if module.startswith("lulab") else frame)
    return " < ".join(names)


_symbols = []


def function_at(offset):
    if not _symbols:
        out = subprocess.run(["nm", "-n", "--defined-only", os.environ.get("CALLS_BINARY") or harness.BINARY],
                             stdout=subprocess.PIPE, text=True).stdout
        _symbols.extend((int(line.split()[0], 16), line.split()[2]) for line in out.splitlines())
    best = [name for at, name in _symbols if at <= offset]
    return best[-1] if best else "lulab+%x" % offset


def run(part, seed, sample=0, only=None, at=None, piece=(1, 1), **victim):
    """One part; its violations."""
    walk, began, verdict = WALKS[part](part, **victim), time.monotonic(), None
    try:
        walk.begin()
        if at:
            walk.run([at])
        elif sample:
            walk.run([known[1:] for known in KNOWN if known[0] == part])
            walk.sample(random.Random("%d %s" % (seed, part)), sample, walk.plan(only, walk.PLACES_SAMPLE))
        else:
            walk.every(walk.plan(only, walk.PLACES_EVERY), *piece)
        try:
            verdict = walk.end()
        except (AssertionError, RuntimeError) as found:
            walk.violations.append((part, "end"))
            print("calls: VIOLATION at the end of %s: %s; data kept in %s" % (part, found, walk.victim.data))
    finally:
        if walk.victim is not None:
            walk.victim.discard(keep=verdict is None)
    print("calls: %s: %d trials, %d hit, ended %s, %d restarts, recovery at most %.2f s, %s, %.0f s" % (
        part, sum(walk.tried.values()), sum(walk.fired.values()), dict(walk.ended), walk.victim.restarts,
        walk.slowest_s, verdict, time.monotonic() - began))
    print("calls: %s: hit per kind %s" % (part, dict(walk.fired)), flush=True)
    return walk.violations


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--sample", type=int, default=0, help="so many trials of the path, and a share of it of starts")
    parser.add_argument("--only", type=lambda s: s.split(","), default=None, help="these kinds of call")
    parser.add_argument("--part", choices=sorted(WALKS), default=None)
    parser.add_argument("--at", type=lambda s: (lambda k, e, m, o: (k, e, int(m), int(o)))(*s.split(",")),
                        default=None, metavar="KIND,ERROR,MODE,ORDINAL", help="one trial, as a violation names it")
    parser.add_argument("--piece", type=lambda s: tuple(int(n) for n in s.split("/")), default=(1, 1), metavar="I/N",
                        help="without --sample: one of N parts of the trials")
    parser.add_argument("--binary", type=os.path.abspath, default=None)
    parser.add_argument("--linked", action="store_true", help="the program has fail_calls.c in it: nothing to preload")
    args = parser.parse_args()
    if args.binary:
        os.environ["CALLS_BINARY"] = args.binary
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(32)
    print("calls: seed %d" % seed, flush=True)
    violations = []
    for part in [args.part] if args.part else sorted(WALKS, reverse=True):
        share = -(-args.sample * SHARES[part] // 100)
        violations += run(part, seed, share, args.only, args.at, args.piece, binary=args.binary,
                          preload="" if args.linked else None)
    print("calls: %s, seed %d, %d violations" % ("FAILED" if violations else "ok", seed, len(violations)))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
