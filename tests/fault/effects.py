#!/usr/bin/env python3
"""Kills `lulab serve` again and again while the vendors misbehave, and looks that everything owed has its end.

    tests/fault/effects.py                                          a few seconds (what tools/test runs)
    tests/fault/effects.py --things 3000 --codes 2 --tables --every 1 --share 40 --seed N     10,000 effects, Feishu's tables among them
    tests/fault/effects.py --things 600 --codes 2 --tables --down lark --every 1 --share 40 --seed N   one vendor is down

The simulated vendors (tools/lulab-sim) fail one request in ten, limit one, are slow with one, and do one without an
answer; the service is killed, whenever a little was done, until nothing is left to do. Then every effect must have ended;
vendors that know our ids, and the tables, show exactly one act for each; a text message went out at most once, and a mail as
often as attempts are in the log at most, always the same to the byte; nothing was done that nobody asked for, and nothing
that was asked for is lost. The log verifies and every read model equals its rebuild.

And once one vendor is down the whole time: what goes to the others ends, and what goes to it waits. With --down so does all of
the long run; in its end the vendor is back, and gets what it is owed.

Prints the seed, how far it is every 20 s, counts and a verdict. Long forms take minutes: --limit SECONDS, or SIGTERM, ends one
early, looks that nothing of what is there is wrong, says that it was cut, and exits with 2. --planted NAME runs a program with that
bug (core/base/planted.h).
"""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
sys.path.insert(0, os.path.join(HERE, "..", "load"))
from harness import Server, eventually, lulab  # noqa: E402
from sender import Breach  # noqa: E402
from simulator import Simulator  # noqa: E402

FINAL = {"DONE", "FAILED", "CANCELLED", "DEAD", "UNKNOWN"}
VENDORS = ("aliyun", "lark", "mail", "tencent")
OPTIONS = {"lark.rates": 0, "lark.reset_s": "0.05", "tencent.limit_code": 9061}  # no limits but those that are drawn
CHAT = "oc_simulatedChat01"
SHARES = {"fail": 0.1, "limit": 0.1, "slow": 0.1, "act_then_timeout": 0.1}
SECONDS = {"slow": 0.1, "act_then_timeout": 0.2}
LANES = {"mail": {"mail"}, "aliyun": {"sms", "sms_look"}, "lark": {"lark_table", "lark_message"}, "tencent": {"tencent", "tencent_files"}}
PROGRESS_S = 20
ATTEMPTS_MOST = 4  # of a row, on average of its lane, in a run with enough of them: more say that something is repeated that need not be


def serve(data, sim, planted=None, tables=False):
    return Server(data=data, planted=planted, env={
        **sim.settings, "LULAB_EFFECTS_RETRY_BASE": "20ms", "LULAB_EFFECTS_BREAKER": "50ms", "LULAB_CODES_PER_DAY": "1000000",
        "LULAB_EFFECTS_BATCH_WAIT": "20ms", "LARK_CONNECTION": "off", "LULAB_LARK_CHAT": CHAT, **({} if tables else {"LARK_BITABLE_APP_TOKEN": ""}),
        "LULAB_TRUSTED_PROXIES": "127.0.0.1/32", "LULAB_LOG_LEVEL": "error"})


# ---- what is asked for ---------------------------------------------------------------------------

def mail_of(i):
    return "p%d@example.com" % i


def phone_of(i):
    return "139%08d" % i


MAIL, PHONE, MEETING = range(3)
CODES = 1  # of each kind for each meeting, which has ten effects: more of them are done in less time


def kind_of(i):
    at = i % (2 * CODES + 1)
    return MEETING if at == 2 * CODES else at % 2


def things(n, kind):
    return [i for i in range(n) if kind_of(i) == kind]


def ask(server, sim, i):
    """The i-th thing; False when it must be asked again: nobody knows whether the service has it."""
    if kind_of(i) == MEETING:
        return hold_meeting(server, sim, i)
    target = (mail_of, phone_of)[kind_of(i)](i)
    try:
        answer = server.request("POST", "/api/auth/otp/send", json.dumps({"target": target, "type": "register"}).encode(),
                                {"Content-Type": "application/json", "X-Forwarded-For": "10.%d.%d.7" % divmod(i, 250)},
                                token=None, timeout_s=20)
    except (OSError, ValueError):
        return False
    if answer.status == 503:
        return False
    # 429: it was asked for before, and the answer was lost.
    if answer.status not in (200, 429):
        raise Breach("asking for a code: %d %s" % (answer.status, answer.body[:200]))
    return True


