"""What the fault tests share: a service whose calls fail on demand, a ledger of what it acknowledged,
and the judgement of both.

The promises that are judged, whatever failed:
  * an acknowledged event is in the log, once; a refused one is answered with 503 or a closed connection;
  * the process runs on, or ends with a documented status;
  * once nothing fails any more, everything is taken and answered again within 5 seconds.
"""

import collections
import errno
import http.client
import json
import mmap
import os
import shutil
import signal
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402

ONCE, FROM_THEN_ON, EVERY_SECOND, NOTE = range(4)
MODES = ["once", "from then on", "every second"]
SHORT = 0  # instead of an errno
EXIT_LOG_FAILED = 70
EXIT_DOCUMENTED = set(range(1, 8)) | {EXIT_LOG_FAILED}
RECOVERY_S = 5


class Violation(AssertionError):
    """A promise that was broken, with what is needed to repeat it."""


class Control:
    """The tester's side of the memory shared with fail_calls.c; the layout is described there."""

    NOTED_MAX = 65536
    SIZE = 8192 + 4 * NOTED_MAX

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.truncate(self.SIZE)
        with open(path, "r+b") as f:
            self.memory = mmap.mmap(f.fileno(), self.SIZE)

    def close(self):
        self.memory.close()
        os.unlink(self.path)

    def _get(self, at, form="<Q"):
        return struct.unpack_from(form, self.memory, at)[0]

    def _put(self, at, value):
        struct.pack_into("<Q", self.memory, at, value)

    def kinds(self):
        n = self._get(0)
        if n == 0:
            raise RuntimeError("the library that makes calls fail was not loaded")
        return [self.memory[1024 + 32 * i:1048 + 32 * i].split(b"\0")[0].decode() for i in range(n)]

    def calls(self):
        return {name: self._get(1048 + 32 * i) for i, name in enumerate(self.kinds())}

    def count_from_here(self):
        for i in range(self._get(0)):
            self._put(1048 + 32 * i, 0)

    def arm(self, number, ordinal, mode, errnum):
        self.disarm()
        self.count_from_here()
        for at, value in ((16, ordinal), (24, mode), (32, errnum), (40, 0)):
            self._put(at, value)
        self.memory[64:1024] = bytes(960)
        self._put(8, number + 1)

    def note_stacks(self, number):
        self.memory[8192:] = bytes(4 * self.NOTED_MAX)
        self.arm(number, 0, NOTE, 0)

    def places(self):
        """Since note_stacks(): the first and the last ordinal of each place from which the call was made."""
        first, last = {}, {}
        for i, stack in enumerate(struct.unpack_from("<%dI" % self.NOTED_MAX, self.memory, 8192)):
            if stack != 0:
                first.setdefault(stack, i + 1)
                last[stack] = i + 1
        return sorted(set(first.values()) | set(last.values()))

    def disarm(self):
        self._put(8, 0)

    def disarm_and_look(self):
        """Whether any call failed; one may be on its way to when this begins."""
        self.disarm()
        time.sleep(0.002)
        return self.fired() > 0

    def fired(self):
        return self._get(40)

    def blocks(self):
        return self._get(48, "<q")

    def latest(self):
        """Who called abort(), else who made the last call that failed: "module+offset ..."."""
        return self.memory[64:256].split(b"\0")[0].decode(errors="replace").split()

    def site(self):
        return self.memory[256:1024].split(b"\0")[0].decode(errors="replace").split()


class Ledger:
    """Which events were sent, and which of them were acknowledged."""

    def __init__(self):
        self.acked, self.sent = {}, 0
        self.refused = collections.Counter()

    def event(self, label):
        self.sent += 1
        name = "%s-%d" % (label, self.sent)
        return name, harness.meeting_event("meeting.started", name, "m-%d" % (self.sent % 50))

    def check(self, data):
        """Of a stopped service: nothing acknowledged is lost, nothing is there twice, the log and its folds are sound."""
        out = harness.lulab("log", "tail", "--data", data, "--json", "--limit", "1000000000").stdout
        stored = collections.Counter()
        for position, line in enumerate(out.splitlines()):
            entry = json.loads(line)
            if int(entry["sequence"]) != position:
                raise Violation("position %s where %d was due" % (entry["sequence"], position))
            stored[entry["data"].get("trace_id")] += 1
        del stored[None]
        lost = [name for name in self.acked if stored[name] == 0]
        twice = [name for name, n in stored.items() if n > 1]
        if lost or twice:
            raise Violation("acknowledged and lost: %d %s; stored twice: %d %s" % (
                len(lost), lost[:3], len(twice), twice[:3]))
        harness.lulab("log", "verify", "--data", data)
        harness.lulab("projection", "verify", "--data", data)
        return len(stored)


