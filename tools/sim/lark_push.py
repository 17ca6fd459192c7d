"""What Feishu sends in the simulator: events by webhook (signed, encrypted, repeated until they are taken) and over the long
connection (where to connect, WebSocket, frames, pings, pieces), and the challenge of an address (vendor-protocols 2.3 to 2.6).

    POST /lark/event        {"event_type", "event"}  one event. Optional: over ("connection", "webhook", "both"), webhook (URL),
                            event_id, create_ms, split (pieces), in_order, spaced (another way to write it), plain (no encryption)
    POST /lark/meeting      a whole meeting, told event by event. Optional: over, webhook, meeting_id, topic, minutes, people
    POST /lark/check        {"webhook"}  the challenge      POST /lark/connections  who is connected, and what they sent
    POST /lark/hang_up      ends them: how "close", "reset" or "end"
    POST /lark/send_frames  {"frames": [hex, ...]}  messages as they are; "raw": bytes of the connection itself
    POST /lark/behave       ping_s, reconnect_s, nonce_s, count (told to clients), pongs (false: none), refuse (a code of the
                            endpoint), handshake (a status)
"""

import base64
import hashlib
import http.client
import json
import struct
import threading
import time
import urllib.parse

import aes
import frame
import peer

ENDPOINT, SOCKET = "/callback/ws/endpoint", "/ws/v2"
ACCEPT_OF = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTROL, DATA = 0, 1
CONNECTIONS_MAX = 50
OPTIONS = {"encrypt_key": "simulatedEncryptKey", "verification_token": "simulatedVerificationToken", "tenant_key": "simtenant",
           "ping_s": 120, "reconnect_s": 120, "nonce_s": 30, "reconnect_count": -1, "ack_s": 3}
OPS = {"endpoint": "where to connect", "connect": "the upgrade"}
SENDS = {"event": "an event"}


# ---- protobuf: Frame and Header ---------------------------------------------------------------

def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def encode(f):
    out = field(1, f.get("SeqID", 0)) + field(2, f.get("LogID", 0)) + field(3, f["service"]) + field(4, f["method"])
    for key, value in f["headers"]:
        out += field(5, field(1, key.encode()) + field(2, value.encode()))
    return out + (field(8, f["payload"]) if "payload" in f else b"") + (field(9, f["LogIDNew"].encode()) if "LogIDNew" in f else b"")


def fields(data):
    """(number, value) of a message; ValueError when it is none."""
    at = 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise ValueError("a number is cut off or too long")
            n |= (data[at] & 0x7f) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 0x80:
                return n & (1 << 64) - 1
    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            yield tag >> 3, number()
        elif tag & 7 == 2:
            n = number()
            if at + n > len(data):
                raise ValueError("a text is cut off")
            at += n
            yield tag >> 3, data[at - n:at]
        else:
            raise ValueError("wire type %d" % (tag & 7))


def decode(data):
    """The frame, its required fields checked as the vendor's proto says; ValueError."""
    names = {1: "SeqID", 2: "LogID", 3: "service", 4: "method", 6: "payloadEncoding", 7: "payloadType", 8: "payload", 9: "LogIDNew"}
    f = {"headers": []}
    for number, value in fields(data):
        if number == 5:
            header = dict(fields(value))
            if set(header) != {1, 2}:
                raise ValueError("a header lacks its key or value")
            f["headers"].append((header[1].decode(), header[2].decode()))
        elif number in names:
            f[names[number]] = value
    if not {"SeqID", "LogID", "service", "method"} <= set(f):
        raise ValueError("a required field is missing")
    return f


# ---- WebSocket, the server's side -----------------------------------------------------------------

