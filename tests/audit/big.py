#!/usr/bin/env python3
"""A log as big as the figures are about: verified in bounded memory, exported although it is cut off, verified again.

    tests/audit/big.py [--events N] [--dir DIR] [--keep] [--seed S]
    tests/audit/big.py --events 10000000 --dir /var/tmp/big --keep     the long form, 13 GB and about ten minutes

makes a log of N records of about 545 bytes in DIR/data, in pieces of a million, going on with what is there;
verifies the data directory; exports it to DIR/export, killing the export several times on the way; compares the result
with an export of one go (by a digest over names and bytes; N up to a million, else with the log's own root alone), and verifies
it. It tells seconds and the memory that was not a map of the store's file (RssAnon), whose greatest must stay below
64 MiB. The seconds are told, not judged: only somebody who has the machine alone can judge them."""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LULAB = os.environ.get("LULAB", "build/lulab")
MAKE_LOG = os.environ.get("MAKE_LOG", "build/tests/make_log")
ANON_MAX_KIB = 64 * 1024


class Failed(Exception):
    pass


def anon_kib(pid):
    try:
        with open("/proc/%d/status" % pid, encoding="ascii") as f:
            return next((int(line.split()[1]) for line in f if line.startswith("RssAnon")), 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def watched(*args):
    """Runs it; (what it printed, seconds, KiB of its own memory at the most)."""
    began, most = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(args, stdout=out, stderr=subprocess.PIPE, text=True)
        while True:
            most = max(most, anon_kib(process.pid))
            try:
                _, errors = process.communicate(timeout=0.05)
                break
            except subprocess.TimeoutExpired:
                pass
        seconds = time.monotonic() - began
        out.seek(0)
        text = out.read()
    if process.returncode != 0:
        raise Failed("%s: exit %d: %s" % (" ".join(args[:3]), process.returncode, (text + errors)[-2000:]))
    return text, seconds, most


def size_of(data):
    if not os.path.exists(os.path.join(data, "log")):
        return 0
    return json.loads(watched(LULAB, "log", "stats", "--json", "--data", data)[0])["size"]


def make(data, events):
    have = size_of(data)
    while have < events:
        some = min(1000000, events - have)
        done = subprocess.run([MAKE_LOG, data, str(some), "0", "65536"], env=dict(os.environ, MAKE_LOG_PAD="1"))
        if done.returncode != 0:
            raise Failed("make_log: exit %d" % done.returncode)
        have += some
    return have


def verify(what, events, *args):
    text, seconds, most = watched(LULAB, "log", "verify", "--json", *args)
    summary = json.loads(text)
    print("big: %s verified: %d events, %.1f s, %.1f MiB at the most" % (what, summary["size"], seconds, most / 1024), flush=True)
    if summary["verdict"] != "good" or summary["size"] != events:
        raise Failed("%s: %s of %d events" % (what, summary["verdict"], summary["size"]))
    if most > ANON_MAX_KIB:
        raise Failed("%s: verifying took %d KiB of memory" % (what, most))
    return summary["root"]


def export_cut_off(data, out, events, rng, kills):
    """Killed some times on the way, and finished. Seconds of all of it."""
    began, cut = time.monotonic(), 0
    for n in range(kills):
        # At a moment when something is there: the n-th part of the bundles.
        wanted = int(events / 256 * (n + rng.random()) / (kills + 1))
        process = subprocess.Popen([LULAB, "log", "export", out, "--data", data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and bundles(out) < wanted:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        cut += process.wait() == -signal.SIGKILL
        if os.path.exists(os.path.join(out, "checkpoint")):
            break
    first = os.path.join(out, "tile", "entries", "000")
    # It syncs, and can go on from there, every 4,096 bundles.
    made_at = os.stat(first).st_mtime_ns if bundles(out) > 4096 + 1000 else None
    text, _, most = watched(LULAB, "log", "export", out, "--data", data)
    seconds = time.monotonic() - began
    print("big: exported, cut off %d times: %.1f s in all, %.1f MiB at the most: %s" % (cut, seconds, most / 1024, text.strip()), flush=True)
    if cut == 0:
        raise Failed("no export was cut off")
    if made_at is not None and os.stat(first).st_mtime_ns != made_at:
        raise Failed("the export did not go on from where it was cut off")
    if most > ANON_MAX_KIB:
        raise Failed("exporting took %d KiB of memory" % most)


def bundles(out):
    """About how many there are: directories are of up to 1,000."""
    top = os.path.join(out, "tile", "entries")
    try:
        names = os.listdir(top)
    except FileNotFoundError:
        return 0
    groups = sorted(n for n in names if n.startswith("x"))
    if not groups:
        return len(names)
    return 1000 * (len(groups) - 1) + len(os.listdir(os.path.join(top, groups[-1])))


def digest(top):
    h = hashlib.sha256()
    for directory, names, files in os.walk(top):
        names.sort()
        for name in sorted(files):
            path = os.path.join(directory, name)
            with open(path, "rb") as f:
                h.update(os.path.relpath(path, top).encode() + b"\0" + f.read() + b"\0")
    return h.hexdigest()


def run(args, top):
    data, out, whole = (os.path.join(top, name) for name in ("data", "export", "whole"))
    began = time.monotonic()
    events = make(data, args.events)
    print("big: %d events in %s, %.0f s" % (events, data, time.monotonic() - began), flush=True)
    root = verify("the data directory", events, "--data", data)
    shutil.rmtree(out, ignore_errors=True)
    export_cut_off(data, out, events, random.Random(args.seed), 3)
    if verify("the export", events, "--export", out, "--key", os.path.join(data, "log.vkey")) != root:
        raise Failed("the export has another root")
    if events <= 1000000:
        watched(LULAB, "log", "export", whole, "--data", data)
        if digest(out) != digest(whole):
            raise Failed("an export that was cut off differs from one that was not")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--events", type=int, default=60000)
    parser.add_argument("--dir", help="default: a temporary directory")
    parser.add_argument("--keep", action="store_true", help="leave it there")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    top = args.dir or tempfile.mkdtemp(prefix="lulab-big-", dir="/var/tmp")
    try:
        run(args, top)
        print("big: ok, seed %d, %d events" % (args.seed, args.events))
        return 0
    except Failed as e:
        print("big: FAILED, seed %d: %s" % (args.seed, e))
        return 1
    finally:
        if not args.keep:
            shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
