"""Feishu as lulab meets it: tenant tokens, Bitable with its records, messages.

What is read back is what the vendor's tables make of what was written: text in pieces, links as an object, empty cells
absent; answers to writes have it plain. A write while another one of the same table is under way is a conflict (1254291),
and a client_token or a uuid that was seen before is the same request again.

tools/sim/lark_records.py has the cells; webhooks and the long connection are played by lark_push.py.
"""

import hashlib
import json
import re
import time

import frame
import lark_push
from lark_records import Refuse, Table

CODE_TEXT = {
    10003: "invalid param", 10014: "app secret invalid",
    99991400: "request trigger frequency limit", 99991661: "Missing access token for authorization.",
    99991663: "Invalid access token for authorization.", 1254000: "WrongRequestJson", 1254001: "WrongRequestBody",
    1254002: "Fail", 1254003: "WrongBaseToken", 1254004: "WrongTableId", 1254006: "WrongRecordId",
    1254037: "Invalid client token, make sure that it complies with the specification", 1254040: "BaseTokenNotFound",
    1254041: "TableIdNotFound", 1254043: "RecordIdNotFound", 1254104: "RecordAddOnceExceedLimit",
    1254290: "TooManyRequest", 1254291: "Write conflict", 1254608: "Same API requests are submitted repeatedly.",
    1255001: "InternalError", 1255006: "client token conflict", 230001: "Your request contains an invalid request parameter.",
    230002: "The bot can not be outside the group.", 230025: "The length of the message content reaches its limit.",
    230034: "The receive_id is invalid.", 230099: "Failed to create card content",
}
STATUS = {99991400: 429, 99991661: 400, 99991663: 400, 1255001: 500, 1254291: 200}
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.I)
WRITES = ("create", "update", "delete", "batch_create", "batch_update", "batch_delete")
TABLE_PATH = re.compile(r"/open-apis/bitable/v1/apps/([^/]+)/tables/([^/]+)/(fields|records)(?:/([^/]+))?$")
RECEIVERS = {"open_id": "ou_", "union_id": "on_", "chat_id": "oc_", "user_id": "", "email": ""}
# What may be asked within a second (vendor-protocols 2.5).
A_SECOND = {"search": 20, "fields": 20, "batch_get": 20, "create": 50, "update": 50, "delete": 50, "batch_create": 50,
            "batch_update": 50, "batch_delete": 50, "message": 50}
A_SECOND_AND_CHAT = 5
UUID_LIFE_S = 3600
CARD_MAX, TEXT_MAX = 30 << 10, 150 << 10

MEETING, USER, RECORDING, SUMMARY = "tblSimMeeting", "tblSimUser", "tblSimRecording", "tblSimSummary"


def as_reference():
    """The four tables of functional-spec 8.6: name -> (type, table that it links to)."""
    text, date, yes, link = (1, None), (5, None), (7, None), 18
    return {
        MEETING: {"platform": text, "subject": text, "meeting_id": text, "sub_meeting_id": text, "meeting_code": text,
                  "start_time": date, "end_time": date, "operator": (link, USER), "creator": (link, USER),
                  "participants": (link, USER), "meeting_type": text},
        USER: {"uuid": text, "userid": text, "user_name": text, "phone_hase": text, "is_enterprise_user": yes,
               "meet": (link, MEETING)},
        RECORDING: {"record_file_id": text, "meet": (link, MEETING), "participants": text, "start_time": date,
                    "end_time": date, "fullsummary": text, "todo": text, "ai_minutes": text,
                    "ai_meeting_transcripts": text, "meeting_summary": text},
        SUMMARY: {"meet_participant": (link, USER), "participant_summary": text, "record_file": (link, RECORDING)},
    }


