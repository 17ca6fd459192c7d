"""smtp_peer.py as an object: starts it, tells it what to do, keeps the mails it took."""

import email
import email.policy
import json
import os
import re
import subprocess
import threading

from harness import eventually

PYTHON = "/usr/bin/python3"  # the one that has python3-aiosmtpd
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "smtp_peer.py")


class MailServer:
    def __init__(self, port=0, args=()):
        self.port, self.args, self.mails, self.n_told, self.n_done = port, list(args), [], 0, 0

    def start(self):
        self.process = subprocess.Popen([PYTHON, PEER, "--port", str(self.port)] + self.args, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        if not first:
            raise RuntimeError("the SMTP server did not start")
        self.port = json.loads(first)["port"]
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        return self

    def _read(self):
        for line in self.process.stdout:
            what = json.loads(line)
            if "mail" in what:
                self.mails.append(what["mail"])
            self.n_done = what.get("done", self.n_done)

    def tell(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        self.n_told += 1
        eventually(lambda: self.n_done == self.n_told)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdin.close()
        self.process.stdout.close()
        self.n_told = self.n_done = 0

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def to(self, address):
        """Those it had taken when it was asked."""
        self.tell()
        return [m for m in list(self.mails) if address in m["to"]]


def parsed(mail):
    return email.message_from_string(mail["raw"], policy=email.policy.default)


def code_in(mail):
    return re.search(r"^\s+([0-9]{6})\s*$", parsed(mail).get_body(("plain",)).get_content(), re.M).group(1)
