#!/usr/bin/env python3
"""Mails that somebody asks for over the API, through a real SMTP server, and judged by Python's email package."""

import base64
import concurrent.futures
import datetime
import json
import unittest

from harness import Server, eventually
from mail_server import MailServer, parsed
from people import PASSWORD, PeopleOfOneService

PDF = bytes(range(256)) * 40


def in_time(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat()


class Requests(PeopleOfOneService, unittest.TestCase):
    """Each test writes to addresses of its own."""

    @classmethod
    def setUpClass(cls):
        cls.peer = MailServer().start()
        cls.server = Server(env={"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(cls.peer.port), "SMTP_FROM": "会议 <desk@example.org>",
                                 "LULAB_EFFECTS_RETRY_BASE": "50ms", "LULAB_EFFECTS_BREAKER": "200ms",
                                 "LULAB_TRUSTED_PROXIES": "127.0.0.1/32"}).start()
        cls.admin = cls.server.admin_token()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        cls.peer.stop()

    def ask(self, status=201, **mail):
        body = {"to": [], "subject": "Minutes", "text": "Hello", **mail}
        answer = self.call("POST", "/api/v1/mail", body, self.admin, status=status).json
        return answer["data"] if status == 201 else answer

    def mail(self, mail_id):
        """None: the read model has not come so far."""
        answer = self.call("GET", "/api/v1/mail/" + mail_id, token=self.admin, status=None)
        return answer.json["data"] if answer.status == 200 else None

    def until(self, mail_id, **counts):
        return eventually(lambda: (m := self.mail(mail_id)) and all(m[k] == v for k, v in counts.items()) and m)

    def arrived(self, address, n=1):
        """Told by the peer's output, which may come after the effect is done."""
        return eventually(lambda: len(self.peer.to(address)) >= n and self.peer.to(address))

    # ---- what arrives ----

    def test_a_mail_with_everything(self):
        text = "你好\n.\n..dots\n" + "x" * 2000
        files = [("纪要 “终稿”（很长很长很长很长很长很长很长很长很长的名字）100%.pdf", "application/pdf", PDF), ("a.txt", None, b""),
                 ("two words.csv", "text/csv", "名,数\r\n".encode())]
        asked = self.ask(to=["Ada Ł <ada@example.com>", "b@example.com"], cc=["c@example.com"], bcc=["secret@example.com"],
                         subject="会议纪要 📋 " + "长" * 60, text=text, html="<p>你好 &amp; 再见</p>",
                         attachments=[{"filename": n, "contentType": t, "content": base64.b64encode(b).decode()}
                                      for n, t, b in files])
        done = self.until(asked["id"], sent=4)
        self.assertEqual((done["recipients"], done["waiting"], done["failed"]), (4, 0, 0))
        mails = [self.arrived(a)[0] for a in ("ada@example.com", "b@example.com", "c@example.com", "secret@example.com")]
        self.assertEqual([len(m["to"]) for m in mails], [1] * 4)
        self.assertEqual(len({m["raw"] for m in mails}), 1)
        raw = mails[0]["raw"]
        self.assertTrue(all(len(line) <= 78 and all(32 <= ord(c) < 127 for c in line) for line in raw.split("\r\n")))
        self.assertNotIn("secret@example.com", raw)
        message = parsed(mails[0])
        self.assertEqual(message.defects, [])
        self.assertEqual(message["Message-ID"], asked["messageId"])
        self.assertEqual(asked["messageId"], "<%s@example.org>" % asked["id"])
        self.assertEqual(str(message["To"]), "Ada Ł <ada@example.com>, b@example.com")
        self.assertEqual((str(message["Cc"]), message["Bcc"]), ("c@example.com", None))
        self.assertEqual(str(message["Subject"]), "会议纪要 📋 " + "长" * 60)
        self.assertEqual(message.get_body(("plain",)).get_content().replace("\r\n", "\n"), text)
        self.assertEqual(message.get_body(("html",)).get_content(), "<p>你好 &amp; 再见</p>")
        got = [(a.get_filename(), a.get_content_type(), a.get_payload(decode=True)) for a in message.iter_attachments()]
        self.assertEqual(got, [(n, t or "application/octet-stream", b) for n, t, b in files])

    def test_text_alone_is_one_part(self):
        asked = self.ask(to=["plain@example.com"])
        self.until(asked["id"], sent=1)
        message = parsed(self.arrived("plain@example.com")[0])
        self.assertEqual((message.get_content_type(), message.get_content()), ("text/plain", "Hello"))

    def test_a_big_attachment(self):
        big = PDF * 480  # 4.7 MiB
        asked = self.ask(to=["big@example.com"], attachments=[{"filename": "b.bin", "content": base64.b64encode(big).decode()}])
        self.until(asked["id"], sent=1)
        attachment, = parsed(self.arrived("big@example.com")[0]).iter_attachments()
        self.assertEqual(attachment.get_payload(decode=True), big)
        answer = self.ask(400, to=["big@example.com"], attachments=[
            {"filename": "b.bin", "content": base64.b64encode(big[:3 << 20]).decode()}] * 2)
        self.assertEqual(answer["code"], "too_big")

    def test_one_who_is_refused_stops_nobody(self):
        self.peer.tell(rcpt=["550 5.1.1 nobody here"])
        self.addCleanup(lambda: self.peer.tell(rcpt=[]))
        asked = self.ask(to=["gone@example.com", "here@example.com", "HERE@example.com"])
        done = self.until(asked["id"], sent=1, failed=1)
        self.assertEqual(done["recipients"], 2)
        self.assertEqual(sorted((p["state"], p["class"]) for p in json.loads(json.dumps(done["parts"]))),
                         [("DONE", None), ("FAILED", "mailbox")])
        # Whichever of the two was first.
        both = ("gone@example.com", "here@example.com")
        eventually(lambda: sum(len(self.peer.to(a)) for a in both) == 1)

    # ---- later ----

    def test_later_and_not_at_all(self):
        soon = self.ask(to=["soon@example.com"], sendAt=in_time(1))
        never = self.ask(to=["never@example.com", "nor@example.com"], sendAt=in_time(3600))
        self.assertIsNotNone(never["sendAt"])
        self.until(never["id"], waiting=2)
        answer = self.call("DELETE", "/api/v1/mail/" + never["id"], token=self.admin).json
        self.assertEqual(answer["data"]["cancelled"], 2)
        self.assertEqual(self.until(never["id"], cancelled=2)["waiting"], 0)
        self.call("DELETE", "/api/v1/mail/" + never["id"], token=self.admin, status=409)
        self.call("DELETE", "/api/v1/mail/" + "0" * 32, token=self.admin, status=404)
        self.call("GET", "/api/v1/mail/" + "0" * 32, token=self.admin, status=404)
        self.until(soon["id"], sent=1)
        self.assertEqual(self.peer.to("never@example.com"), [])
        # Another to the same person does not wait behind one that is due next year.
        self.ask(to=["same@example.com"], sendAt=in_time(86400 * 365))
        self.until(self.ask(to=["same@example.com"])["id"], sent=1)

    # ---- as existing clients ask ----

    def test_existing_clients(self):
        answer = self.call("POST", "/mail/send", {"to": "old@example.com", "subject": "s", "text": "t", "html": "<p>t</p>"},
                           self.admin, status=201).json
        self.assertEqual((answer["statusCode"], answer["message"]), (200, "邮件已提交发送"))
        self.assertEqual(parsed(self.arrived("old@example.com")[0])["Message-ID"], answer["data"]["messageId"])
        answer = self.call("POST", "/mail/send-later", {"email": "later@example.com", "delay": 200, "subject": "s", "text": "t"},
                           self.admin, status=201).json
        self.assertEqual(answer["message"], "已将发送 later@example.com 的任务加入队列，延迟 0.2 秒执行")
        self.arrived("later@example.com")
        for path in ("/mail/verify", "/api/v1/mail/verify"):
            answer = self.call("GET", path, token=self.admin).json
            self.assertEqual(answer, {"statusCode": 200, "message": "SMTP连接正常", "data": {"connected": True}})

    # ---- again ----

    def keyed(self, key, body, path="/api/v1/mail", token=None, status=201):
        return self.call("POST", path, body, token or self.admin, headers={"Idempotency-Key": key}, status=status).json

    def test_a_client_that_tries_again_sends_one_mail(self):
        body = {"to": ["again@example.com"], "subject": "s", "text": "t", "sendAt": in_time(0.3)}
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = [f.result()["data"] for f in [pool.submit(self.keyed, "try-me-again-0001", body) for _ in range(6)]]
        self.assertEqual([a for a in answers if a != answers[0]], [])
        self.until(answers[0]["id"], sent=1)
        # Also when it is over, with the time of sending behind us, and after a crash.
        self.server.kill()
        self.server.start()
        self.assertEqual(self.keyed("try-me-again-0001", body)["data"], answers[0])
        # Another request is none, whoever asks; of another caller it is.
        self.assertEqual(self.keyed("try-me-again-0001", {**body, "text": "u"}, status=422)["code"], "key_reused")
        old = {"to": "again@example.com", "subject": "s", "text": "t"}
        self.keyed("try-me-again-0001", old, "/mail/send", status=422)
        self.create(username="writer", role="ADMIN")
        writer = self.login("username_password", username="writer", password=PASSWORD).json["accessToken"]
        other = self.keyed("try-me-again-0001", body, token=writer)["data"]
        self.assertNotEqual(other["id"], answers[0]["id"])
        self.until(other["id"], sent=1)
        for path, kind, asked in (("/mail/send", "send", old), ("/mail/send-later", "later", {
                "email": "again@example.com", "delay": 1, "subject": "s", "text": "t"})):
            first, second = (self.keyed("existing-clients-" + kind, asked, path) for _ in range(2))
            self.assertEqual(first, second)
            self.until(first["data"]["messageId"][1:33], sent=1)
        self.assertEqual(len(self.arrived("again@example.com", 4)), 4)
        for wrong in ("", "short", "x" * 129, "with a space in it", "caf\u00e9-caf\u00e9-caf\u00e9-1"):
            self.keyed(wrong, body, status=400)

    # ---- what is refused ----

    def test_who_may(self):
        self.create(username="nobody_special")
        token = self.login("username_password", username="nobody_special", password=PASSWORD).json["accessToken"]
        for method, path in (("POST", "/api/v1/mail"), ("POST", "/mail/send"), ("POST", "/mail/send-later"),
                             ("GET", "/mail/verify"), ("GET", "/api/v1/mail/verify"), ("GET", "/api/v1/mail/x"),
                             ("DELETE", "/api/v1/mail/x")):
            body = {} if method == "POST" else None
            self.call(method, path, body, status=401)
            self.call(method, path, body, token, status=403)

    def test_bad_and_hostile(self):
        good = {"to": ["x@example.com"]}
        for wrong, path in (
                ({"to": []}, "/to"), ({"to": ["x"]}, "/to/0"), ({"to": ["x@example.com", "a@b\r\nRCPT TO:<c@d>"]}, "/to/1"),
                ({**good, "cc": ["<>"]}, "/cc/0"), ({**good, "bcc": ["a@b, c@d"]}, "/bcc/0"),
                ({**good, "subject": ""}, "/subject"), ({**good, "text": None}, "/text"), ({**good, "sendAt": "soon"}, "/sendAt"),
                ({**good, "attachments": [{"filename": "../a", "content": ""}]}, "/attachments/0"),
                ({**good, "attachments": [{"filename": "a\r\nX: y", "content": ""}]}, "/attachments/0"),
                ({**good, "attachments": [{"filename": "a", "content": "?"}]}, "/attachments/0"),
                ({**good, "attachments": [{"filename": "a", "content": "", "contentType": "text/x\r\nX: y"}]}, "/attachments/0"),
                ({**good, "attachments": [{"filename": "a", "content": "", "contentType": "message/rfc822"}]}, "/attachments/0"),
                ({**good, "from": "boss@example.com"}, "/from")):
            answer = self.ask(400, **wrong)
            self.assertIn(path, [e["path"] for e in answer["errors"]], wrong)
        self.assertEqual(self.ask(400, to=["x%d@example.com" % i for i in range(30)], cc=["y%d@example.com" % i for i in range(30)])
                         ["code"], "too_many_recipients")
        self.assertEqual(self.ask(400, **good, sendAt=in_time(86400 * 367))["code"], "invalid")
        # A header in the subject is text.
        asked = self.ask(to=["h@example.com"], subject="a\r\nBcc: evil@example.com")
        self.until(asked["id"], sent=1)
        self.assertIsNone(parsed(self.arrived("h@example.com")[0])["Bcc"])
        # An encoded word in it is not one.
        asked = self.ask(to=["w@example.com"], subject="=?UTF-8?B?ZXZpbA==?=")
        self.until(asked["id"], sent=1)
        self.assertEqual(str(parsed(self.arrived("w@example.com")[0])["Subject"]), "=?UTF-8?B?ZXZpbA==?=")

    def test_it_is_sealed_and_goes_with_the_account(self):
        user = self.create(username="readers", email="reader@example.com").json
        asked = self.ask(to=["Reader@Example.com"], subject="私事", text="geheim", sendAt=in_time(3600))
        self.assertNotIn("私事", self.server.log())
        event = self.call("GET", "/api/v1/events?stream=mail/%s&limit=1" % asked["id"], token=self.admin).json["data"][0]
        self.assertEqual(event["data"]["subject"], "私事")
        self.assertEqual(event["data"]["subjects"]["person"]["id"], user["id"])
        self.assertNotIn("geheim", json.dumps(event))


class Unconfigured(PeopleOfOneService, unittest.TestCase):
    def test_without_a_server(self):
        admin = self.server.admin_token()
        self.call("POST", "/api/v1/mail", {"to": ["a@example.com"], "subject": "s", "text": "t"}, admin, status=503)
        self.assertFalse(self.call("GET", "/mail/verify", token=admin).json["data"]["connected"])


if __name__ == "__main__":
    unittest.main()
