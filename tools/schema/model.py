"""Definitions in schemas/ read into plain objects, and refused when they are not what we know.

A definition is JSON Schema 2020-12 cut down to the keywords below; a keyword outside
the list stops the build, because a rule nobody enforces is worse than none.

    kind      JSON                                        C
    text      string                                      struct slice
    int       integer                                     int64_t
    real      number                                      double
    bool      boolean                                     bool
    json      object without properties, or x-json: true  struct slice
    object    object with properties                      a struct of its own
    list      array                                       items and n
"""

import json
import os
import re

ROOT_KEYWORDS = {
    "$schema", "$id", "$defs", "title", "description", "type", "properties", "required", "allOf",
    "additionalProperties", "unevaluatedProperties", "examples",
}
EVENT_KEYWORDS = {"x-id", "x-version", "x-stream", "x-claims", "x-releases"}
FIELD_KEYWORDS = {
    "$ref", "type", "title", "description", "enum", "const", "pattern", "format", "minimum", "maximum", "minLength",
    "maxLength", "minItems", "maxItems", "items", "properties", "required", "additionalProperties",
    "unevaluatedProperties", "default", "examples",
    "x-class", "x-subject", "x-text-number", "x-number-text", "x-extra", "x-json",
}
CONFIG_KEYWORDS = {"x-unit", "x-flag", "x-aliases", "x-unused", "x-list"}
CLASSES = ("open", "contact", "content", "secret")
FORMATS = {None: "NONE", "date-time": "DATE_TIME", "date": "DATE", "x-date-or-time": "DATE_OR_TIME",
           "x-base64url": "BASE64URL", "x-json": "JSON"}
UNITS = {"bytes": "FIELD_BYTES", "ms": "FIELD_SPAN_MS", "s": "FIELD_SPAN_S"}
C_WORDS = set("""auto bool break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile
    while""".split())
INT64_MAX = 2**63 - 1
FIELDS_MAX = 256  # SCHEMA_FIELDS_MAX
SEALED_CLASSES = ("contact", "content")


class Refused(Exception):
    """A definition that must not be built; the text says where and why."""


class Field:
    def __init__(self, name):
        self.name = name
        self.c_name = c_name(name)
        self.kind = None
        self.cls = None
        self.subject = None
        self.description = ""
        self.flags = []
        self.format = None
        self.min = self.max = None
        self.choices = None
        self.pattern = None
        self.object = None
        self.item = None
        self.default = None
        self.required = False
        self.sealed = False
        self.extra = False
        self.path = None
        self.raw = {}

    def may_be_absent(self):
        return self.sealed or not self.required and self.default is None


class Struct:
    def __init__(self, c_name, where):
        self.c_name = c_name
        self.where = where
        self.fields = []
        self.closed = False
        self.description = ""
        self.shared = False

    def any_sealed(self):
        return any(f.sealed or f.object is not None and f.object.any_sealed() for f in self.fields)


class Definition:
    """One file: an event, a request, a set of parameters or a section of settings."""

    def __init__(self, family, name, path, raw):
        self.family = family
        self.name = name
        self.path = path
        self.raw = raw
        self.root = None
        self.id = self.version = None
        self.stream = None
        self.claims = []
        self.releases = []

    @property
    def c_name(self):
        return {"events": "event", "requests": "request", "params": "params", "config": "config"}[self.family] \
            + "_" + re.sub(r"[^a-z0-9]", "_", self.name)


def c_name(name):
    """startDate -> start_date, $blob -> blob, LULAB_TLS_CERT -> tls_cert."""
    if re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
        text = name.lower().removeprefix("lulab_")
    else:
        text = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name.lstrip("$")).lower()
    text = re.sub(r"[^a-z0-9_]", "_", text)
    return text + "_" if text in C_WORDS else text


def pairs_once(pairs):
    seen = {}
    for key, value in pairs:
        if key in seen:
            raise Refused(f'member "{key}" twice')
        seen[key] = value
    return seen


