#!/usr/bin/env python3
"""The long forms of the instruments (README.md, "Testing and measuring"), a piece at a time.

    tests/long.py --state DIR                     goes on where the last run stopped, until all is done
    tests/long.py --state DIR --minutes 60        begins no piece after an hour
    tests/long.py --state DIR --only crash --only calls
    tests/long.py --state DIR --list              runs nothing: what has been reached, and what is still to do
    --seed N     of a DIR that is new: the same seed, the same pieces
    --go-on      also with instruments whose last piece failed: that piece again, from its seed

Next comes the instrument that has done the smallest part of its pieces. DIR/pieces has a line of JSON for each piece that
ended: its seed, how much it has done, the verdict, seconds and revision; DIR/said what each printed, DIR/fuzz-corpus and
so on what tests/fuzz/run.py goes on from. A piece that is cut off is not counted and comes again. Of two runs at once
one leaves an instrument alone that the other is at.

A piece has FAILED when it ends with another status than 0, and when it does not say that it did as much as it was asked
to: one that did nothing is no proof. Its instrument is left alone until --go-on; the failure stays in the list.

With TMPDIR=/dev/shm most go several times as fast, power thirty times: what a killed process leaves, and what the system
calls of a run allow to be left, is the same there. Only the syncs cost nothing, so what waits for a disk is met less: planted
bugs of that kind may stay unseen (piece 1 of power looks for some).

LULAB, LULAB_PLANTED, LULAB_BUILD_DIR and the like are passed on: whoever builds meanwhile names a build that stays as it
is. Exit status: 0 all that was begun went well and no failure is left, 1 otherwise.
"""

import argparse
import contextlib
import fcntl
import json
import os
import random
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.environ.get("LULAB_BUILD_DIR", os.path.join(ROOT, "build"))


class Instrument:
    """What to run `pieces` times to reach a figure, and how much each time. `count` finds in what it prints the numbers
    that add up to what it did: `size` at least."""

    def __init__(self, unit, pieces, size, command, count, cases=()):
        self.unit, self.pieces, self.size, self.command, self.count, self.cases = unit, pieces, size, command, count, cases

    def arguments(self, piece, seed, state):
        """`seed` is the run's; every piece has one of its own, except where the instrument itself numbers its pieces."""
        words = self.command.format(
            run_seed=seed, seed=piece_seed(seed, piece), first=(piece - 1) * self.size, piece=piece, pieces=self.pieces,
            size=self.size, case=self.cases[piece - 1] if self.cases else "", build=BUILD, state=state).split()
        return ([sys.executable] if words[0].endswith(".py") else []) + words

    def counted(self, said):
        return sum(int(n) for n in re.findall(self.count, said))


def piece_seed(seed, piece):
    return seed + 10000 * piece


CASES = ("tmpfs", "ext4", "nearly-full", "sudden", "sync", "descriptors", "memory", "threads", "map")
INSTRUMENTS = {
    "power": Instrument("states", 20, 50000, "tests/power/power.py --states 1000000 --part {piece}/{pieces} --seed {run_seed}",
                        r"power: ok, (\d+) states"),
    "files": Instrument("states", 4, 700, "tests/power/files.py --states 4000 --seed {seed}", r"files: ok, (\d+) states"),
    "crash": Instrument("kills", 50, 200, "tests/fault/crash.py --rounds {size} --spread 0.2 --epoch 50 --seed {seed}",
                        r"crash: ok, (\d+) kills"),
    "crash_people": Instrument("kills", 10, 120, "tests/fault/crash_people.py --rounds {size} --spread 0.3 --seed {seed}",
                               r"crash_people: ok, (\d+) kills"),
    "deliveries": Instrument("deliveries", 1, 1000000, "tests/load/deliveries.py --deliveries {size} --restarts 20 --seed {seed}",
                             r"deliveries: (\d+) sent"),
    "compare": Instrument("mutations", 12, 1000, "tests/audit/compare.py --mutations {size} --first {first} --seed {run_seed} "
                          "--lulab {build}/lulab --make-log {build}/tests/make_log",
                          r"(\d+) cases from .*: the two verifiers agree"),
    "witness_race": Instrument("requests", 10, 10000, "tests/fault/witness_race.py --requests {size} --seed {seed}",
                               r"(\d+) requests in .*: ok\n"),
    "backup": Instrument("kills", 10, 100, "tests/fault/backup.py --kills 50 --seed {seed}",
                         r"(\d+) (?:backups killed|restores)"),
    "clock": Instrument("steps", 5, 40, "tests/fault/clock.py --steps {size} --seed {seed}", r"clock: ok, (\d+) steps"),
    "calls": Instrument("trials that hit", 10, 100, "tests/fault/calls.py --part path --piece {piece}/{pieces} --seed {seed}",
                        r"calls: path: \d+ trials, (\d+) hit"),
    "calls_start": Instrument("trials that hit", 60, 100, "tests/fault/calls.py --part start --piece {piece}/{pieces} --seed {seed}",
                              r"calls: start: \d+ trials, (\d+) hit"),
    "calls_first": Instrument("trials that hit", 60, 100, "tests/fault/calls.py --part first --piece {piece}/{pieces} --seed {seed}",
                              r"calls: first: \d+ trials, (\d+) hit"),
    "differential": Instrument("requests", 10, 100000, "node tests/differential/differential.mjs --ours {build}/tests/differential/frame "
                               "--requests {size} --seed {seed}", r"(\d+) inputs in .*; 0 differences"),
    "resources": Instrument("cases", len(CASES), 1, "tests/fault/resources.py --rounds 200 --case {case} --seed {seed}",
                            r"resources: ok, seed \d+, (\d+) cases", CASES),
    "soak": Instrument("requests", 1, 10000000, "tests/load/soak.py --requests {size} --seed {seed}", r"soak: (\d+) requests and more"),
    "fuzz": Instrument("executions", 10, 100000000, "tests/fuzz/run.py --fast --more {size} --state {state} --seed {seed}",
                       r"(\d+) executions of parsers, .*\n.*; nothing found"),
}


