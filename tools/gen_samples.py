#!/usr/bin/env python3
"""Puts the sample webhooks of examples/webhooks into the program.

    gen_samples.py OUTPUT.c FILE.json...

The name of a sample is its file's name without .json. A file that is not a
webhook in the vendor's shape stops the build.
"""

import json
import os
import sys


def c_string(text):
    return '"' + "".join(
        "\\" + chr(b) if b in b'"\\' else chr(b) if 32 <= b < 127 and b != ord("?") else "\\%03o" % b
        for b in text.encode()) + '"'


def sample(path):
    with open(path, encoding="utf-8") as f:
        event = json.load(f)
    if not isinstance(event.get("event"), str) or not isinstance(event.get("trace_id"), str):
        sys.exit("gen_samples: %s: event or trace_id is missing" % path)
    if not event.get("payload") or not all(isinstance(item, dict) for item in event["payload"]):
        sys.exit("gen_samples: %s: payload is not a list of objects" % path)
    name = os.path.basename(path)[: -len(".json")]
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return "\t{%s, %s,\n\t %s}," % (c_string(name), c_string(event["event"]), c_string(text))


def main():
    output, paths = sys.argv[1], sorted(sys.argv[2:], key=os.path.basename)
    rows = "\n".join(sample(p) for p in paths)
    with open(output, "w", encoding="utf-8") as f:
        f.write('/* Made from examples/webhooks by tools/gen_samples.py. */\n#include "webhook_samples.h"\n\n'
                "const struct webhook_sample webhook_samples[] = {\n%s\n\t{0},\n};\n" % rows)


if __name__ == "__main__":
    main()