def read_json(path):
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f, object_pairs_hook=pairs_once)
    except (ValueError, Refused) as e:
        raise Refused(f"{path}: {e}") from None


# ---- patterns ---------------------------------------------------------------

def parse_set(text, at):
    """The characters of a [...] starting at `at`, and where it ends."""
    chars, i = set(), at + 1
    if text[i] == "^":
        raise Refused("negated sets are not known")
    while text[i] != "]":
        if text[i] == "\\":
            i += 1
        low = text[i]
        high = low
        if text[i + 1] == "-" and text[i + 2] != "]":
            i += 2
            if text[i] == "\\":
                i += 1
            high = text[i]
        chars.update(range(ord(low), ord(high) + 1))
        i += 1
    return chars, i + 1


def parse_pattern(text):
    """A list of (characters, min, max); max None = no end.

    Matching is greedy without going back, so a run of open length must not share
    characters with what may follow it.
    """
    if not (text.startswith("^") and text.endswith("$")):
        raise Refused(f"pattern {text} must be anchored at both ends")
    body, runs, i = text[1:-1], [], 0
    while i < len(body):
        c = body[i]
        if c == "[":
            chars, i = parse_set(body, i)
        elif c == "\\" and body[i + 1] in "\\.-+*?/$^|()[]{}":
            chars, i = {ord(body[i + 1])}, i + 2
        elif c in "().*+?|{}^$\\":
            raise Refused(f"pattern {text}: {c} at {i + 1} is not known")
        else:
            chars, i = {ord(c)}, i + 1
        low = high = 1
        if i < len(body) and body[i] in "*+?":
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[body[i]]
            i += 1
        elif i < len(body) and body[i] == "{":
            m = re.match(r"\{(\d+)(,(\d*))?\}", body[i:])
            if m is None:
                raise Refused(f"pattern {text}: bad repeat")
            low = int(m.group(1))
            high = low if m.group(2) is None else int(m.group(3)) if m.group(3) else None
            i += m.end()
        if max(chars) > 127:
            raise Refused(f"pattern {text}: only ASCII")
        runs.append((chars, low, high))
    for n, (chars, low, high) in enumerate(runs):
        if low == high:
            continue
        for after, after_low, _ in runs[n + 1:]:
            if chars & after:
                raise Refused(f"pattern {text}: a repeat shares characters with what follows")
            if after_low > 0:
                break
    return runs


# ---- templates ----------------------------------------------------------------

def parse_template(text, where):
    """"meeting/{id}[/{sub}]" -> [(text, field or None, optional, (value, written as) or None)].

    {platform:LONG=SHORT} writes SHORT where the field says LONG, and any other value as it is."""
    parts, rest = [], text
    field = r"\{([a-z0-9_.]+)(?::([A-Za-z0-9_]+)=([A-Za-z0-9_]+))?\}"
    token = re.compile(rf"([^{{}}\[\]]*)(?:{field}|\[([^{{}}\[\]]*)\{{([a-z0-9_.]+)\}}\])?")
    while rest:
        m = token.match(rest)
        if m is None or m.end() == 0:
            raise Refused(f"{where}: template {text} is not understood at {rest}")
        if m.group(6):
            if m.group(1):
                parts.append((m.group(1), None, False, None))
            parts.append((m.group(5), m.group(6), True, None))
        else:
            parts.append((m.group(1), m.group(2), False, (m.group(3), m.group(4)) if m.group(3) else None))
        rest = rest[m.end():]
    return parts


# ---- reading a definition --------------------------------------------------------

