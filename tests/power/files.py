#!/usr/bin/env python3
"""Power loss while files are changed that the service itself does not write: by the commands of a witness, of backups,
of the change of the log's key, and by the keyring when keys are erased and its epoch is turned.

    meson test -C build power/files                        the short form, with its planted bugs
    python3 tests/power/files.py --states 4000             the long form: at most so many states of each kind, or all
                                                           that differ, of which there are some hundreds
    ... --only witness --bug witness_unstored              one kind, with a bug

The commands of a kind are recorded (recorder.c), `each` makes the states, and its judge says what a command that
has ended well owes, and that one which was cut off can be run again.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402

BUILD = os.environ.get("LULAB_BUILD_DIR", os.path.join(harness.ROOT, "build"))


def built(variable, *path):
    return os.environ.get(variable, os.path.join(BUILD, "tests", *path))


EACH = built("POWER_EACH", "power", "each")
KEYS = {False: built("POWER_KEYS", "power", "keys"), True: built("POWER_KEYS_PLANTED", "power", "keys_planted")}
LULAB = {False: harness.BINARY, True: built("LULAB_PLANTED", "lulab_planted")}
MAKE_LOG = built("MAKE_LOG", "make_log")
RECORDER = built("POWER_RECORDER", "power", "libpower_recorder.so")


class Violation(Exception):
    pass


def run(*args, good=(0,), env=None):
    done = subprocess.run(args, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, env=env)
    if done.returncode not in good:
        raise Violation("%s: exit %d: %s" % (" ".join(args[:3]), done.returncode, (done.stderr or done.stdout).strip()))
    return done


def lulab(*args, good=(0,)):
    return run(harness.BINARY, *args, good=good)


class Kind:
    """One kind of files. `top` is for what is not watched, `watched` for what is; a state stands for the latter."""

    def __init__(self, top, bug):
        self.top, self.bug = top, bug
        self.watched, self.trace = os.path.join(top, "watched"), os.path.join(top, "trace")
        os.makedirs(self.watched)

    def recorded(self, *args):
        env = dict(os.environ, POWER_DIR=self.watched, POWER_TRACE=self.trace, POWER_EXIT="1", LD_PRELOAD=RECORDER)
        if self.bug:
            env["PLANTED_BUG"] = self.bug
        return run(*args, env=env)

    def recorded_lulab(self, *args):
        return self.recorded(LULAB[self.bug is not None], *args)

    def grow(self, data, events, days_ago="40"):
        run(MAKE_LOG, data, str(events), "0", "50", days_ago)


class Witness(Kind):
    """Started on, and asked for three signatures."""

    bugs = {"witness_unstored": "has forgotten", "unsynced_names": "forgotten|is missing|exit"}

    def record(self):
        data, self.sizes = os.path.join(self.top, "data"), [0]
        self.grow(data, 20)
        vkey = os.path.join(data, "log.vkey")
        self.requests = []
        for _ in range(4):
            path = os.path.join(self.top, "request-%d" % len(self.requests))
            with open(path, "w") as f:
                f.write(lulab("log", "cosign", "--data", data, "--old", str(self.sizes[-1])).stdout)
            self.requests.append(path)
            with open(path) as f:
                self.sizes.append(int(f.read().split("\n\n")[1].split("\n")[1]))
            self.grow(data, 7)
        at = os.path.join(self.watched, "w")
        self.recorded_lulab("witness", "init", "witness.test/w", "--log", vkey, "--data", at)
        for request in self.requests[:1 if self.bug else 3]:
            self.recorded_lulab("witness", "cosign", request, "--data", at)

    def judge(self, place, done):
        if done == 0:
            return
        at = os.path.join(place, "w")
        if not os.path.exists(os.path.join(at, "witness.key")):
            raise Violation("the witness's key is missing")
        # Of the signature that was under way, or the one before.
        for n in (done - 1, done):
            if n < 4 and lulab("witness", "cosign", self.requests[n], "--data", at, good=(0, 5)).returncode == 0:
                return
        if done < 4 or lulab("witness", "cosign", self.requests[3], "--data", at, good=(0, 5)).returncode != 0:
            raise Violation("the witness has forgotten what it signed: %d events" % self.sizes[done - 1])


class Backup(Kind):
    """Two backups of a log."""

    bugs = {"backup_in_place": "looks complete and is not", "unsynced_names": "looks complete and is not|was made and is not there"}

    def record(self):
        data = os.path.join(self.top, "data")
        self.grow(data, 20)
        to = os.path.join(self.watched, "to")
        self.recorded_lulab("backup", "create", "--data", data, "--to", to)
        self.grow(data, 5)
        self.recorded_lulab("backup", "create", "--data", data, "--to", to)

    def judge(self, place, done):
        to, n = os.path.join(place, "to"), 0
        for name in os.listdir(to) if os.path.exists(to) else []:
            if name.endswith(".partial"):
                continue
            verified = lulab("backup", "verify", os.path.join(to, name), good=range(256))
            if verified.returncode != 0:
                raise Violation("%s looks complete and is not: %s" % (name, verified.stderr.strip()))
            n += 1
        if n < done:
            raise Violation("a backup was made and is not there: %d of %d" % (n, done))


class Restore(Kind):
    """A backup put where there is no log."""

    bugs = {"restore_in_place": "is not whole|bears no mark"}

    def record(self):
        data = os.path.join(self.top, "data")
        self.grow(data, 20)
        to = os.path.join(self.top, "to")
        lulab("backup", "create", "--data", data, "--to", to)
        self.backup = os.path.join(to, os.listdir(to)[0])
        self.recorded_lulab("backup", "restore", self.backup, "--data", os.path.join(self.watched, "data"))

    def judge(self, place, done):
        data = os.path.join(place, "data")
        if not os.path.exists(os.path.join(data, "log")):
            if done > 0:
                raise Violation("a log was restored and is not there")
            lulab("backup", "restore", self.backup, "--data", data)
        found = lulab("log", "verify", "--data", data, "--json", good=range(256))
        if found.returncode != 0 or json.loads(found.stdout)["records"] != 21:
            raise Violation("a restored log is not whole: " + (found.stdout or found.stderr).strip())
        if not os.path.exists(os.path.join(data, "restored")):
            raise Violation("a restored log bears no mark")


class LogKey(Kind):
    """The key that signs checkpoints is changed: a second one, 40 days, the end of the first."""

    bugs = {"unsynced_names": "exit|keys"}

    def record(self):
        data = os.path.join(self.watched, "data")
        self.recorded(MAKE_LOG, data, "10", "0", "50", "40")
        self.old = open(os.path.join(data, "log.vkey")).read().split()[0]
        self.recorded(LULAB[True] if self.bug else MAKE_LOG, *(
            ["log", "key", "add", "--data", data] if self.bug else [data, "add-key", "40"]))
        if not self.bug:
            self.recorded(MAKE_LOG, data, "retire-key", "0")
            self.new = open(os.path.join(data, "log.vkey")).read().split()[0]

    def judge(self, place, done):
        data = os.path.join(place, "data")
        if done == 0:
            return
        if done == 1 or self.bug:
            # Cut off or through: asked again there is a second key, and only one; both are published when they sign.
            lulab("log", "key", "add", "--data", data, good=(0, 5) if done == 1 else (5,))
            self.grow(data, 1, "0")
            keys = open(os.path.join(data, "log.vkey")).read().split()
            if len(keys) != 2 or keys[0] != self.old:
                raise Violation("the log has not the keys it should have: " + " ".join(keys))
        else:
            # Where the old key has ended already, this finds none to end.
            run(MAKE_LOG, data, "retire-key", "0", good=range(256))
            self.grow(data, 1, "0")
            keys = open(os.path.join(data, "log.vkey")).read().split()
            if keys != [self.new]:
                raise Violation("the log has not the keys it should have: " + " ".join(keys))
        verified = lulab("log", "verify", "--data", data, "--key", self.old, good=range(256))
        if verified.returncode != 0:
            raise Violation("who has the old key cannot verify: " + (verified.stdout + verified.stderr).strip())


class Keyring(Kind):
    """Keys made, the epoch turned, one erased (which turns it again)."""

    bugs = {"epoch_first": "are not held|exit", "erase_in_memory": "was erased", "unsynced_names": "are not held|exit"}

    def record(self):
        data, self.known = os.path.join(self.watched, "data"), os.path.join(self.top, "known")
        os.makedirs(os.path.join(self.top, "nothing"))
        for what in ("make", "turn", "erase"):
            self.recorded(KEYS[self.bug is not None], what, data, self.known)

    def judge(self, place, done):
        found = run(KEYS[False], "look", os.path.join(place, "data"), self.known).stdout.split()
        if done == 0:
            return
        if any(key != "held" for key in found[1:]) or found[0] not in ("held", "erased"):
            raise Violation("keys that were given out are not held: " + " ".join(found))
        if found[0] == "erased" and done < 2 or found[0] == "held" and done >= 3:
            raise Violation("of the key that was erased: " + found[0])


KINDS = {"witness": Witness, "backup": Backup, "restore": Restore, "log-key": LogKey, "keyring": Keyring}


def check(name, states, seed, bug=None):
    """Tells how many states there were, how many commands, and the first violation."""
    top = tempfile.mkdtemp(prefix="lulab-files-", dir="/dev/shm")
    process = None
    n, first = 0, None
    try:
        kind = KINDS[name](top, bug)
        kind.record()
        place = os.path.join(top, "state")
        process = subprocess.Popen([EACH, "--trace", kind.trace, "--place", place, "--seed", str(seed),
                                    "--states", str(max(states, 200) if bug else states)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if line == "end\n":
                break
            state, done = line.split()
            n += 1
            try:
                kind.judge(place, int(done))
            except Violation as e:
                first = first or "state %s: %s" % (state, e)
                if bug:
                    break
            process.stdin.write("\n")
            process.stdin.flush()
        else:
            raise AssertionError("each ended with %d" % process.wait())
    finally:
        if process:
            process.stdin.close()
            process.stdout.close()
            process.wait()
        shutil.rmtree(top)
    return n, first or ("no state was made" if n == 0 else None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=int, default=40, help="of each kind, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(KINDS))
    parser.add_argument("--bug", help="only with this one planted")
    args = parser.parse_args()
    began, total, failed = time.monotonic(), 0, []
    for name in [args.only] if args.only else KINDS:
        if not args.bug:
            n, first = check(name, args.states, args.seed)
            total += n
            print("files: %s: seed %d, %d states, %s" % (name, args.seed, n, first or "0 violations"), flush=True)
            failed += [name] if first else []
        for bug in [args.bug] if args.bug else KINDS[name].bugs:
            n, first = check(name, args.states, args.seed, bug)
            found = first and re.search(KINDS[name].bugs.get(bug, "."), first)
            print("files: %s: planted bug %s: %s" % (name, bug, "found after %d states: %s" % (n, first) if found else
                                                     "NOT found in %d states (%s)" % (n, first)), flush=True)
            failed += [] if found else ["%s with %s" % (name, bug)]
    if failed:
        raise SystemExit("files: FAILED, seed %d: %s" % (args.seed, ", ".join(failed)))
    print("files: ok, %d states, 0 violations, seed %d, %.0f s" % (total, args.seed, time.monotonic() - began))


if __name__ == "__main__":
    main()