def hold_meeting(server, sim, i):
    """One whose recording is complete; sent again until it is taken, as the vendor does."""
    told = sim.command("tencent", "meeting", meeting_id=str(10 ** 18 + i), subject="m%d" % i, paragraphs=3,
                       people=[{"userid": "u%d" % i, "user_name": "人%d" % i}], repeats_s=[0.02] * 1000,
                       webhook="http://127.0.0.1:%d/webhooks/tencent" % server.port,
                       events=["meeting.participant-joined", "meeting.end", "recording.completed"])
    if not all(d["taken"] for d in told["deliveries"]):
        raise Breach("a webhook is never taken: %s" % told["deliveries"])
    return True


class Asker(threading.Thread):
    """Asks for so many things, a share of them whenever it is let."""

    def __init__(self, server, sim, what):
        super().__init__(daemon=True)
        self.server, self.sim, self.what, self.let, self.failed = server, sim, what, threading.Semaphore(0), None
        self.start()

    def run(self):
        try:
            for i in self.what:
                self.let.acquire()
                while not ask(self.server, self.sim, i):
                    time.sleep(0.005)
        except BaseException as e:
            self.failed = e

    def share(self, n):
        for _ in range(n):
            self.let.release()

    def is_done(self):
        if self.failed:
            raise self.failed
        return not self.is_alive()


# ---- how it stands ----------------------------------------------------------------------------------

def look(server, path):
    """Asked again while a read model is behind, as after a start on a machine that has other things to do."""
    answer = eventually(lambda: (lambda a: a.status != 503 and a)(server.get(path)))
    if answer.status != 200:
        raise Breach("GET %s: %d %s" % (path, answer.status, answer.body[:400]))
    return json.loads(answer.body)


def effects(server, like=""):
    rows, cursor = [], ""
    while True:
        page = look(server, "/api/v1/effects?sort=createdAt&limit=100" + like + ("&cursor=" + cursor if cursor else ""))
        rows += page["data"]
        cursor = page["pagination"]["nextCursor"]
        if not cursor:
            return rows


def is_open(row):
    # What is for later on purpose (recordings that nobody told of are looked for after a while) is not waited for.
    later = row["attempt"] == 0 and row["readyAt"] is not None and row["readyAt"] > row["createdAt"]
    return not later and (row["state"] not in FINAL or row["readyAt"] is not None)


def all_ended(server, but=()):
    # Asked for by state, one that moves meanwhile would be in none of the answers.
    return not any(is_open(r) for r in effects(server) if r["lane"] not in but)


def is_idle(server):
    return all(lane["running"] == 0 for lane in look(server, "/api/v1/effects/lanes")["data"])


def seems_ended(server, but=()):
    """Cheap, and wrong for a moment after a start; the lane of what is for later does not count."""
    return all(lane["lane"] in but or lane["running"] == 0 and (lane["waiting"] == 0 or lane["lane"] == "tencent")
               for lane in look(server, "/api/v1/effects/lanes")["data"])


# ---- what must be true in the end -----------------------------------------------------------------------

def judge_acts(rows, acts, at_most, name):
    """acts: by the id of the effect. DONE was done, nobody did what nobody asked for, and nothing too often."""
    for row in rows.values():
        n = len(acts.get(row["id"], []))
        if n > at_most(row):
            raise Breach("%s %s: %d times, and the log knows of %d attempts" % (name, row["id"], n, row["attempt"]))
        if row["state"] == "DONE" and n == 0:
            raise Breach("%s %s is done, and nothing happened" % (name, row["id"]))
    strange = set(acts) - set(rows)
    if strange:
        raise Breach("%s: nobody asked for %s" % (name, sorted(strange)[0]))


def judge_codes(rows, sim, n, whole):
    """rows: of effects that send codes, by lane."""
    mails, messages = collections.defaultdict(list), collections.defaultdict(list)
    for act in sim.acts("mail"):
        mails[act["message_id"].strip("<>").split("@")[0]].append(act)
    for act in sim.acts("aliyun"):
        messages[act["out_id"]].append(act)
    judge_acts(rows["mail"], mails, lambda row: row["attempt"], "the mail")
    judge_acts(rows["sms"], messages, lambda row: min(1, row["attempt"]), "the message")
    for effect, sent in mails.items():
        if len({m["raw"] for m in sent}) != 1:
            raise Breach("the mails of %s are not the same" % effect)
    if not whole:
        return
    reached = {t for sent in mails.values() for m in sent for t in m["to"]} | \
        {m["phone"] for sent in messages.values() for m in sent}
    for lane, target, kind in (("mail", mail_of, MAIL), ("sms", phone_of, PHONE)):
        lost = [target(i) for i in things(n, kind) if target(i) not in reached]
        given_up = [r for r in rows[lane].values() if r["state"] != "DONE"]
        if len(lost) > len(given_up):
            raise Breach("%d codes are lost, as that to %s, and %d were given up" % (len(lost), lost[0], len(given_up)))


