"""The other sides of object storage, with faults on demand: where a vendor lets us fetch a file, and a store that speaks S3.

Both in the test's own process. The store does not look at signatures: the vectors and a real S3 server (test_s3rver.py) do that.
"""

import hashlib
import http.server
import re
import socket
import struct
import threading
import urllib.parse


class Peer:
    """A server on a port of its own; self.requests holds (method, path) of all that came."""

    def __init__(self):
        self.requests, self.lock = [], threading.Lock()
        peer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                with peer.lock:
                    peer.requests.append((self.command, self.path))
                try:
                    peer.answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def log_message(self, *args):
                pass

            def reply(self, status, body=b"", headers=None):
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                if "Content-Length" not in (headers or {}):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def cut(self):
                """The connection breaks, with a reset."""
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                raise ConnectionResetError

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = "http://127.0.0.1:%d" % self.port
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Source(Peer):
    """A file behind an address that a vendor gave. at: offset in the file -> what happens when that byte was sent, once."""

    def __init__(self, content):
        self.content, self.etag, self.modified = content, '"v1"', None
        self.ranges, self.status, self.headers = True, 200, {}
        self.at, self.sent, self.declared = {}, 0, None
        super().__init__()

    def change(self, content, etag):
        self.content, self.etag = content, etag

    def answer(self, rq):
        content, start, status, headers = self.content, 0, self.status, dict(self.headers)
        if status != 200:
            rq.reply(status, b"", headers)
            return
        if self.etag:
            headers["ETag"] = self.etag
        if self.modified:
            headers["Last-Modified"] = self.modified
        asked = re.fullmatch(r"bytes=(\d+)-", rq.headers.get("Range", ""))
        if asked and self.ranges and rq.headers.get("If-Range") in (None, self.etag, self.modified):
            start = int(asked.group(1))
            if start >= len(content):
                rq.reply(416, b"", {"Content-Range": "bytes */%d" % len(content)})
                return
            status = 206
            headers["Content-Range"] = "bytes %d-%d/%d" % (start, len(content) - 1, len(content))
        rq.send_response(status)
        for name, value in headers.items():
            rq.send_header(name, value)
        rq.send_header("Content-Length", str(self.declared or len(content) - start))
        rq.end_headers()
        while start < len(content):
            end = min([start + (1 << 20), len(content)] + [a for a in self.at if a > start])
            rq.wfile.write(content[start:end])
            self.sent += end - start
            start = end
            act = self.at.pop(start, None)
            if act is not None:
                act(rq)


class Store(Peer):
    """What of S3 a put needs. faults: list of (pattern of "METHOD path?query", what happens once in the answer's place or before it)."""

    def __init__(self):
        self.objects, self.uploads, self.faults, self.count = {}, {}, [], 0
        self.lists = self.ranges = True
        super().__init__()

    def error(self, rq, status, code):
        rq.reply(status, b"<?xml version='1.0'?><Error><Code>%s</Code><Message>m</Message><RequestId>r1</RequestId></Error>"
                 % code.encode(), {"Content-Type": "application/xml"})

    def answer(self, rq):
        path, _, text = rq.path.partition("?")
        query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
        body = rq.rfile.read(int(rq.headers.get("Content-Length") or 0))
        with self.lock:
            fault = next((f for f in self.faults if re.search(f[0], "%s %s" % (rq.command, rq.path))), None)
            if fault:
                self.faults.remove(fault)
        if fault and fault[1](self, rq, path, query, body):
            return
        self.act(rq, path, query, body)

    def act(self, rq, path, query, body):
        upload = self.uploads.get(query.get("uploadId"))
        if "uploadId" in query and upload is None:
            self.error(rq, 404, "NoSuchUpload")
        elif rq.command == "POST" and "uploads" in query:
            self.count += 1
            name = "u/%d+=" % self.count
            self.uploads[name] = {}
            rq.reply(200, b"<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>" % name.encode())
        elif rq.command == "PUT" and upload is not None:
            upload[int(query["partNumber"])] = body
            rq.reply(200, b"", {"ETag": self.etag(body)})
        elif rq.command == "GET" and upload is not None:
            self.list_parts(rq, upload, int(query.get("part-number-marker") or 0))
        elif rq.command == "POST" and upload is not None:
            told = re.findall(rb"<PartNumber>(\d+)</PartNumber><ETag>(.*?)</ETag>", body)
            assert [(int(n), e.replace(b"&quot;", b'"').decode()) for n, e in told] == [
                (n, self.etag(b)) for n, b in sorted(upload.items())], "other parts are completed than were sent"
            self.objects[path] = b"".join(b for _, b in sorted(upload.items()))
            del self.uploads[query["uploadId"]]
            rq.reply(200, b"<CompleteMultipartUploadResult><ETag>\"x-2\"</ETag></CompleteMultipartUploadResult>")
        elif rq.command == "DELETE" and upload is not None:
            del self.uploads[query["uploadId"]]
            rq.reply(204)
        elif rq.command == "PUT":
            self.objects[path] = body
            rq.reply(200, b"", {"ETag": self.etag(body)})
        elif rq.command == "DELETE":
            self.objects.pop(path, None)
            rq.reply(204)
        elif path not in self.objects:
            self.error(rq, 404, "NoSuchKey")
        else:
            content = self.objects[path]
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", rq.headers.get("Range", ""))
            if asked and self.ranges:
                start, end = int(asked.group(1)), min(int(asked.group(2) or len(content)) + 1, len(content))
                rq.reply(206, content[start:end], {"Content-Length": str(end - start)})
            else:
                rq.reply(200, content, {"Content-Length": str(len(content))})

    @staticmethod
    def etag(body):
        return '"%s"' % hashlib.md5(body).hexdigest()

    def list_parts(self, rq, upload, marker):
        if not self.lists:
            self.error(rq, 501, "NotImplemented")
            return
        rest = [n for n in sorted(upload) if n > marker]
        page = rest[:3]
        rq.reply(200, ("<ListPartsResult><UploadId>u</UploadId><IsTruncated>%s</IsTruncated><NextPartNumberMarker>%d"
                       "</NextPartNumberMarker>%s</ListPartsResult>" % (
                           str(len(rest) > 3).lower(), page[-1] if page else 0, "".join(
                               "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Size>%d</Size></Part>"
                               % (n, self.etag(upload[n]), len(upload[n])) for n in page))).encode())


class Judge(Store):
    """A store that refuses what is not signed as it wants it: signatures.s3, .oss or .cos."""

    def __init__(self, judge, crc=None):
        self.judge, self.crc = judge, crc
        super().__init__()

    def act(self, rq, path, query, body):
        if not self.judge(rq, path, rq.path.partition("?")[2], body, "K", "s", "us-east-1"):
            self.error(rq, 403, "SignatureDoesNotMatch")
        else:
            super().act(rq, path, query, body)
