"""What the vendors of the simulator share: ports, faults, what they did and refused, and the control port.

A vendor is a file beside this one with one class:

    class Aliyun(frame.Vendor):
        name = "aliyun"
        ops = {"sms": "SendSms"}            # what can be asked of it, for faults; op() tells which a request is

        def handle(self, request):          # under self.lock, one request at a time
            if request.headers.get("authorization") != ...:
                self.refuse(frame.Answer(400, body={...}), "the signature is wrong")
            self.acts.append({"phone": ...})
            return frame.Answer(body={...})

Faults come before handle(): what fails or is limited did not happen; act_then_timeout happens and is never answered.
"""

import importlib.util
import inspect
import json
import random
import sys
import threading
import time
import traceback
import urllib.parse

from peer import Answer, Listener, Request, send  # noqa: F401  vendors take Answer and Request from here

# Of an answer to a request, and of what a vendor sends by itself.
REQUEST_FAULTS = {
    "fail": "answers that it failed, and did nothing",
    "limit": "answers that there are too many requests, and did nothing",
    "slow": "waits `seconds` (default 1), then does it",
    "act_then_timeout": "does it and says nothing; closes after `seconds` (default 60)",
    "down": "breaks the connection, nothing done; of a whole vendor with share 1: refuses connections",
    "cut": "does it, and breaks the connection within the body of the answer; after `seconds` (default 0) of silence",
}
SEND_FAULTS = {
    "duplicate": "sends it twice",
    "reorder": "sends it before or after its turn",
}


class Refused(Exception):
    """The vendor says no to a request; see Vendor.refuse()."""

    def __init__(self, answer, why):
        super().__init__(why)
        self.answer, self.why = answer, why


class Unfit(Exception):
    """A request to the control port that cannot be done; the text says why, for people."""

    def __init__(self, why, status=400):
        super().__init__(why)
        self.status = status


class Vendor:
    """One vendor. Its file replaces what differs; times come from clock(), chance from rng."""

    name = None
    ops = {}      # name -> what it is: requests that faults can be told for
    sends = {}    # the same for what it sends by itself
    converse = None  # a method that gets a connection's stream, for who speaks no HTTP
    options = {}  # name -> default: what `--set vendor.name=value` replaces; read as self.option["name"]

    def __init__(self, seed=1, options=None):
        self.option = dict(self.options, **(options or {}))
        self.rng = random.Random("%d/%s" % (seed, self.name))
        self.clock = time.time
        self.lock = threading.RLock()
        self.acts, self.refused, self.calls, self.crashes = [], [], {}, []
        self.faults = Faults(seed)
        self.url = None   # set before the first request
        self.started()

    # ---- what a vendor's file says ----

    def started(self):
        """Once, before the first request: what __init__ would make."""

    def op(self, request):
        """Which of `ops` it is, or None. Without the lock, and of requests not yet checked."""
        return None

    def handle(self, request):
        return Answer(404, body={"error": "nothing is here"})

    def failed(self, request):
        """How it answers when it fails by itself."""
        return Answer(500, body={"error": "simulated failure"})

    def limited(self, request):
        return Answer(429, {"Retry-After": "1"}, {"error": "simulated limit"})

    def settings(self):
        """The environment that makes lulab use this one."""
        return {}

    def command(self, name, body):
        """POST /<vendor>/<name> of the control port; without the lock, for it may take long. By default cmd_<name>(**body)."""
        known = sorted(n[4:] for n in dir(self) if n.startswith("cmd_"))
        if name not in known:
            raise Unfit("%s has no command %s; it has: %s" % (self.name, name, ", ".join(known) or "none"), 404)
        method = getattr(self, "cmd_" + name)
        try:
            inspect.signature(method).bind(**body)
        except TypeError as e:
            raise Unfit("%s/%s: %s" % (self.name, name, e)) from None
        return method(**body)

    # ---- what it may use ----

    def refuse(self, answer, why=None):
        """Ends handle(): the vendor would not do this. Kept for GET /refused; why None: nobody's mistake, and not kept."""
        raise Refused(answer, why)

    def disturbed(self, items, op):
        """The items in the order in which they are sent, with the faults `duplicate` and `reorder`."""
        out = []
        for item in items:
            kinds = {f.kind for f in self.faults.each(op)}
            at = self.faults.rng(op).randrange(len(out) + 1) if "reorder" in kinds else len(out)
            out.insert(at, item)
            if "duplicate" in kinds:
                out.append(item)
        return out

    # ---- the way of a request ----

    def serve(self, stream, request):
        op = self.op(request)
        fault = self.faults.draw(op)
        kind = fault.kind if fault else None
        if kind == "down":
            self.count(op, "down")
            stream.reset()
            return False
        if kind == "slow":
            time.sleep(fault.seconds if fault.seconds is not None else 1)
        if kind in ("fail", "limit"):
            answer = self.failed(request) if kind == "fail" else self.limited(request)
        else:
            answer = self.judged(request, op)
        self.count(op, kind if kind == "act_then_timeout" else str(answer.status))
        if kind == "act_then_timeout":
            stream.until_left(fault.seconds if fault.seconds is not None else 60)
            return False
        going_on = send(stream, request, answer, self.faults.share(op) if kind == "cut" else None)
        if kind == "cut" and fault.seconds:
            stream.until_left(fault.seconds)
        if answer.take_over and going_on:
            answer.take_over(stream)
            return False
        return going_on

    def judged(self, request, op):
        try:
            with self.lock:
                return self.handle(request)
        except Refused as e:
            with self.lock:
                if e.why is not None:
                    self.refused.append({"op": op, "target": request.target, "status": e.answer.status,
                                         "why": e.why})
            return e.answer
        except Exception as e:  # a mistake of the vendor's file: told in one line, and the tests look for it
            where = traceback.extract_tb(e.__traceback__)[-1]
            text = "%s: %s: %s (%s:%d)" % (self.name, type(e).__name__, e, where.filename.rpartition("/")[2], where.lineno)
            print("lulab-sim: " + text, file=sys.stderr, flush=True)
            with self.lock:
                self.crashes.append(text)
            return Answer(500, body={"error": "the simulator made a mistake", "detail": text})

    def count(self, op, what):
        with self.lock:
            counts = self.calls.setdefault(op or "other", {})
            counts[what] = counts.get(what, 0) + 1


