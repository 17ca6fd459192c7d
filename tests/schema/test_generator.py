#!/usr/bin/env python3
"""What the generator of schemas refuses, and that what is made from them is in step."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
GENERATOR = os.path.join(ROOT, "tools", "gen_schemas.py")
sys.path.insert(0, os.path.join(ROOT, "tools"))
from schema import model  # noqa: E402


def text(**more):
    return {"type": "string", "x-class": "open", **more}


def event(**more):
    return {"title": "A test", "x-id": 7, "x-stream": "test/{id}", "type": "object",
            "properties": {"id": text(), "subjects": {"type": "object", "x-class": "open", "properties": {
                "someone": {"type": "object", "x-class": "open", "properties": {"id": text()}}}}},
            "required": ["id"], **more}


def with_field(**fields):
    raw = event()
    raw["properties"].update(fields)
    return raw


# What is wrong, the definition, and a part of what the generator says about it.
REFUSED = [
    ("an unknown keyword", event(**{"x-colour": 1}), 'keyword "x-colour" is not known'),
    ("an unknown keyword of a field", with_field(a=text(multipleOf=2)), 'keyword "multipleOf" is not known'),
    ("no class", with_field(a={"type": "string"}), "x-class is missing"),
    ("an unknown class", with_field(a={"type": "string", "x-class": "public"}), "x-class is missing or not one of"),
    ("a secret", with_field(a={"type": "string", "x-class": "secret"}), "secrets are never part of an event"),
    ("contact without subject", with_field(a={"type": "string", "x-class": "contact"}), "needs x-subject"),
    ("an unknown subject", with_field(a={"type": "string", "x-class": "contact", "x-subject": "nobody"}),
     'x-subject "nobody"'),
    ("an open field with a subject", with_field(a=text(**{"x-subject": "someone"})), "x-subject only on"),
    ("no id", event(**{"x-id": None}), "x-id is missing"),
    ("an id the registry gives to another", event(**{"x-id": 8}), "the registry must have"),
    ("an id the registry does not have", event(**{"x-id": 99}), "the registry must have"),
    ("no title", event(title=""), "title is missing"),
    ("a stream of an unknown field", event(**{"x-stream": "test/{nothing}"}), "is not a member"),
    ("a stream of a field that may be absent", event(required=[]), "may be absent"),
    ("a claim of a sealed field", with_field(a={"type": "string", "x-class": "contact", "x-subject": "someone"})
     | {"x-claims": ["name:{a}"]}, "must be an open text"),
    ("a type nobody knows", with_field(a={"type": "blob", "x-class": "open"}), 'type "blob" is not known'),
    ("two types", with_field(a={"type": ["string", "boolean"], "x-class": "open"}), "one type"),
    ("a limit of another kind", with_field(a=text(minimum=1)), "minimum does not go with text"),
    ("a pattern that is not anchored", with_field(a=text(pattern="[a-z]+")), "must be anchored"),
    ("a pattern with a choice", with_field(a=text(pattern="^(a|b)$")), "is not known"),
    ("a pattern that needs going back", with_field(a=text(pattern="^[a-z]*z$")), "shares characters"),
    ("a format nobody checks", with_field(a=text(format="email")), "format email is not known"),
    ("a default that is no choice", with_field(a=text(enum=["x"], default="y")), "not among the choices"),
    ("a default out of range", with_field(a={"type": "integer", "maximum": 3, "default": 4, "x-class": "open"}),
     "out of range"),
    ("required and not there", event(required=["id", "ghost"]), "not among its properties"),
    ("two names that are one in C", with_field(aB=text(), a_b=text()), "same name in C"),
    ("a list of lists", with_field(a={"type": "array", "x-class": "open", "items": {
        "type": "array", "items": text(), "x-class": "open"}}), "lists of lists"),
    ("a reference to nothing", with_field(a={"$ref": "#/$defs/ghost", "x-class": "open"}), "leads nowhere"),
    ("claims as a field", with_field(claims=text()), "is written from x-claims"),
]


def generate(raw, registry="7 test.happened\n8 test.other\n", second=None):
    """(exit code, stderr) of the generator on one definition, or two."""
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, "test.happened.json")]
        with open(files[0], "w", encoding="utf-8") as f:
            f.write(raw if isinstance(raw, str) else json.dumps(raw))
        if second is not None:
            files.append(os.path.join(folder, "test.other.json"))
            with open(files[1], "w", encoding="utf-8") as f:
                json.dump(second, f)
        with open(os.path.join(folder, "registry"), "w", encoding="utf-8") as f:
            f.write(registry)
        done = subprocess.run(
            [sys.executable, GENERATOR, "events", "--registry", os.path.join(folder, "registry"),
             "--header", os.path.join(folder, "x.gen.h"), "--source", os.path.join(folder, "x.gen.c"), *files],
            stderr=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stderr


class Refusals(unittest.TestCase):
    def test_the_sample_itself_is_taken(self):
        self.assertEqual(generate(event()), (0, ""))

    def test_each_mistake_stops_the_build_and_is_named(self):
        for says, raw, why in REFUSED:
            with self.subTest(says):
                code, said = generate(raw)
                self.assertEqual(code, 1, said)
                self.assertIn(why, said)
                self.assertIn("test.happened", said)
                self.assertNotIn("Traceback", said)

    def test_an_id_is_used_once(self):
        code, said = generate(event(), second=event())
        self.assertEqual(code, 1)
        self.assertIn("x-id 7 is used by", said)

    def test_a_registry_never_gives_an_id_twice(self):
        for registry in ("7 test.happened\n7 test.other\n", "7 test.happened\n8 test.happened\n", "seven x\n"):
            with self.subTest(registry):
                self.assertEqual(generate(event(), registry)[0], 1)

    def test_a_member_twice_is_refused(self):
        code, said = generate('{"title": "a", "title": "b"}')
        self.assertEqual(code, 1)
        self.assertIn("twice", said)


class Patterns(unittest.TestCase):
    def test_runs(self):
        runs = model.parse_pattern("^-?[0-9]{1,19}x+$")
        self.assertEqual([(len(chars), low, high) for chars, low, high in runs], [(1, 0, 1), (10, 1, 19), (1, 1, None)])

    def test_templates(self):
        self.assertEqual(model.parse_template("a/{b}[/{c}]", "x"), [("a/", "b", False, None), ("/", "c", True, None)])
        self.assertEqual(model.parse_template("a/{b:LONG=L}/{c}", "x"),
                         [("a/", "b", False, ("LONG", "L")), ("/", "c", False, None)])
        self.assertEqual(model.parse_template("log", "x"), [("log", None, False, None)])
        self.assertRaises(model.Refused, model.parse_template, "a/{b", "x")


def made(name):
    with open(os.path.join(os.environ["SCHEMAS_MADE"], name), encoding="utf-8") as f:
        return f.read()


class Made(unittest.TestCase):
    def test_the_example_of_settings_is_the_made_one(self):
        with open(os.path.join(ROOT, "examples", ".env"), encoding="utf-8") as f:
            self.assertEqual(f.read(), made("settings.env"), "copy build/schemas/settings.env to examples/.env")

    def test_references_of_asyncapi_lead_somewhere(self):
        document = json.loads(made("asyncapi.json"))
        self.assertEqual(document["asyncapi"], "3.0.0")
        found = list(references(document))
        self.assertGreater(len(found), 100)
        for ref in found:
            node = document
            for part in ref.removeprefix("#/").split("/"):
                self.assertIn(part, node, ref)
                node = node[part]

    def test_every_event_is_documented(self):
        page = made("events.md")
        for name in os.listdir(os.path.join(ROOT, "schemas", "events")):
            if name != "defs.json":
                self.assertIn("\n## " + name.removesuffix(".json") + "\n", page)

    def test_every_registered_event_is_there(self):
        names = model.read_registry(os.path.join(ROOT, "schemas", "registry.txt")).values()
        there = {n.removesuffix(".json") for n in os.listdir(os.path.join(ROOT, "schemas", "events"))}
        self.assertEqual(set(names) - there, set(), "a type in the log must stay readable")


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


if __name__ == "__main__":
    unittest.main()