class State:
    """DIR/pieces. The first line is the seed of all."""

    def __init__(self, where, seed):
        self.where, self.path = os.path.abspath(where), os.path.join(where, "pieces")
        os.makedirs(os.path.join(where, "said"), exist_ok=True)
        if not os.path.exists(self.path):
            self.write({"seed": random.SystemRandom().randrange(1, 10000) if seed is None else seed})
        self.read()

    def read(self):
        """Again before each piece: another run may have added some, and has said so by holding the instrument."""
        with open(self.path, encoding="utf-8") as f:
            first, *self.lines = [json.loads(line) for line in f]
        self.seed = first["seed"]

    @contextlib.contextmanager
    def held(self, name):
        """Whether this run alone has the instrument."""
        with open(os.path.join(self.where, "said", name + ".held"), "w", encoding="utf-8") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine = True
            except OSError:
                mine = False
            yield mine

    def write(self, line):
        with open(self.path, "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")

    def add(self, line):
        self.lines.append(line)
        self.write(line)

    def of(self, name, verdict="ok"):
        return [line for line in self.lines if line["instrument"] == name and line["verdict"] == verdict]

    def failed_last(self, name):
        lines = [line for line in self.lines if line["instrument"] == name]
        return bool(lines) and lines[-1]["verdict"] != "ok"

    def next_piece(self, name, instrument):
        """The first that has not gone well; None when there is none."""
        done = {line["piece"] for line in self.of(name)}
        return next((n for n in range(1, instrument.pieces + 1) if n not in done), None)

    def tell(self, instruments):
        for name, i in instruments.items():
            done, failed = self.of(name), self.of(name, "FAILED")
            print("long: %s: %d of %d pieces, %d %s, %d failed%s, %d s" % (
                name, len(done), i.pieces, sum(line["count"] for line in done), i.unit, len(failed),
                " and not looked at" if self.failed_last(name) else "", sum(line["seconds"] for line in done)))


def revision():
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() or "unknown"


def run(state, name, instrument, piece):
    """One piece; whether it went well."""
    arguments = instrument.arguments(piece, state.seed, state.where)
    said_path = os.path.join(state.where, "said", "%s-%d" % (name, piece))
    print("long: %s, piece %d of %d: %s" % (name, piece, instrument.pieces, " ".join(arguments)), flush=True)
    began = time.monotonic()
    with open(said_path, "w", encoding="utf-8") as said:
        status = subprocess.run(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT).returncode
    with open(said_path, encoding="utf-8", errors="replace") as said:
        count = instrument.counted(said.read())
    good = status == 0 and count >= instrument.size
    state.add({"instrument": name, "piece": piece, "seed": state.seed, "count": count, "verdict": "ok" if good else "FAILED",
               "status": status, "seconds": round(time.monotonic() - began), "revision": revision(), "command": " ".join(arguments)})
    print("long: %s, piece %d: %s, %d %s, %d s%s" % (name, piece, "ok" if good else "FAILED", count, instrument.unit,
                                                    time.monotonic() - began, "" if good else ", see " + said_path), flush=True)
    return good


def go_through(state, instruments, end_s, go_on):
    left = [name for name in instruments if go_on or not state.failed_last(name)]
    while time.monotonic() < end_s:
        nexts = {name: state.next_piece(name, instruments[name]) for name in left}
        nexts = {name: piece for name, piece in nexts.items() if piece is not None}
        if not nexts:
            return
        name = min(nexts, key=lambda n: len(state.of(n)) / instruments[n].pieces)
        with state.held(name) as mine:
            state.read()
            piece = state.next_piece(name, instruments[name])
            if not mine or piece is not None and not run(state, name, instruments[name], piece):
                left.remove(name)


def main(instruments=None):
    instruments = instruments or INSTRUMENTS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--state", required=True)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--only", action="append", choices=sorted(instruments))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--go-on", action="store_true")
    parser.add_argument("--seed", type=int)
    args = parser.parse_args()
    state = State(args.state, args.seed)
    chosen = {name: i for name, i in instruments.items() if not args.only or name in args.only}
    if not args.list:
        go_through(state, chosen, time.monotonic() + 60 * args.minutes, args.go_on)
    state.tell(chosen)
    return 1 if any(state.failed_last(name) for name in chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
