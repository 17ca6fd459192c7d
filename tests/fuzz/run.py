#!/usr/bin/env python3
"""Searches for inputs that break a parser.

    tests/fuzz/run.py --short                   all targets, so many inputs each (what tools/test runs): about a minute
    tests/fuzz/run.py --seconds 60              all targets, shared out over the processors
    tests/fuzz/run.py --executions 1000000000   until the parsers have run so often in all;
                                                the count is kept, so it can be stopped and resumed
    tests/fuzz/run.py --more 10000000           so many more than that count says
    --fast            with --executions and --more: three rounds of four without sanitizers, some eight times as
                      fast; what brought new coverage is run with them in the fourth, and at the end
    --target NAME     only this one (repeatable)
    --seed N          repeats a run: the same seed and the same build give the same inputs
    --planted         first shows that the search finds the bugs that are planted (core/base/planted.h)
    --build DIR       where the programs are or are to be made (default: build-fuzz, made when absent)
    --state DIR       where the count, new coverage and findings are kept (default: BUILD)

Whatever is found is kept in STATE/fuzz-found; put it into tests/fuzz/corpus/TARGET together with the
repair, and every test run replays it. With --executions new coverage is kept in STATE/fuzz-corpus, and
an input that needs more than 10 ms of processor time, sanitizers included, is a finding too. Such an input, and
one that ran for 20 s, is run again first: that the machine had much else to do, or stood still, is none.
Exit status: 0 nothing found, 1 something found, 2 the search could not be made.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# Longest input worth a try, whether the target counts among the parsers (pure functions, fast) or opens
# files and connections for every input, and how many inputs the short form tries: some four seconds of one
# processor. A number, not a time: only then does a seed repeat a run, whatever else the machine does.
TARGETS = {
    "config": (4096, True, 8000),
    "cookie": (1024, True, 200000),
    "export": (4096, False, 8000),
    "form": (2048, True, 100000),
    "frame": (2048, True, 150000),
    "http": (4096, True, 140000),
    "json": (4096, True, 56000),
    "jwt": (1024, True, 75000),
    "lark": (4096, True, 20000),
    "lmdb": (256, False, 120),
    "note": (4096, True, 320000),
    "query": (2048, True, 120000),
    "readmodel": (256, False, 480),
    "record": (4096, True, 96000),
    "server": (4096, False, 3600),
    "sse": (2048, True, 10000),
    "tencent": (8192, True, 52000),
}
# Bugs that the search must find, each in the program with its bug.
PLANTED = {
    "config": "value_told",
    "cookie": "cookie_prefix",
    "export": "bundle_overread",
    "form": "form_nul",
    "frame": "frame_overread",
    "http": "http_lenient",
    "json": "json_overread",
    "jwt": "jwt_any_alg",
    "lark": "last_unsorted",
    "lmdb": "pages_unseen",
    "note": "number_zeros",
    "query": "cursor_any_order",
    "readmodel": "gone_is_kept",
    "record": "entry_spaces",
    "server": "head_body",
    "sse": "sse_crlf",
    "tencent": "seconds_only",
}
PLANTED_S = 400  # the longest a planted bug may hide: some minutes where the machine has much else to do, else seconds
SHORT_S_MAX = 400  # ends a target of the short form on a machine that is very slow; there a seed repeats nothing

UNIT_US_MAX = 10000
ALONE_TRIES = 5  # each of them the best of several times (fuzz_entry.c)
ALONE_S = 1800   # where others leave it next to no processor, of which it may have 20 s
ROUND_S = 60  # of the long form: how long one program runs before the count is saved

MESON = ["-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false"]
# The short form does not run for long enough to make up for what more optimization takes to compile.
OPTIMIZED = {True: ["-Doptimization=1", "-Ddebug=true", "-Dc_args=-g1"], False: ["--buildtype=debugoptimized"]}
# What compares with what is recorded in the other rounds only: of bytewise parsers it is half of the time.
FAST = ["-Dfuzz=true", "-Db_lundef=false", "--buildtype=release", "-Dc_args=-fno-sanitize-coverage=trace-cmp"]
FAST_OF = 4  # rounds, all but one of which are fast


def program(build, target):
    return os.path.join(build, "tests", "fuzz", "fuzz_" + target)


def make(build, targets, options):
    """The programs, and nothing else of the project."""
    if not os.path.exists(os.path.join(build, "build.ninja")):
        env = dict(os.environ, CC=os.environ.get("CC", "clang"))
        if shutil.which("ld.lld"):
            env.setdefault("CC_LD", "lld")
        subprocess.run(["meson", "setup", build] + options, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    names = [os.path.relpath(program(build, t), build) for t in targets]
    subprocess.run(["ninja", "-C", build, "--quiet"] + names, check=True, stdout=sys.stderr)


def search(args, target, seconds, seed, long_form, bug=None, runs=None, fast=False):
    """One run of one program: (target, executions, slowest input in us or None, found or None)."""
    max_len = TARGETS[target][0]
    found_dir = os.path.join(args.state, "fuzz-planted" if bug else "fuzz-found")
    os.makedirs(found_dir, exist_ok=True)
    command = [program(args.build_fast if fast else args.build, target + ("_planted" if bug else "")),
               "-seed=%d" % seed, "-max_total_time=%d" % seconds,
               "-max_len=%d" % max_len, "-print_final_stats=1", "-timeout=20", "-rss_limit_mb=2048",
               "-reload=0", "-artifact_prefix=%s/%s-" % (found_dir, target)]
    if runs is not None:
        command.append("-runs=%d" % runs)
    words = os.path.join(HERE, "dict", target + ".dict")
    if os.path.exists(words):
        command.append("-dict=" + words)
    env = dict(os.environ)
    if bug:
        env["PLANTED_BUG"] = bug
    env.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=0:allocator_may_return_null=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    if long_form:
        corpus = os.path.join(args.state, "fuzz-corpus", target)
        os.makedirs(corpus, exist_ok=True)
        command.append(corpus)
        env["FUZZ_UNIT_US_MAX"] = str(UNIT_US_MAX)
    command.append(os.path.join(HERE, "corpus", target))
    if not long_form:
        # New inputs are not kept: the first folder named is the one they would be written to.
        scratch = os.path.join(args.build, "fuzz-scratch", target + (bug or ""))
        os.makedirs(scratch, exist_ok=True)
        for name in os.listdir(scratch):
            os.unlink(os.path.join(scratch, name))
        command.insert(-1, scratch)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    text = done.stdout.decode("utf-8", "replace")
    count = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    slowest = re.search(r"slowest input: (\d+) us", text)
    found = None
    if done.returncode != 0:
        kept = re.search(r"Test unit written to (\S+)", text)
        slow = kept and ("-timeout-" in kept.group(1) or "of processor time, more than" in text)
        if long_form and slow and quick_alone(command[0], kept.group(1), env):
            os.unlink(kept.group(1))
            return target, int(count.group(1)) if count else 0, None, None
        found = kept.group(1) if kept else "no input kept"
        log = os.path.join(found_dir, target + ".log")
        with open(log, "w", encoding="utf-8") as f:
            f.write(text)
        found += ", log in " + log
    return target, int(count.group(1)) if count else 0, int(slowest.group(1)) if slowest else None, found


def quick_alone(fuzzer, path, env):
    """Whether an input that took too long does not when it is run by itself, within a few times."""
    for _ in range(ALONE_TRIES):
        try:
            if subprocess.run(["sh", "-c", "ulimit -t 20; exec \"$@\"", "sh", fuzzer, path], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, timeout=ALONE_S).returncode == 0:
                return True
        except subprocess.TimeoutExpired:
            return False  # it waits for something
    return False


def of_parsers(counts, which=lambda target: True):
    return sum(n for t, n in counts.items() if TARGETS[t.split()[0]][1] and which(t))


class Totals:
    """What all runs came to; with a path, over several runs of this script."""

    def __init__(self, path=None):
        self.path = path
        self.executions = {}
        self.now = {}  # of this run of the script alone
        self.slowest = {}
        self.found = []
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                self.executions = json.load(f)

    def add(self, result, fast=False):
        target, executions, slowest, found = result
        counted = target + " fast" if fast else target
        for counts in (self.executions, self.now):
            counts[counted] = counts.get(counted, 0) + executions
        if slowest is not None:
            self.slowest[target] = max(slowest, self.slowest.get(target, 0))
        if found:
            self.found.append((target, found))
        if self.path:
            with open(self.path + ".tmp", "w", encoding="utf-8") as f:
                json.dump(self.executions, f)
            os.replace(self.path + ".tmp", self.path)

    def of_parsers(self):
        return of_parsers(self.executions)

    def of_parsers_now(self):
        return of_parsers(self.now)


def run_all(pool, args, jobs, totals, long_form, fast=False, runs=None):
    tasks = [pool.submit(search, args, t, s, seed, long_form, None, TARGETS[t][2] if args.short else runs, fast)
             for t, s, seed in jobs]
    for task in concurrent.futures.as_completed(tasks):
        result = task.result()
        totals.add(result, fast)
        target, executions, slowest, found = result
        print("%-10s %11d executions, slowest input %s us%s" % (
            target, executions, slowest, "" if not found else "  FOUND " + found), flush=True)


def show_planted(pool, args, targets, seed):
    """The bugs that were not found."""
    tasks = [pool.submit(search, args, t, PLANTED_S, seed, False, PLANTED[t]) for t in targets]
    missed = []
    for task in concurrent.futures.as_completed(tasks):
        target, executions, _, found = task.result()
        if found:
            print("%-10s planted %s: found" % (target, PLANTED[target]), flush=True)
        else:
            print("%-10s planted %s: NOT FOUND in %d executions" % (target, PLANTED[target], executions), flush=True)
            missed.append(PLANTED[target])
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--short", action="store_true")
    amount.add_argument("--seconds", type=float, help="of wall clock, all targets together")
    amount.add_argument("--executions", type=int, help="of the parsers, earlier runs included")
    amount.add_argument("--more", type=int, help="executions of the parsers, than earlier runs made")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS))
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--build", default=os.path.join(ROOT, "build-fuzz"))
    parser.add_argument("--state")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    if args.fast and args.executions is None and args.more is None:
        parser.error("--fast goes with --executions and --more")
    if args.short:
        os.nice(10)  # with what other tests leave of the processors
    args.build = os.path.abspath(args.build)
    args.build_fast = args.build + "-fast"
    args.state = os.path.abspath(args.state or args.build)
    seed = args.seed if args.seed is not None else int(time.time()) % 1000000 + 1
    targets = args.target or sorted(TARGETS)
    counting = args.executions is not None or args.more is not None
    if counting and not args.target:
        targets = [t for t in targets if TARGETS[t][1]]
    try:
        make(args.build, targets + [t + "_planted" for t in targets if args.planted], MESON + OPTIMIZED[args.short])
        if args.fast:
            make(args.build_fast, targets, FAST)
    except (OSError, subprocess.CalledProcessError) as e:
        print("the programs cannot be made: %s" % e, file=sys.stderr)
        return 2

    totals = Totals(os.path.join(args.state, "fuzz-executions.json") if counting else None)
    began = time.time()  # with the planted ones, without building
    missed = []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        if args.planted:
            missed = show_planted(pool, args, targets, seed)
        if args.short:
            run_all(pool, args, [(t, SHORT_S_MAX, seed) for t in targets], totals, False)
        elif args.seconds is not None:
            each = max(1, int(args.seconds * args.jobs / len(targets)))
            run_all(pool, args, [(t, each, seed) for t in targets], totals, False)
        else:
            aim = args.executions if args.more is None else totals.of_parsers() + args.more
            n_rounds = 0
            while totals.of_parsers() < aim and not totals.found:
                n_rounds += 1
                fast = args.fast and n_rounds % FAST_OF != 0
                print("%d of %d executions, seed %d%s" % (totals.of_parsers(), aim, seed, ", fast" if fast else ""), flush=True)
                run_all(pool, args, [(t, ROUND_S, seed) for t in targets], totals, True, fast)
                seed += 1
            if args.fast and n_rounds % FAST_OF != 0 and not totals.found:
                run_all(pool, args, [(t, ROUND_S, seed) for t in targets], totals, True, runs=0)
    idle = [t for t in targets if not any(totals.now.get(n) for n in (t, t + " fast"))] if totals.now or not counting else []
    if counting:
        print("%d executions of parsers, %d with the earlier ones, %d with sanitizers: %s" % (
            totals.of_parsers_now(), totals.of_parsers(), of_parsers(totals.executions, lambda t: not t.endswith(" fast")),
            " ".join("%s %d" % item for item in sorted(totals.executions.items()))))
    print("seed %d: %d executions over %d targets in %d s; %s" % (
        seed, sum(totals.executions.values()), len(targets), time.time() - began,
        "nothing found" if not totals.found and not idle else "FOUND something in " + ", ".join(
            sorted({t for t, _ in totals.found} | set(idle)))))
    if missed:
        print("the search does not find what was planted: " + ", ".join(sorted(missed)))
    return 1 if totals.found or idle or missed else 0


if __name__ == "__main__":
    sys.exit(main())
