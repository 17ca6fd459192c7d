#!/usr/bin/env python3
"""Good and bad instances of every definition, judged by our codec (schema_judge) and by ajv.

Both must find the same things wrong at the same places. What JSON Schema cannot say is left
out of the instances: integers beyond 64 bits, 1.0 where an integer is meant, sealed values.
Skipped (77) where there is no Node, or no registry to fetch ajv from.
"""

import json
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import npm  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
SCHEMAS = os.path.join(ROOT, "schemas")
BASE = "https://lulab.example/schemas/"
PER_SCHEMA = 60
WORDS = ["", "a", "会议", "x" * 20, "x" * 70, "x" * 300, "0", "-1", "12", "1e3", "2026-11-23", "2026-13-01",
         "2026-11-23T22:39:15Z", "2026-11-23T22:39:15.5+08:00", "2026-11-23 22:39", "\"quoted\" \\ /", "a\nb", "AB12x",
         "A" * 43, "f" * 32, "🎉🎉🎉🎉🎉🎉🎉🎉", "on", "TENCENT_MEETING", "tencent", "ab,cd"]


class Definitions:
    """Every definition by the name of its C struct, and the shared ones by file."""

    def __init__(self):
        self.named, self.shared = {}, {}
        for family, prefix in (("events", "event"), ("requests", "request"), ("params", "params")):
            folder = os.path.join(SCHEMAS, family)
            for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                self.add(os.path.join(folder, name), prefix, f"{BASE}{family}/{name}")
        self.add(os.path.join(HERE, "sample.json"), "request", BASE + "requests/sample.json")

    def add(self, path, prefix, ident):
        with open(path, encoding="utf-8") as f:
            raw = json.load(f)
        raw["$id"] = ident
        if "$defs" in raw:
            self.shared[ident] = raw
        else:
            stem = os.path.basename(path).removesuffix(".json").replace(".", "_").replace("-", "_")
            self.named[f"{prefix}_{stem}"] = raw

    def resolve(self, schema, ident):
        """The schema behind $ref, with what stands beside it, and the file it is in."""
        if "$ref" not in schema:
            return schema, ident
        file, _, pointer = schema["$ref"].partition("#")
        if file:
            base = ident.rsplit("/", 1)[0]
            while file.startswith("../"):
                file, base = file[3:], base.rsplit("/", 1)[0]
            ident = f"{base}/{file}"
        target = self.shared[ident]["$defs"][pointer.rsplit("/", 1)[1]]
        return {**target, **{k: v for k, v in schema.items() if k != "$ref"}}, ident

    def members(self, schema, ident):
        """(properties with their file, required) of an object, allOf included."""
        properties = {n: (p, ident) for n, p in schema.get("properties", {}).items()}
        required = list(schema.get("required", []))
        for part in schema.get("allOf", []):
            base, base_ident = self.resolve(part, ident)
            more, more_required = self.members(base, base_ident)
            properties.update(more)
            required += more_required
        return properties, required


