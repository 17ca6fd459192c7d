#!/usr/bin/env python3
"""Rules of the sources that no compiler knows: who may include whom, which calls stay out,
and that every C file says first what it is for."""

import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Which layers of core a layer may include (itself always): one way only.
MAY_SEE = {
    "base": set(),
    "crypto": {"base"},
    "domain": {"base", "crypto"},
    "audit": {"base", "crypto", "domain"},
    "store": {"base", "crypto", "domain"},
    "net": {"base", "crypto"},
    "app": {"base", "crypto", "domain", "audit", "store", "net"},
}

BANNED = ["strcpy", "strcat", "sprintf", "vsprintf", "strtok", "atoi", "gets", "gmtime"]

# Time and chance come in through the seams of core/base, so that a test can move them.
# (Monotonic deadlines of condition variables are measured with the system's clock, there is no other way.)
SEAMS = ["time", "gettimeofday", r"clock_gettime(?=\s*\(\s*CLOCK_REALTIME)", "rand", "random", "srand", "getrandom"]
SEAM_FILES = {"core/base/clock.c", "core/base/rng.c"}

# They weaken commits (integrity.md 11.1): in no environment of ours, not even a test's. But where a bug
# is planted (core/base/planted.h), which no program that is used contains, they may be the bug.
FLAGS = ["MDB_NOSYNC", "MDB_NOMETASYNC", "MDB_WRITEMAP", "MDB_MAPASYNC", "MDB_NOLOCK", "MDB_NOMEMINIT"]

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def tracked(*endings):
    """Paths of the project's own files, from git where there is one."""
    try:
        listed = subprocess.run(["git", "-C", ROOT, "ls-files"], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, check=True, text=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        listed = []
    if not any(listed):
        for top, dirs, files in os.walk(ROOT):
            dirs[:] = [d for d in dirs if not d.startswith((".", "build"))]
            listed += [os.path.relpath(os.path.join(top, f), ROOT) for f in files]
    return [p for p in listed if p.endswith(endings) and os.path.exists(os.path.join(ROOT, p))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def blank_out(text):
    """The code without comments and literals, every line where it was."""
    return NOISE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def wrong_include(path, included):
    """Why this file must not include that one, or None."""
    if included.startswith("../"):
        return "steps out of its folder"
    if path.startswith("tests/") or "/" not in included:
        return None
    top = included.split("/")[0]
    if top in ("tools", "tests"):
        return "nothing sees tools or tests"
    if top == "adapters" and path.startswith("core/"):
        return "core does not see adapters"
    if path.startswith("core/") and top in MAY_SEE:
        layer = path.split("/")[1]
        if top != layer and top not in MAY_SEE.get(layer, set()):
            return "%s does not see %s" % (layer, top)
    return None


def banned_calls(path, text):
    """(line number, name) of every call that stays out."""
    names = list(BANNED)
    if path not in SEAM_FILES and not path.startswith("tests/"):
        names += SEAMS
    call = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(names))
    code = blank_out(text)
    return [(code.count("\n", 0, m.start()) + 1, m.group(1)) for m in call.finditer(code)]


def weakening_flags(text):
    code = re.sub(r"[^\n]*\bPLANTED\(\w+\)[^\n]*", "", blank_out(text))
    return re.findall(r"\b(%s)\b" % "|".join(FLAGS), code)


def planted_names():
    return set(re.findall(r"\bX\((\w+),", read("core/base/planted.h")))


def planted_in(text):
    return set(re.findall(r"\bPLANTED\((\w+)\)", blank_out(text)))


def says_its_purpose(path, text):
    """The file opens with a comment of at least a few words, or sends the reader to a header that does."""
    found = re.match(r"/\*(.*?)\*/", text, re.S)
    if found is None:
        return False
    words = re.findall(r"\w+", found.group(1))
    see = re.fullmatch(r"\s*See ([\w./]+\.h)\.\s*", found.group(1))
    if see is None:
        return len(words) >= 4
    for folder in (os.path.dirname(path), "core"):
        header = os.path.join(folder, see.group(1))
        if os.path.exists(os.path.join(ROOT, header)):
            return says_its_purpose(header, read(header))
    return False


class Rules(unittest.TestCase):
    def test_includes_point_one_way(self):
        for path in tracked(".c", ".h"):
            for included in INCLUDE.findall(read(path)):
                why = wrong_include(path, included)
                with self.subTest(path=path, included=included):
                    self.assertIsNone(why)

    def test_banned_calls_stay_out(self):
        for path in tracked(".c", ".h"):
            with self.subTest(path=path):
                self.assertEqual(banned_calls(path, read(path)), [])

    def test_no_flag_weakens_a_commit(self):
        for path in tracked(".c", ".h"):
            with self.subTest(path=path):
                self.assertEqual(weakening_flags(read(path)), [])

    def test_planted_bugs_bite_and_are_caught(self):
        planted = {p: planted_in(read(p)) for p in tracked(".c") if not p.startswith("tests/")}
        files = {p for p, names in planted.items() if names}
        built = set(re.findall(r"'\.\./([\w/]+\.c)'", read("tests/meson.build")))
        self.assertEqual(files, built, "planted_files in tests/meson.build")
        tests = "".join(read(p) for p in tracked(".py", ".c", "meson.build") if p.startswith("tests/"))
        for name in planted_names():
            with self.subTest(bug=name):
                self.assertRegex(tests, "[\"']%s[\"']" % name, "no test looks that it is caught")
                self.assertTrue(any(name in names for names in planted.values()), "is nowhere planted")

    def test_every_c_file_says_what_it_is_for(self):
        for path in tracked(".c", ".h"):
            with self.subTest(path=path):
                self.assertTrue(says_its_purpose(path, read(path)))

    def test_no_file_holds_a_second_idea(self):
        for path in tracked(".c", ".h"):
            if path.startswith("tests/"):
                continue
            with self.subTest(path=path):
                self.assertLessEqual(read(path).count("\n"), 900)

    def test_text_files_are_clean(self):
        for path in tracked(".c", ".h", ".py", ".sh", ".sql", "meson.build"):
            text = read(path)
            with self.subTest(path=path):
                self.assertFalse(re.search(r"[ \t]+$", text, re.M), "white space at a line's end")
                self.assertTrue(text == "" or text.endswith("\n"), "no newline at the end")


class TheRulesThemselves(unittest.TestCase):
    """A check that never fires is worth nothing: each is shown one breach."""

    def test_includes(self):
        self.assertIsNotNone(wrong_include("core/base/x.c", "store/eventlog.h"))
        self.assertIsNotNone(wrong_include("core/net/x.c", "store/eventlog.h"))
        self.assertIsNotNone(wrong_include("core/app/x.c", "adapters/x.h"))
        self.assertIsNotNone(wrong_include("core/app/x.c", "../base/err.h"))
        self.assertIsNone(wrong_include("core/app/x.c", "store/eventlog.h"))
        self.assertIsNone(wrong_include("adapters/x.c", "app/app.h"))

    def test_calls(self):
        text = '/* strcpy(a) */ x = "atoi(1)"; strcpy (a, b);\ny = my_time(0) + r->rand();\ntime(NULL);\n'
        self.assertEqual(banned_calls("core/app/x.c", text), [(1, "strcpy"), (3, "time")])
        self.assertEqual(banned_calls("core/app/x.c", "clock_gettime(CLOCK_REALTIME, &x);"), [(1, "clock_gettime")])
        self.assertEqual(banned_calls("core/app/x.c", "clock_gettime(CLOCK_MONOTONIC, &x);"), [])
        self.assertEqual(banned_calls("core/base/clock.c", "clock_gettime(CLOCK_REALTIME, &x);"), [])

    def test_flags(self):
        self.assertEqual(weakening_flags("open(env, MDB_NOTLS | MDB_NOSYNC); /* MDB_NOLOCK */"), ["MDB_NOSYNC"])
        self.assertEqual(weakening_flags("flags |= PLANTED(nosync) ? MDB_NOSYNC : 0;\nopen(MDB_NOLOCK)"), ["MDB_NOLOCK"])

    def test_planted(self):
        self.assertEqual(planted_in("x = PLANTED(a_bug) && y; /* PLANTED(b) */"), {"a_bug"})
        self.assertIn("skip_position", planted_names())

    def test_purpose(self):
        self.assertFalse(says_its_purpose("tools/x.c", "#include <stdio.h>\n"))
        self.assertFalse(says_its_purpose("tools/x.c", "/* x.c */\n"))
        self.assertFalse(says_its_purpose("tools/x.c", "/* See nowhere_at_all.h. */\n"))
        self.assertTrue(says_its_purpose("tools/x.c", "/* See command.h. */\n"))
        self.assertTrue(says_its_purpose("tools/x.c", "/* What every command shares. */\n"))


if __name__ == "__main__":
    unittest.main()