def events(server, kind):
    found, cursor = [], ""
    while True:
        page = look(server, "/api/v1/events?type=%s&limit=100%s" % (kind, "&cursor=" + cursor if cursor else ""))
        found += page["data"]
        cursor = page["pagination"]["nextCursor"]
        if not cursor:
            return found


def judge_meetings(server, n, whole):
    """What is read is kept once, however often it was asked for."""
    meetings = collections.Counter(str(10 ** 18 + i) for i in things(n, MEETING))
    for kind, per in (("transcript.stored", 1), ("summary.stored", 4), ("participant.listed", 1)):
        kept = collections.Counter(e["data"]["meeting_id"] for e in events(server, kind))
        for meeting in meetings:
            if kept[meeting] > per or whole and kept[meeting] != per:
                raise Breach("%s of the meeting %s: %d, not %d" % (kind, meeting, kept[meeting], per))


def judge_tables(sim, n, whole):
    """One record for each thing, whatever was asked twice."""
    meetings = {str(10 ** 18 + i) for i in things(n, MEETING)}
    for table, member, wanted in (("MEETING", "meeting_id", meetings), ("USER", "userid", {"u%d" % i for i in things(n, MEETING)}),
                                  ("RECORDING", "record_file_id", None)):
        found = collections.Counter(r.get(member) for r in sim.command("lark", "records", table=table))
        twice = [name for name, times in found.items() if times != 1]
        if twice:
            raise Breach("Feishu's table %s has %s %d times" % (table, twice[0], found[twice[0]]))
        if whole and (wanted is not None and set(found) != wanted or len(found) != len(meetings)):
            raise Breach("Feishu's table %s has %d rows of %d" % (table, len(found), len(meetings)))


def judge_feishu(sim, rows, n, tables, whole):
    """One card for each meeting, which is what the uuid of a message is for."""
    messages, meetings = sim.acts("lark", did="message"), things(n, MEETING)
    if len({m["uuid"] for m in messages}) != len(messages) or len(messages) > len(meetings) or whole and len(messages) != len(meetings):
        raise Breach("%d cards of %d meetings" % (len(messages), len(meetings)))
    if tables:
        judge_tables(sim, n, whole)
    if not whole:
        return
    late = [r for lane in ("lark_table", "lark_message") for r in rows[lane].values() if r["state"] != "DONE"]
    if late:
        raise Breach("what Feishu should have is not done: %s" % late[0])


def judge_attempts(rows, but):
    for lane, of in rows.items():
        if lane not in but and len(of) >= 500 and sum(r["attempt"] for r in of.values()) > ATTEMPTS_MOST * len(of):
            raise Breach("%d attempts of %d effects in the lane %s" % (sum(r["attempt"] for r in of.values()), len(of), lane))


def judge(server, sim, n, tables, whole=True, but=()):
    """Not whole: nothing of what is there is wrong, though not all of it is there. but: lanes of who was down."""
    rows = collections.defaultdict(dict)
    for row in effects(server):
        if whole and is_open(row):
            raise Breach("an effect has not ended: %s" % row)
        rows[row["lane"]][row["id"]] = row
    judge_codes(rows, sim, n, whole)
    judge_meetings(server, n, whole)
    judge_feishu(sim, rows, n, tables, whole)
    judge_attempts(rows, but)
    return [row for lane in rows.values() for row in lane.values()]


def judge_waiting(server, sim, down):
    """Nothing of it was done; it waits, or was given up: breakers are open for moments here, and each process closes them."""
    if [a for a in sim.acts(down) if a.get("did") != "token"]:
        raise Breach("%s is down, and did something" % down)
    for row in effects(server):
        if row["lane"] in LANES[down] and not is_open(row) and row["state"] not in ("DEAD", "UNKNOWN"):
            raise Breach("what goes to a vendor that is down does not wait: %s" % row)


def judge_refused(sim):
    """Whoever sends what it should is refused nothing: not a signature, and not a second message to the same telephone."""
    for vendor in VENDORS:
        # libcurl sends by itself once more what a kept connection lost without an answer: the same nonce, and harmless for reads.
        refused = [r for r in sim.refused(vendor) if r["why"] != "this nonce was used before"]
        if refused:
            raise Breach("%s refused what it was sent: %s" % (vendor, refused[0]))