class Fault:
    def __init__(self, kind, op, share, count, seconds):
        self.kind, self.op, self.share, self.left, self.seconds = kind, op, share, count, seconds

    def described(self):
        return {"fault": self.kind, "op": self.op, "share": self.share, "count": self.left, "seconds": self.seconds}


class Faults:
    """Of one vendor. One draw decides which fault a request meets, so that shares add up; each op has a generator of its
    own, so the n-th request of an op meets the same whatever else is asked."""

    def __init__(self, seed):
        self.seed, self.list, self.generators, self.lock = seed, [], {}, threading.Lock()

    def add(self, fault):
        with self.lock:
            ops = [fault.op] if fault.op else [None] + [f.op for f in self.list]
            for op in ops if fault.kind in REQUEST_FAULTS else []:
                same = [f.share for f in self.list if f.kind in REQUEST_FAULTS and f.op in (None, op) and f.left != 0]
                if sum(same) + fault.share > 1.0000001:
                    raise Unfit("the shares of all faults together are more than 1")
            self.list.append(fault)

    def clear(self):
        with self.lock:
            self.list = []

    def rng(self, op):
        if op not in self.generators:
            self.generators[op] = random.Random("%d/%s" % (self.seed, op))
        return self.generators[op]

    def share(self, op):
        with self.lock:
            return self.rng(op).random()

    def draw(self, op):
        """The fault that a request of this op meets, or None."""
        with self.lock:
            some = [f for f in self.list if f.kind in REQUEST_FAULTS and f.op in (None, op) and f.left != 0]
            if not some:
                return None
            roll = self.rng(op).random()
            for fault in some:
                if roll < fault.share:
                    return self._used(fault)
                roll -= fault.share
            return None

    def each(self, op):
        """Those of sending, each drawn by itself."""
        with self.lock:
            return [self._used(f) for f in self.list if f.kind in SEND_FAULTS and f.op in (None, op) and f.left != 0
                    and self.rng(op).random() < f.share]

    @staticmethod
    def _used(fault):
        if fault.left is not None:
            fault.left -= 1
        return fault


