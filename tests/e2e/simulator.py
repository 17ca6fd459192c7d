"""tools/lulab-sim as an object: starts it, tells it what to do, asks what it did.

    with Simulator() as sim, Server(env=sim.settings) as server:
        sim.fault("aliyun", "fail", share=0.1)
        ...
        sim.acts("aliyun")
"""

import http.client
import json
import os
import subprocess
import sys
import urllib.parse

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "lulab-sim")


class Simulator:
    """vendors: only those; options: {"tencent.token": "..."}; files: vendors of a test's own."""

    def __init__(self, seed=1, vendors=(), options=None, files=()):
        self.args = ["--seed", str(seed), "--until-eof"]
        self.args += [a for v in vendors for a in ("--vendor", v)] + [a for f in files for a in ("--file", f)]
        self.args += [a for o in (options or {}).items() for a in ("--set", "%s=%s" % o)]
        self.url, self.settings, self.process = {}, {}, None

    def start(self):
        self.process = subprocess.Popen([sys.executable, PROGRAM] + self.args, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the simulator did not start: exit %d" % self.process.wait())
        ready = json.loads(line)
        self.settings = ready.pop("settings")
        self.url = {name: url for name, url in ready.items() if name != "ready"}
        return self

    def stop(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        try:
            crashes = [] if exc[0] else [c for v in self.url if v != "control" for c in self.told("crashes", v)]
        finally:
            self.stop()
        if crashes:
            raise AssertionError("the simulator made mistakes: %s" % crashes[:5])

    def control(self, method, path, body=None):
        """Status and JSON of a request to the control port."""
        connection = http.client.HTTPConnection(self.url["control"].partition("//")[2], timeout=120)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def _asked(self, method, path, body=None):
        status, answer = self.control(method, path, body)
        if status != 200:
            raise AssertionError("%s %s: %d %s" % (method, path, status, answer.get("error")))
        return answer["data"]

    def told(self, what, vendor):
        return self._asked("GET", "/%s?vendor=%s" % (what, urllib.parse.quote(vendor)))

    def acts(self, vendor, **like):
        """What it did; only those with these members."""
        return [a for a in self.told("acts", vendor) if all(a.get(k) == v for k, v in like.items())]

    def refused(self, vendor):
        return self.told("refused", vendor)

    def calls(self, vendor):
        """{op: {"200": n, "500": n, "act_then_timeout": n}}"""
        return self.told("calls", vendor)

    def fault(self, vendor, fault, op=None, share=1, count=None, **more):
        self._asked("POST", "/faults", {"vendor": vendor, "fault": fault, "op": op, "share": share, "count": count, **more})

    def no_faults(self, vendor=None):
        self._asked("DELETE", "/faults" + ("?vendor=" + urllib.parse.quote(vendor) if vendor else ""))

    def command(self, vendor, name, body=None, **more):
        return self._asked("POST", "/%s/%s" % (vendor, name), {**(body or {}), **more})