def check_stopped(data):
    lulab("log", "verify", "--data", data)
    for model in ("effects", "identity", "meetings", "recordings"):
        lulab("projection", "verify", model, "--data", data)


# ---- runs ------------------------------------------------------------------------------------------------

def act(server, path, body):
    return server.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json", "Lulab-Min-Position": "newest"})


def redrive(server, but=()):
    """What was given up although it may be repeated, a person tries again. How many there were."""
    count = 0
    dead = {(row["lane"], row["reason"]) for row in effects(server, "&state=DEAD&closed=NO")}
    for lane, reason in sorted(d for d in dead if d[0] not in {"sms", "sms_look", *but} and d[1] != "EXPIRED"):
        answer = act(server, "/api/v1/effects/retry", {"lane": lane, "reason": reason, "perMinute": 60000})
        if answer.status == 503:  # as look()
            count += 1
            continue
        if answer.status != 200:
            raise Breach("trying again: %d %s" % (answer.status, answer.body[:200]))
        count += json.loads(answer.body)["data"]["count"]
    return count


def asked(sim):
    """How often anything was asked of the vendors."""
    return sum(n for vendor in VENDORS for counts in sim.calls(vendor).values() for n in counts.values())


class Watch:
    """How long it may take, whether somebody wants it to end, and how far it is."""

    def __init__(self, limit_s):
        self.began, self.limit_s, self.told, self.stopped = time.monotonic(), limit_s, time.monotonic(), False
        self.before = signal.signal(signal.SIGTERM, self.stop) if threading.current_thread() is threading.main_thread() else None

    def stop(self, *_):
        self.stopped = True

    def seconds(self):
        return time.monotonic() - self.began

    def is_over(self):
        return self.stopped or self.limit_s is not None and self.seconds() > self.limit_s

    def tell(self, server, kills):
        if time.monotonic() < self.told + PROGRESS_S:
            return
        self.told = time.monotonic()
        lanes = look(server, "/api/v1/effects/lanes")["data"]
        print("effects: %.0f s, %d kills, waiting: %s" % (self.seconds(), kills, ", ".join(
            "%s %d" % (lane["lane"], lane["waiting"]) for lane in lanes if lane["waiting"]) or "nothing"), flush=True)


def until_share_done(server, sim, asker, share, watch, but):
    """However slow the machine is, each process gets something done. Not always its share: it may repeat ten things and a fifth."""
    before = last = asked(sim)
    changed, ended = time.monotonic(), False
    while True:
        n, now = asked(sim), time.monotonic()
        if n >= before + share or n > before and now > changed + 1 and is_idle(server) or ended or watch.is_over():
            return
        if now > changed + 120:
            raise Breach("nothing more is asked of vendors, and not all has ended")
        ended = n == last and asker.is_done() and seems_ended(server, but)
        last, changed = n, changed if n == last else now
        time.sleep(0.05)


def until_ended(server, sim, asker, share, every, rng, watch, but):
    """Kills it until nothing is left to do, or the watch is over. Each process has a budget of repetitions of its own.
    Returns the kills."""
    kills = 0
    while True:
        judge_refused(sim)
        asker.share(share)
        until_share_done(server, sim, asker, share, watch, but)
        time.sleep(every * rng.uniform(0, 2))
        watch.tell(server, kills)
        if watch.is_over() or asker.is_done() and seems_ended(server, but) and all_ended(server, but) and redrive(server, but) == 0:
            return kills
        # Those that died with the process three times, too: the others need not have ended for that.
        if kills % 5 == 4:
            redrive(server, but)
        server.kill()
        server.start()
        kills += 1


def misbehave(sim, down):
    for vendor in VENDORS:
        if vendor == down:
            sim.fault(vendor, "down")
            continue
        for fault, share in SHARES.items():
            sim.fault(vendor, fault, share=share, seconds=SECONDS.get(fault))


def rest(server):
    """Nothing is begun any more, and what runs has ended: what is there can be looked at."""
    answer = act(server, "/api/v1/effects/pause", {"reason": "the run is cut"})
    if answer.status != 200:
        raise Breach("a pause: %d %s" % (answer.status, answer.body[:200]))
    eventually(lambda: is_idle(server), 120)


def end(server, sim, n, tables, watch, but):
    """Judges. The rows, and whether all of it was there."""
    judge_refused(sim)
    if watch.is_over():
        rest(server)
        return judge(server, sim, n, tables, False, but), False
    return judge(server, sim, n, tables, True, but), True


