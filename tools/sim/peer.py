"""HTTP/1.1 on loopback for the simulator: one thread a connection, nothing between the bytes and who judges them.

The standard library's server normalises what it reads; a vendor signs what was sent. So requests are kept as they
came: the target of the request line and the body to the byte.
"""

import json
import re
import select
import socket
import struct
import threading
import urllib.parse

LINE_MAX = 64 * 1024
HEADERS_MAX = 100
BODY_MAX = 64 * 1024 * 1024
IDLE_S = 120

REASONS = {100: "Continue", 101: "Switching Protocols", 200: "OK", 201: "Created", 204: "No Content", 206: "Partial Content",
           301: "Moved Permanently", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
           404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 412: "Precondition Failed",
           413: "Content Too Large", 416: "Range Not Satisfiable", 429: "Too Many Requests",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}


class Malformed(Exception):
    """What came is no HTTP/1.1 request, or too big a one."""

    def __init__(self, why, status=400):
        super().__init__(why)
        self.status = status


class Request:
    """method; target as on the request line; path (still percent-encoded) and raw_query, its halves; query, decoded pairs;
    headers with names in lower case; body."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path, _, self.raw_query = target.partition("?")
        self.query = urllib.parse.parse_qsl(self.raw_query, keep_blank_values=True)

    def arg(self, name):
        """The first value of that name in the query, or None."""
        return next((v for n, v in self.query if n == name), None)

    def json(self):
        """The body as JSON, or None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Answer:
    """body: bytes, text, an object (sent as JSON) or an iterator over bytes, which is sent as it comes: chunked, unless the
    headers have a Content-Length. take_over(stream) gets the connection after the head was sent (101)."""

    def __init__(self, status=200, headers=None, body=b"", take_over=None):
        self.status, self.body, self.take_over = status, body, take_over
        self.headers = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        if isinstance(body, (dict, list)):
            self.body = json.dumps(body, ensure_ascii=False).encode()
            if not self.has("content-type"):
                self.headers.append(("Content-Type", "application/json; charset=utf-8"))
        elif isinstance(body, str):
            self.body = body.encode()

    def has(self, name):
        return any(n.lower() == name for n, _ in self.headers)


def ranged(request, content, kind):
    """An answer with as much of the content as was asked for (RFC 9110, one range)."""
    headers = {"Content-Type": kind, "Accept-Ranges": "bytes", "ETag": content.etag, "Server": "tencent-cos"}
    if request.headers.get("if-none-match") == content.etag:
        return Answer(304, headers)
    if request.headers.get("if-match", content.etag) != content.etag:
        return Answer(412, headers)
    match = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", request.headers.get("range", "").strip())
    first, n, status = 0, content.size, 200
    if match and any(match.groups()) and request.headers.get("if-range", content.etag) == content.etag:
        if match.group(1):
            first = int(match.group(1))
            last = min(int(match.group(2) or content.size), content.size - 1)
        else:
            first, last = max(content.size - int(match.group(2)), 0), content.size - 1
        if first > last:
            return Answer(416, dict(headers, **{"Content-Range": "bytes */%d" % content.size}))
        n, status = last - first + 1, 206
        headers["Content-Range"] = "bytes %d-%d/%d" % (first, last, content.size)
    return Answer(status, dict(headers, **{"Content-Length": str(n)}), content.read(first, n))


