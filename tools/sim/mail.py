"""A mail server that keeps what it gets (vendor-protocols 5): strict about lines, order and lengths, as the strict ones are.

Faults: fail (451 after the mail), limit (450 at its sender), slow, act_then_timeout (taken, and no answer), down.
"""

import email
import email.policy
import re
import time

import frame

LINE_MAX = 1000
MAIL_MAX = 10 * 1024 * 1024


class Mail(frame.Vendor):
    name = "mail"
    ops = {"mail": "one mail, from MAIL FROM to the end of its text"}

    def settings(self):
        return {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": self.url.rpartition(":")[2], "SMTP_FROM": "LuLab <no-reply@example.org>",
                "LULAB_MAIL_SUMMARIES": "meeting"}

    def converse(self, stream):
        session = Session(self, stream)
        session.say("220 simulator ESMTP")
        while session.line():
            pass

    def take(self, sender, to, raw):
        message = email.message_from_bytes(raw, policy=email.policy.default)
        text = message.get_body(("plain",))
        with self.lock:
            self.acts.append({"from": sender, "to": to, "subject": str(message["Subject"]), "message_id": str(message["Message-ID"]),
                              "text": text.get_content() if text else "", "raw": raw.decode("utf-8", "replace")})

    def no(self, answer, why):
        with self.lock:
            self.refused.append({"op": "mail", "target": "", "status": int(answer[:3]), "why": why})
        return answer


class Session:
    """One connection."""

    def __init__(self, vendor, stream):
        self.vendor, self.stream = vendor, stream
        self.greeted, self.sender, self.to, self.fault = False, None, [], None

    def say(self, text):
        self.stream.write(text.encode() + b"\r\n")

    def line(self):
        """One command; False ends the connection."""
        line = self.stream.file.readline(LINE_MAX + 1)
        if not line:
            return False
        if len(line) > LINE_MAX or not line.endswith(b"\r\n"):
            self.say(self.vendor.no("500 5.5.2 the line is too long or does not end in CR LF", "a line"))
            return False
        word, _, rest = line.decode("latin-1").rstrip("\r\n").partition(" ")
        method = getattr(self, "do_" + word.lower(), None) if word.isalpha() else None
        if method is None:
            self.say(self.vendor.no("500 5.5.1 unknown command", word))
            return True
        return method(rest)

    def do_ehlo(self, name):
        self.greeted = bool(name)
        self.say("250-simulator\r\n250-8BITMIME\r\n250 SIZE %d" % MAIL_MAX if name else "501 5.5.4 who are you?")
        return True

    do_helo = do_ehlo

    def do_mail(self, rest):
        match = re.fullmatch(r"FROM:<([^<>\s]*)>((?: [A-Z0-9=]+)*)", rest, re.I)
        if not self.greeted or self.sender is not None or not match:
            self.say(self.vendor.no("503 5.5.1 out of turn, or no sender", "MAIL " + rest))
            return True
        self.fault = self.vendor.faults.draw("mail")
        kind = self.fault and self.fault.kind
        if kind == "down":
            self.vendor.count("mail", "down")
            self.stream.reset()
            return False
        if kind == "limit":
            self.vendor.count("mail", "450")
            self.say("450 4.7.1 simulated limit")
            return True
        self.sender = match.group(1)
        self.say("250 OK")
        return True

    def do_rcpt(self, rest):
        match = re.fullmatch(r"TO:<([^<>\s]+@[^<>\s]+)>", rest, re.I)
        if self.sender is None or not match:
            self.say(self.vendor.no("501 5.5.4 no recipient", "RCPT " + rest))
            return True
        self.to.append(match.group(1))
        self.say("250 OK")
        return True

    def do_data(self, rest):
        if not self.to or rest:
            self.say(self.vendor.no("503 5.5.1 nobody to send it to", "DATA"))
            return True
        self.say("354 go on, and end with a dot")
        lines, size = [], 0
        while True:
            line = self.stream.file.readline(LINE_MAX + 1)
            size += len(line)
            if not line:
                return False
            if len(line) > LINE_MAX or not line.endswith(b"\r\n") or size > MAIL_MAX:
                self.say(self.vendor.no("500 5.5.2 a line is too long or does not end in CR LF", "the mail's text"))
                return False
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        return self.ended(b"".join(lines))

    def ended(self, raw):
        kind = self.fault and self.fault.kind
        if kind == "slow":
            time.sleep(1 if self.fault.seconds is None else self.fault.seconds)
        if kind != "fail":
            self.vendor.take(self.sender, self.to, raw)
        self.vendor.count("mail", {"fail": "451", "act_then_timeout": kind}.get(kind, "250"))
        if kind == "act_then_timeout":
            self.stream.until_left(60 if self.fault.seconds is None else self.fault.seconds)
            return False
        self.sender, self.to = None, []
        self.say("451 4.3.0 simulated failure" if kind == "fail" else "250 OK")
        return True

    def do_rset(self, rest):
        self.sender, self.to = None, []
        self.say("250 OK")
        return True

    def do_noop(self, rest):
        self.say("250 OK")
        return True

    def do_quit(self, rest):
        self.say("221 bye")
        return False
