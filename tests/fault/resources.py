#!/usr/bin/env python3
"""Takes from a running `lulab serve` what it lives on, looks, and gives it back.

    tests/fault/resources.py [--seed N] [--case NAME[,NAME]] [--rounds N] [--keep-taken]

Cases (CASES below): room on a disk (tmpfs, and ext4 on a loop device where root may mount), a disk that is
full before that could be foreseen, a sync that fails, descriptors, memory, threads, the log's map. While the
resource lacks: events are refused with 503 and a reason, or the connection is closed, nothing else; queries are
answered; the process runs on or ends with a documented status and starts again. Once it is back, everything
works within 5 seconds; at the end every acknowledged event is in the log once, and log and read models verify.

--keep-taken gives nothing back: then every case must fail, which shows that it can. Prints seed, counts and a
verdict; the short form is all of it with few rounds, the long one --rounds 200.
"""

import argparse
import collections
import http.client
import os
import random
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from faults import FROM_THEN_ON, Victim, Violation, error_number

MIB = 1 << 20
SKIPPED = "skipped"


class Skip(Exception):
    """The machine cannot do this case; says why."""


class Case:
    """One resource. What is common: a service, events before, during and after."""

    env = {}
    reads_go_on = True   # while the resource lacks, on connections of their own
    must_refuse = True   # a case in which nothing was refused has shown nothing

    def __init__(self, rng):
        self.rng = rng
        self.lacking = []
        self.answers, self.reads, self.ends = collections.Counter(), collections.Counter(), collections.Counter()

    def place(self):
        """The directory in which the data directory is made; None: the usual."""
        return None

    def started(self, victim):
        pass

    def take(self, victim):
        raise NotImplementedError

    def give(self, victim):
        raise NotImplementedError

    def clean(self):
        pass

    def settings(self):
        return self.env

    def restart(self, victim):
        """It ended; while the resource lacks it starts again, or says why it does not."""
        self.ends[victim.ended()] += 1
        victim.start(wait=False)
        for _ in range(200):
            if victim.status() is not None or victim.read("/livez", token=None) == 200:
                return
            time.sleep(0.02)

    def during(self, victim, rounds):
        for _ in range(rounds):
            if victim.status() is not None:
                self.restart(victim)
            if victim.status() is not None:
                return
            name, event = victim.ledger.event("lacking")
            self.lacking.append((name, event))
            answer, read = victim.send(name, event, 2), victim.read("/api/v1/meetings?limit=3", 2)
            self.answers[answer] += 1
            self.reads[read] += 1
            if answer not in (200, 503, None) or read not in (200, 503, None):
                raise Violation("answered %s and %s: %r" % (answer, read, victim.last_body[:300]))
            if answer is None:
                time.sleep(0.05)  # it may be ending

    def judge(self):
        if self.must_refuse and self.answers[503] + self.answers[None] + sum(self.ends.values()) == 0:
            raise Violation("nothing was refused: the resource did not lack")
        if self.reads_go_on and self.reads[200] == 0:
            raise Violation("no query was answered: %s" % dict(self.reads))

    def after(self, victim):
        """The vendor repeats what was not acknowledged; what had been kept after all is not stored twice."""
        for name, event in self.lacking:
            if name not in victim.ledger.acked and victim.send(name, event) != 200:
                raise Violation("%s is not taken when it comes again: %r" % (name, victim.last_body[:300]))

    def run(self, rounds, keep_taken=False, planted=None):
        victim = Victim(label="resource", env=self.settings(), dir=self.place(), planted=planted)
        kept = False
        try:
            victim.start()
            self.started(victim)
            for _ in range(20):
                victim.recover(*victim.ledger.event("before"))
            self.take(victim)
            self.during(victim, rounds)
            self.judge()
            if not keep_taken:
                self.give(victim)
            event = victim.ledger.event("after")
            took_s = victim.recover(*event, may_end=not keep_taken) if victim.status() is None else None
            if took_s is None:
                self.ends[victim.ended()] += 1
                victim.again()
                took_s = victim.recover(*event)
            self.after(victim)
            stored = victim.stop()
        except BaseException:
            kept = not keep_taken and planted is None
            raise
        finally:
            victim.discard(keep=kept and self.place() is None)
            self.clean()
        return "%d acknowledged, %d stored, answers %s, queries %s, ended %s, back in %.2f s" % (
            len(victim.ledger.acked), stored, dict(self.answers), dict(self.reads), dict(self.ends), took_s)


