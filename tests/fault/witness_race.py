#!/usr/bin/env python3
"""Two histories of one log race for a witness's signature, over HTTP, while it is killed at random moments.

Senders push, from whatever size the witness says it holds, one of two histories that part at the shared size.
Whatever happens, all it ever signed must be one history, no size may be left twice for a greater one, and after a
kill it must remember at least what it signed.

    tests/fault/witness_race.py                    the short form
    tests/fault/witness_race.py --requests 100000  the long one
    tests/fault/witness_race.py --bug witness_race --bug witness_unstored   shows that both bugs are noticed

There are as many races as there are times 3,000 requests, each with a witness of its own, since the histories part but
once in a race.

Without --bug the planted bugs are shown as well, when there is a program that has them (LULAB_PLANTED).
"""

import argparse
import collections
import functools
import http.client
import os
import random
import shutil
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "audit"))
from witness import Log, Signer, Witness, check_cosignature  # noqa: E402

SIZE, SHARED, JUDGED = 3000, 40, 40
RACE = 3000  # requests, which make some 400 sizes


@functools.lru_cache(maxsize=None)
def histories():
    signer = Signer("log.example.test/events", b"\x11" * 32)
    return signer, [Log(signer, SIZE, SHARED, b) for b in "ab"]


class Race:
    def __init__(self, seed, requests, threads, kills, binary=None, bug=None):
        self.rng, self.bug = random.Random(seed), bug
        self.requests, self.n_threads, self.kills = requests, threads, kills
        signer, self.branches = histories()
        self.dir = tempfile.mkdtemp(prefix="lulab-race-")
        self.w = Witness(os.path.join(self.dir, "w"), binary=binary, env={"PLANTED_BUG": bug} if bug else None)
        self.w.init(signer.vkey)
        self.lock = threading.Lock()
        self.sent, self.answers, self.signed, self.problems = 0, {}, [], []
        self.greatest, self.killed = 0, 0

    def note_answer(self, branch, old, new, status, text):
        with self.lock:
            self.answers[status] = self.answers.get(status, 0) + 1
            if status == 200:
                self.signed.append((branch, old, new, text))
                self.greatest = max(self.greatest, new)

    def send(self, seed):
        rng, connection, port, held = random.Random(seed), None, None, 0
        while True:
            with self.lock:
                if self.sent >= self.requests or self.problems:
                    return
                self.sent += 1
            branch = rng.randrange(2)
            old = held if rng.random() < 0.9 else rng.randrange(SIZE)
            # Mostly small steps, so that the histories last; now and then a look from the same size.
            new = min(SIZE, old + rng.choice((0, 0, 0, 0, 0, 1, 1, 2, 3)))
            try:
                if connection is None or port != self.w.port:
                    port = self.w.port
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                connection.request("POST", "/add-checkpoint", self.branches[branch].request(old, new))
                answer = connection.getresponse()
                status, text = answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.005)
                continue
            self.note_answer(branch, old, new, status, text)
            if status == 200:
                held = new
            elif status == 409:
                held = int(text)
            elif status == 500 and self.bug:
                pass  # two writers of one file got into each other's way; what is looked for is worse
            elif status not in (400, 422):
                self.problems.append("answer %d %r" % (status, text))

    def killer(self):
        for _ in range(self.kills):
            time.sleep(self.rng.uniform(0.05, 0.4))
            with self.lock:
                if self.sent >= self.requests:
                    return
            self.w.end(kill=True)
            with self.lock:
                promised = self.greatest
            self.killed += 1
            self.w.start()
            held = self.held()
            # What was signed while it was dying may not have been counted; what was counted must be there.
            if held < promised:
                self.problems.append("it signed size %d and remembers %d after a kill" % (promised, held))

    def held(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.w.port, timeout=120)
        connection.request("POST", "/add-checkpoint", self.branches[0].request(SIZE, SIZE))
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return int(text) if answer.status == 409 else SIZE

    def judge(self):
        """What was signed, all of it, must be one history that only ever grew. Gives whether enough was tried."""
        text = [{s: self.branches[b].root(s) for _, _, s, _ in self.signed} for b in (0, 1)]
        roots, left = {}, {}
        for branch, old, new, _ in self.signed:
            root = text[branch][new]
            if roots.setdefault(new, root) != root:
                self.problems.append("two roots were signed at size %d" % new)
            if new > old and left.setdefault(old, new) != new:
                self.problems.append("size %d was left for %d and for %d" % (old, left[old], new))
        beyond = {b for b, _, new, _ in self.signed if new > SHARED}
        if len(beyond) > 1:
            self.problems.append("both histories were signed")
        for branch, _, new, lines in random.Random(1).sample(self.signed, min(JUDGED, len(self.signed))):
            check_cosignature(self.w.vkey, self.branches[branch].text(new), lines)
        return len(beyond) > 0 and self.greatest < SIZE and (self.killed > 0 or self.kills == 0)

    def run(self):
        self.w.start()
        threads = [threading.Thread(target=self.send, args=(self.rng.getrandbits(32),)) for _ in range(self.n_threads)]
        killer = threading.Thread(target=self.killer)
        for t in threads + [killer]:
            t.start()
        for t in threads + [killer]:
            t.join()
        self.w.end()
        enough = self.judge()
        shutil.rmtree(self.dir)
        return enough


def races(seed, requests, threads, kills):
    """Whether all was well."""
    n = max(1, round(requests / RACE))
    answers, sent, killed, signed, problems = collections.Counter(), 0, 0, 0, []
    for i in range(n):
        race = Race(seed + i, requests * (i + 1) // n - requests * i // n, threads, kills * (i + 1) // n - kills * i // n)
        if not race.run():
            race.problems.append("the histories never parted, came to their ends, or were not disturbed: too little was tried")
        answers.update(race.answers)
        sent, killed, signed = sent + race.sent, killed + race.killed, signed + len(race.signed)
        problems += ["seed %d: %s" % (seed + i, p) for p in race.problems]
        if problems:
            break
    print("witness_race: seed %d, %d requests in %d races, %d threads, %d kills, answers %s, %d signed: %s" % (
        seed, sent, n, threads, killed, dict(sorted(answers.items())), signed, "; ".join(problems[:3]) or "ok"), flush=True)
    return not problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--kills", type=int, default=None, help="default: one for every 300 requests")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--bug", action="append", default=None)
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(32)
    kills = args.kills if args.kills is not None else args.requests // 300
    planted = os.environ.get("LULAB_PLANTED")
    began = time.monotonic()
    failed = args.bug is None and not races(seed, args.requests, args.threads, kills)
    for bug in args.bug or (["witness_race", "witness_unstored"] if planted else []):
        # Without the lock a few hundred requests are enough; chances are given until it shows, the more the faster the disk.
        for n in range(20):
            race = Race(seed + n, 1500, args.threads, 5, planted, bug)
            race.run()
            if race.problems:
                break
        print("witness_race: planted bug %s: %s" % (bug, race.problems[0] if race.problems else "NOT NOTICED"))
        failed = failed or not race.problems
    print("witness_race: %s, seed %d, %.1f s" % ("FAILED" if failed else "ok", seed, time.monotonic() - began))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