class Socket:
    """One client. Its thread reads; whoever sends takes `lock`."""

    def __init__(self, vendor, stream, service, number):
        self.vendor, self.stream, self.service, self.number = vendor, stream, service, number
        self.lock, self.acks, self.told = threading.Lock(), {}, threading.Condition()
        self.received, self.open, self.goodbye = [], True, None

    def send(self, data, opcode=2):
        n = len(data)
        length = bytes([n]) if n < 126 else b"\x7e" + struct.pack(">H", n) if n < 65536 else b"\x7f" + struct.pack(">Q", n)
        self.send_raw(bytes([0x80 | opcode]) + length + data)

    def send_raw(self, data):
        with self.lock:
            self.stream.write(data)

    def message(self):
        """(opcode, bytes) of the next message; control frames too. EOFError."""
        data, first = b"", None
        while True:
            head = self.stream.file.read(2)
            if len(head) < 2:
                raise EOFError
            fin, opcode, masked, n = head[0] & 0x80, head[0] & 15, head[1] & 0x80, head[1] & 127
            if not masked:
                raise ValueError("a client's frame is not masked")
            if head[0] & 0x70:
                raise ValueError("reserved bits are set")
            if n >= 126:
                n = int.from_bytes(self.stream.exactly(2 if n == 126 else 8), "big")
            mask = self.stream.exactly(4)
            part = self.stream.exactly(n)
            part = bytes(b ^ mask[i & 3] for i, b in enumerate(part))
            if opcode >= 8:
                return opcode, part
            first, data = (opcode if first is None else first), data + part
            if fin:
                return first, data

    def run(self):
        try:
            while self.one():
                pass
        except (EOFError, OSError, peer.Malformed):
            pass  # it is gone
        except ValueError as e:
            self.vendor.not_so("connection", str(e))
        finally:
            self.open = False
            with self.told:
                self.told.notify_all()

    def one(self):
        opcode, data = self.message()
        if opcode == 8:
            self.goodbye = int.from_bytes(data[:2], "big") if len(data) >= 2 else 0
            try:
                self.send(data, 8)
            except OSError:
                pass
            return False
        if opcode == 9:
            self.send(data, 10)
        if opcode == 2:
            self.take(data)
        return True

    def take(self, data):
        try:
            f = decode(data)
        except ValueError as e:
            self.vendor.not_so("connection", "no frame: %s" % e)
            return
        headers = dict(f["headers"])
        with self.told:
            self.received.append({"hex": data.hex(), "type": headers.get("type"), "method": f["method"]})
        if f["method"] == CONTROL and headers.get("type") == "ping":
            self.take_ping(f)
        elif f["method"] == DATA:
            self.take_ack(f, headers)

    def take_ping(self, f):
        if f["service"] != self.service or f["SeqID"] or f["LogID"]:
            self.vendor.not_so("ping", "service %s, SeqID %s" % (f["service"], f["SeqID"]))
        if self.vendor.pongs:
            self.send(encode({"service": self.service, "method": CONTROL, "headers": [("type", "pong")],
                              "payload": json.dumps(self.vendor.client_config()).encode()}))

    def take_ack(self, f, headers):
        try:
            code = json.loads(f.get("payload", b""))["code"]
        except (ValueError, KeyError, TypeError):
            code = None
        if "biz_rt" not in headers or code not in (200, 500):
            self.vendor.not_so("ack", "biz_rt %s, code %s" % (headers.get("biz_rt"), code))
        with self.told:
            self.acks[headers.get("message_id")] = (code, f["SeqID"], f["headers"])
            self.told.notify_all()

    def await_ack(self, message_id, seconds):
        with self.told:
            self.told.wait_for(lambda: message_id in self.acks or not self.open, seconds)
            return self.acks.get(message_id)


# ---- the vendor --------------------------------------------------------------------------------------

def signature(timestamp, nonce, encrypt_key, body):
    return hashlib.sha256((timestamp + nonce + encrypt_key).encode() + body).hexdigest()


def encrypted(plain, encrypt_key, iv):
    key = hashlib.sha256(encrypt_key.encode()).digest()
    return base64.b64encode(iv + aes.encrypt_cbc(key, iv, plain)).decode()


