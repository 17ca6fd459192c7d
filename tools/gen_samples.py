#!/usr/bin/env python3
"""Puts the sample webhooks of examples/webhooks into the program.

    gen_samples.py OUTPUT.c FILE.json...

The name of a sample is its file's name without .json; those in feishu/ are Feishu's. A file that is not a
webhook in the vendor's shape stops the build.
"""

import json
import os
import sys


def c_string(text):
    return '"' + "".join(
        "\\" + chr(b) if b in b'"\\' else chr(b) if 32 <= b < 127 and b != ord("?") else "\\%03o" % b
        for b in text.encode()) + '"'


def feishu(event, path):
    """What a webhook of Feishu is called."""
    if event.get("type") == "url_verification":
        return event["type"]
    header = event.get("header", {})
    if not all(isinstance(header.get(n), str) for n in ("event_id", "event_type", "create_time", "token")):
        sys.exit("gen_samples: %s: the header is not one" % path)
    if not isinstance(event.get("event"), dict):
        sys.exit("gen_samples: %s: event is no object" % path)
    return header["event_type"]


def tencent(event, path):
    if not isinstance(event.get("event"), str) or not isinstance(event.get("trace_id"), str):
        sys.exit("gen_samples: %s: event or trace_id is missing" % path)
    if not event.get("payload") or not all(isinstance(item, dict) for item in event["payload"]):
        sys.exit("gen_samples: %s: payload is not a list of objects" % path)
    return event["event"]


def sample(path):
    with open(path, encoding="utf-8") as f:
        event = json.load(f)
    vendor = feishu if os.path.basename(os.path.dirname(path)) == "feishu" else tencent
    called = vendor(event, path)
    name = os.path.basename(path)[: -len(".json")]
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return "\t{%s, %s, %s,\n\t %s}," % (c_string(vendor.__name__), c_string(name), c_string(called), c_string(text))


def main():
    output, paths = sys.argv[1], sorted(sys.argv[2:], key=lambda p: (os.path.basename(os.path.dirname(p)) == "feishu", os.path.basename(p)))
    rows = "\n".join(sample(p) for p in paths)
    with open(output, "w", encoding="utf-8") as f:
        f.write('/* Made from examples/webhooks by tools/gen_samples.py. */\n#include "webhook_samples.h"\n\n'
                "const struct webhook_sample webhook_samples[] = {\n%s\n\t{0},\n};\n" % rows)


if __name__ == "__main__":
    main()
