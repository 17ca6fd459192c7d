#!/usr/bin/python3
"""A real SMTP server (python3-aiosmtpd) that a test tells what to do.

    smtp_peer.py [--port N] [--tls CERT KEY] [--auth USER PASSWORD]

Runs under the distribution's Python, which has the package. Lines of JSON on
stdin tell it how to behave from then on:

    {"data": ["451 4.3.0 later"]}    answers to the next mails, then 250 again; "silent": takes the mail and closes without
                                     an answer, "hang": takes it and never answers
    {"rcpt": ["550 5.1.1 nobody"]}   the same for recipients
    {"chaos": {"seed": 1, "fail": 0.1, "slow": 0.1, "silent": 0.1, "slow_s": 0.2}}

Lines of JSON on stdout: {"port": N}, then a {"mail": ...} for each mail whose end was seen, whatever was answered;
{"done": n} when the n-th line of stdin is in force.
"""

import argparse
import asyncio
import json
import random
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Peer:
    def __init__(self):
        self.data, self.rcpt, self.chaos, self.random = [], [], None, None

    def told(self, line):
        what = json.loads(line)
        self.data = what.get("data", self.data)
        self.rcpt = what.get("rcpt", self.rcpt)
        if "chaos" in what:
            self.chaos = what["chaos"]
            self.random = random.Random(self.chaos and self.chaos["seed"])

    def chaotic(self):
        if not self.chaos:
            return None
        roll = self.random.random()
        for kind in ("fail", "slow", "silent"):
            if roll < self.chaos[kind]:
                return kind
            roll -= self.chaos[kind]
        return None

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self.rcpt.pop(0) if self.rcpt else None
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        kind = self.chaotic()
        answer = self.data.pop(0) if self.data else {"fail": "451 4.3.0 chaos", "silent": "silent"}.get(kind, "250 OK")
        say(mail={"from": envelope.mail_from, "to": envelope.rcpt_tos, "answer": answer,
                  "raw": envelope.original_content.decode("utf-8", "replace"), "tls": session.ssl is not None,
                  "user": getattr(session, "auth_data", None) and session.auth_data.login.decode()})
        if kind == "slow":
            await asyncio.sleep(self.chaos["slow_s"])
        if answer == "hang":
            await asyncio.sleep(3600)
        if answer == "silent":
            server.transport.abort()
            return "451 gone"
        return answer


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--auth", nargs=2)
    args = parser.parse_args()
    loop, peer = asyncio.get_running_loop(), Peer()
    options = {"enable_SMTPUTF8": False}
    if args.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*args.tls)
        options.update(tls_context=context, require_starttls=True)
    if args.auth:
        expected = tuple(a.encode() for a in args.auth)

        def authenticate(server, session, envelope, mechanism, data):
            return AuthResult(success=(data.login, data.password) == expected, handled=False, auth_data=data)
        options.update(authenticator=authenticate, auth_required=True, auth_require_tls=bool(args.tls))
    server = await loop.create_server(lambda: SMTP(peer, loop=loop, **options), "127.0.0.1", args.port)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    say(port=server.sockets[0].getsockname()[1])
    n = 0
    while line := await reader.readline():
        peer.told(line)
        n += 1
        say(done=n)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
