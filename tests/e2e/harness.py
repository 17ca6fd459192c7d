"""Starts the real binary on a temporary directory and speaks to it from outside.

Python standard library only. What the vendor does (SHA-1 signature, AES-256-CBC)
is done here a second time, with hashlib and the system's libcrypto, so that the
program is judged by something it does not share.
"""

import base64
import ctypes
import ctypes.util
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("LULAB", os.path.join(ROOT, "build", "lulab"))
PLANTED = os.environ.get("LULAB_PLANTED", os.path.join(os.path.dirname(BINARY), "tests", "lulab_planted"))
WRONG_CLOCK_SO = os.environ.get("WRONG_CLOCK_SO", os.path.join(os.path.dirname(BINARY), "tests", "libwrong_clock.so"))
TOKEN = "e2eTokenForTheTests123456"
AES_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
ACK = b"successfully received callback"

_crypto = None


def _libcrypto():
    global _crypto
    if _crypto is None:
        _crypto = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
        _crypto.EVP_CIPHER_CTX_new.restype = ctypes.c_void_p
        _crypto.EVP_aes_256_cbc.restype = ctypes.c_void_p
    return _crypto


def aes_encrypt(plain, encoding_aes_key=AES_KEY):
    """AES-256-CBC, PKCS#7, IV = first half of the key; base64 text (vendor-protocols 1.8)."""
    lib = _libcrypto()
    key = base64.b64decode(encoding_aes_key + "=")
    out = ctypes.create_string_buffer(len(plain) + 32)
    n, m = ctypes.c_int(0), ctypes.c_int(0)
    ctx = ctypes.c_void_p(lib.EVP_CIPHER_CTX_new())
    cipher = ctypes.c_void_p(lib.EVP_aes_256_cbc())
    ok = lib.EVP_EncryptInit_ex(ctx, cipher, None, key, key[:16]) == 1
    ok = ok and lib.EVP_EncryptUpdate(ctx, out, ctypes.byref(n), plain, len(plain)) == 1
    tail = ctypes.byref(out, n.value)
    ok = ok and lib.EVP_EncryptFinal_ex(ctx, tail, ctypes.byref(m)) == 1
    lib.EVP_CIPHER_CTX_free(ctx)
    if not ok:
        raise RuntimeError("libcrypto refused to encrypt")
    return base64.b64encode(out.raw[: n.value + m.value]).decode()


def sign(token, timestamp, nonce, data):
    """lower-case hex of SHA-1 over the four strings sorted bytewise (vendor-protocols 1.7)."""
    parts = sorted(s.encode() for s in (token, timestamp, nonce, data))
    return hashlib.sha1(b"".join(parts)).hexdigest()


def signed_request(event, token=TOKEN, aes_key=AES_KEY, timestamp=None, nonce="12345678"):
    """Headers and body of a webhook as the vendor sends it; event is an object or raw bytes."""
    plain = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
    data = aes_encrypt(plain, aes_key) if aes_key else base64.b64encode(plain).decode()
    timestamp = timestamp or str(int(time.time() * 1000))
    headers = {
        "Content-Type": "application/json",
        "timestamp": timestamp,
        "nonce": nonce,
        "signature": sign(token, timestamp, nonce, data),
    }
    return headers, json.dumps({"data": data}).encode()