class Loader:
    """Reads the definitions of one family. shared: $defs by (file, name)."""

    def __init__(self, family):
        self.family = family
        self.shared = {}
        self.structs = []  # in the order in which C needs them
        self.files = {}

    def file(self, path):
        path = os.path.normpath(path)
        if path not in self.files:
            self.files[path] = read_json(path)
        return self.files[path]

    def resolve(self, ref, path):
        """(definition, its file, its name)."""
        file, _, pointer = ref.partition("#")
        m = re.fullmatch(r"/\$defs/([A-Za-z0-9_]+)", pointer)
        if m is None:
            raise Refused(f'{path}: $ref {ref} must name something in "$defs"')
        target = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
        try:
            return self.file(target)["$defs"][m.group(1)], target, m.group(1)
        except (KeyError, OSError):
            raise Refused(f"{path}: $ref {ref} leads nowhere") from None

    def check_keywords(self, raw, allowed, where):
        if not isinstance(raw, dict):
            raise Refused(f"{where}: must be an object")
        for key in raw:
            if key not in allowed:
                raise Refused(f'{where}: keyword "{key}" is not known')

    def struct(self, raw, c_name_, path, where, prefix, root=False, sealed_above=False, shared=False):
        """A struct from an object with properties."""
        s = Struct(c_name_, where)
        s.description = raw.get("description", "")
        s.shared = shared
        s.closed = raw.get("additionalProperties") is False or raw.get("unevaluatedProperties") is False
        for key in ("additionalProperties", "unevaluatedProperties"):
            if raw.get(key, False) is not False:
                raise Refused(f"{where}: {key} can only be false")
        self.members(s, raw, path, where, prefix, root, sealed_above)
        if not s.fields:
            raise Refused(f"{where}: no properties")
        if len(s.fields) > FIELDS_MAX:
            raise Refused(f"{where}: more than {FIELDS_MAX} members")
        seen = {}
        for f in s.fields:
            if f.c_name in seen:
                raise Refused(f'{where}: "{f.name}" and "{seen[f.c_name]}" have the same name in C')
            seen[f.c_name] = f.name
        if sum(f.extra for f in s.fields) > 1 or s.closed and any(f.extra for f in s.fields):
            raise Refused(f"{where}: x-extra once, and only where unknown members are allowed")
        self.structs.append(s)
        return s

    def members(self, s, raw, path, where, prefix, root, sealed_above):
        """Members in the order of the file: "allOf" stands where its members shall be."""
        if raw.get("type") not in ("object", ["object", "null"]):
            raise Refused(f'{where}: "type" must be "object"')
        required = raw.get("required", [])
        for key, value in raw.items():
            if key == "allOf":
                if not root:
                    raise Refused(f"{where}: allOf only at the top")
                for entry in value:
                    if set(entry) != {"$ref"}:
                        raise Refused(f"{where}: allOf takes only $ref")
                    base, base_path, base_name = self.resolve(entry["$ref"], path)
                    base_where = f"{base_path} {base_name}"
                    self.check_keywords(base, {"type", "description", "properties", "required", "allOf"}, base_where)
                    self.members(s, base, base_path, base_where, prefix, True, sealed_above)
            elif key == "properties":
                for name, field_raw in value.items():
                    f = self.field(name, field_raw, s.c_name, path, f"{where}/{name}", prefix, sealed_above,
                                   s.shared)
                    f.required = name in required
                    if f.required and f.default is not None:
                        raise Refused(f"{where}/{name}: required and a default")
                    if any(other.name == f.name for other in s.fields):
                        raise Refused(f"{where}/{name}: declared twice")
                    s.fields.append(f)
        names = set(raw.get("properties", {}))
        for name in required:
            if name not in names:
                raise Refused(f'{where}: required "{name}" is not among its properties')

    def field(self, name, raw, parent, path, where, prefix, sealed_above, in_shared, item=False):
        allowed = FIELD_KEYWORDS | (CONFIG_KEYWORDS if self.family == "config" else set())
        self.check_keywords(raw, allowed, where)
        f = Field(name)
        f.raw = dict(raw)
        shared_name = None
        if "$ref" in raw:
            target, path, shared_name = self.resolve(raw["$ref"], path)
            self.check_keywords(target, allowed, f"{path} {shared_name}")
            for key in raw:
                if key in target and key not in ("description", "title", "x-class"):
                    raise Refused(f'{where}: "{key}" both here and in {shared_name}')
            raw = {**target, **{k: v for k, v in raw.items() if k != "$ref"}}
        f.description = raw.get("description", "")
        self.classify(f, raw, where, prefix, sealed_above, in_shared, item)
        self.kind(f, raw, where)
        below = sealed_above or f.sealed
        if f.kind == "object":
            f.object = self.nested(raw, shared_name, f"{parent}_{f.c_name}", path, where,
                                   prefix + name + ".", below)
            if not below and self.family == "events" and shared_name and contains_private(f.object):
                raise Refused(f"{where}: {shared_name} has contact or content members: seal it (x-class, x-subject)")
        if f.kind == "list":
            f.item = self.field(name, raw["items"], parent, path, where + "[]", prefix + name + ".",
                                below, in_shared, item=True)
            if f.item.kind == "list":
                raise Refused(f"{where}: lists of lists are not known")
        self.rules(f, raw, where)
        return f

    def nested(self, raw, shared_name, inline_name, path, where, prefix, sealed):
        if shared_name is None:
            return self.struct(raw, inline_name, path, where, prefix, sealed_above=sealed)
        key = (path, shared_name)
        if self.family != "events" and os.path.basename(os.path.dirname(path)) == "events" and key not in self.shared:
            # What events share is theirs: the struct and its table come from events.gen.h.
            owner = Loader("events")
            self.shared[key] = owner.struct(raw, "event_" + c_name(shared_name), path, f"{path} {shared_name}", "",
                                            sealed_above=True, shared=True)
        if key not in self.shared:
            name = {"events": "event", "requests": "request", "params": "params", "config": "config"}[self.family] \
                + "_" + c_name(shared_name)
            # Within a shared definition nothing is sealed one by one: its users have different paths.
            self.shared[key] = self.struct(raw, name, path, f"{path} {shared_name}", "", sealed_above=True,
                                           shared=True)
        return self.shared[key]

    def classify(self, f, raw, where, prefix, sealed_above, in_shared, item):
        f.cls = raw.get("x-class")
        f.subject = raw.get("x-subject")
        if f.cls is None and item:
            f.cls = "open"
        if f.cls is None and self.family == "config":
            f.cls = "open"
        if f.cls is None and sealed_above and not in_shared:
            f.cls = "content"
        if f.cls not in CLASSES:
            raise Refused(f'{where}: x-class is missing or not one of {", ".join(CLASSES)}')
        if self.family != "events":
            if f.subject is not None:
                raise Refused(f"{where}: x-subject belongs to events")
            return
        if f.cls == "secret":
            raise Refused(f"{where}: secrets are never part of an event")
        private = f.cls in SEALED_CLASSES
        if f.subject is not None and (sealed_above or not private or item):
            raise Refused(f"{where}: x-subject only on an outermost contact or content member")
        if private and not sealed_above and f.subject is None:
            raise Refused(f"{where}: {f.cls} needs x-subject, so that it can be sealed")
        f.sealed = f.subject is not None
        if f.sealed:
            f.path = prefix + f.name

    def kind(self, f, raw, where):
        types = raw.get("type")
        types = types if isinstance(types, list) else [types] if types else []
        if "null" in types:
            types = [t for t in types if t != "null"]
            f.flags.append("FIELD_NULL")
        if raw.get("x-text-number"):
            if set(types) != {"string", "integer"}:
                raise Refused(f'{where}: x-text-number goes with "type": ["string", "integer"]')
            f.kind = "text"
            f.flags.append("FIELD_TEXT_NUMBER")
        elif raw.get("x-number-text"):
            if set(types) != {"string", "integer"}:
                raise Refused(f'{where}: x-number-text goes with "type": ["integer", "string"]')
            if raw.get("pattern") != "^-?[0-9]{1,19}$":
                raise Refused(f'{where}: x-number-text goes with "pattern": "^-?[0-9]{{1,19}}$"')
            f.kind = "int"
            f.flags.append("FIELD_NUMBER_TEXT")
        elif raw.get("x-json") or types == ["object"] and "properties" not in raw:
            f.kind = "json"
            if types == ["object"]:
                f.flags.append("FIELD_JSON_OBJECT")
        elif len(types) != 1:
            raise Refused(f"{where}: one type (or null beside it)")
        else:
            known = {"string": "text", "integer": "int", "number": "real", "boolean": "bool", "object": "object",
                     "array": "list"}
            if types[0] not in known:
                raise Refused(f'{where}: type "{types[0]}" is not known')
            f.kind = known[types[0]]
        if f.kind == "list" and "items" not in raw:
            raise Refused(f"{where}: an array needs items")
        if raw.get("x-extra"):
            if f.kind != "json":
                raise Refused(f"{where}: x-extra needs an object without properties")
            f.extra = True
            f.flags.append("FIELD_EXTRA")

    def rules(self, f, raw, where):
        """Limits; a limit that does not fit the kind is a mistake."""
        fits = {"int": ("minimum", "maximum"), "real": ("minimum", "maximum"), "text": ("minLength", "maxLength"),
                "list": ("minItems", "maxItems")}
        for key in ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"):
            if key not in raw:
                continue
            if key not in fits.get(f.kind, ()):
                raise Refused(f"{where}: {key} does not go with {f.kind}")
            if f.kind != "real" and not (isinstance(raw[key], int) and abs(raw[key]) <= INT64_MAX):
                raise Refused(f"{where}: {key} must be a 64-bit integer")
            low = key.startswith("min")
            f.flags.append("FIELD_MIN" if low else "FIELD_MAX")
            setattr(f, "min" if low else "max", raw[key])
        if "const" in raw:
            raw = {**raw, "enum": [raw["const"]]}
        if "enum" in raw:
            if f.kind != "text" or not all(isinstance(v, str) for v in raw["enum"]):
                raise Refused(f"{where}: enum and const are for texts")
            f.choices = raw["enum"]
        if "pattern" in raw and "FIELD_NUMBER_TEXT" not in f.flags:
            if f.kind != "text":
                raise Refused(f"{where}: pattern is for texts")
            try:
                f.pattern = (raw["pattern"], parse_pattern(raw["pattern"]))
            except (Refused, IndexError, ValueError) as e:
                raise Refused(f"{where}: {e or 'pattern ' + raw['pattern']}") from None
        f.format = raw.get("format")
        if f.format not in FORMATS or f.format is not None and f.kind != "text":
            raise Refused(f"{where}: format {f.format} is not known here")
        if "x-unit" in raw:
            if f.kind != "int" or raw["x-unit"] not in UNITS and raw["x-unit"] not in ("count", "percent", "port"):
                raise Refused(f"{where}: x-unit {raw['x-unit']} is not known here")
            if raw["x-unit"] in UNITS:
                f.flags.append(UNITS[raw["x-unit"]])
        if "default" in raw:
            f.default = default_text(f, raw["default"], where)


