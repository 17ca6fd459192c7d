#!/usr/bin/env python3
"""The simulated mail server, judged by the standard library's client."""

import email.message
import os
import smtplib
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from simulator import Simulator  # noqa: E402


class MailServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator(vendors=["mail"]).start()
        cls.port = int(cls.sim.settings["SMTP_PORT"])

    @classmethod
    def tearDownClass(cls):
        cls.sim.__exit__(None, None, None)

    def setUp(self):
        self.sim.no_faults()

    def send(self, to):
        message = email.message.EmailMessage()
        message["Subject"], message["From"], message["To"], message["Message-ID"] = "会议纪要", "a@example.org", to, "<1@example.org>"
        message.set_content("你好\n.a dot\n")
        with smtplib.SMTP("127.0.0.1", self.port, timeout=20) as client:
            client.send_message(message)

    def taken(self, to):
        return [a for a in self.sim.acts("mail") if a["to"] == [to]]

    def test_a_mail_is_kept(self):
        self.send("a@example.com")
        mail = self.taken("a@example.com")[0]
        self.assertEqual((mail["from"], mail["subject"], mail["message_id"]), ("a@example.org", "会议纪要", "<1@example.org>"))
        self.assertEqual(mail["text"].split(), ["你好", ".a", "dot"])

    def test_faults(self):
        for fault, raises, n in (("fail", smtplib.SMTPDataError, 0), ("limit", smtplib.SMTPSenderRefused, 0),
                                 ("down", (smtplib.SMTPServerDisconnected, ConnectionError), 0),
                                 ("act_then_timeout", smtplib.SMTPServerDisconnected, 1)):
            with self.subTest(fault):
                to = fault + "@example.com"
                self.sim.fault("mail", fault, op="mail", count=1, seconds=0)
                with self.assertRaises(raises):
                    self.send(to)
                self.assertEqual(len(self.taken(to)), n)
                self.send(to)

    def test_what_is_no_smtp_is_refused(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as s, s.makefile("rb") as lines:
            lines.readline()
            for said, answer in (("MAIL FROM:<a@b.c>", b"503"), ("VRFY x", b"500"), ("EHLO me", b"250"), ("RCPT TO:<a@b.c>", b"501"),
                                 ("DATA", b"503"), ("MAIL FROM:a@b.c", b"503"), ("__init__", b"500"), ("NOOP", b"250")):
                s.sendall(said.encode() + b"\r\n")
                got = lines.readline()
                while got[3:4] == b"-":
                    got = lines.readline()
                self.assertEqual(got[:3], answer, said)
            s.sendall(b"NOOP\n")
            self.assertEqual(lines.readline()[:3], b"500")
            self.assertEqual(lines.readline(), b"")


if __name__ == "__main__":
    unittest.main()
