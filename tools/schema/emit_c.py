"""The C side of definitions: structs, tables, names."""

import json

from .model import FORMATS, INT64_MAX, walk

KIND_TYPES = {"text": "struct slice", "int": "int64_t", "real": "double", "bool": "bool", "json": "struct slice"}
CLASS_NAMES = {"open": "CLASS_OPEN", "contact": "CLASS_CONTACT", "content": "CLASS_CONTENT", "secret": "CLASS_SECRET"}


def c_string(text):
    """A C literal; \\x would swallow hex digits that follow, so everything odd is octal."""
    out = []
    for byte in text.encode():
        if byte in b'"\\':
            out.append("\\" + chr(byte))
        elif byte == ord("?"):
            out.append("\\077")  # no trigraphs
        elif 32 <= byte < 127:
            out.append(chr(byte))
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def c_int(value):
    return f"INT64_C({value})" if abs(value) < INT64_MAX else f"(-INT64_MAX - 1)" if value < 0 else "INT64_MAX"


def has_name(f):
    return "has_" + f.c_name


def wants_has(f):
    return f.may_be_absent() and f.kind in ("int", "real", "bool", "object")


def member_type(f):
    if f.kind == "object":
        return "struct " + f.object.c_name
    if f.kind == "list":
        inner = member_type(f.item)
        return f"struct {{ {inner} *items; size_t n; }}"
    return KIND_TYPES[f.kind]


def struct_text(s):
    """Members that may be absent are followed by their has_x: nothing begins with one."""
    lines = [f"struct {s.c_name} {{"]
    for f in s.fields:
        note = one_line(f.description)
        lines.append(f"\t{member_type(f)} {f.c_name};" + (f" /* {note} */" if note else ""))
        if wants_has(f):
            lines.append(f"\tbool {has_name(f)};")
    lines.append("};")
    return "\n".join(lines)


def one_line(text):
    return " ".join(text.replace("*/", "* /").split())