def default_text(f, value, where):
    """The default as the text that schema_set_text() reads."""
    fits = {"text": str, "int": int, "real": (int, float), "bool": bool}
    if f.kind == "list" and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return ",".join(value)
    if f.kind not in fits or not isinstance(value, fits[f.kind]) or f.kind != "bool" and isinstance(value, bool):
        raise Refused(f"{where}: the default does not fit the type")
    if f.choices is not None and value not in f.choices:
        raise Refused(f"{where}: the default is not among the choices")
    if f.kind in ("int", "real") and (f.min is not None and value < f.min or f.max is not None and value > f.max):
        raise Refused(f"{where}: the default is out of range")
    return json.dumps(value) if f.kind == "bool" else str(value)


def contains_private(s):
    return any(f.cls in SEALED_CLASSES or f.object is not None and contains_private(f.object)
               or f.item is not None and f.item.object is not None and contains_private(f.item.object)
               for f in s.fields)


def walk(s, prefix=""):
    """Every (path, field) that can be reached through objects."""
    for f in s.fields:
        yield prefix + f.name, f
        if f.kind == "object":
            yield from walk(f.object, prefix + f.name + ".")


# ---- families -----------------------------------------------------------------------

def load(family, paths):
    """(definitions, structs) of a family; the files that only hold $defs are not among them."""
    loader = Loader(family)
    definitions = []
    for path in paths:
        raw = loader.file(path)
        name = os.path.basename(path).removesuffix(".json")
        keywords = ROOT_KEYWORDS | (EVENT_KEYWORDS if family == "events" else set())
        loader.check_keywords(raw, keywords, path)
        if "properties" not in raw and "allOf" not in raw:
            if "$defs" not in raw:
                raise Refused(f"{path}: neither properties nor $defs")
            continue
        d = Definition(family, name, path, raw)
        if not d.raw.get("title"):
            raise Refused(f"{path}: title is missing")
        d.root = loader.struct(raw, d.c_name, path, path, "", root=True)
        definitions.append(d)
    return definitions, loader.structs


