#!/usr/bin/env python3
"""Puts the mails of schemas/mail into the program.

    gen_mail.py OUTPUT.c NAME.LANGUAGE.mail...

A file is

    word REGISTER = ...     how a word of the program is called in this language
    subject = ...
    -- text
    ...
    -- html
    ...

with {name} where a value goes. Every language of a mail has the same words and names; else the build stops.
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gen_samples import c_string


def refuse(path, what):
    sys.exit("gen_mail: %s: %s" % (path, what))


def read(path):
    match = re.fullmatch(r"([a-z_]+)\.([A-Za-z-]+)\.mail", os.path.basename(path))
    if not match:
        refuse(path, "is not called NAME.LANGUAGE.mail")
    with open(path, encoding="utf-8") as f:
        head, text, html = (re.split(r"^-- (?:text|html)\n", f.read(), flags=re.M) + ["", ""])[:3]
    words, subject = [], ""
    for line in head.splitlines():
        name, _, value = line.partition(" = ")
        if name == "subject":
            subject = value
        elif name.startswith("word ") and value:
            words.append((name[len("word "):], value))
        else:
            refuse(path, "'%s' is neither a word nor the subject" % line)
    if not (subject and text.strip() and html.strip()):
        refuse(path, "subject, text or html is missing")
    names = set(re.findall(r"{(\w+)}", subject + text + html))
    return match.group(1), match.group(2), words, subject, text, html, names


def main():
    output, mails, rows = sys.argv[1], {}, []
    for path in sorted(sys.argv[2:]):
        name, language, words, subject, text, html, names = read(path)
        if mails.setdefault(name, (set(w for w, _ in words), names)) != (set(w for w, _ in words), names):
            refuse(path, "has other words or names than the mail in other languages")
        rows.append("\t{%s, %s,\n\t %s,\n\t %s,\n\t %s,\n\t {%s{0}}}," % (
            c_string(name), c_string(language), c_string(subject), c_string(text), c_string(html),
            "".join("{%s, %s}, " % (c_string(w), c_string(v)) for w, v in words)))
    with open(output, "w", encoding="utf-8") as f:
        f.write('/* Made from schemas/mail by tools/gen_mail.py. */\n#include "mail_template.h"\n\n'
                "const struct mail_template mail_templates[] = {\n%s\n\t{0},\n};\n" % "\n".join(rows))


if __name__ == "__main__":
    main()