def vendor_class(path):
    """The vendor of a file, or None when it has none."""
    name = path.rpartition("/")[2].removesuffix(".py")
    spec = importlib.util.spec_from_file_location("sim_" + name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = [c for _, c in inspect.getmembers(module, inspect.isclass)
             if issubclass(c, Vendor) and c is not Vendor and c.__module__ == module.__name__ and c.name]
    return found[0] if found else None


class Control:
    """The port by which a test, or `lulab demo`, tells the simulator what to do."""

    def __init__(self, vendors):
        self.vendors = vendors      # name -> Vendor
        self.listeners = {}         # name -> Listener

    def serve(self, stream, request):
        try:
            answer = Answer(body=self.done(request))
        except Unfit as e:
            answer = Answer(e.status, body={"error": str(e)})
        except Exception as e:  # a command's mistake, and no reason to end
            print("lulab-sim: %s: %s: %s" % (request.path, type(e).__name__, e), file=sys.stderr, flush=True)
            answer = Answer(500, body={"error": "%s: %s" % (type(e).__name__, e)})
        return send(stream, request, answer)

    def done(self, request):
        parts = [urllib.parse.unquote(p) for p in request.path.strip("/").split("/")]
        if request.method == "GET" and len(parts) == 1 and parts[0] in ("acts", "refused", "calls", "crashes", "faults"):
            return self.told(parts[0], request)
        if parts == ["faults"] and request.method == "POST":
            return self.add_fault(self.object(request))
        if parts == ["faults"] and request.method == "DELETE":
            return self.clear_faults(request)
        if parts == ["echo"] and request.method == "POST":
            return self.object(request)
        if len(parts) == 2 and request.method == "POST":
            return {"data": self.vendor(parts[0]).command(parts[1], self.object(request))}
        raise Unfit("GET /acts, /refused, /calls, /crashes, /faults (?vendor=), POST or DELETE /faults, POST /<vendor>/<command>, "
                    "POST /echo",
                    404)

    def vendor(self, name):
        if name not in self.vendors:
            raise Unfit("there is no vendor %s; there are: %s" % (name, ", ".join(sorted(self.vendors))), 404)
        return self.vendors[name]

    @staticmethod
    def object(request):
        body = request.json() if request.body else {}
        if not isinstance(body, dict):
            raise Unfit("the body is not a JSON object")
        return body

    def told(self, what, request):
        vendor = self.vendor(request.arg("vendor") or "")
        with vendor.lock:
            if what == "faults":
                return {"data": [f.described() for f in vendor.faults.list]}
            # A copy, written out without anybody changing it meanwhile.
            return {"data": json.loads(json.dumps(getattr(vendor, what), ensure_ascii=False, default=str))}

    def add_fault(self, body):
        unknown = set(body) - {"vendor", "op", "fault", "share", "count", "seconds"}
        if unknown:
            raise Unfit("a fault has no %s" % ", ".join(sorted(unknown)))
        vendor, kind, op = self.vendor(body.get("vendor", "")), body.get("fault"), body.get("op")
        share, count, seconds = body.get("share", 1), body.get("count"), body.get("seconds")
        kinds = dict(REQUEST_FAULTS, **SEND_FAULTS)
        if kind not in kinds:
            raise Unfit("there is no fault %s; there are: %s" % (kind, ", ".join(sorted(kinds))))
        ops = vendor.sends if kind in SEND_FAULTS else vendor.ops
        if op is not None and op not in ops:
            raise Unfit("%s does not have the op %s for %s; it has: %s" % (
                vendor.name, op, kind, ", ".join(sorted(ops)) or "none"))
        if not is_number(share) or not 0 <= share <= 1:
            raise Unfit("share is not a number from 0 to 1")
        if count is not None and (type(count) is not int or count < 0):
            raise Unfit("count is neither null nor a number from 0")
        if seconds is not None and (not is_number(seconds) or seconds < 0):
            raise Unfit("seconds is not a number from 0")
        vendor.faults.add(Fault(kind, op, share, count, seconds))
        if kind == "down" and op is None and share == 1 and count is None:
            self.listeners[vendor.name].down()
        return {"data": None}

    def clear_faults(self, request):
        name = request.arg("vendor")
        for vendor in [self.vendor(name)] if name else self.vendors.values():
            vendor.faults.clear()
            self.listeners[vendor.name].up()
        return {"data": None}


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def start(classes, seed, options, control_port=0):
    """Makes the vendors and lets them listen. Returns the control and what the ready line says."""
    control = Control({c.name: c(seed, options.get(c.name)) for c in classes})
    for name, vendor in control.vendors.items():
        listener = Listener(vendor.serve, converse=vendor.converse)
        vendor.url = listener.url
        control.listeners[name] = listener
    ready = {"ready": True, "control": Listener(control.serve, control_port).url, "settings": {}}
    for name, vendor in control.vendors.items():
        ready[name] = vendor.url
        ready["settings"].update(vendor.settings())
    return control, ready