def call(url, body, headers):
    """Status and body; no answer in 3 s, as the vendor waits, is status 0."""
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=3)
    try:
        connection.request("POST", parts.path, body, {"Content-Type": "application/json; charset=utf-8", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read(65536)
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def person(n, role=1):
    return {"id": {"union_id": "on_sim%d" % n, "user_id": "simuser%d" % n, "open_id": "ou_sim%d" % n},
            "user_role": role, "user_type": 1}


class Push:
    """The part of the vendor that sends. What it has of the other: option, clock, rng, lock, acts, refused, refuse(), disturbed()."""

    def push_started(self):
        self.sockets, self.tickets, self.n_sockets, self.n_events, self.n_frames = [], set(), 0, 0, 1
        self.pongs, self.refuse_code, self.handshake = True, 0, 0

    def push_settings(self):
        return {"LARK_EVENT_ENCRYPT_KEY": self.option["encrypt_key"],
                "LARK_EVENT_VERIFICATION_TOKEN": self.option["verification_token"]}

    def push_op(self, request):
        return {ENDPOINT: "endpoint", SOCKET: "connect"}.get(request.path)

    def push_handle(self, op, request):
        return self.give_endpoint(request) if op == "endpoint" else self.take_upgrade(request)

    def not_so(self, op, why):
        """What a client sent and should not have."""
        with self.lock:
            self.refused.append({"op": op, "target": SOCKET, "status": 0, "why": why})

    def client_config(self):
        o = self.option
        return {"ReconnectCount": int(o["reconnect_count"]), "ReconnectInterval": int(o["reconnect_s"]),
                "ReconnectNonce": int(o["nonce_s"]), "PingInterval": int(o["ping_s"])}

    # ---- where to connect ----

    def give_endpoint(self, request):
        body = request.json()
        if request.method != "POST" or not isinstance(body, dict) or request.headers.get("locale") != "zh":
            self.refuse(frame.Answer(400, body={"code": 400, "msg": "bad request"}), "not a request for an endpoint")
        if body.get("AppID") != self.option["app_id"] or body.get("AppSecret") != self.option["app_secret"]:
            self.refuse(frame.Answer(200, body={"code": 514, "msg": "auth failed"}), "514: id or secret is wrong")
        if self.refuse_code:
            self.refuse(frame.Answer(200, body={"code": self.refuse_code, "msg": "refused"}), "%d: as told" % self.refuse_code)
        if len([s for s in self.sockets if s.open]) >= CONNECTIONS_MAX:
            self.refuse(frame.Answer(200, body={"code": 1000040350, "msg": "too many"}), "1000040350: too many connections")
        ticket = "%032x" % self.rng.getrandbits(128)
        self.tickets.add(ticket)
        self.acts.append({"did": "endpoint"})
        url = "%s%s?fpid=493&aid=552564&device_id=7000000000000000009&access_key=sim&service_id=33554678&ticket=%s" % (
            self.url.replace("http", "ws", 1), SOCKET, ticket)
        return frame.Answer(200, body={"code": 0, "msg": "ok", "data": {"URL": url, "ClientConfig": self.client_config()}})

    def take_upgrade(self, request):
        ticket, key = request.arg("ticket"), request.headers.get("sec-websocket-key", "")
        if self.handshake:
            self.refuse(frame.Answer(403, {"handshake-status": str(self.handshake), "handshake-msg": "refused",
                                           "handshake-autherrcode": "1000040350"}), "handshake: as told")
        if ticket not in self.tickets:
            self.refuse(frame.Answer(403, {"handshake-status": "403", "handshake-msg": "ticket"}), "handshake: the ticket was used, or never given")
        self.tickets.discard(ticket)
        try:
            good = len(base64.b64decode(key, validate=True)) == 16
        except ValueError:
            good = False
        if not good or request.headers.get("upgrade", "").lower() != "websocket" or \
                "upgrade" not in request.headers.get("connection", "").lower() or request.headers.get("sec-websocket-version") != "13":
            self.refuse(frame.Answer(400), "handshake: not an upgrade to WebSocket 13")
        accept = base64.b64encode(hashlib.sha1((key + ACCEPT_OF).encode()).digest()).decode()
        return frame.Answer(101, {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept},
                            take_over=lambda stream: self.serve_socket(stream, int(request.arg("service_id") or 0)))

    def serve_socket(self, stream, service):
        with self.lock:
            self.n_sockets += 1
            socket = Socket(self, stream, service, self.n_sockets)
            self.sockets.append(socket)
            self.acts.append({"did": "connected", "number": socket.number})
        stream.sock.settimeout(None)
        socket.run()

    def standing(self):
        with self.lock:
            return [s for s in self.sockets if s.open]

    # ---- events ----

    def made_event(self, event_type, event, event_id=None, create_ms=None):
        self.n_events += 1
        return {"schema": "2.0", "header": {
            "event_id": event_id or "%032x" % self.rng.getrandbits(128), "event_type": event_type,
            "create_time": str(int(create_ms or self.clock() * 1000)), "token": self.option["verification_token"],
            "app_id": self.option["app_id"], "tenant_key": self.option["tenant_key"]}, "event": event}

    def by_connection(self, plain, split=1, in_order=True):
        """Over one of those that stand, at random; the code of its acknowledgement, or None."""
        standing = self.standing()
        if not standing:
            return None
        with self.lock:
            socket = standing[self.rng.randrange(len(standing))]
            message_id, seq, log_id = "m-%016x" % self.rng.getrandbits(64), self.n_frames, self.rng.getrandbits(52)
            self.n_frames += split  # numbers that JavaScript holds exactly: the vendor's own library has no others
        size = -(-len(plain) // split)
        pieces = list(enumerate(plain[i * size:(i + 1) * size] for i in range(split)))
        if not in_order:
            pieces.reverse()
        try:
            for n, (i, piece) in enumerate(pieces):
                socket.send(encode({"SeqID": seq + n, "LogID": log_id, "service": socket.service, "method": DATA, "payload": piece,
                                    "headers": [("type", "event"), ("message_id", message_id), ("sum", str(split)),
                                                ("seq", str(i)), ("trace_id", "sim-%d" % log_id)], "LogIDNew": "sim"}))
        except OSError:
            return None
        ack = socket.await_ack(message_id, float(self.option["ack_s"]))
        if ack and (ack[1] != seq + len(pieces) - 1 or ("trace_id", "sim-%d" % log_id) not in ack[2]):
            self.not_so("ack", "not of the frame that completed the message")
        return ack[0] if ack else None

    def signed(self, plain, key):
        """Headers and body of a webhook."""
        if not key:
            return {}, plain
        with self.lock:
            iv, nonce = self.rng.randbytes(16), str(self.rng.randrange(10 ** 9))
        # Without white space: the vendor's own library signs what it writes anew, not what came.
        body, timestamp = b'{"encrypt":"%s"}' % encrypted(plain, key, iv).encode(), str(int(self.clock()))
        return {"X-Lark-Request-Timestamp": timestamp, "X-Lark-Request-Nonce": nonce,
                "X-Lark-Signature": signature(timestamp, nonce, key, body)}, body

    def by_webhook(self, url, plain, key, repeats_s=()):
        """The status of each try: one, and one after each span while it is not taken."""
        tried = []
        for wait in (0, *repeats_s):
            time.sleep(wait)
            headers, body = self.signed(plain, key)
            status, _ = call(url, body, headers)
            tried.append(status)
            if status == 200:
                break
        return tried

    def cmd_event(self, event_type="vc.meeting.all_meeting_ended_v1", event=None, over="connection", webhook=None, event_id=None,
                  create_ms=None, split=1, in_order=True, spaced=False, plain=False, repeats_s=()):
        if over in ("webhook", "both") and not webhook:
            raise frame.Unfit("over a webhook only with its URL: webhook")
        with self.lock:
            whole = self.made_event(event_type, event or {"meeting": self.a_meeting()}, event_id, create_ms)
        return dict(self.tell(whole, over, webhook, split, in_order, spaced, plain, repeats_s), event_id=whole["header"]["event_id"])

    def tell(self, whole, over, webhook, split=1, in_order=True, spaced=False, plain=False, repeats_s=()):
        text = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
        result = {"acks": [], "statuses": []}
        if over in ("connection", "both"):
            result["acks"] = [self.by_connection(text, split, in_order)]
        if over in ("webhook", "both"):
            if spaced:
                text = json.dumps(whole, ensure_ascii=True, indent=1, sort_keys=True).encode()
            result["statuses"] = self.by_webhook(webhook, text, "" if plain else self.option["encrypt_key"], repeats_s)
        with self.lock:
            self.acts.append({"did": "event", "event_type": whole["header"]["event_type"], **result})
        return result

    # ---- a meeting ----

    def a_meeting(self, meeting_id="7000000000000000001", topic="虚构的周会", minutes=30, began=None):
        began = int(began if began is not None else self.clock() - minutes * 60)
        return {"id": meeting_id, "topic": topic, "meeting_no": "100200300", "meeting_source": 1, "start_time": str(began),
                "end_time": str(began + minutes * 60), "host_user": person(1, 2), "owner": person(1, 2),
                "calendar_event_id": "sim-calendar_0", "security_setting": {"security_level": 1}}

    def cmd_meeting(self, over="connection", webhook=None, meeting_id="7000000000000000001", topic="虚构的周会", minutes=30, people=3):
        """As one reserved by the interface: who came, who left, and its recording."""
        with self.lock:
            m = self.a_meeting(meeting_id, topic, minutes)
            now = {k: v for k, v in m.items() if k != "end_time"}
            story = [("meeting_started_v1", {"meeting": now, "operator": person(1, 2)})]
            story += [("join_meeting_v1", {"meeting": now, "operator": person(n)}) for n in range(1, people + 1)]
            story += [("recording_started_v1", {"meeting": now, "operator": person(1, 2)}),
                      ("recording_ended_v1", {"meeting": now, "operator": person(1, 2)})]
            story += [("leave_meeting_v1", {"meeting": m, "operator": person(n), "leave_reason": 2, "leave_user": person(n)})
                      for n in range(1, people + 1)]
            story += [("meeting_ended_v1", {"meeting": m, "operator": person(1, 2)}),
                      ("recording_ready_v1", {"meeting": {"id": meeting_id, "topic": topic, "meeting_no": m["meeting_no"],
                                                          "owner": {"id": person(1)["id"]}},
                                              "url": "https://sim.feishu.invalid/minutes/obcnsim%s" % meeting_id[-17:],
                                              "duration": str(minutes * 60000)})]
            told = []
            for i, (name, event) in enumerate(story):
                whole = self.made_event("vc.meeting." + name, event)
                at_ms = int(m["start_time"]) * 1000 + i * 1000 if "leave" not in name else int(m["end_time"]) * 1000
                whole["header"]["create_time"] = str(at_ms)
                told.append(whole)
        return {"meeting_id": meeting_id,
                "events": [self.tell(whole, over, webhook) for whole in self.disturbed(told, "event")]}

    # ---- the rest ----

    def cmd_check(self, webhook, token=None, plain=False):
        challenge = "%016x" % self.rng.getrandbits(64)
        text = json.dumps({"type": "url_verification", "challenge": challenge,
                           "token": self.option["verification_token"] if token is None else token}).encode()
        _, body = self.signed(text, "" if plain else self.option["encrypt_key"])
        status, answer = call(webhook, body, {})  # comes unsigned
        try:
            answered = json.loads(answer).get("challenge") == challenge
        except (ValueError, AttributeError):
            answered = False
        return {"status": status, "answered": answered}

    def cmd_connections(self):
        with self.lock:
            sockets = list(self.sockets)
        return [{"number": s.number, "open": s.open, "goodbye": s.goodbye, "received": list(s.received)} for s in sockets]

    def cmd_send_frames(self, frames=(), raw=None, opcode=2):
        for socket in self.standing():
            try:
                for data in frames:
                    socket.send(bytes.fromhex(data), opcode)
                if raw is not None:
                    socket.send_raw(bytes.fromhex(raw))
            except OSError:
                pass

    def cmd_hang_up(self, how="close"):
        for socket in self.standing():
            if how == "close":
                socket.send(struct.pack(">H", 1001), 8)
            elif how == "reset":
                socket.stream.reset()
                socket.stream.sock.shutdown(2)
            else:
                socket.stream.sock.shutdown(2)

    def cmd_behave(self, ping_s=None, reconnect_s=None, nonce_s=None, count=None, pongs=None, refuse=None, handshake=None):
        with self.lock:
            for name, value in (("ping_s", ping_s), ("reconnect_s", reconnect_s), ("nonce_s", nonce_s), ("reconnect_count", count)):
                if value is not None:
                    self.option[name] = value
            self.pongs = self.pongs if pongs is None else pongs
            self.refuse_code = self.refuse_code if refuse is None else refuse
            self.handshake = self.handshake if handshake is None else handshake