class Instances:
    def __init__(self, definitions, seed):
        self.d = definitions
        self.random = random.Random(seed)

    def good_text(self, schema):
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        if "pattern" in schema:
            return {"^[0-9a-f]{32}$": "0f" * 16, "^[0-9a-f]{64}$": "0f" * 32, "^[A-Za-z0-9_-]{43}$": "Ab-_" * 10 + "xyz",
                    "^-?[0-9]{1,19}$": "-12", "^[A-Z]{2}-?[0-9]+x?$": self.random.choice(["AB-12", "AB1x"]),
                    "^-?[A-Za-z]{1,63}$": "-startAt"}.get(schema["pattern"], "tencent")
        if schema.get("format"):
            return self.random.choice(["2026-11-23"] if schema["format"] == "date" else ["2026-11-23T22:39:15Z"])
        low, high = schema.get("minLength", 0), schema.get("maxLength", 400)
        fitting = [w for w in WORDS if low <= len(w) <= high]
        return self.random.choice(fitting or ["x" * low])

    def number(self, schema):
        low, high = schema.get("minimum", -1000), schema.get("maximum", 2**53)
        return self.random.choice([low, high, low + 1, (low + high) // 2 if isinstance(low, int) else low])

    def good(self, schema, ident, depth=0):
        schema, ident = self.d.resolve(schema, ident)
        types = schema.get("type", [])
        kind = self.random.choice(types) if isinstance(types, list) and types else types or "any"
        if kind == "object" and ("properties" in schema or "allOf" in schema):
            return self.good_object(schema, ident, depth)
        if kind == "array":
            n = self.random.randint(schema.get("minItems", 0), min(schema.get("maxItems", 3), 3))
            return [self.good(schema["items"], ident, depth + 1) for _ in range(n)]
        return {"string": lambda: self.good_text(schema), "integer": lambda: self.number(schema),
                "number": lambda: self.random.choice([0, 0.5, 1, 1.25]), "boolean": lambda: self.random.random() < 0.5,
                "null": lambda: None, "object": lambda: {"a": [1, None]}, "any": lambda: [1, {"b": "c"}]}[kind]()

    def good_object(self, schema, ident, depth):
        properties, required = self.d.members(schema, ident)
        out = {}
        for name, (sub, sub_ident) in properties.items():
            if sub.get("x-extra"):
                continue  # no member: it stands for those nobody knows
            if name in required or self.random.random() < 0.5:
                out[name] = self.good(sub, sub_ident, depth + 1)
        return out

    def odd(self):
        return self.random.choice([None, True, 0, -7, 1.5, 2**40, [], [1], {}, {"x": 1}, *WORDS])

    def spoil(self, value):
        """One change somewhere: a member gone, strange or of another kind."""
        places = list(self.places(value))
        holder, key = self.random.choice(places) if places else (None, None)
        act = self.random.random()
        if holder is None or act < 0.15:
            value[self.random.choice(["stranger", "a/b", "~"])] = self.odd()
        elif act < 0.35:
            del holder[key]
        else:
            holder[key] = self.odd()
        return value

    def places(self, value):
        keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            yield value, key
            yield from self.places(value[key])

    def lines(self):
        for name, schema in self.d.named.items():
            for n in range(PER_SCHEMA):
                value = self.good(schema, schema["$id"])
                for _ in range(0 if n % 3 == 0 else self.random.randint(1, 3)):
                    value = self.spoil(value)
                yield name, json.dumps(value, ensure_ascii=n % 2 == 0)


def main():
    folder = npm.fetched("ajv", HERE, os.path.join(os.path.dirname(os.path.abspath(os.environ["SCHEMA_JUDGE"])), "schema_judge_node"))
    definitions = Definitions()
    schemas = os.path.join(folder, "schemas.json")
    with open(schemas, "w", encoding="utf-8") as f:
        json.dump({"named": definitions.named, "shared": definitions.shared}, f)
    lines = list(Instances(definitions, 2026).lines())
    text = "".join(f"{name}\t{value}\n" for name, value in lines)
    ours = subprocess.run([os.environ["SCHEMA_JUDGE"]], input=text, stdout=subprocess.PIPE, check=True,
                          encoding="utf-8").stdout.splitlines()
    theirs = subprocess.run(["node", os.path.join(HERE, "judge.mjs"), schemas], input=text, stdout=subprocess.PIPE,
                            check=True, cwd=folder, encoding="utf-8").stdout.splitlines()
    assert len(ours) == len(theirs) == len(lines), (len(ours), len(theirs), len(lines))
    good = wrong = 0
    for (name, value), our, their in zip(lines, ours, theirs):
        our, their = sorted(set(json.loads(our))), sorted(json.loads(their))
        good += not their
        if our != their:
            wrong += 1
            if wrong <= 10:
                print(f"{name}\n  {value}\n  ours   {our}\n  theirs {their}")
    print(f"{len(lines)} instances of {len(definitions.named)} definitions: {good} good, {wrong} judged differently")
    assert good > len(lines) // 5 and good < len(lines) * 4 // 5, "too one-sided to tell anything"
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