class Disk(Case):
    """A file system of our own, filled by a file until less than the reserve is free."""

    SIZE, RESERVE, LEFT = 64 * MIB, 16 * MIB, 10 * MIB
    env = {"LULAB_DISK_RESERVE": str(RESERVE)}

    def mount(self):
        """Mounts the file system at self.root."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % self.SIZE, "tmpfs", self.root], check=True,
                       stderr=subprocess.DEVNULL)

    def place(self):
        if not hasattr(self, "root"):
            self.root = tempfile.mkdtemp(prefix="lulab-disk-")
            try:
                self.mount()
            except (OSError, subprocess.CalledProcessError) as why:
                os.rmdir(self.root)
                raise Skip("cannot mount: %s" % why)
        return self.root

    def fill(self, left):
        with open(os.path.join(self.root, "filler"), "wb", buffering=0) as f:
            while True:
                fs = os.statvfs(self.root)
                room = fs.f_bavail * fs.f_frsize - left
                if room <= 0:
                    return
                f.write(bytes(min(MIB, max(4096, room // 4096 * 4096))))

    def take(self, victim):
        self.fill(self.LEFT)
        time.sleep(0.3)  # the disk is looked at five times a second

    def give(self, victim):
        os.unlink(os.path.join(self.root, "filler"))

    def clean(self):
        if hasattr(self, "root"):
            subprocess.run(["umount", self.root], check=False)
            os.rmdir(self.root)
            del self.root


class Ext4(Disk):
    SIZE = 96 * MIB

    def mount(self):
        self.image = self.root + ".img"
        with open(self.image, "wb") as f:
            f.truncate(self.SIZE)
        try:
            if shutil.which("mkfs.ext4") is None:
                raise Skip("there is no mkfs.ext4")
            subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True, stderr=subprocess.DEVNULL)
            subprocess.run(["mount", "-o", "loop", self.image, self.root], check=True, stderr=subprocess.DEVNULL)
        except BaseException:
            os.unlink(self.image)
            raise

    def clean(self):
        super().clean()
        if hasattr(self, "image") and os.path.exists(self.image):
            os.unlink(self.image)


class NearlyFull(Disk):
    """Below half of the reserve nothing is written, not even checkpoints."""

    LEFT = 1 * MIB


class Sudden(Disk):
    """Nothing is left, and nothing was kept in reserve: the commit itself fails. Started again with no byte free,
    SQLite cannot open its files, and queries may get 503."""

    reads_go_on = False
    env = {"LULAB_DISK_RESERVE": "1"}

    LEFT = 8192  # more than the reserve, less than a few commits

    def during(self, victim, rounds):
        while not self.ends and self.answers[503] == 0 and sum(self.answers.values()) < 1000:
            super().during(victim, 5)
        super().during(victim, rounds)


class Sync(Case):
    """Writes succeed and their sync does not: what a dying disk does. Each ends the process."""

    reads_go_on = False

    def take(self, victim):
        kinds = victim.control.kinds()
        victim.control.arm(kinds.index("fdatasync"), 1, FROM_THEN_ON, error_number("EIO"))

    def during(self, victim, rounds):
        super().during(victim, min(rounds, 8))

    def give(self, victim):
        victim.control.disarm()


class Descriptors(Case):
    """No more descriptors than it has: connections are closed, the ones that are open are served."""

    held = ()

    def started(self, victim):
        self.open = http.client.HTTPConnection("127.0.0.1", victim.server.port, timeout=5)
        self.token = victim.server.admin_token()
        self.on_open(victim)

    def on_open(self, victim):
        self.open.request("GET", "/api/v1/meetings?limit=3", headers={"Authorization": "Bearer " + self.token})
        answer = self.open.getresponse()
        answer.read()
        return answer.status

    def take(self, victim):
        self.pid = victim.server.process.pid
        self.limits = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        highest = max(int(fd) for fd in os.listdir("/proc/%d/fd" % self.pid))
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (highest + 1, self.limits[1]))
        self.held = [socket.create_connection(("127.0.0.1", victim.server.port)) for _ in range(40)]

    def during(self, victim, rounds):
        super().during(victim, rounds)
        self.reads[self.on_open(victim)] += 1

    def give(self, victim):
        self.clean()
        if victim.status() is None:
            resource.prlimit(self.pid, resource.RLIMIT_NOFILE, self.limits)

    def clean(self):
        for connection in [self.open, *self.held]:
            connection.close()


class Memory(Case):
    """No more address space than it has, while big deliveries and many connections want some."""

    reads_go_on = False  # a query may need memory for its answer
    held = ()

    def take(self, victim):
        self.pid = victim.server.process.pid
        with open("/proc/%d/statm" % self.pid) as f:
            pages = int(f.read().split()[0])
        resource.prlimit(self.pid, resource.RLIMIT_AS, (pages * resource.getpagesize(), resource.RLIM_INFINITY))

    def during(self, victim, rounds):
        """Half of a big request on each of many connections, while small ones come and go."""
        self.held = held = []
        for _ in range(300):
            connection = socket.create_connection(("127.0.0.1", victim.server.port), timeout=2)
            held.append(connection)
            try:
                connection.sendall(b"POST /webhooks/tencent HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n")
                connection.sendall(bytes(450000))
                connection.settimeout(0.002)
                self.answers[self.told(connection.recv(12))] += 1
            except TimeoutError:
                pass  # it has room and waits for the rest
            except OSError:
                self.answers[None] += 1
        super().during(victim, rounds)

    @staticmethod
    def told(head):
        if head == b"":
            return None
        if head != b"HTTP/1.1 503":
            raise Violation("half a request was answered %r" % head)
        return 503

    def after(self, victim):
        """Big requests are taken again, though this one says nothing of use."""
        super().after(victim)
        status = victim.server.request("POST", "/webhooks/tencent", bytes(900000), token=None).status
        if status != 400:
            raise Violation("a big request is answered %d" % status)

    def give(self, victim):
        self.clean()
        if victim.status() is None and victim.server.process.pid == self.pid:
            resource.prlimit(self.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def clean(self):
        for connection in self.held:
            connection.close()


class Threads(Case):
    """No thread can be made: a running service needs none, a start says so and ends."""

    must_refuse = False

    def take(self, victim):
        kinds = victim.control.kinds()
        victim.control.arm(kinds.index("thread"), 1, FROM_THEN_ON, error_number("EAGAIN"))

    def during(self, victim, rounds):
        super().during(victim, rounds)
        for path in ("/api/v1/events?limit=5", "/api/v1/meetings?limit=100", "/metrics"):
            self.reads[victim.read(path, 2)] += 1
        if set(self.reads) != {200} or set(self.answers) != {200}:
            raise Violation("a running service needed a thread: %s %s" % (dict(self.answers), dict(self.reads)))
        victim.server.kill()
        victim.start(wait=False)
        victim.server.process.wait(10)
        if victim.ended() == "abort" or "lulab serve: " not in victim.log():
            raise Violation("a start without threads ended with %s:\n%s" % (victim.status(), victim.log()[-2000:]))

    def give(self, victim):
        victim.control.disarm()


class Map(Case):
    """The log's map is full at its limit; a bigger one at the next start takes up where it stopped."""

    env = {"LULAB_LOG_MAP_SIZE": str(2 * MIB)}

    def take(self, victim):
        pass

    def during(self, victim, rounds):
        while self.answers[503] < rounds and sum(self.answers.values()) < 5000:
            super().during(victim, 10)

    def give(self, victim):
        victim.stop()
        victim.server.env["LULAB_LOG_MAP_SIZE"] = str(64 * MIB)
        victim.start()


