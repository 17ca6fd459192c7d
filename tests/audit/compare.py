#!/usr/bin/env python3
"""Two verifiers, written apart, must say the same of the same export: the verdict, and the first bad index.

    tests/audit/compare.py [--mutations N] [--first CASE] [--seed S] [--only CASE] [--lulab build/lulab]
                           [--make-log build/tests/make_log]

makes two logs (one with blobs, one whose key was changed), exports them, and spoils the exports N times in
every way of mutations.py. Case i of a seed is always the same; --only repeats one. The long form is

    tests/audit/compare.py --mutations 12000 --seed 1

about four minutes; --first goes on from a case, so it can be run in pieces. Exit status 0 when the two agreed on every case. A short form runs in every test run."""

import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mutations  # noqa: E402
import verify  # noqa: E402

STATUS = {"good": 0, "unknown": 1, "bad": 4}


def run(*args, **kwargs):
    return subprocess.run(args, capture_output=True, text=True, timeout=300, **kwargs)


def must(*args):
    done = run(*args)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (args, done.stderr))
    return done


class Pair:
    """Logs to spoil, and both verifiers to ask."""

    def __init__(self, top, lulab, make_log):
        self.lulab = lulab
        self.old_path = os.path.join(top, "old")
        self.logs = [self.make(top, make_log, "plain", 300, 100), self.make(top, make_log, "changed", 280, 70)]
        self.env = dict(os.environ)

    def make(self, top, make_log, name, size, sign_every):
        data, out = os.path.join(top, name), os.path.join(top, name + "-export")
        if name == "plain":
            must(make_log, data, str(size), "7", str(sign_every))
        else:
            half = size // 2
            must(make_log, data, str(half - 1), "0", str(sign_every), "90")  # and log.created
            must(make_log, data, "add-key", "80")
            must(make_log, data, str(size - half - 2), "9", str(sign_every), "70")
            must(make_log, data, "retire-key", "40")
        with open(os.path.join(data, "log.vkey"), encoding="ascii") as f:
            key = f.read().split()[0]
        with open(os.path.join(data, "signer.key"), "rb") as f:
            seed = f.read()
        must(self.lulab, "log", "export", out, "--data", data)
        export = mutations.Export(out, size, sign_every, key, seed)
        export.data = data
        return export

    def ours(self, export, binary=None, planted=None):
        args = [binary or self.lulab, "log", "verify", "--export", export.dir, "--key", export.vkey, "--json"]
        if export.old is not None:
            with open(self.old_path, "wb") as f:
                f.write(export.old)
            args += ["--old-checkpoint", self.old_path]
        done = run(*args, env=dict(self.env, PLANTED_BUG=planted) if planted else self.env)
        try:
            result = json.loads(done.stdout)
        except ValueError as e:
            raise RuntimeError("exit %d: %s" % (done.returncode, done.stderr[-2000:])) from e
        if STATUS[result["verdict"]] != done.returncode:
            raise RuntimeError("%s, but exit status %d" % (result["verdict"], done.returncode))
        return result

    def case(self, seed, number, ways=mutations.WAYS, binary=None, planted=None):
        """(way, verdict, why the two disagree or None)."""
        r = random.Random("%s/%d" % (seed, number))
        way = ways[number % len(ways)]
        export = self.logs[number // len(ways) % len(self.logs)]
        try:
            first = way(export, r)
            ours = self.ours(export, binary, planted)
            theirs = verify.verify(export.dir, export.vkey, export.old)
            may_be_good = export.may_be_good
        finally:
            export.restore()
        why = None
        if (ours["verdict"], ours["firstBad"]) != (theirs["verdict"], theirs["firstBad"]):
            why = "lulab: %s at %s, the other: %s at %s" % (
                ours["verdict"], ours["firstBad"], theirs["verdict"], theirs["firstBad"])
        elif first is not None and ours["firstBad"] != first:
            why = "both name %s, spoiled was %s" % (ours["firstBad"], first)
        elif ours["verdict"] == "good" and not may_be_good:
            why = "both find nothing"
        if why is not None:
            why += "\n  lulab: %s\n  other: %s" % (
                [(f["kind"], f["index"], f["text"]) for f in ours["findings"]][:6], theirs["findings"][:6])
        return way.__name__, ours["verdict"], why


def main():
    parser = argparse.ArgumentParser(description="compare the two verifiers on spoiled exports", allow_abbrev=False)
    parser.add_argument("--mutations", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int)
    parser.add_argument("--lulab", default=os.environ.get("LULAB", "build/lulab"))
    parser.add_argument("--make-log", default=os.environ.get("MAKE_LOG", "build/tests/make_log"))
    args = parser.parse_args()
    top = tempfile.mkdtemp(prefix="lulab-compare-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    told, bad, began = collections.Counter(), 0, time.monotonic()
    try:
        pair = Pair(top, args.lulab, args.make_log)
        for number in range(args.first, args.first + args.mutations) if args.only is None else [args.only]:
            way, verdict, why = pair.case(args.seed, number)
            told[verdict] += 1
            if why is not None:
                bad += 1
                print("case %d, %s: %s" % (number, way, why))
    finally:
        shutil.rmtree(top)
    print("seed %s: %d cases from %d, %d ways, %s; %d disagreements, %.0f s: %s" % (
        args.seed, sum(told.values()), args.first, len(mutations.WAYS), dict(told), bad, time.monotonic() - began,
        "FAILED" if bad else "the two verifiers agree"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
