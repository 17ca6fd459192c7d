#!/usr/bin/env python3
"""Adds up what `meson test` left in its logs and prints the one closing line.

    tools/test_summary.py [--failed N] BUILD_DIR...

Counts single checks, not programs: those that Check ("Checks: 9, Failures: 0")
and Python's unittest ("Ran 9 tests") report. A program that reports neither
counts as one. --failed adds failures that have no log (a build that broke).
Exit status 1 when anything failed or nothing ran.
"""

import argparse
import json
import os
import re
import sys

CHECK = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.M)
RAN = re.compile(r"^Ran (\d+) tests? in ", re.M)
OUTCOME = re.compile(r"^(?:OK|FAILED)(?: \((.*)\))?$", re.M)


def unittest_counts(text):
    """(passed, failed, skipped) of every unittest report in the text, or None."""
    ran = sum(int(n) for n in RAN.findall(text))
    if ran == 0:
        return None
    failed = skipped = 0
    for outcome in OUTCOME.findall(text):
        for name, count in re.findall(r"([\w ]+?)=(\d+)", outcome):
            if name.strip() in ("failures", "errors", "unexpected successes"):
                failed += int(count)
            elif name.strip() == "skipped":
                skipped += int(count)
    return max(ran - failed - skipped, 0), failed, skipped


def check_counts(text):
    """(passed, failed, skipped) of every Check report in the text, or None."""
    reports = CHECK.findall(text)
    if not reports:
        return None
    total = sum(int(r[0]) for r in reports)
    failed = sum(int(r[1]) + int(r[2]) for r in reports)
    return total - failed, failed, 0


def counts(entry):
    """(passed, failed, skipped) of one line of testlog.json."""
    text = (entry.get("stdout") or "") + "\n" + (entry.get("stderr") or "")
    result = entry.get("result")
    if result in ("SKIP", "EXPECTEDFAIL"):
        return 0, 0, 1
    found = check_counts(text) or unittest_counts(text)
    if result == "OK":
        return found if found and found[1] == 0 else (1, 0, 0)
    # A crash or a time limit leaves no report, or one that looks well: it is a failure all the same.
    if found and found[1] > 0:
        return found
    return (found[0] if found else 0), 1, (found[2] if found else 0)


def read_log(build_dir):
    path = os.path.join(build_dir, "meson-logs", "testlog.json")
    try:
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.strip()]
    except OSError:
        return None


def last_words(entry, n_lines=30):
    """The end of what the program said: where a log is cut, its end is what is left."""
    text = (entry.get("stdout") or "") + "\n" + (entry.get("stderr") or "")
    lines = [line for line in text.splitlines() if line.strip()]
    return "".join("    %s\n" % line for line in lines[-n_lines:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--failed", type=int, default=0)
    parser.add_argument("builds", nargs="*")
    args = parser.parse_args()
    passed, failed, skipped = 0, args.failed, 0
    for build_dir in args.builds:
        entries = read_log(build_dir)
        if entries is None:
            print("%s: the tests left no log" % build_dir, file=sys.stderr)
            failed += 1
            continue
        for entry in entries:
            p, f, s = counts(entry)
            passed, failed, skipped = passed + p, failed + f, skipped + s
            if f:
                print("FAILED %s: %s" % (build_dir, entry.get("name")), file=sys.stderr)
                print(last_words(entry), file=sys.stderr)
    line = "%d passed, %d failed" % (passed, failed)
    if skipped:
        line += ", %d skipped" % skipped
    print(line)
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