CASES = {
    "tmpfs": Disk, "ext4": Ext4, "nearly-full": NearlyFull, "sudden": Sudden, "sync": Sync,
    "descriptors": Descriptors, "memory": Memory, "threads": Threads, "map": Map,
}


def run(name, seed, rounds, **how):
    """None when the promises held, else what did not; SKIPPED when they were not tried."""
    case, began = CASES[name](random.Random("%d %s" % (seed, name))), time.monotonic()
    try:
        told, found = case.run(rounds, **how), None
    except Skip as why:
        told, found = "skipped: %s" % why, SKIPPED
    except (Violation, RuntimeError, AssertionError) as why:
        told, found = "VIOLATION: %s" % why, str(why)
    print("resources: %s: %s, %.0f s" % (name, told, time.monotonic() - began), flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--case", type=lambda s: s.split(","), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--keep-taken", action="store_true", help="give nothing back: every case must fail")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(32)
    print("resources: seed %d" % seed, flush=True)
    results = {name: run(name, seed, args.rounds, keep_taken=args.keep_taken) for name in args.case}
    skipped = [name for name, result in results.items() if result == SKIPPED]
    found = [name for name, result in results.items() if result and result != SKIPPED]
    print("resources: %s, seed %d, %d cases, %d skipped %s, %d violations %s" % (
        "FAILED" if found else "ok", seed, len(results) - len(skipped), len(skipped), " ".join(skipped), len(found), " ".join(found)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
