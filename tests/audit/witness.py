"""A log and what it asks of a witness, for the tests of the witness.

The tree and its proofs are computed by their definition (RFC 6962), requests are
built as C2SP tlog-witness says, notes are opened by the second verifier beside this
file. Only the making of signatures is libsodium's, because big-integer arithmetic
would make racing a slow matter.
"""

import base64
import ctypes
import ctypes.util
import functools
import hashlib
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import verify as second  # noqa: E402

LULAB = os.environ.get("LULAB", "build/lulab")
_sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")


class Signer:
    """An Ed25519 key with a name, as notes have it."""

    def __init__(self, name, seed, kind=1):
        self.name, self.kind = name, kind
        public, self.secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        _sodium.crypto_sign_seed_keypair(public, self.secret, seed)
        typed = bytes([kind]) + public.raw
        self.id = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
        self.vkey = "%s+%s+%s" % (name, self.id.hex(), base64.b64encode(typed).decode())

    def sign(self, text):
        out = ctypes.create_string_buffer(64)
        _sodium.crypto_sign_detached(out, None, text, ctypes.c_ulonglong(len(text)), self.secret)
        return out.raw

    def line(self, text):
        return "\u2014 %s %s\n" % (self.name, base64.b64encode(self.id + self.sign(text.encode())).decode())


class Log:
    """A history: leaves 0.. n-1, the first `shared` of them the same in every branch."""

    def __init__(self, signer, n, shared=0, branch="a"):
        self.signer, self.n = signer, n
        self.leaves = [second.leaf_of(b"%d %s" % (i, b"" if i < shared else branch.encode())) for i in range(n)]
        self.range = functools.lru_cache(maxsize=None)(self._range)
        self.note = functools.lru_cache(maxsize=None)(self._note)

    def _range(self, first, end):
        """MTH(D[first:end])"""
        if end - first == 1:
            return self.leaves[first]
        k = self.split(end - first)
        return second.node(self.range(first, first + k), self.range(first + k, end))

    @staticmethod
    def split(n):
        k = 1
        while 2 * k < n:
            k *= 2
        return k

    def root(self, size):
        return self.range(0, size) if size else hashlib.sha256(b"").digest()

    def _sub(self, m, first, end, whole):
        n = end - first
        if m == n:
            return [] if whole else [self.range(first, end)]
        k = self.split(n)
        if m <= k:
            return self._sub(m, first, first + k, whole) + [self.range(first + k, end)]
        return self._sub(m - k, first + k, end, False) + [self.range(first, first + k)]

    def proof(self, old, new):
        return [] if old in (0, new) else self._sub(old, 0, new, True)

    def text(self, size, origin=None):
        return "%s\n%d\n%s\n" % (origin or self.signer.name, size, base64.b64encode(self.root(size)).decode())

    def _note(self, size):
        text = self.text(size)
        return text + "\n" + self.signer.line(text)

    def request(self, old, new, proof=None, note=None):
        proof = self.proof(old, new) if proof is None else proof
        lines = ["old %d\n" % old] + [base64.b64encode(h).decode() + "\n" for h in proof]
        return ("".join(lines) + "\n" + (self.note(new) if note is None else note)).encode()


def check_cosignature(vkey, note_text, lines):
    """The time a witness put into its answer; second.Bad when the answer is not a cosignature of that text."""
    key = second.Key(vkey)
    text, signed = second.open_note((note_text + "\n").encode() + lines, [key])
    if signed != [key] or text != note_text:
        raise second.Bad("not signed by the witness")
    return int.from_bytes(second.base64_strict(lines.decode().split(" ")[2].strip())[4:12], "big")


class Witness:
    """One `lulab witness serve`, or a request at a time by `lulab witness cosign`."""

    def __init__(self, directory, name="witness.example.test/w1", binary=None, env=None):
        self.dir, self.name, self.binary, self.env = directory, name, binary or LULAB, dict(os.environ, **(env or {}))
        self.process = self.port = None

    def run(self, *args, **kwargs):
        return subprocess.run([self.binary, "witness", *args, "--data", self.dir], capture_output=True, timeout=120,
                              env=self.env, **kwargs)

    def init(self, *vkeys):
        done = self.run("init", self.name, *[x for v in vkeys for x in ("--log", v)])
        if done.returncode != 0:
            raise AssertionError(done.stderr.decode())
        self.vkey = done.stdout.decode().strip()
        return self

    def cosign(self, request):
        return self.run("cosign", "-", input=request)

    def start(self, *args, port=0):
        self.process = subprocess.Popen([self.binary, "witness", "serve", "--data", self.dir, "--listen",
                                         "127.0.0.1:%d" % port, *args], stderr=subprocess.PIPE, env=self.env)
        self.port = None
        for line in self.process.stderr:
            if b'"listening"' in line:
                self.port = int(line.split(b"127.0.0.1:")[1].split(b'"')[0])
                break
        if self.port is None:
            raise AssertionError("the witness ended with %d" % self.process.wait())
        self.drain = threading.Thread(target=self.process.stderr.read)
        self.drain.start()
        return self

    def end(self, kill=False):
        if self.process is None:
            return None
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        code = self.process.wait(30)
        self.drain.join()
        self.process.stderr.close()
        self.process = None
        return code

    def wait_gone(self):
        while self.process.poll() is None:
            time.sleep(0.001)