class Tables:
    """The static tables of a family, each written before what points to it."""

    def __init__(self):
        self.out = []
        self.n = 0
        self.patterns = {}

    def name(self, what):
        self.n += 1
        return f"{what}_{self.n}"

    def choices(self, f):
        name = self.name("choices")
        values = ", ".join(f"SLICE_INIT({c_string(c)})" for c in f.choices)
        self.out.append(f"static const struct slice {name}[] = {{{values}}};")
        return name

    def pattern(self, source, runs):
        if source in self.patterns:
            return self.patterns[source]
        name = self.name("pattern")
        rows = []
        for chars, low, high in runs:
            words = [0, 0, 0, 0]
            for c in chars:
                words[c // 32] |= 1 << c % 32
            sets = ", ".join(f"0x{w:08x}u" for w in words)
            rows.append(f"\t{{{{{sets}}}, {low}, {'UINT32_MAX' if high is None else high}}},")
        self.out.append(f"static const struct schema_run {name}_runs[] = {{\n" + "\n".join(rows) + "\n};")
        self.out.append(f"static const struct schema_pattern {name} = {{{c_string(source)}, {name}_runs, {len(runs)}}};")
        self.patterns[source] = name
        return name

    def field(self, f, owner, in_item=False):
        """Initialiser of a struct schema_field."""
        flags = list(f.flags)
        if f.required:
            flags.append("FIELD_REQUIRED")
        if f.sealed:
            flags.append("FIELD_SEALED")
        if f.default is not None:
            flags.append("FIELD_DEFAULT")
        parts = [f".name = SLICE_INIT({c_string(f.name)})", f".kind = SCHEMA_{f.kind.upper()}",
                 f".class = {CLASS_NAMES[f.cls]}"]
        if f.format:
            parts.append(f".format = FORMAT_{FORMATS[f.format]}")
        if flags:
            parts.append(".flags = " + " | ".join(flags))
        if not in_item:
            parts.append(f".offset = offsetof(struct {owner.c_name}, {f.c_name})")
            if wants_has(f):
                parts.append(f".has_offset = offsetof(struct {owner.c_name}, {has_name(f)})")
        if f.subject:
            parts.append(f".subject = {c_string(f.subject)}")
        for key in ("min", "max"):
            value = getattr(f, key)
            if value is not None:
                parts.append(f".real_{key} = {float(value)!r}" if f.kind == "real" else f".{key} = {c_int(value)}")
        if f.choices is not None:
            parts.append(f".choices = {self.choices(f)}, .n_choices = {len(f.choices)}")
        if f.pattern is not None:
            parts.append(f".pattern = &{self.pattern(*f.pattern)}")
        if f.object is not None:
            parts.append(f".object = &schema_{f.object.c_name}")
        if f.item is not None:
            name = self.name("item")
            self.out.append(f"static const struct schema_field {name} = {self.field(f.item, owner, True)};")
            parts.append(f".item = &{name}, .item_size = sizeof({member_type(f.item)})")
        if f.default is not None:
            parts.append(f".preset = {c_string(f.default)}")
        if f.description:
            parts.append(f".description = {c_string(one_line(f.description))}")
        if f.path:
            parts.append(f".path = {c_string(f.path)}")
        return "{" + ", ".join(parts) + "}"

    def struct(self, s):
        rows = [f"\t{self.field(f, s)}," for f in s.fields]
        self.out.append(f"static const struct schema_field fields_{s.c_name}[] = {{\n" + "\n".join(rows) + "\n};")
        self.out.append(
            f"const struct schema schema_{s.c_name} = {{.name = {c_string(s.c_name)}, .fields = fields_{s.c_name}, "
            f".n_fields = {len(s.fields)}, .size = sizeof(struct {s.c_name}), .closed = {c_bool(s.closed)}, "
            f".has_extra = {c_bool(any(f.extra for f in s.fields))}, .any_sealed = {c_bool(s.any_sealed())}}};")

    def template(self, parts):
        name = self.name("template")
        rows = ", ".join(
            f"{{{c_string(text)}, {c_string(field) if field else 'NULL'}, {c_bool(optional)}, "
            f"{c_string(alias[0]) if alias else 'NULL'}, {c_string(alias[1]) if alias else 'NULL'}}}"
            for text, field, optional, alias in parts)
        self.out.append(f"static const struct event_template_part {name}[] = {{{rows}}};")
        return f"{{{name}, {len(parts)}}}"

    def templates(self, list_):
        if not list_:
            return "NULL", 0
        rows = ", ".join(self.template(t) for t in list_)
        name = self.name("templates")
        self.out.append(f"static const struct event_template {name}[] = {{{rows}}};")
        return name, len(list_)


def c_bool(value):
    return "true" if value else "false"


def header(family, definitions, structs, stem=None):
    """stem: what the files are called before .gen.h and .gen.c; the family's name otherwise."""
    guard = f"LULAB_{(stem or family).upper()}_GEN_H"
    out = [f"/* Made from schemas/{family} by tools/gen_schemas.py. */", f"#ifndef {guard}", f"#define {guard}", "",
           '#include "domain/schema.h"', ""]
    if family != "events" and family != "config":
        out[-1:] = ['#include "events.gen.h"', ""]
    if family == "events":
        rows = "\n".join(f"\tEVENT_{d.c_name.removeprefix('event_').upper()} = {d.id}," for d in definitions)
        out += [f"enum event_type {{\n{rows}\n}};", ""]
    titles = {d.c_name: d for d in definitions}
    for s in structs:
        text = titles[s.c_name].raw["title"] if s.c_name in titles else s.description
        if text:
            out.append(f"/* {one_line(text)} */")
        out.append(struct_text(s))
        if family != "config" or s.c_name == "config":
            out.append(f"extern const struct schema schema_{s.c_name};")
        out.append("")
    if family not in ("events", "config"):
        out += ["/* All of them, ending with NULL. */", f"extern const struct schema *const schemas_{stem or family}[];", ""]
    out += ["#endif", ""]
    return "\n".join(out)


def source(family, definitions, structs, stem=None):
    tables = Tables()
    for s in structs:
        tables.struct(s)
    include = "domain/event.h" if family == "events" else f"{stem or family}.gen.h"
    out = [f"/* Made from schemas/{family} by tools/gen_schemas.py. */", f'#include "{include}"', "",
           "#include <stddef.h>", ""]
    rows = []
    for d in definitions if family == "events" else []:
        stream = tables.template(d.stream)
        claims, n_claims = tables.templates(d.claims)
        releases, n_releases = tables.templates(d.releases)
        rows.append(
            f"\t{{.id = {d.id}, .name = {c_string(d.name)}, .dataschema = {c_string(f'{d.name}/{d.version}')}, "
            f".title = {c_string(one_line(d.raw['title']))}, .schema = &schema_{d.c_name}, .stream = {stream}, "
            f".claims = {claims}, .n_claims = {n_claims}, .releases = {releases}, .n_releases = {n_releases}}},")
    out += tables.out
    if family == "events":
        out.append("const struct event_type_info event_types[] = {\n" + "\n".join(rows) + "\n};")
        out.append(f"const size_t event_types_n = {len(rows)};")
    else:
        names = "".join(f"&schema_{d.c_name}, " for d in definitions)
        out.append(f"const struct schema *const schemas_{stem or family}[] = {{{names}NULL}};")
    return "\n".join(out) + "\n"


def model(definitions):
    """What other generators need: per event the paths, their kinds and how C reaches them."""
    events = {}
    for d in definitions:
        fields = {}
        for path, f in walk(d.root):
            fields[path] = {"kind": f.kind, "class": f.cls, "sealed": f.sealed, "optional": f.may_be_absent(),
                            "c": c_path(d.root, path)}
        events[d.name] = {"id": d.id, "c_name": d.c_name, "enum": "EVENT_" + d.c_name[6:].upper(), "fields": fields}
    return json.dumps(events, indent=1, ensure_ascii=False) + "\n"


def c_path(root, path):
    s, out = root, []
    for name in path.split("."):
        f = next(f for f in s.fields if f.name == name)
        out.append(f.c_name)
        s = f.object
    return ".".join(out)