def read_registry(path):
    """{id: name} from lines "100 meeting.started"; ids and names once each."""
    ids = {}
    with open(path, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            line = line.partition("#")[0].strip()
            if not line:
                continue
            m = re.fullmatch(r"([1-9][0-9]{0,3}) ([a-z0-9._-]{1,64})", line)
            if m is None:
                raise Refused(f'{path}:{n}: not "<id> <type>"')
            if int(m.group(1)) in ids or m.group(2) in ids.values():
                raise Refused(f"{path}:{n}: id or name a second time; they are never used again")
            ids[int(m.group(1))] = m.group(2)
    return ids


def check_events(definitions, registry):
    """What holds for events only."""
    by_id = {}
    for d in definitions:
        raw = d.raw
        d.id = raw.get("x-id")
        if not isinstance(d.id, int) or isinstance(d.id, bool):
            raise Refused(f"{d.path}: x-id is missing")
        if d.id in by_id:
            raise Refused(f"{d.path}: x-id {d.id} is used by {by_id[d.id]}")
        by_id[d.id] = d.path
        if registry.get(d.id) != d.name:
            raise Refused(f'{d.path}: the registry must have the line "{d.id} {d.name}"')
        d.version = raw.get("x-version", 1)
        fields = dict(walk(d.root))
        names = set()
        for f in d.root.fields:
            if f.name in ("claims", "releases"):
                raise Refused(f"{d.path}: {f.name} is written from x-{f.name}")
            if f.name == "subjects":
                names = {s.name for s in f.object.fields}
        for path, f in fields.items():
            if f.subject is not None and f.subject not in names:
                raise Refused(f'{d.path}: x-subject "{f.subject}" of {path} is not a member of subjects')
        if "x-stream" not in raw:
            raise Refused(f"{d.path}: x-stream is missing")
        d.stream = checked_template(raw["x-stream"], fields, d.path)
        d.claims = [checked_template(t, fields, d.path) for t in raw.get("x-claims", [])]
        d.releases = [checked_template(t, fields, d.path) for t in raw.get("x-releases", [])]
    definitions.sort(key=lambda d: d.id)


def checked_template(text, fields, where):
    parts = parse_template(text, where)
    for _, name, optional, _ in parts:
        if name is None:
            continue
        f = fields.get(name)
        if f is None:
            raise Refused(f'{where}: template {text} names "{name}", which is not a member')
        if f.cls != "open" or f.kind not in ("text", "int"):
            raise Refused(f'{where}: template {text}: "{name}" must be an open text or number')
        if f.may_be_absent() and not optional:
            raise Refused(f'{where}: template {text}: "{name}" may be absent: put it in [ ]')
    return parts