class Victim:
    """A service on a data directory of its own that outlives its restarts."""

    def __init__(self, binary=None, env=None, label="calls", preload=None, dir=None, planted=None):
        self.data = tempfile.mkdtemp(prefix="lulab-%s-" % label, dir=dir)
        self.control = Control(self.data + ".control")
        settings = {"FAIL_CALLS": self.control.path, "LULAB_LOOPS": "1", "LULAB_QUERY_THREADS": "1",
                    "LULAB_CHECKPOINT_INTERVAL": "100", "LULAB_INDEX_DELAY": "10", "LULAB_DISK_RESERVE": "1MiB"}
        if preload is None:
            preload = os.environ.get("FAIL_CALLS_SO", os.path.join(
                os.path.dirname(harness.BINARY), "tests", "libfail_calls.so"))
        if preload:
            settings["LD_PRELOAD"] = preload
        for sanitizer in ("ASAN", "LSAN", "UBSAN"):  # what they find is no status of the program's
            settings[sanitizer + "_OPTIONS"] = "exitcode=99:halt_on_error=1"
        settings.update(env or {})
        self.ledger = Ledger()
        self.label = label
        self.restarts = 0
        self.last_body = b""
        self.server = harness.Server(data=self.data, env=settings, planted=planted)
        if binary:
            self.server.binary = binary

    def start(self, wait=True):
        self.server.start(wait=wait)
        return self

    def again(self):
        self.restarts += 1
        try:
            self.start()
        except RuntimeError as failure:
            raise Violation("does not start again: %s" % str(failure)[:1500]) from failure

    def status(self):
        """None while it runs; else how it ended."""
        return self.server.process.poll()

    def ended(self):
        """How it ended, when that is documented (`lulab help serve`): a status, or an abort by libuv, which cannot
        go on without memory, descriptors or threads for itself."""
        status, latest = self.status(), self.control.latest()
        by_libuv = status == -signal.SIGABRT and latest[:1] and latest[0].startswith("libuv")
        if status not in EXIT_DOCUMENTED and not by_libuv:
            raise Violation("ended with %s, latest %s; the log ends with\n%s" % (status, latest, self.log()[-1500:]))
        return "abort" if by_libuv else status

    def log(self):
        return self.server.log()

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.server.process.pid))

    def send(self, name, event, timeout_s=RECOVERY_S):
        """The status, or None when the connection was closed or could not be made; "late" when nothing came."""
        try:
            answer = self.post(event, timeout_s)
        except TimeoutError:
            return "late"
        except (OSError, http.client.HTTPException):
            return None
        if answer.status == 200:
            if answer.body != harness.ACK:
                raise Violation("%s: 200 with %r" % (name, answer.body[:200]))
            self.ledger.acked[name] = event
        else:
            self.ledger.refused[answer.status] += 1
            self.reason(answer)
        return answer.status

    def post(self, event, timeout_s):
        headers, body = harness.signed_request(event)
        return self.server.request("POST", "/webhooks/tencent", body, headers, token=None, timeout_s=timeout_s)

    @staticmethod
    def reason(answer):
        """A refusal says why, and when to come again."""
        if answer.status == 503 and (not answer.getheader("Retry-After") or b"detail" not in answer.body):
            raise Violation("503 without a reason or without Retry-After: %r" % answer.body[:300])

    def read(self, path="/api/v1/meetings?limit=3", timeout_s=RECOVERY_S, **kw):
        try:
            answer = self.server.get(path, timeout_s=timeout_s, **kw)
            self.last_body = answer.body
            return answer.status
        except TimeoutError:
            return "late"
        except (OSError, http.client.HTTPException):
            return None

    def recover(self, name, event, may_end=False):
        """Everything works again within RECOVERY_S; the event that may have been lost is repeated. Gives the
        seconds it took, or None when the process ended and may."""
        began, last = time.monotonic(), None
        while True:
            last = (self.send(name, event), self.read(), self.read("/readyz", token=None))
            if last == (200, 200, 200):
                return time.monotonic() - began
            if self.status() is not None and may_end:
                return None
            if self.status() is not None:
                raise Violation("ended with %s while nothing failed any more" % self.status())
            if time.monotonic() - began > RECOVERY_S:
                raise Violation("still %s %d s after the last failure" % (last, RECOVERY_S))
            time.sleep(0.01)

    def stop(self):
        """Clean, and what is left behind is checked."""
        if self.status() is None:
            code = self.server.stop()
            if code != 0:
                raise Violation("the stop ended with %s:\n%s" % (code, self.log()[-3000:]))
        return self.ledger.check(self.data)

    def discard(self, keep=False):
        if self.server.process is not None and self.server.process.poll() is None:
            self.server.process.send_signal(signal.SIGKILL)
            self.server.process.wait()
        self.control.close()
        if not keep:
            shutil.rmtree(self.data, ignore_errors=True)
            if os.path.exists(self.data + ".stderr"):
                os.unlink(self.data + ".stderr")


def error_number(name):
    return SHORT if name == "short" else getattr(errno, name)
