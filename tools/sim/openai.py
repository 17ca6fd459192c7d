"""OpenAI: chat (whole, streamed, with structured output), transcription of audio, models.

A request is judged as the vendor does: key, media type, every member's name and type, a strict schema's rules, the model's
window, the size and form of a file. What it writes comes of what it was sent, so that a text can be followed: sentences of
the last message, put into the schema that was asked for.

    POST /openai/script     {"answers": [{...}, ...], "match": "text"}   what the next chats (with that text in them) get:
                            content, refusal, finish_reason, or error {"status", "code", "message"}
    POST /openai/model      {"id": ..., "window": tokens}                a model, or another window for one
    POST /openai/speech     {"text": ..., "language": ...}               what is heard in every file from now on; a list of
                            texts: one a file, over and over
    POST /openai/pace       {"seconds": ...}                             waited before each piece of a stream
"""

import copy
import itertools
import json
import re
import time

import frame
import tencent_world as world
from frame import Answer

KEY = "sk-simulated-0123456789"
BASE = re.compile(r"^/(?:v1|api/v3)(/.*)$")
AUDIO_MAX = 26214400
FORMATS = ("flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm")
MAGIC = {"flac": [b"fLaC"], "ogg": [b"OggS"], "wav": [b"RIFF"], "webm": [b"\x1a\x45\xdf\xa3"],
         "mp3": [b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"]}
CHAT = {"model": str, "messages": list, "temperature": (int, float), "top_p": (int, float), "n": int, "stream": bool,
        "stream_options": dict, "stop": (str, list), "max_tokens": int, "max_completion_tokens": int,
        "presence_penalty": (int, float), "frequency_penalty": (int, float), "response_format": dict, "seed": int,
        "user": str, "tools": list, "tool_choice": (str, dict), "logprobs": bool, "metadata": dict, "store": bool}
ROLES = ("system", "developer", "user", "assistant", "tool")
# Of a strict schema: what else is in it is refused.
SCHEMA_WORDS = {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs",
                "description", "title", "minimum", "maximum", "minItems", "maxItems", "pattern", "format"}


def tokens(text):
    """About as many as the vendor counts: one for an ideograph, one for four other characters."""
    wide = sum(1 for c in text if ord(c) >= 0x2e80)
    return wide + (len(text) - wide + 3) // 4


def error(status, message, code=None, kind="invalid_request_error", param=None, headers=None):
    return Answer(status, headers, {"error": {"message": message, "type": kind, "param": param, "code": code}})


# ---- texts -------------------------------------------------------------------------------------

class Author:
    """Fills a schema with sentences of a text."""

    def __init__(self, text):
        found = [line.strip() for line in re.split(r"[\n。]+", text) if not line.startswith("=")]
        found = [re.sub(r"^(.{1,60}\(\d+:\d\d:\d\d\)|[^\s：:]{1,40})[：:]\s*", "", line) for line in found if len(line) >= 6]
        self.sentences = itertools.cycle(found or ["……"])

    def sentence(self):
        return next(self.sentences)[:45]

    def value(self, schema, root):
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        if "enum" in schema:
            return schema["enum"][0]
        if "const" in schema:
            return schema["const"]
        if "anyOf" in schema:
            return self.value(schema["anyOf"][0], root)
        kind = schema.get("type", "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return {name: self.value(s, root) for name, s in schema.get("properties", {}).items()}
        if kind == "array":
            return [self.value(schema["items"], root) for _ in range(max(2, schema.get("minItems", 0)))]
        if kind in ("integer", "number"):
            return schema.get("minimum", 0)
        return {"boolean": False, "null": None}.get(kind, self.sentence() if kind == "string" else None)


def schema_problem(schema, where="schema"):
    """What the vendor would not take in a strict schema, or None."""
    if not isinstance(schema, dict):
        return "%s is not an object" % where
    odd = set(schema) - SCHEMA_WORDS
    if odd:
        return "%s: '%s' is not permitted" % (where, sorted(odd)[0])
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            return "%s: 'additionalProperties' is required to be supplied and to be false" % where
        names = list(schema.get("properties", {}))
        if sorted(schema.get("required", [])) != sorted(names):
            return "%s: 'required' is required to be supplied and to be an array including every key in properties" % where
        return next(filter(None, (schema_problem(s, "%s.%s" % (where, n)) for n, s in schema.get("properties", {}).items())), None)
    if schema.get("type") == "array":
        return schema_problem(schema["items"], where + "[]") if "items" in schema else "%s: array schema missing items" % where
    if not any(word in schema for word in ("type", "enum", "const", "anyOf", "$ref")):
        return "%s: schema must have a 'type' key" % where
    return next(filter(None, (schema_problem(s, where) for s in schema.get("anyOf", []))), None)


def schema_in(text):
    """The first JSON Schema of an object that a text tells: how those are asked that know JSON alone."""
    for match in re.finditer(r"\{", text):
        try:
            value, _ = json.JSONDecoder().raw_decode(text[match.start():])
        except ValueError:
            continue
        if isinstance(value, dict) and value.get("type") == "object" and "properties" in value:
            return value
    return None


# ---- multipart -----------------------------------------------------------------------------------

def parts_of(content_type, body):
    """[(name, file name or None, bytes)] of multipart/form-data, or why it is none."""
    match = re.fullmatch(r'multipart/form-data;\s*boundary=("?)([A-Za-z0-9\'()+_,./:=? -]{1,70})\1', content_type)
    if not match:
        return "Content-Type is not multipart/form-data with a boundary"
    mark = b"--" + match.group(2).encode()
    if not body.startswith(mark + b"\r\n") or not body.rstrip(b"\r\n").endswith(b"\r\n" + mark + b"--"):
        return "the body does not begin and end with the boundary"
    found = []
    for part in (b"\r\n" + body).split(b"\r\n" + mark)[1:-1]:
        head, gap, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', re.sub(rb'filename="[^"]*"', b"", head))
        file_name = re.search(rb'filename="([^"]*)"', head)
        if not gap or not name or b"form-data" not in head:
            return "a part has no name"
        found.append((name.group(1).decode(), file_name and file_name.group(1).decode(), data))
    return found


def looks_like(extension, data):
    if extension in ("mp4", "m4a"):
        return data[4:8] == b"ftyp"
    return any(data.startswith(m) for m in MAGIC.get("mp3" if extension in ("mpeg", "mpga") else extension, []))


class OpenAI(frame.Vendor):
    name = "openai"
    ops = {"chat": "POST /chat/completions", "transcription": "POST /audio/transcriptions", "models": "GET /models"}

    def started(self):
        self.models = {"sim-chat": 128000, "sim-small": 8192, "sim-transcribe": 0}
        self.scripts, self.n, self.pause_s = [], 0, 0
        self.speech = {"text": "大家好，这是一段模拟的录音。我们今天讨论发布计划。", "language": "chinese"}

    def settings(self):
        return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": self.url + "/v1", "OPENAI_MODEL": "sim-chat",
                "LULAB_AI_DIALECT": "openai", "LULAB_AI_PRICE_IN": "4", "LULAB_AI_PRICE_OUT": "16",
                "LULAB_TRANSCRIBE_MODEL": "sim-transcribe", "LULAB_TRANSCRIBE_DELAY": "3s", "LULAB_TRANSCRIBE_PRICE": "2.5"}

    # ---- commands ----

    def cmd_script(self, answers, match=""):
        with self.lock:
            self.scripts += [(match, a) for a in answers]

    def cmd_model(self, id, window):
        with self.lock:
            self.models[id] = window

    def cmd_speech(self, text, language="chinese"):
        with self.lock:
            self.speech = {"text": text, "language": language}

    def cmd_pace(self, seconds):
        self.pause_s = seconds

    # ---- a request ----

    def op(self, request):
        match = BASE.match(request.path)
        path = match.group(1) if match else ""
        return {"/chat/completions": "chat", "/audio/transcriptions": "transcription"}.get(
            path, "models" if path.startswith("/models") else None)

    def about(self):
        self.n += 1
        return {"x-request-id": "req_%08d" % self.n, "openai-version": "2020-10-01", "openai-processing-ms": "1"}

    def failed(self, request):
        return error(500, "The server had an error while processing your request.", None, "server_error", headers=self.about())

    def limited(self, request):
        more = {"retry-after": "1", "retry-after-ms": "200", "x-ratelimit-limit-requests": "10",
                "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "200ms"}
        return error(429, "Rate limit reached for requests.", "rate_limit_exceeded", "requests", headers={**self.about(), **more})

    def no(self, status, message, code=None, param=None):
        self.refuse(error(status, message, code, param=param, headers=self.about()), message)

    def handle(self, request):
        if not BASE.match(request.path):
            self.no(404, "Invalid URL (%s %s)" % (request.method, request.path))
        if not re.fullmatch(r"Bearer \S+", request.headers.get("authorization", "")):
            self.no(401, "You didn't provide an API key.")
        if request.headers["authorization"] != "Bearer " + KEY:
            self.no(401, "Incorrect API key provided.", "invalid_api_key")
        path = BASE.match(request.path).group(1)
        known = {"/chat/completions": ("POST", self.chat), "/audio/transcriptions": ("POST", self.transcribe),
                 "/models": ("GET", self.list_models)}
        method, answer = known.get(path, ("GET", self.one_model) if path.startswith("/models/") else (None, None))
        if method != request.method:
            self.no(404 if method is None else 405, "Invalid URL (%s %s)" % (request.method, request.path))
        return answer(request)

    def list_models(self, request):
        return Answer(200, self.about(), {"object": "list", "data": [self.model(m) for m in sorted(self.models)]})

    def one_model(self, request):
        return Answer(200, self.about(), self.model(self.known_model(request.path.rsplit("/", 1)[1])))

    @staticmethod
    def model(name):
        return {"id": name, "object": "model", "created": 1700000000, "owned_by": "lulab-sim"}

    def known_model(self, name):
        if name not in self.models:
            self.no(404, "The model `%s` does not exist or you do not have access to it." % name, "model_not_found", "model")
        return name

    # ---- chat ----

    def chat(self, request):
        asked = self.chat_request(request)
        text = "\n".join(m["content"] for m in asked["messages"])
        about, limit = self.about(), asked.get("max_completion_tokens", asked.get("max_tokens", 4096))
        prompt = tokens(text) + 4 * len(asked["messages"])
        window = self.models[self.known_model(asked["model"])]
        if prompt + limit > window:
            self.no(400, "This model's maximum context length is %d tokens. However, you requested %d tokens." % (
                window, prompt + limit), "context_length_exceeded", "messages")
        made = self.scripted(text) or {}
        if "error" in made:
            self.no(made["error"].get("status", 400), made["error"].get("message", "no"), made["error"].get("code"))
        content, refusal = made.get("content"), made.get("refusal")
        if content is None and refusal is None:
            content = self.write(asked)
        finish = made.get("finish_reason", "stop")
        spent = tokens(content or refusal)
        if spent > limit:
            content, finish, spent = content[:limit], "length", limit
        usage = {"prompt_tokens": prompt, "completion_tokens": spent, "total_tokens": prompt + spent}
        self.acts.append({"op": "chat", "request": about["x-request-id"], "model": asked["model"], "messages": asked["messages"],
                          "format": asked.get("response_format", {}).get("type", "text"), "stream": asked.get("stream", False),
                          "limit": limit, "temperature": asked.get("temperature"), "finish": finish, "usage": usage,
                          "content": content})
        head = {"id": "chatcmpl-%08d" % self.n, "created": int(self.clock()), "model": asked["model"]}
        if asked.get("stream"):
            return Answer(200, {**about, "Content-Type": "text/event-stream; charset=utf-8"},
                          self.pieces(head, content, refusal, finish, usage if asked.get("stream_options", {}).get("include_usage") else None))
        return Answer(200, about, {**head, "object": "chat.completion", "usage": usage, "choices": [
            {"index": 0, "logprobs": None, "finish_reason": finish,
             "message": {"role": "assistant", "content": content, "refusal": refusal}}]})

    def pieces(self, head, content, refusal, finish, usage):
        head = {**head, "object": "chat.completion.chunk"}
        name, text = ("content", content) if refusal is None else ("refusal", refusal)

        def event(choices, **more):
            return b"data: " + json.dumps({**head, "choices": choices, **more}, ensure_ascii=False).encode() + b"\n\n"

        def choice(delta, finish=None):
            return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

        yield event(choice({"role": "assistant", "content": ""}))
        for at in range(0, len(text), 64):
            if self.pause_s:
                time.sleep(self.pause_s)
            yield event(choice({name: text[at:at + 64]}))
        yield event(choice({}, finish))
        if usage:
            yield event([], usage=usage)
        yield b"data: [DONE]\n\n"

    def scripted(self, text):
        for i, (match, answer) in enumerate(self.scripts):
            if match in text:
                return self.scripts.pop(i)[1]
        return None

    def write(self, asked):
        wanted, last = asked.get("response_format", {}), asked["messages"][-1]["content"]
        if wanted.get("type") == "json_schema":
            schema = wanted["json_schema"]["schema"]
        elif wanted.get("type") == "json_object":
            schema = schema_in("\n".join(m["content"] for m in asked["messages"])) or {"type": "object", "properties": {}}
        else:
            return Author(last).sentence()
        if set(schema.get("properties", ())) == set(world.REPORT) and world.ABOUT in last and "参会者：" not in last:
            return json.dumps(world.REPORT, ensure_ascii=False)
        return json.dumps(Author(last).value(schema, schema), ensure_ascii=False)

    def chat_request(self, request):
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            self.no(400, "you must provide a Content-Type of application/json")
        asked = request.json()
        if not isinstance(asked, dict):
            self.no(400, "We could not parse the JSON body of your request.")
        for name, value in asked.items():
            if name not in CHAT:
                self.no(400, "Unrecognized request argument supplied: %s" % name, param=name)
            if not isinstance(value, CHAT[name]) or isinstance(value, bool) and CHAT[name] is not bool:
                self.no(400, "Invalid type for '%s'." % name, "invalid_type", name)
        for name in ("model", "messages"):
            if not asked.get(name):
                self.no(400, "Missing required parameter: '%s'." % name, "missing_required_parameter", name)
        if not 0 <= asked.get("temperature", 1) <= 2:
            self.no(400, "Invalid 'temperature': expected a value between 0 and 2.", "decimal_above_max_value", "temperature")
        if "max_tokens" in asked and "max_completion_tokens" in asked:
            self.no(400, "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", "invalid_parameter_combination")
        if any(asked.get(n, 1) < 1 for n in ("max_tokens", "max_completion_tokens")):
            self.no(400, "Invalid 'max_tokens': integer below minimum value.", "integer_below_min_value", "max_tokens")
        if "stream_options" in asked and not asked.get("stream"):
            self.no(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
        asked = copy.deepcopy(asked)
        for i, message in enumerate(asked["messages"]):
            self.check_message(i, message)
        self.check_format(asked)
        return asked

    def check_message(self, i, message):
        where = "messages[%d]" % i
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            self.no(400, "Invalid value for '%s.role'." % where, "invalid_value", where + ".role")
        if set(message) - {"role", "content", "name", "refusal", "tool_calls", "tool_call_id"}:
            self.no(400, "Unknown parameter in '%s'." % where, "unknown_parameter", where)
        if isinstance(message.get("content"), list):
            message["content"] = "".join(p.get("text", "") for p in message["content"] if isinstance(p, dict))
        if not isinstance(message.get("content"), str):
            self.no(400, "Invalid type for '%s.content': expected a string." % where, "invalid_type", where + ".content")

    def check_format(self, asked):
        wanted = asked.get("response_format", {"type": "text"})
        kind = wanted.get("type")
        if kind not in ("text", "json_object", "json_schema"):
            self.no(400, "Invalid value for 'response_format.type'.", "invalid_value", "response_format.type")
        if kind == "json_object" and not any("json" in m["content"].lower() for m in asked["messages"]):
            self.no(400, "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                    param="messages")
        if kind != "json_schema":
            return
        told = wanted.get("json_schema")
        if not isinstance(told, dict) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", str(told.get("name", ""))):
            self.no(400, "Invalid 'response_format.json_schema.name'.", "invalid_value", "response_format.json_schema.name")
        if told.get("strict"):
            problem = schema_problem(told.get("schema")) or (
                None if told["schema"].get("type") == "object" else "schema must be of type object")
            if problem:
                self.no(400, "Invalid schema for response_format '%s': %s" % (told["name"], problem), param="response_format")

    # ---- speech ----

    def transcribe(self, request):
        if len(request.body) > AUDIO_MAX + 8192:
            self.no(413, "413: Maximum content size limit (%d) exceeded (%d bytes read)" % (AUDIO_MAX, len(request.body)))
        parts = parts_of(request.headers.get("content-type", ""), request.body)
        if isinstance(parts, str):
            self.no(400, "Could not parse multipart form: " + parts)
        known = ("file", "model", "language", "prompt", "response_format", "temperature", "timestamp_granularities[]")
        for name, file_name, _ in parts:
            if name not in known:
                self.no(400, "Unrecognized request argument supplied: %s" % name, param=name)
            if (name == "file") != (file_name is not None):
                self.no(400, "'%s' is %s file" % (name, "no" if name == "file" else "a"), param=name)
        file_name, data = next(((f, d) for n, f, d in parts if n == "file"), (None, None))
        given = {n: d.decode() for n, _, d in parts if n != "file"}
        times = [d.decode() for n, _, d in parts if n == "timestamp_granularities[]"]
        if data is None or "model" not in given:
            self.no(400, "you must provide a %s parameter" % ("file" if data is None else "model"))
        self.known_model(given["model"])
        self.check_audio(file_name, data, given, times)
        about = self.about()
        self.acts.append({"op": "transcription", "request": about["x-request-id"], "file": file_name, "bytes": len(data),
                          "settings": given, "granularities": times})
        return self.heard(about, given.get("response_format", "json"), times, self.next_text())

    def next_text(self):
        with self.lock:
            texts = self.speech["text"]
            if isinstance(texts, str):
                return texts
            texts.append(texts.pop(0))
            return texts[-1]

    def check_audio(self, file_name, data, given, times):
        extension = file_name.rpartition(".")[2].lower()
        if extension not in FORMATS:
            self.no(400, "Unrecognized file format. Supported formats: %s" % list(FORMATS), param="file")
        if not data or not looks_like(extension, data):
            self.no(400, "The audio file could not be decoded or its format is not supported.", "invalid_value", "file")
        if len(data) > AUDIO_MAX:
            self.no(413, "413: Maximum content size limit (%d) exceeded (%d bytes read)" % (AUDIO_MAX, len(data)))
        if given.get("response_format", "json") not in ("json", "text", "srt", "verbose_json", "vtt"):
            self.no(400, "Invalid value for 'response_format'.", "invalid_value", "response_format")
        if times and given.get("response_format") != "verbose_json":
            self.no(400, "timestamp_granularities requires response_format verbose_json", param="timestamp_granularities")
        if set(times) - {"word", "segment"}:
            self.no(400, "Invalid value for 'timestamp_granularities'.", "invalid_value")
        if not re.fullmatch(r"([a-z]{2})?", given.get("language", "")):
            self.no(400, "Language parameter must be specified in ISO-639-1 format.", "invalid_language_format", "language")

    def heard(self, about, wanted, times, text):
        language = self.speech["language"]
        sentences = [s for s in re.split(r"(?<=[。.!?！？])\s*", text) if s]
        if wanted == "json":
            return Answer(200, about, {"text": text, "usage": {"type": "duration", "seconds": 3 * len(sentences)}})
        if wanted != "verbose_json":
            return Answer(200, {**about, "Content-Type": "text/plain; charset=utf-8"}, text + "\n")
        body = {"task": "transcribe", "language": language, "duration": 3.0 * len(sentences), "text": text,
                "usage": {"type": "duration", "seconds": 3 * len(sentences)}}
        if not times or "segment" in times:
            body["segments"] = [{"id": i, "seek": 0, "start": 3.0 * i, "end": 3.0 * i + 2.5, "text": s, "tokens": [],
                                 "temperature": 0.0, "avg_logprob": -0.2, "compression_ratio": 1.0, "no_speech_prob": 0.0}
                                for i, s in enumerate(sentences)]
        if "word" in times:
            body["words"] = [{"word": s, "start": 3.0 * i, "end": 3.0 * i + 2.5} for i, s in enumerate(sentences)]
        return Answer(200, about, body)
