"""Power loss, enumerated: nothing acknowledged is lost at whatever moment the power goes.

    meson test -C build power/power                          the short form, with its planted bugs
    python3 tests/power/power.py --states 1000000            the long form (LULAB_BUILD_DIR, default build)
    ... --states 1000000 --seed S --part 3/7 --sum FILE     a piece of it; FILE has the sum
    python3 tests/power/power.py --seed S --keep DIR         leaves the recordings there; see README.md

A run of the real `lulab serve` is recorded below its C library (recorder.c):
first start, webhooks from several connections, repeated ones, checkpoints,
index batches, refills of the keyring, folds and WAL checkpoints of the read
models, a clean stop, a restart, a kill, a restart. Then `power` makes the states that a
power cut may leave on the disk and judges each (power.c).
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402

BUILD = os.environ.get("LULAB_BUILD_DIR", os.path.join(harness.ROOT, "build"))
POWER = os.environ.get("POWER", os.path.join(BUILD, "tests", "power", "power"))
RECORDER = os.environ.get("POWER_RECORDER", os.path.join(BUILD, "tests", "power", "libpower_recorder.so"))
EVENTS = ["meeting.started", "meeting.participant-joined", "meeting.participant-left", "meeting.end"]
WEBHOOKS = 40          # of a run
PLANTED = {            # what must be said of each; those with one word are left at their first violation
    "ack_before_commit": ["acknowledged events are lost"],
    "nometasync": ["events (were|are) lost"],
    "nosync": ["the (log|keyring) does not open|the program dies of it|guard ends the program|events (were|are) lost"],
    "rows_apart": ["has other rows"],
    "signature_first": ["is released, the signer's file says"],
    "unsynced_file": ["is not usable"],
    "unsynced_names": ["acknowledged events are lost", "the keyring does not open", "a key that position", "events were lost",
                       "is released, the signer's file says", "(another name|another key)"],
}
PLANTED_WEBHOOKS = 24  # half of them are sent: one start is enough
PLANTED_STATES = 3000
RECORDINGS = 5         # at most, until a planted bug has shown
STATES_OF_RUN = 150000 # at most, of one recording
KEEP = False
STARTED = 4            # states of each run that the program itself is started on
QUIET_S = 1.2  # after which nothing is being written: the upkeep threads have had their turn


class Recorded(harness.Server):
    """`lulab serve` with the recorder before its C library; its data directory does not exist at first."""

    def __init__(self, place, planted=None):
        super().__init__(data=os.path.join(place, "watched", "data"))
        self.place = place
        self.log_path = os.path.join(place, "stderr")
        self.env.update({
            "LULAB_CHECKPOINT_INTERVAL": "150",
            "LULAB_INDEX_DELAY": "100",
            "LULAB_DISK_RESERVE": "1048576",
            "POWER_DIR": os.path.join(place, "watched"),
            "POWER_TRACE": os.path.join(place, "trace"),
            "POWER_WAL_PAGES": "24",
            "LD_PRELOAD": RECORDER,
        })
        self.planted = planted

    def start(self, wait=True, timeout_s=120):
        binary = harness.BINARY
        if self.planted:
            binary = os.environ.get("LULAB_PLANTED", os.path.join(BUILD, "tests", "lulab_planted"))
            self.env["PLANTED_BUG"] = self.planted
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [binary, "serve", "--data", self.data, "--listen", "127.0.0.1:%d" % self.port, "--loops", "2"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.env, cwd=self.place)
        if wait:
            self.wait_ready(timeout_s)
        return self


class Load:
    """Webhooks by three senders; every body is kept in a file that has the request id's name."""

    def __init__(self, place, rng):
        self.sent_dir = os.path.join(place, "sent")
        os.makedirs(self.sent_dir, exist_ok=True)
        self.rng = rng
        self.count = 0
        self.bodies = []

    def one(self, server, number, seed):
        rng = random.Random(seed)
        request_id = "w-%d" % number
        if self.bodies and rng.random() < 0.1:
            headers, body = rng.choice(self.bodies)
        else:
            event = harness.meeting_event(rng.choice(EVENTS), "t-%d-%d" % (number, seed), "m-%d" % rng.randrange(6),
                                          operate_time=1767051029171 + rng.randrange(3600000))
            headers, body = harness.signed_request(event)
            self.bodies.append((headers, body))
        with open(os.path.join(self.sent_dir, request_id), "wb") as f:
            f.write(body)
        answer = server.request("POST", "/webhooks/tencent", body, dict(headers, **{"X-Request-Id": request_id}), token=None)
        if answer.status != 200 or answer.body != harness.ACK:
            raise AssertionError("webhook %s: %d %r" % (request_id, answer.status, answer.body))

    def run(self, server, n):
        numbers = list(range(self.count, self.count + n))
        seeds = [self.rng.getrandbits(32) for _ in numbers]
        self.count += n
        failures = []

        def sender(i):
            try:
                for k in range(i, n, 3):
                    self.one(server, numbers[k], seeds[k])
                    if seeds[k] % 4 == 0:
                        time.sleep((seeds[k] % 97) / 1000)
            except Exception as e:  # told by the main thread
                failures.append(e)

        threads = [threading.Thread(target=sender, args=(i,)) for i in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if failures:
            raise failures[0]


def record(place, seed, webhooks, planted=None):
    """One run into an empty directory: `trace`, `sent/`, `watched/data/`."""
    rng = random.Random(seed)
    os.makedirs(os.path.join(place, "watched"))
    load = Load(place, rng)
    parts = [webhooks // 2, webhooks // 3, webhooks - webhooks // 2 - webhooks // 3]
    for i, part in enumerate(parts[:1] if planted else parts):
        server = Recorded(place, planted)
        server.start()
        try:
            load.run(server, part)
            if i == 1:
                time.sleep(QUIET_S)
                server.kill()
            elif server.stop() != 0:
                raise AssertionError("serve did not end well:\n" + server.log()[-2000:])
        finally:
            if server.process.poll() is None:
                server.kill()


def judge(place, states, seed, *more):
    """Runs `power` on a recording: its exit status and what it says."""
    command = [POWER, "--trace", os.path.join(place, "trace"), "--sent", os.path.join(place, "sent"),
               "--data", os.path.join(place, "watched", "data"), "--states", str(states), "--seed", str(seed),
               "--jobs", str(os.cpu_count() + 1)]
    # With what other tests leave of the processors: these wait for nothing.
    done = subprocess.run(["nice"] + command + list(more), stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 4):
        raise AssertionError("%s ended with %d" % (" ".join(command), done.returncode))
    return done.returncode, done.stdout


def states_found(said):
    return int(re.search(r"power: (\d+) states", said).group(1))


def found_planted(here, seed, bug, words):
    """Records a run with the bug; what of `words` its states did not show."""
    record(here, seed, PLANTED_WEBHOOKS, bug)
    _, said = judge(here, PLANTED_STATES, seed, *(["--stop"] if len(PLANTED[bug]) == 1 else []))
    missed = []
    for word in words:
        found = re.search(r"violation: state \S+ \(after (\d+) others\): (.*(%s).*)" % word, said)
        if found:
            print("power: planted bug %s: found after %s states: %s" % (bug, found.group(1), found.group(2)), flush=True)
        else:
            missed.append(word)
            print("power: planted bug %s: in %d states not found that %s" % (bug, states_found(said), word), flush=True)
    return missed


def check_planted(place, seed):
    """Each bug that is planted must be found; tells after how many states. What a bug does to a run depends on
    how its threads took turns while it was recorded, so a bug that did not show is recorded again."""
    missed = {}
    for number, bug in enumerate(PLANTED):
        words = PLANTED[bug]
        for attempt in range(RECORDINGS):
            words = found_planted(os.path.join(place, "%s-%d" % (bug, attempt)), seed + number + attempt, bug, words)
            if not words:
                break
        else:
            missed[bug] = words
    return missed


def start_states(place, seed, operations, n):
    """Some states the whole way: the real program starts on them, and its own verifiers agree."""
    rng = random.Random(seed)
    for _ in range(n):
        state = "%d.%d" % (rng.randrange(1, operations + 1), rng.randrange(4))
        kept = os.path.join(place, "state-" + state)
        status, said = judge(place, WEBHOOKS, seed, "--state", state, "--keep", kept)
        if status != 0:
            raise AssertionError(said)
        data = os.path.join(kept, "data")
        os.makedirs(data, exist_ok=True)
        with harness.Server(data=data) as server:
            harness.eventually(lambda: server.get("/readyz", token=None).status == 200)
        harness.lulab("log", "verify", "--data", data)
        harness.lulab("projection", "verify", "--data", data)
        shutil.rmtree(kept)


def check_runs(place, seed, states):
    """So many states, of as many runs as it takes; tells how many there were, of how many runs, and the violations."""
    total, runs, violations = 0, 0, 0
    while total < states and runs < 4 + 4 * states // STATES_OF_RUN:
        here = os.path.join(place, "run-%d" % runs)
        record(here, seed + runs, WEBHOOKS)
        status, said = judge(here, min(states - total, STATES_OF_RUN), seed + runs)
        print(said, end="", flush=True)
        total += states_found(said)
        if status == 4:
            violations += 1
            print("power: recording with violations in %s, seed %d" % (here, seed + runs), flush=True)
        else:
            start_states(here, seed + runs, int(re.search(r"(\d+) operations", said).group(1)), STARTED if runs == 0 else 1)
            if not KEEP:
                shutil.rmtree(here)
        runs += 1
    return total, runs, violations


def part_of(text):
    number, of = (int(x) for x in text.split("/"))
    if not 1 <= number <= of:
        raise argparse.ArgumentTypeError("1/%d to %d/%d" % (of, of, of))
    return number, of


def add_up(path, line):
    """The pieces of a long run are lines of a file."""
    with open(path, "a") as f:
        f.write(json.dumps(line) + "\n")
    with open(path) as f:
        lines = [json.loads(text) for text in f]
    print("power: with the pieces before in %s: %d pieces, %d recordings, %d states, %d violations, %.0f s" % (
        path, len(lines), sum(p["recordings"] for p in lines), sum(p["states"] for p in lines),
        sum(p["violations"] for p in lines), sum(p["seconds"] for p in lines)))


def main():
    global KEEP
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=int, default=50000)
    parser.add_argument("--part", type=part_of, default=(1, 1), metavar="I/N", help="the I-th of N pieces of these states")
    parser.add_argument("--sum", metavar="FILE", help="adds a line about this piece, and tells the sum of all")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", help="directory for the recordings, which stay there")
    parser.add_argument("--no-planted", action="store_true", help="leave out the planted bugs")
    args = parser.parse_args()
    part, of = args.part
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(31)
    states = -(-args.states // of)
    KEEP = args.keep is not None
    place = args.keep or tempfile.mkdtemp(prefix="lulab-power-")
    began = time.monotonic()
    print("power: seed %d, part %d/%d: %d states, recordings in %s" % (seed, part, of, states, place), flush=True)
    missed = [] if args.no_planted or part > 1 else check_planted(place, seed)
    total, runs, violations = check_runs(place, seed + 1000 * part, states)
    took_s = time.monotonic() - began
    if args.sum:
        add_up(args.sum, {"seed": seed, "part": "%d/%d" % (part, of), "recordings": runs, "states": total,
                          "violations": violations, "seconds": round(took_s)})
    if missed or violations or total < states:
        raise SystemExit("power: FAILED, seed %d, %d of %d states, recordings kept in %s; bugs not found: %s; runs with violations: %d" % (
            seed, total, states, place, ", ".join(missed) or "none", violations))
    if not args.keep:
        shutil.rmtree(place)
    print("power: ok, %d states of %d recordings, 0 violations, %d planted bugs found, seed %d, part %d/%d, %.0f s" % (
        total, runs, 0 if args.no_planted or part > 1 else len(PLANTED), seed, part, of, took_s))


if __name__ == "__main__":
    main()