def meeting_event(name="meeting.started", trace_id="t-1", meeting_id="15799355397363795495", **more):
    """An invented event in the vendor's shape; `more` replaces members of the payload item."""
    person = {
        "userid": "mock-user-id-001",
        "user_name": "张三",
        "uuid": "mock-uuid-001",
        "instance_id": "1",
        "ms_open_id": "mock-ms-001",
    }
    item = {
        "operate_time": 1767051029171,
        "operator": person,
        "meeting_info": {
            "meeting_id": meeting_id,
            "meeting_code": "361599399",
            "subject": "季度预算评审会",
            "creator": person,
            "meeting_type": 0,
            "start_time": 1767051000,
            "end_time": 1767054600,
            "meeting_create_mode": 0,
            "meeting_create_from": 1,
            "meeting_id_type": 0,
        },
    }
    info = more.pop("meeting_info", None)
    if info:
        item["meeting_info"].update(info)
    item.update(more)
    return {"event": name, "trace_id": trace_id, "payload": [item]}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One `lulab serve`. Use as a context manager; stop() checks for a clean exit.

    planted: the name of a bug (core/base/planted.h) that this one shall have."""

    def __init__(self, data=None, env=None, port=None, args=(), planted=None):
        self.own_data = data is None
        self.data = data or tempfile.mkdtemp(prefix="lulab-e2e-")
        self.port = port or free_port()
        self.args = list(args)
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": self.data,
            "TENCENT_MEETING_TOKEN": TOKEN,
            "TENCENT_MEETING_ENCODING_AES_KEY": AES_KEY,
            "LULAB_RATE_LIMIT": "0",
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.env.update(env or {})
        self.binary = BINARY
        if planted is not None:
            self.binary = PLANTED
            self.env["PLANTED_BUG"] = planted
        self.process = None
        self.log_path = self.data.rstrip("/") + ".stderr"

    def start(self, wait=True, timeout_s=120):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--data", self.data, "--listen", "127.0.0.1:%d" % self.port]
                + self.args,
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.env, cwd=self.data)
        if wait:
            self.wait_ready(timeout_s)
        return self

    def wait_ready(self, timeout_s=120):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError("serve ended with %s:\n%s" % (self.process.returncode, self.log()))
            try:
                if self.get("/readyz", token=None).status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise RuntimeError("not ready after %d s:\n%s" % (timeout_s, self.log()))

    def log(self):
        with open(self.log_path, "r", errors="replace") as f:
            return f.read()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout_s=120):
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        try:
            code = self.stop()
            if exc[0] is None and code != 0:
                raise AssertionError("serve ended with %s:\n%s" % (code, self.log()[-4000:]))
        finally:
            if self.process.poll() is None:
                self.kill()
            if self.own_data:
                shutil.rmtree(self.data, ignore_errors=True)
                if os.path.exists(self.log_path):
                    os.unlink(self.log_path)

    def admin_token(self):
        with open(os.path.join(self.data, "admin.token")) as f:
            return f.read().strip()

    def request(self, method, path, body=None, headers=None, token="admin", timeout_s=120):
        """One request on a connection of its own. token: "admin", None or a text."""
        headers = dict(headers or {})
        if token == "admin":
            token = self.admin_token()
        if token:
            headers["Authorization"] = "Bearer " + token
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            response.body = response.read()
            return response
        finally:
            connection.close()

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def newest(self, path, headers=None, **kw):
        """The answer with all that is in the log, however far behind a busy machine is with it."""
        headers = {"Lulab-Min-Position": "newest", **(headers or {})}
        return eventually(lambda: next((a for a in [self.get(path, headers=headers, **kw)] if a.status != 503), None))

    def newest_data(self, path):
        return self.parsed(path, self.newest(path))["data"]

    def json(self, path, **kw):
        return self.parsed(path, self.get(path, **kw))

    @staticmethod
    def parsed(path, answer):
        if answer.status != 200:
            raise AssertionError("GET %s: %d %s" % (path, answer.status, answer.body[:400]))
        return json.loads(answer.body)

    def post_event(self, event, **kw):
        headers, body = signed_request(event, **kw)
        return self.request("POST", "/webhooks/tencent", body, headers, token=None)

    def url_check(self, plain=b"testverification"):
        data = aes_encrypt(plain)
        headers, _ = signed_request(plain)
        headers["signature"] = sign(TOKEN, headers["timestamp"], headers["nonce"], data)
        return self.get("/webhooks/tencent?check_str=" + urllib.parse.quote(data, safe=""),
                        headers=headers, token=None)


def lulab(*args, check=True, env=None, **kw):
    """Runs a tool verb; returns the CompletedProcess with text output."""
    full = dict(os.environ, NO_COLOR="1")
    full.update(env or {})
    done = subprocess.run([BINARY] + [str(a) for a in args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=full, **kw)
    if check and done.returncode != 0:
        raise AssertionError("lulab %s: exit %d\n%s%s" % (
            " ".join(map(str, args)), done.returncode, done.stdout, done.stderr))
    return done


def eventually(check, timeout_s=60):
    """Repeats check() until it returns something true; the last value otherwise fails."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("did not become true within %d s" % timeout_s)
        time.sleep(0.01)
