#!/usr/bin/env python3
"""Puts the prompts of schemas/prompts into the program.

    gen_prompts.py OUTPUT.c NAME.LANGUAGE.prompt...

A file is

    -- system
    what the model is told about its task
    -- user
    what it is given

with {name} where a value goes. Every language of a prompt has the same names, and what goes between two lines {fence} is
never outside of them; else the build stops. A digest of the text goes with it, for what is made by it.
"""

import hashlib
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gen_samples import c_string


def refuse(path, what):
    sys.exit("gen_prompts: %s: %s" % (path, what))


def read(path):
    match = re.fullmatch(r"([a-z_]+)\.([A-Za-z-]+)\.prompt", os.path.basename(path))
    if not match:
        refuse(path, "is not called NAME.LANGUAGE.prompt")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    parts = re.fullmatch(r"-- system\n(.*)\n-- user\n(.*)\n", text, re.S)
    if not parts:
        refuse(path, "is not '-- system', a text, '-- user', a text")
    system, user = parts.groups()
    if "{text}" in system + user and ("{fence}\n{text}\n{fence}" not in user or "{fence}" not in system or (system + user).count("{text}") != 1):
        refuse(path, "{text} belongs between two lines {fence}, and the first part says what these are")
    names = set(re.findall(r"{(\w+)}", system + user))
    return match.group(1), match.group(2), system, user, names, hashlib.sha256(text.encode()).hexdigest()[:8]


def main():
    output, prompts, rows = sys.argv[1], {}, []
    for path in sorted(sys.argv[2:]):
        name, language, system, user, names, digest = read(path)
        if prompts.setdefault(name, names) != names:
            refuse(path, "has other names than the prompt in other languages")
        rows.append("\t{%s, %s, %s,\n\t %s,\n\t %s}," % (
            c_string(name), c_string(language), c_string("%s@%s" % (name, digest)), c_string(system), c_string(user)))
    with open(output, "w", encoding="utf-8") as f:
        f.write('/* Made from schemas/prompts by tools/gen_prompts.py. */\n#include "model_prompt.h"\n\n'
                "const struct model_prompt model_prompts[] = {\n%s\n\t{0},\n};\n" % "\n".join(rows))


if __name__ == "__main__":
    main()