class Stream:
    """A connection whose head was read."""

    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")

    def line(self):
        line = self.file.readline(LINE_MAX + 1)
        if len(line) > LINE_MAX:
            raise Malformed("a line is too long", 413)
        if line and not line.endswith(b"\n"):
            raise Malformed("the request is cut off")
        return line.rstrip(b"\r\n").decode("latin-1") if line else None

    def exactly(self, n):
        data = self.file.read(n)
        if len(data) < n:
            raise Malformed("the body is cut off")
        return data

    def write(self, data):
        self.sock.sendall(data)

    def until_left(self, seconds):
        """Waits so long, or until the other side closes."""
        if select.select([self.sock], [], [], seconds)[0] and not self.sock.recv(1, socket.MSG_PEEK):
            return

    def reset(self):
        """Ends it without a farewell: the other side sees a broken connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self):
        for thing in (self.file, self.sock):
            try:
                thing.close()
            except OSError:
                pass


def read_headers(stream):
    headers = {}
    for _ in range(HEADERS_MAX + 1):
        line = stream.line()
        if line is None:
            raise Malformed("the headers are cut off")
        if line == "":
            return headers
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Malformed("a header is malformed")
        name, value = name.lower(), value.strip()
        headers[name] = headers[name] + ", " + value if name in headers else value
    raise Malformed("too many headers", 413)


def number(text, base, why):
    try:
        if not text.isalnum():
            raise ValueError
        n = int(text, base)
    except ValueError:
        raise Malformed(why) from None
    if n > BODY_MAX:
        raise Malformed("the body is too big", 413)
    return n


def read_body(stream, headers):
    if headers.get("expect", "").lower() == "100-continue":
        stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts, size = [], 0
        while True:
            n = number((stream.line() or "").partition(";")[0].strip(), 16, "a chunk's size is malformed")
            if n == 0:
                while stream.line():
                    pass
                return b"".join(parts)
            size += n
            if size > BODY_MAX:
                raise Malformed("the body is too big", 413)
            parts.append(stream.exactly(n))
            if stream.line() != "":
                raise Malformed("a chunk is longer than its size")
    return stream.exactly(number(headers.get("content-length", "0"), 10, "Content-Length is malformed"))


def read_request(stream):
    """The next request of a connection, or None at its end."""
    line = stream.line()
    if line is None:
        return None
    parts = line.split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0") or not parts[0].isalpha() or not parts[1].startswith("/"):
        raise Malformed("the request line is malformed")
    headers = read_headers(stream)
    return Request(parts[0], parts[1], headers, read_body(stream, headers))


def send(stream, request, answer, cut=None):
    """Sends it; cut: a share of 0..1 of the body after which the connection breaks. False when it cannot be used again."""
    whole = isinstance(answer.body, (bytes, bytearray))
    head = ["HTTP/1.1 %d %s" % (answer.status, REASONS.get(answer.status, "Status"))]
    head += ["%s: %s" % pair for pair in answer.headers]
    bodiless = answer.status in (101, 204, 304)
    chunked = not whole and not answer.has("content-length")
    if whole and not bodiless and not answer.has("content-length"):
        head.append("Content-Length: %d" % len(answer.body))
    if chunked:
        head.append("Transfer-Encoding: chunked")
    head = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1", "replace")
    if request is not None and request.method == "HEAD" or bodiless:
        stream.write(head)
        return True
    if whole:
        if cut is not None:
            stream.write(head + bytes(answer.body[:int(len(answer.body) * cut)]))
            return False
        stream.write(head + bytes(answer.body))
        return True
    return send_pieces(stream, head, answer, chunked, cut)


def send_pieces(stream, head, answer, chunked, cut):
    total = next((int(v) for n, v in answer.headers if n.lower() == "content-length"), None)
    # What has no length told beforehand breaks somewhere in its first pieces.
    left = None if cut is None else int(total * cut) if total is not None else int(cut * 4096)
    stream.write(head)
    for piece in answer.body:
        if left is not None and len(piece) >= left:
            stream.write(b"%x\r\n%s" % (len(piece), piece[:left]) if chunked else piece[:left])
            return False
        if left is not None:
            left -= len(piece)
        if piece:
            stream.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        stream.write(b"0\r\n\r\n")
    return True


class Listener:
    """A port of loopback. serve(stream, request) answers one request and says whether the connection goes on; converse(stream),
    if given, has the whole connection, and nothing is HTTP."""

    def __init__(self, serve, port=0, converse=None):
        self.serve, self.converse, self.open, self.lock = serve, converse, set(), threading.Lock()
        # A socket that only holds the port: while nothing listens, connections are refused and nobody else gets it.
        self.holder = self._bound(port)
        self.port = self.holder.getsockname()[1]
        self.socket = None
        self.up()

    @staticmethod
    def _bound(port):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind(("127.0.0.1", port))
        return s

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def up(self):
        if self.socket is None:
            self.socket = self._bound(self.port)
            self.socket.listen(512)
            threading.Thread(target=self._accept, args=(self.socket,), daemon=True).start()

    def down(self):
        """Nobody can connect any more, and who has a connection loses it."""
        if self.socket is not None:
            self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()
            self.socket = None
        with self.lock:
            streams = list(self.open)
        for stream in streams:
            try:
                stream.reset()
                stream.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self, listening):
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(sock,), daemon=True).start()

    def _connection(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(IDLE_S)
        stream = Stream(sock)
        with self.lock:
            self.open.add(stream)
        try:
            while self._one(stream):
                pass
        except OSError:
            pass  # the other side is gone; whose fault that is, it knows itself
        finally:
            with self.lock:
                self.open.discard(stream)
            stream.close()

    def _one(self, stream):
        if self.converse:
            self.converse(stream)
            return False
        try:
            request = read_request(stream)
        except Malformed as e:
            send(stream, None, Answer(e.status, {"Connection": "close"}, {"error": str(e)}))
            return False
        if request is None:
            return False
        return self.serve(stream, request) and request.headers.get("connection", "").lower() != "close"
