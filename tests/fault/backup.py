#!/usr/bin/env python3
"""Backups and restores killed at random moments, beside a service that writes.

After every kill: what looks like a backup verifies, and has every object that its log names; what looks like a restored log is
whole, and its objects are there; a restore that was killed can be run again, and the service does not start on the half of one.
At the end a backup has everything that was acknowledged before it began.

    tests/fault/backup.py                        the short form
    tests/fault/backup.py --kills 500            the long one
    tests/fault/backup.py --bug backup_in_place  shows that the bug is noticed

Without --bug both planted bugs are shown too, when there is a program that has them (LULAB_PLANTED).
"""

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
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness  # noqa: E402
from harness import lulab  # noqa: E402


APPEND_EVENT = os.environ.get("APPEND_EVENT", os.path.join(os.path.dirname(harness.BINARY), "tests", "append_event"))
# A kill has to come while a planted bug is at work, which may be a small part of the time.
PLANTED_TRIES = 5


class Violation(Exception):
    pass


class Killer:
    """Kills a command somewhere on its way. How long that is changes, with the log and with what else the machine
    does: a command that came to its end says it is shorter, one that did not that it is longer, so that a fifth come to it."""

    def __init__(self, rng, whole_s):
        self.rng, self.span_s, self.through, self.kills = rng, 1.1 * whole_s, 0, 0

    def kill(self, binary, *args, env=None):
        process = subprocess.Popen([binary, "backup", *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        self.kills += 1
        try:
            status = process.wait(self.rng.uniform(0, self.span_s))
            if status != 0 and env is None:
                raise Violation("backup %s ended with %d by itself" % (args[0], status))
            self.through += status == 0
            self.span_s *= 0.7
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.span_s *= 1.1

    def enough(self):
        """Whether some came to their end and some did not, where there were many."""
        return self.kills < 20 or 0 < self.through < self.kills


def timed(*args):
    began = time.monotonic()
    out = lulab("backup", *args).stdout.strip()
    return time.monotonic() - began, out


OBJECTS = {"recordings/%d/video.mp4" % n: bytes([n]) * 40000 * n for n in range(8)}


def store_objects(data):
    """Files, and what the log says of them."""
    harness.Server(data=data).start().stop()
    for n, (key, content) in enumerate(OBJECTS.items()):
        path = os.path.join(data, "objects", key)
        os.makedirs(os.path.dirname(path))
        with open(path, "wb") as f:
            f.write(content)
        told = {"object_id": "%032x" % n, "provider": "LOCAL", "bucket": "", "key": key, "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(), "kind": "VIDEO"}
        subprocess.run([APPEND_EVENT, data, "object.stored", "object/%032x" % n, json.dumps(told, separators=(",", ":"))], check=True,
                       stdout=subprocess.DEVNULL)


def look_at_objects(where):
    for key, content in OBJECTS.items():
        path = os.path.join(where, "objects", key)
        if not os.path.exists(path) or open(path, "rb").read() != content:
            raise Violation("the object %s is not in %s as it was stored" % (key, where))


def look_at_backups(to):
    """Everything there that bears a backup's name must be one."""
    n = 0
    for name in sorted(os.listdir(to)):
        path = os.path.join(to, name)
        if name.endswith(".partial"):
            shutil.rmtree(path)
            continue
        done = lulab("backup", "verify", path, check=False)
        if done.returncode != 0:
            raise Violation("%s looks complete and is not: %s" % (name, done.stderr.strip()))
        look_at_objects(path)
        n += 1
        if n > 2:
            shutil.rmtree(path)
    return n


def look_at_restored(data, good, size):
    """No log, or the whole; and what is not whole can be made so."""
    if os.path.exists(os.path.join(data, "log")):
        done = lulab("log", "verify", "--data", data, "--json", check=False)
        found = json.loads(done.stdout)["records"] if done.stdout else None
        if done.returncode != 0 or found != size:
            raise Violation("a restored log is not whole: %s of %d, exit %d" % (found, size, done.returncode))
        if not os.path.exists(os.path.join(data, "restored")):
            raise Violation("a restored log bears no mark")
        look_at_objects(data)
        return True
    if os.path.exists(os.path.join(data, "restore.tmp")):
        if lulab("serve", "--data", data, "--listen", "127.0.0.1:0", check=False).returncode == 0:
            raise Violation("the service starts on half a restore")
    lulab("backup", "restore", good, "--data", data)
    return look_at_restored(data, good, size)


class Writer:
    """A service that is written to without a pause."""

    def __init__(self, data):
        self.server, self.n, self.stop = harness.Server(data=data).start(), 0, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            if self.server.post_event(harness.meeting_event(trace_id="t-%d" % self.n, meeting_id="m-%d" % (self.n % 50))).status == 200:
                self.n += 1
            time.sleep(0.002)

    def finish(self):
        self.stop.set()
        self.thread.join()
        return self.server.stop()


def kill_backups(rng, top, kills, binary, env):
    data, to = os.path.join(top, "data"), os.path.join(top, "backups")
    store_objects(data)
    writer = Writer(data)
    try:
        while writer.n < 300:
            time.sleep(0.01)
        acknowledged = writer.n
        whole_s, good = timed("create", "--to", to, "--data", data)
        killer = Killer(rng, whole_s)
        for _ in range(kills):
            killer.kill(binary, "create", "--to", to, "--data", data, env=env)
            look_at_backups(to)
    finally:
        code = writer.finish()
    if code != 0:
        raise Violation("the service ended with %s" % code)
    good = os.path.join(to, sorted(os.listdir(to))[0])
    done = lulab("backup", "verify", good)
    records = int(done.stdout.split()[1])
    if records <= acknowledged:
        raise Violation("%d were acknowledged before the backup began, it has %d" % (acknowledged, records))
    return good, records, killer


def kill_restores(rng, top, good, records, kills, binary, env):
    new = os.path.join(top, "new")
    whole_s, _ = timed("restore", good, "--data", new)
    killer = Killer(rng, whole_s)
    for _ in range(kills):
        shutil.rmtree(new)
        killer.kill(binary, "restore", good, "--data", new, env=env)
        if os.path.exists(new):
            look_at_restored(new, good, records)
        else:
            os.mkdir(new)
    return killer


def run(seed, kills, bug=None):
    rng = random.Random(seed)
    top = tempfile.mkdtemp(prefix="lulab-backup-")
    os.mkdir(os.path.join(top, "data"))
    binary = harness.PLANTED if bug else harness.BINARY
    env = dict(os.environ, PLANTED_BUG=bug) if bug else None
    try:
        good, records, made = kill_backups(rng, top, kills, harness.BINARY if bug == "restore_in_place" else binary, env)
        restored = kill_restores(rng, top, good, records, kills, binary, env)
        if bug is None and not (made.enough() and restored.enough()):
            raise Violation("all were killed on their way, or none: %d and %d of %d were through" % (made.through, restored.through, kills))
        return "%d events, %d backups killed (%d were through), %d restores (%d)" % (
            records, kills, made.through, kills, restored.through)
    finally:
        shutil.rmtree(top)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--bug", action="append", default=None)
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(32)
    began, failed = time.monotonic(), False
    if args.bug is None:
        try:
            print("backup: seed %d, %s" % (seed, run(seed, args.kills)), flush=True)
        except Violation as e:
            print("backup: seed %d: %s" % (seed, e))
            failed = True
    for bug in args.bug or (["backup_in_place", "restore_in_place"] if os.path.exists(harness.PLANTED) else []):
        said = None
        for attempt in range(PLANTED_TRIES):
            try:
                run(seed + attempt, 12, bug)
            except Violation as e:
                said = e
                break
        failed = failed or said is None
        said = said or "NOT NOTICED in %d times 12 kills" % PLANTED_TRIES
        print("backup: planted bug %s: %s" % (bug, said), flush=True)
    print("backup: %s, seed %d, %.1f s" % ("FAILED" if failed else "ok", seed, time.monotonic() - began))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
