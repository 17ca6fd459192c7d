"""Documentation of events: a page for people and an AsyncAPI 3.0 document."""

import copy
import json

from .model import read_json, walk


def markdown(definitions):
    out = ["# Events", "",
           "Every fact in the log, in the order of their ids. Each record is a CloudEvents 1.0 object; the tables list",
           "the members of `data`. *contact* and *content* members are sealed under the subject named beside them.", ""]
    for d in definitions:
        out.append(f"- [`{d.name}`](#{anchor(d.name)}): {d.raw['title']}")
    for d in definitions:
        out += ["", f"## {d.name}", "", d.raw["title"] + "."]
        if d.raw.get("description"):
            out += ["", d.raw["description"]]
        out += ["", f"Id {d.id}, version {d.version}, stream `{d.raw['x-stream']}`.", "",
                "| member | type | class | meaning |", "| --- | --- | --- | --- |"]
        for path, f in walk(d.root):
            cls = f"{f.cls}, {f.subject}" if f.subject else f.cls
            kind = type_text(f) + ("" if f.required else ", optional")
            out.append(f"| `{path}` | {kind} | {cls} | {meaning(f)} |")
    return "\n".join(out) + "\n"


def anchor(name):
    return name.replace(".", "")


def type_text(f):
    if f.kind == "list":
        return "list of " + type_text(f.item)
    return {"text": "text", "int": "integer", "real": "number", "bool": "true or false", "json": "any JSON",
            "object": "object"}[f.kind]


def meaning(f):
    text = f.description.replace("|", "\\|")
    if f.choices:
        text += (" " if text else "") + "One of " + ", ".join(f"`{c}`" for c in f.choices) + "."
    return text


def asyncapi(definitions):
    """One channel, the log; one message an event; $defs become shared schemas."""
    messages, schemas = {}, {}
    schemas["sealed"] = {
        "type": "object", "description": "A value sealed under the key of a subject; erased with the key",
        "properties": {"$sealed": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}}, "required": ["$sealed"],
    }
    for d in definitions:
        schema = inlined(d.raw, d.path, schemas)
        for key in ("$schema", "$id", "$defs"):
            schema.pop(key, None)
        schemas[d.name] = schema
        messages[d.name] = {
            "name": d.name, "title": d.raw["title"], "contentType": "application/cloudevents+json",
            "payload": {
                "type": "object",
                "required": ["specversion", "id", "source", "type", "subject", "time", "sequence", "actor",
                             "dataschema", "datacontenttype", "data"],
                "properties": {
                    "specversion": {"const": "1.0"}, "id": {"type": "string"}, "source": {"type": "string"},
                    "type": {"const": d.name}, "subject": {"type": "string"},
                    "time": {"type": "string", "format": "date-time"},
                    "sequence": {"type": "string", "pattern": "^[0-9]{20}$"}, "actor": {"type": "string"},
                    "causationid": {"type": "string"}, "correlationid": {"type": "string"},
                    "traceparent": {"type": "string"}, "oncekey": {"type": "string"},
                    "dataschema": {"const": f"{d.name}/{d.version}"},
                    "datacontenttype": {"const": "application/json"},
                    "data": {"$ref": f"#/components/schemas/{d.name}"},
                },
            },
        }
    names = [d.name for d in definitions]
    document = {
        "asyncapi": "3.0.0",
        "info": {"title": "lulab events", "version": "1.0.0",
                 "description": "The event log as told by GET /api/v1/events/stream (server-sent events)."},
        "channels": {"log": {
            "address": "/api/v1/events/stream",
            "messages": {n: {"$ref": f"#/components/messages/{n}"} for n in names},
        }},
        "operations": {"follow": {
            "action": "send", "channel": {"$ref": "#/channels/log"}, "summary": "Events as they become durable",
            "messages": [{"$ref": f"#/channels/log/messages/{n}"} for n in names],
        }},
        "components": {"messages": messages, "schemas": schemas},
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def inlined(raw, path, schemas):
    """A copy whose $ref to other files point into components."""
    out = copy.deepcopy(raw)
    replace_refs(out, path, schemas)
    return out


def replace_refs(node, path, schemas):
    if isinstance(node, list):
        for value in node:
            replace_refs(value, path, schemas)
        return
    if not isinstance(node, dict):
        return
    ref = node.get("$ref")
    if isinstance(ref, str):
        file, _, pointer = ref.partition("#")
        name = pointer.rsplit("/", 1)[1]
        node["$ref"] = f"#/components/schemas/{name}"
        if name not in schemas:
            target = path.rsplit("/", 1)[0] + "/" + file if file else path
            shared = copy.deepcopy(read_json(target)["$defs"][name])
            schemas[name] = shared
            replace_refs(shared, target, schemas)
    for key, value in node.items():
        if key != "$ref":
            replace_refs(value, path, schemas)
    for name, value in node.get("properties", {}).items():
        if isinstance(value, dict) and "x-subject" in value:
            node["properties"][name] = sealed_or(value)


def sealed_or(schema):
    """What is stored is the sealed form; with its key it reads as the clear one."""
    about = {k: schema[k] for k in ("description", "x-class", "x-subject") if k in schema}
    clear = {k: v for k, v in schema.items() if k not in about}
    return {**about, "anyOf": [{"$ref": "#/components/schemas/sealed"}, clear]}