class Lark(lark_push.Push, frame.Vendor):
    name = "lark"
    options = {"app_id": "cli_a1b2c3d4e5f60718", "app_secret": "simulatedSecretOfTheLarkApp00001", "token_s": 7200,
               "app_token": "bascnSimulatedBase0001", "write_s": 0, "repeat_code": 0, "reset_s": "0.2", "rates": 1,
               **lark_push.OPTIONS}
    ops = {"token": "tenant_access_token", "fields": "a table's fields", "search": "records/search", "create": "POST records",
           "update": "PUT a record", "delete": "DELETE a record", "batch_get": "records/batch_get",
           "batch_create": "records/batch_create", "batch_update": "records/batch_update",
           "batch_delete": "records/batch_delete", "message": "im/v1/messages", **lark_push.OPS}
    sends = lark_push.SENDS

    def started(self):
        self.tables = {}
        for table_id, fields in as_reference().items():
            self.tables[table_id] = Table(table_id, fields, self.tables, self.made)
        self.tokens = {}         # token -> when it ends
        self.client_tokens = {}  # token -> (digest of the request, its answer)
        self.messages, self.uuids, self.left_chats = [], {}, set()
        self.asked, self.writing, self.n_made = {}, set(), 0
        self.push_started()

    def settings(self):
        return {"LARK_APP_ID": self.option["app_id"], "LARK_APP_SECRET": self.option["app_secret"],
                "LARK_BASE_URL": self.url, "LARK_BITABLE_APP_TOKEN": self.option["app_token"],
                "LARK_TABLE_MEETING_RECORD": MEETING, "LARK_TABLE_MEETING_USE": USER,
                "LARK_TABLE_MEETING_RECORDING": RECORDING, "LARK_TABLE_PERSONAL_MEETING_SUMMARY": SUMMARY,
                **self.push_settings()}

    def made(self, prefix):
        """An id that nothing had before."""
        self.n_made += 1
        return prefix + hashlib.sha256(b"%s%d" % (prefix.encode(), self.n_made)).hexdigest()[:10]

    # ---- answers ----

    def failed(self, request):
        return self.no(1255001)

    def limited(self, request):
        return self.no(99991400)

    def no(self, code, why=None):
        headers = {"x-ogw-ratelimit-limit": "50", "x-ogw-ratelimit-reset": str(self.option["reset_s"])} if code == 99991400 else {}
        return frame.Answer(STATUS.get(code, 200 if 1254000 <= code < 1256000 else 400), headers, {
            "code": code, "msg": CODE_TEXT.get(code, why or "refused"),
            "error": {"log_id": "2026%024d" % code, "troubleshooter": why or ""}})

    def say_no(self, code, why):
        self.refuse(self.no(code, why), "%d: %s" % (code, why))

    @staticmethod
    def yes(data):
        return frame.Answer(200, {"X-Tt-Logid": "20261128000000000000000000000001"},
                            {"code": 0, "msg": "success", "data": data})

    # ---- the way of a request ----

    def op(self, request):
        if request.path.startswith("/open-apis/auth/"):
            return "token"
        if request.path == "/open-apis/im/v1/messages":
            return "message"
        if self.push_op(request):
            return self.push_op(request)
        found = TABLE_PATH.fullmatch(request.path)
        if not found:
            return None
        kind, item = found.group(3), found.group(4)
        if kind == "fields":
            return "fields" if request.method == "GET" and item is None else None
        return {("POST", None): "create", ("POST", "search"): "search", ("POST", "batch_get"): "batch_get",
                ("POST", "batch_create"): "batch_create", ("POST", "batch_update"): "batch_update",
                ("POST", "batch_delete"): "batch_delete"}.get((request.method, item)) or \
            {"PUT": "update", "DELETE": "delete"}.get(request.method if item else None)

    def judged(self, request, op):
        if op not in WRITES:
            return super().judged(request, op)
        table = TABLE_PATH.fullmatch(request.path).group(2)
        with self.lock:
            if table in self.writing:
                self.refused.append({"op": op, "target": request.target, "status": 200, "why": "1254291: two write at a time"})
                return self.no(1254291)
            self.writing.add(table)
        try:
            time.sleep(float(self.option["write_s"]))
            return super().judged(request, op)
        finally:
            with self.lock:
                self.writing.discard(table)

    def handle(self, request):
        op = self.op(request)
        if op is None:
            return frame.Answer(404, body={"code": 404, "msg": "404 page not found"})
        if op in lark_push.OPS:
            return self.push_handle(op, request)
        if op == "token":
            return self.give_token(request)
        self.check_token(request)
        self.check_rate(op)
        body = self.body_of(request) if request.method in ("POST", "PUT") else None
        if op == "message":
            return self.take_message(request, body)
        app, table_id, _, item = TABLE_PATH.fullmatch(request.path).groups()
        if app != self.option["app_token"]:
            self.say_no(1254040, "there is no base %s" % app)
        if table_id not in self.tables:
            self.say_no(1254041, "there is no table %s" % table_id)
        try:
            return getattr(self, "do_" + op)(self.tables[table_id], request, body, item)
        except Refuse as e:
            self.say_no(e.code, str(e))

    def body_of(self, request):
        if not request.headers.get("content-type", "").lower().startswith("application/json"):
            self.say_no(1254000, "Content-Type is not application/json")
        body = request.json()
        if not isinstance(body, dict):
            self.say_no(1254000, "the body is not a JSON object")
        return body

    def check_rate(self, op):
        now, key = self.clock(), op
        recent = [t for t in self.asked.get(key, []) if t > now - 1]
        self.asked[key] = recent + [now]
        if int(self.option["rates"]) and len(recent) >= A_SECOND[op]:
            self.say_no(99991400, "more than %d a second" % A_SECOND[op])

    # ---- tokens ----

    def give_token(self, request):
        body = request.json()
        if request.method != "POST" or request.path != "/open-apis/auth/v3/tenant_access_token/internal" or \
                not isinstance(body, dict):
            self.say_no(10003, "not a request for a tenant token")
        if body.get("app_id") != self.option["app_id"]:
            self.say_no(10003, "no such app")
        if body.get("app_secret") != self.option["app_secret"]:
            self.say_no(10014, "the secret is wrong")
        now = self.clock()
        token = next((t for t, end in self.tokens.items() if end - now >= 1800), None)
        if token is None:
            token = self.made("t-g104")
            self.tokens[token] = now + int(self.option["token_s"])
        self.acts.append({"did": "token", "token": token})
        return frame.Answer(200, body={"code": 0, "msg": "ok", "tenant_access_token": token,
                                       "expire": int(self.tokens[token] - now)})

    def check_token(self, request):
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            self.say_no(99991661, "no token")
        if self.tokens.get(token, 0) <= self.clock():
            self.say_no(99991663, "the token is not one of ours, or over")

    # ---- Bitable ----

    def do_fields(self, table, request, body, item):
        size = self.page_size(request, 100, 20)
        start = int(request.arg("page_token") or 0)
        rows = [{"field_id": "fld%s%d" % (table.id, i), "field_name": name, "type": kind, "is_primary": i == 0,
                 "property": {"table_id": linked} if linked else None}
                for i, (name, (kind, linked)) in enumerate(table.fields.items())]
        more = start + size < len(rows)
        return self.yes({"items": rows[start:start + size], "has_more": more, "total": len(rows),
                         "page_token": str(start + size) if more else ""})

    def page_size(self, request, most, default):
        text = request.arg("page_size")
        if text is None:
            return default
        if not text.isdigit() or not 1 <= int(text) <= most:
            self.say_no(1254002, "page_size is not in 1..%d" % most)
        return int(text)

    def do_search(self, table, request, body, item):
        size = self.page_size(request, 500, 20)
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
        start, token = 0, request.arg("page_token")
        if token:
            start, _, of = token.partition("-")
            if of != digest or not start.isdigit():
                self.say_no(1254002, "the page_token is of another search")
            start = int(start)
        found = table.search(body)
        more = start + size < len(found)
        names = body.get("field_names")
        return self.yes({"items": [table.shown(r, names, bool(body.get("automatic_fields")))
                                   for r in found[start:start + size]] or None, "has_more": more, "total": len(found),
                         **({"page_token": "%d-%s" % (start + size, digest)} if more else {})})

    def once(self, request, body, make):
        """By client_token: what is asked again is answered again."""
        token = request.arg("client_token")
        if token is None:
            return make()
        if not UUID4.fullmatch(token):
            self.say_no(1254037, "client_token is not a uuid v4")
        digest = hashlib.sha256((request.path + json.dumps(body, sort_keys=True)).encode()).hexdigest()
        if token in self.client_tokens:
            before, data = self.client_tokens[token]
            if before != digest:
                self.say_no(1255006, "this client_token came with another request")
            if int(self.option["repeat_code"]):
                self.say_no(int(self.option["repeat_code"]), "the same request again")
            return self.yes(data)
        answer = make()
        self.client_tokens[token] = (digest, json.loads(answer.body)["data"])
        return answer

    def noted(self, did, table, record, **more):
        self.acts.append({"did": did, "table": table.id, "record_id": record["record_id"], **more})

    def do_create(self, table, request, body, item):
        def make():
            record = table.create([body.get("fields")])[0]
            self.noted("create", table, record, fields=body["fields"], client_token=request.arg("client_token"))
            return self.yes({"record": table.written(record)})
        return self.once(request, body, make)

    def do_batch_create(self, table, request, body, item):
        records = body.get("records")
        if not isinstance(records, list) or not records or not all(isinstance(r, dict) for r in records):
            self.say_no(1254001, "records is not a list of objects")
        if len(records) > 1000:
            self.say_no(1254104, "more than 1000 records")

        def make():
            created = table.create([r.get("fields") for r in records])
            for record, asked in zip(created, records):
                self.noted("create", table, record, fields=asked["fields"], client_token=request.arg("client_token"),
                           batch=len(records))
            return self.yes({"records": [table.written(r) for r in created]})
        return self.once(request, body, make)

    def do_update(self, table, request, body, item):
        record = table.update([(item, body.get("fields"))])[0]
        self.noted("update", table, record, fields=body["fields"])
        return self.yes({"record": table.written(record)})

    def do_batch_update(self, table, request, body, item):
        records = body.get("records")
        if not isinstance(records, list) or not records or not all(isinstance(r, dict) for r in records):
            self.say_no(1254001, "records is not a list of objects")
        if len(records) > 1000:
            self.say_no(1254104, "more than 1000 records")
        updated = table.update([(r.get("record_id"), r.get("fields")) for r in records])
        for record, asked in zip(updated, records):
            self.noted("update", table, record, fields=asked["fields"], batch=len(records))
        return self.yes({"records": [table.written(r) for r in updated]})

    def do_batch_get(self, table, request, body, item):
        ids = self.ids_of(body, "record_ids", 100)
        found = [table.records[i] for i in ids if i in table.records]
        return self.yes({"records": [table.shown(r, None, bool(body.get("automatic_fields"))) for r in found],
                         "absent_record_ids": [i for i in ids if i not in table.records], "forbidden_record_ids": []})

    def ids_of(self, body, name, most):
        ids = body.get(name)
        if not isinstance(ids, list) or not ids or not all(isinstance(i, str) for i in ids):
            self.say_no(1254001, "%s is not a list of texts" % name)
        if len(ids) > most:
            self.say_no(1254104, "more than %d records" % most)
        return ids

    def do_delete(self, table, request, body, item):
        table.remove([item])
        self.acts.append({"did": "delete", "table": table.id, "record_id": item})
        return self.yes({"deleted": True, "record_id": item})

    def do_batch_delete(self, table, request, body, item):
        ids = self.ids_of(body, "records", 500)
        table.remove(ids)
        self.acts.extend({"did": "delete", "table": table.id, "record_id": i} for i in ids)
        return self.yes({"records": [{"deleted": True, "record_id": i} for i in ids]})

    # ---- messages ----

    def take_message(self, request, body):
        kind, to, uuid = request.arg("receive_id_type"), body.get("receive_id"), body.get("uuid")
        if kind not in RECEIVERS:
            self.say_no(230001, "receive_id_type is missing or unknown")
        if not isinstance(to, str) or not to or not to.startswith(RECEIVERS[kind]) or (kind == "email" and "@" not in to):
            self.say_no(230034, "receive_id is no %s" % kind)
        if uuid is not None and (not isinstance(uuid, str) or not 1 <= len(uuid) <= 50):
            self.say_no(230001, "uuid is not a text of 1..50 characters")
        self.check_content(body.get("msg_type"), body.get("content"))
        if to in self.left_chats:
            self.say_no(230002, "the bot is not in the chat")
        now = self.clock()
        known = self.uuids.get(uuid)
        if uuid is not None and known and now - known["at"] < UUID_LIFE_S:
            return self.yes(known["answer"])
        if int(self.option["rates"]) and sum(m["at"] > now - 1 for m in self.messages if m["to"] == to) >= A_SECOND_AND_CHAT:
            self.say_no(99991400, "more than %d a second to one receiver" % A_SECOND_AND_CHAT)
        answer = {"message_id": self.made("om_"), "msg_type": body["msg_type"], "create_time": str(int(now * 1000)),
                  "update_time": str(int(now * 1000)), "deleted": False, "updated": False,
                  "chat_id": to if kind == "chat_id" else self.made("oc_"),
                  "sender": {"id": self.option["app_id"], "id_type": "app_id", "sender_type": "app"},
                  "body": {"content": body["content"]}}
        self.messages.append({"at": now, "to": to})
        self.uuids[uuid] = {"at": now, "answer": answer}
        self.acts.append({"did": "message", "to": to, "receive_id_type": kind, "msg_type": body["msg_type"], "uuid": uuid,
                          "message_id": answer["message_id"], "content": json.loads(body["content"])})
        return self.yes(answer)

    def check_content(self, kind, content):
        if kind not in ("text", "interactive", "post"):
            self.say_no(230001, "msg_type is unknown")
        try:
            parsed = json.loads(content) if isinstance(content, str) else None
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            self.say_no(230001, "content is not a text that holds a JSON object")
        if len(content.encode()) > (TEXT_MAX if kind == "text" else CARD_MAX):
            self.say_no(230025, "content is too long")
        if kind == "text" and (not isinstance(parsed.get("text"), str) or not parsed["text"]):
            self.say_no(230001, "a text message has no text")
        if kind == "interactive":
            elements = parsed.get("body", {}).get("elements") if parsed.get("schema") == "2.0" else parsed.get("elements")
            if not isinstance(elements, list) or len(elements) > 200 or not all(isinstance(e, dict) and e.get("tag") for e in elements):
                self.say_no(230099, "a card without a list of elements")

    # ---- what a test, or a person on the other side, does ----

    def table_of(self, table):
        found = {"MEETING": MEETING, "USER": USER, "RECORDING": RECORDING, "SUMMARY": SUMMARY}.get(table, table)
        if found not in self.tables:
            raise frame.Unfit("there is no table %s" % table)
        return self.tables[found]

    def cmd_records(self, table):
        with self.lock:
            return [{"record_id": r["record_id"], **r["fields"]} for r in self.table_of(table).records.values()]

    def cmd_edit(self, table, record_id, fields):
        with self.lock:
            self.table_of(table).update([(record_id, fields)])

    def cmd_add(self, table, fields):
        with self.lock:
            return self.table_of(table).create([fields])[0]["record_id"]

    def cmd_remove(self, table, record_id):
        with self.lock:
            self.table_of(table).remove([record_id])

    def cmd_drop_field(self, table, name):
        with self.lock:
            del self.table_of(table).fields[name]

    def cmd_add_field(self, table, name, type, linked=None):
        with self.lock:
            self.table_of(table).fields[name] = (type, linked)

    def cmd_drop_table(self, table):
        with self.lock:
            del self.tables[self.table_of(table).id]

    def cmd_expire_tokens(self):
        with self.lock:
            self.tokens.clear()

    def cmd_leave_chat(self, chat):
        with self.lock:
            self.left_chats.add(chat)