def states_of(rows):
    counts = collections.Counter(r["state"].lower() + (" (%s)" % r["reason"] if r["state"] == "DEAD" else "") for r in rows)
    return ", ".join("%d %s" % (k, state) for state, k in sorted(counts.items()))


def run(n=36, every=0.05, share=9, seed=1, planted=None, tables=False, down=None, limit_s=None):
    print("effects: seed %d, %d asked for, %d between two kills%s" % (seed, n, share, ", planted %s" % planted if planted else ""),
          flush=True)
    rng, watch, but = random.Random(seed), Watch(limit_s), LANES.get(down, ())
    data = tempfile.mkdtemp(prefix="lulab-effects-")
    with Simulator(seed=seed, vendors=VENDORS, options=OPTIONS) as sim:
        misbehave(sim, down)
        server = serve(data, sim, planted, tables)
        try:
            server.start()
            asker = Asker(server, sim, range(n))
            kills = until_ended(server, sim, asker, share, every, rng, watch, but)
            if down is not None and not watch.is_over():
                judge_waiting(server, sim, down)
                print("effects: all but what goes to %s has ended while it was down, %.0f s" % (down, watch.seconds()), flush=True)
                sim.no_faults()
                kills += until_ended(server, sim, asker, share, every, rng, watch, ())
            rows, whole = end(server, sim, n, tables, watch, but)
            if server.stop() != 0:
                raise Breach("the service ended badly:\n%s" % server.log()[-2000:])
            check_stopped(data)
        except BaseException:
            if server.process.poll() is None:
                server.kill()
            print("effects: data kept in %s" % data, flush=True)
            raise
    attempts = sum(r["attempt"] for r in rows)
    if whole and (kills < 3 or attempts <= len(rows)):
        raise AssertionError("nothing went wrong: %d kills, %d attempts of %d" % (kills, attempts, len(rows)))
    shutil.rmtree(data)
    os.unlink(server.log_path)
    for lane in sorted({r["lane"] for r in rows}):
        of = [r for r in rows if r["lane"] == lane]
        print("effects: %s: %.1f attempts each, %d at most, %s" % (
            lane, sum(r["attempt"] for r in of) / len(of), max(r["attempt"] for r in of), states_of(of)), flush=True)
    print("effects: %s, %d effects (%s), %d attempts, %d kills, %.0f s" % (
        "ok" if whole else "CUT, not all has ended, and nothing that is there is wrong",
        len(rows), states_of(rows), attempts, kills, watch.seconds()), flush=True)
    if not whole:
        sys.exit(2)


def run_down(n=12):
    """One vendor is down: the others' effects end, and its own are done when it is back."""
    with Simulator(vendors=VENDORS, options=OPTIONS) as sim:
        with serve(None, sim) as server:
            sim.fault("mail", "down")
            asker = Asker(server, sim, [i for i in range(3 * n) if kind_of(i) != MEETING][:2 * n])
            asker.share(2 * n)
            eventually(lambda: asker.is_done() and len(sim.acts("aliyun")) == n and all_ended(server, but={"mail"}), 120)
            waiting = [r for r in effects(server) if r["lane"] == "mail"]
            if len(waiting) != n or not all(is_open(r) for r in waiting):
                raise Breach("what goes to a vendor that is down does not wait: %s" % waiting)
            sim.no_faults()
            eventually(lambda: all_ended(server), 120)
            if len(sim.acts("mail")) != n:
                raise Breach("%d mails of %d" % (len(sim.acts("mail")), n))
    print("effects: ok, a vendor that is down delays nothing else", flush=True)


def main():
    global CODES
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--things", type=int, default=36)
    parser.add_argument("--codes", type=int, default=CODES, help="of mails, and of text messages, so many for each meeting")
    parser.add_argument("--every", type=float, default=0.05, help="seconds that a process has, besides what `share` takes")
    parser.add_argument("--share", type=int, default=9, help="how many are asked for, and asked of vendors, between two kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tables", action="store_true", help="Feishu's tables as well, whose batches take their time")
    parser.add_argument("--down", choices=VENDORS, help="a vendor that is down all the time")
    parser.add_argument("--limit", type=float, help="seconds after which the run is cut, and what is there judged")
    parser.add_argument("--planted", help="a bug of core/base/planted.h")
    args = parser.parse_args()
    CODES = args.codes
    try:
        run(args.things, args.every, args.share, args.seed, args.planted, args.tables, args.down, args.limit)
        run_down()
    except SystemExit:
        raise
    except BaseException:
        print("effects: FAILED, seed %d" % args.seed, flush=True)
        raise


if __name__ == "__main__":
    main()
