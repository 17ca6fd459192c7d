"""Settings: one struct out of all sections, a table of what the loader needs, and the commented example."""

import re

from . import emit_c
from .model import Refused, Struct


class Section:
    def __init__(self, definition, fields):
        self.title = definition.raw["title"]
        self.description = definition.raw.get("description", "")
        self.fields = fields


def merge(definitions, _structs):
    """Sections in the order given; every name once, aliases included."""
    sections, seen = [], {}
    for d in definitions:
        for f in d.root.fields:
            if not re.fullmatch(r"[A-Z][A-Z0-9_]*", f.name):
                raise Refused(f"{d.path}/{f.name}: a setting is named like an environment variable")
            if not f.description:
                raise Refused(f"{d.path}/{f.name}: description is missing")
            if f.kind not in ("text", "int", "real", "bool", "list") or f.required:
                raise Refused(f"{d.path}/{f.name}: a setting is an optional text, number, truth or list of texts")
            for name in [f.name, *f.raw.get("x-aliases", [])]:
                if name in seen:
                    raise Refused(f"{d.path}: {name} is declared in {seen[name]} too")
                seen[name] = d.path
        sections.append(Section(d, d.root.fields))
    return sections


def whole(sections):
    s = Struct("config", "schemas/config")
    s.closed = True
    s.description = "Every setting. A text that is not set has ptr NULL, or its default; texts end in a NUL."
    s.fields = [f for section in sections for f in section.fields]
    names = [f.c_name for f in s.fields]
    for name in names:
        if names.count(name) > 1:
            raise Refused(f"schemas/config: two settings are called {name} in C")
    return s


def header(sections):
    return emit_c.header("config", [], [whole(sections)])


def source(sections):
    s = whole(sections)
    text = emit_c.source("config", [], [s]).replace('#include "config.gen.h"', '#include "app/config.h"')
    text = text[:text.index("const struct schema *const schemas_config")]
    rows, n = [], 0
    for section in sections:
        for f in section.fields:
            aliases = f.raw.get("x-aliases", [])
            parts = [f".field = &fields_config[{n}]", f".section = {emit_c.c_string(section.title)}"]
            if aliases:
                parts.append(f".alias = {emit_c.c_string(aliases[0])}")
                if len(aliases) > 1:
                    raise Refused(f"{f.name}: one alias at most")
            if f.raw.get("x-flag"):
                parts.append(f".flag = {emit_c.c_string(f.raw['x-flag'])}")
            if f.raw.get("x-unit"):
                parts.append(f".unit = {emit_c.c_string(f.raw['x-unit'])}")
            if f.raw.get("x-unused"):
                parts.append(f".unused = {emit_c.c_string(f.raw['x-unused'])}")
            rows.append("\t{" + ", ".join(parts) + "},")
            n += 1
    text += "const struct config_setting config_settings[] = {\n" + "\n".join(rows) + "\n};\n"
    text += f"const size_t config_settings_n = {n};\n"
    return text


def env(sections):
    """Every setting, commented out, at its default."""
    out = ["# Settings of lulab. Each line shows a default; take the # away and change it.",
           "# A flag wins over the environment, the environment over this file. NAME_FILE=path",
           "# reads a value from a file; systemd credentials of the same name work too.", ""]
    for section in sections:
        live = [f for f in section.fields if not f.raw.get("x-unused")]
        dead = [f for f in section.fields if f.raw.get("x-unused")]
        out += [f"# ---- {section.title} " + "-" * max(0, 60 - len(section.title)), ""]
        if section.description:
            out += [*wrapped(section.description), ""]
        for f in live:
            out += [*wrapped(f.description + about(f)), f"#{f.name}={shown_default(f)}", ""]
        for f in dead:
            out += [*wrapped(f"{f.name}: accepted and not used: {f.raw['x-unused']}"), ""]
    return "\n".join(out)


def about(f):
    notes = []
    if f.cls == "secret":
        notes.append("secret")
    unit = f.raw.get("x-unit")
    if unit == "bytes":
        notes.append("bytes, or with KiB, MiB, GiB, TiB")
    elif unit in ("ms", "s"):
        notes.append("a span: 500ms, 30s, 15m, 12h, 7d; a bare number is " + ("milliseconds" if unit == "ms" else "seconds"))
    elif unit == "percent":
        notes.append("percent")
    if f.min is not None and f.max is not None and f.kind in ("int", "real"):
        notes.append(f"{f.min} to {f.max}")
    if f.choices:
        notes.append("one of " + ", ".join(f.choices))
    if f.kind == "list":
        notes.append("comma-separated")
    if f.kind == "bool":
        notes.append("true or false")
    if f.raw.get("x-aliases"):
        notes.append("also read as " + f.raw["x-aliases"][0])
    return f" ({'; '.join(notes)})" if notes else ""


def shown_default(f):
    return "" if f.default is None else f.default


def wrapped(text):
    lines, line = [], "#"
    for word in text.split():
        if len(line) + 1 + len(word) > 98:
            lines.append(line)
            line = "#"
        line += " " + word
    return [*lines, line]
