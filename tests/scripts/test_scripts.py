#!/usr/bin/env python3
"""The two commands: their package list, their summary line, and that the shell takes them."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("LULAB", os.path.join(ROOT, "build", "lulab"))
SCRIPTS = ["tools/run", "tools/test", ".ci/run"]


def path(*parts):
    return os.path.join(ROOT, *parts)


def run_lib(script, **env):
    """Runs shell code that has tools/lib.sh in it."""
    return subprocess.run(["sh", "-c", ". tools/lib.sh\n" + script], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=dict(os.environ, **env))


class Scripts(unittest.TestCase):
    def test_they_can_be_run(self):
        for script in SCRIPTS:
            self.assertTrue(os.access(path(script), os.X_OK), script)

    def test_the_shell_understands_them(self):
        for script in SCRIPTS + ["tools/lib.sh"]:
            subprocess.run(["sh", "-n", path(script)], check=True)

    @unittest.skipUnless(shutil.which("shellcheck"), "no shellcheck here")
    def test_shellcheck_has_nothing_to_say(self):
        subprocess.run(["shellcheck", "-x", *SCRIPTS, "tools/lib.sh"], cwd=ROOT, check=True)

    def test_continuous_integration_runs_the_tests(self):
        with open(path(".ci/run"), encoding="utf-8") as f:
            self.assertIn("./tools/test", f.read())


class Packages(unittest.TestCase):
    def test_each_is_listed_once(self):
        names = run_lib("packages_wanted tools/packages.test").stdout.split()
        self.assertGreater(len(names), 20)
        self.assertEqual(len(names), len(set(names)))
        for name in names:
            self.assertRegex(name, r"^[a-z0-9][a-z0-9.+-]+$")

    def test_the_documentation_names_it_and_no_other(self):
        with open(path("README.md"), encoding="utf-8") as f:
            text = f.read()
        self.assertIn("(tools/packages)", text)
        self.assertNotRegex(text, r"apt(-get)? install")

    def test_nothing_else_installs(self):
        for script in SCRIPTS:
            with open(path(script), encoding="utf-8") as f:
                self.assertNotRegex(f.read(), r"apt(-get)? install")

    @unittest.skipUnless(shutil.which("dpkg-query"), "not Debian")
    def test_what_is_missing_is_found(self):
        with tempfile.TemporaryDirectory() as tmp:
            os.mkdir(os.path.join(tmp, "tools"))
            shutil.copy(path("tools/lib.sh"), os.path.join(tmp, "tools"))
            with open(os.path.join(tmp, "tools", "packages"), "w", encoding="utf-8") as f:
                f.write("# a remark\ndpkg\n\nno-such-package-at-all # why\n")
            done = subprocess.run(["sh", "-c", ". tools/lib.sh\npackages_missing"], cwd=tmp,
                                  stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(done.stdout, "no-such-package-at-all\n")

    @unittest.skipUnless(shutil.which("dpkg-query"), "not Debian")
    def test_who_may_not_install_is_told_what_to_do(self):
        with tempfile.TemporaryDirectory() as tmp:
            os.mkdir(os.path.join(tmp, "tools"))
            shutil.copy(path("tools/lib.sh"), os.path.join(tmp, "tools"))
            with open(os.path.join(tmp, "tools", "packages"), "w", encoding="utf-8") as f:
                f.write("no-such-package-at-all\n")
            # Nobody is root here, and there is no sudo.
            script = (". tools/lib.sh\nid() { echo 1000; }\n"
                      "command() { [ \"$2\" != sudo ] && unset -f command && command \"$@\"; }\npackages_install")
            done = subprocess.run(["sh", "-c", script], cwd=tmp, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("apt-get install --no-install-recommends no-such-package-at-all", done.stderr)


class Summary(unittest.TestCase):
    """tools/test ends with what tools/test_summary.py prints."""

    def summary(self, *entries, failed=0, log=True):
        with tempfile.TemporaryDirectory() as tmp:
            os.mkdir(os.path.join(tmp, "meson-logs"))
            if log:
                with open(os.path.join(tmp, "meson-logs", "testlog.json"), "w", encoding="utf-8") as f:
                    for entry in entries:
                        f.write(json.dumps(dict({"name": "x"}, **entry)) + "\n")
            done = subprocess.run([sys.executable, path("tools/test_summary.py"), "--failed", str(failed), tmp],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.stdout.count("\n"), 1)
        return done.stdout.strip(), done.returncode

    def test_counts(self):
        check = "Running suite(s): a\n100%: Checks: 12, Failures: 0, Errors: 0\n"
        broken = "66%: Checks: 3, Failures: 1, Errors: 0\nx.c:1:F:a:b:0: no\n"
        cases = [
            ("a Check program", [{"result": "OK", "stdout": check}], "12 passed, 0 failed", 0),
            ("one of its checks fails", [{"result": "FAIL", "stdout": broken}], "2 passed, 1 failed", 1),
            ("unittest", [{"result": "OK", "stderr": "Ran 8 tests in 0.1s\n\nOK\n"}], "8 passed, 0 failed", 0),
            ("unittest with some skipped", [{"result": "OK", "stderr": "Ran 8 tests in 0.1s\n\nOK (skipped=2)\n"}],
             "6 passed, 0 failed, 2 skipped", 0),
            ("unittest fails", [{"result": "FAIL", "stderr":
                                 "Ran 8 tests in 0.1s\n\nFAILED (failures=1, errors=1, skipped=1)\n"}],
             "5 passed, 2 failed, 1 skipped", 1),
            ("a program that reports nothing", [{"result": "OK", "stdout": "fine"}], "1 passed, 0 failed", 0),
            ("a crash after a good report", [{"result": "FAIL", "stdout": check}], "12 passed, 1 failed", 1),
            ("a time limit", [{"result": "TIMEOUT"}], "0 passed, 1 failed", 1),
            ("a skip", [{"result": "SKIP"}, {"result": "OK"}], "1 passed, 0 failed, 1 skipped", 0),
            ("nothing ran", [], "0 passed, 0 failed", 1),
        ]
        for says, entries, line, status in cases:
            with self.subTest(says):
                self.assertEqual(self.summary(*entries), (line, status))

    def test_a_build_that_broke_is_a_failure(self):
        self.assertEqual(self.summary({"result": "OK"}, failed=1), ("1 passed, 1 failed", 1))

    def test_a_build_without_a_log_is_a_failure(self):
        self.assertEqual(self.summary(log=False), ("0 passed, 1 failed", 1))


class Run(unittest.TestCase):
    """tools/run's own choices; that it builds and serves is shown by the README test."""

    def function(self, call, dotenv=None, **env):
        with open(path("tools/run"), encoding="utf-8") as f:
            text = f.read()
        functions = "\n".join(re.findall(r"(?ms)^\w+\(\) \{.*?^\}", text))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("LULAB", "PORT"))}
        if dotenv is not None:
            with open(os.path.join(self.tmp, ".env"), "w", encoding="utf-8") as f:
                f.write(dotenv)
        return subprocess.run(["sh", "-c", "say() { :; }\nlulab=%s\n%s\n%s" % (BINARY, functions, call)],
                              stdout=subprocess.PIPE, text=True, check=True, cwd=self.tmp,
                              env=dict(clean, **env)).stdout

    def setUp(self):
        self.tmp = tempfile.mkdtemp()

    def tearDown(self):
        shutil.rmtree(self.tmp)

    def test_address(self):
        self.assertEqual(self.function("address"), "127.0.0.1:3000")
        self.assertEqual(self.function("address", PORT="80"), "127.0.0.1:80")
        self.assertEqual(self.function("address", LULAB_LISTEN="10.0.0.1:1"), "10.0.0.1:1")
        self.assertEqual(self.function("address --listen 0.0.0.0:5", PORT="80"), "127.0.0.1:5")
        self.assertEqual(self.function("address --loops 1 --listen=[::1]:5"), "[::1]:5")
        self.assertEqual(self.function("address", dotenv="PORT=4000\n"), "127.0.0.1:4000")
        self.assertEqual(self.function("address", dotenv="PORT=4000\n", PORT="80"), "127.0.0.1:80")

    def test_data_directory(self):
        self.assertEqual(self.function("data_dir"), "./data")
        self.assertEqual(self.function("data_dir", dotenv="LULAB_DATA=/d\n"), "/d")
        self.assertEqual(self.function("data_dir --data /x", LULAB_DATA="/d"), "/x")

    def test_credentials_are_made_private_and_good(self):
        self.function("make_env")
        env = os.path.join(self.tmp, ".env")
        self.assertEqual(os.stat(env).st_mode & 0o777, 0o600)
        with open(env, encoding="utf-8") as f:
            text = f.read()
        self.assertRegex(text, r"(?m)^TENCENT_MEETING_TOKEN=[A-Za-z0-9]{24}$")
        self.assertRegex(text, r"(?m)^TENCENT_MEETING_ENCODING_AES_KEY=[A-Za-z0-9]{42}A$")

    def test_vendors_are_played_while_nobody_configured_one(self):
        asked = "if to_be_simulated; then echo yes; else echo no; fi"
        self.assertEqual(self.function("make_env\n" + asked), "yes\n")
        with open(os.path.join(self.tmp, ".env"), encoding="utf-8") as f:
            made = f.read()
        for says, dotenv, env in (("a mail server in .env", made + "SMTP_HOST=mail.example.org\n", {}),
                                  ("a key in the environment", made, {"OPENAI_API_KEY": "sk-1"}),
                                  ("a token in the environment", made, {"TENCENT_MEETING_TOKEN": "x"}),
                                  ("a token of one's own", made.replace("TryOut", "Mine00"), {}),
                                  ("an .env of one's own", "PORT=4000\n", {})):
            with self.subTest(says):
                self.assertEqual(self.function(asked, dotenv=dotenv, **env), "no\n")


if __name__ == "__main__":
    unittest.main()
