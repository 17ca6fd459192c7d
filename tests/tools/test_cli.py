#!/usr/bin/env python3
"""The contract of the command line: help, did-you-mean, exit codes, tables, JSON, Ctrl-C. No server is needed;
where one is spoken to, a scripted one stands in."""

import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402

SECRETS = {"TENCENT_MEETING_TOKEN": harness.TOKEN, "TENCENT_MEETING_ENCODING_AES_KEY": harness.AES_KEY}
FEISHU = {"LARK_EVENT_ENCRYPT_KEY": "anInventedEncryptKey", "LARK_EVENT_VERIFICATION_TOKEN": "anInventedVerificationToken"}


class Cli(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lulab-cli-")

    def tearDown(self):
        shutil.rmtree(self.dir)

    def environment(self, env):
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith(("LULAB_", "TENCENT_", "PORT", "CORS_"))}
        return dict(clean, **(env or {}))

    def lulab(self, *args, status=0, env=None, stdin=None):
        done = subprocess.run([harness.BINARY, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              cwd=self.dir, env=self.environment(env), input=stdin, timeout=120)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8", newline="") as f:
            f.write(text)
        return name


class Help(Cli):
    def test_of_a_command(self):
        self.assertEqual(self.lulab("help", "help").stdout, """\
lulab help - Explain a command

Examples
  lulab help log verify
      explain one command
  lulab help --man > lulab.1
      make the man page
  . <(lulab help --completion bash)
      complete commands with the Tab key, in this shell

Usage
  lulab help [OPTION...] [COMMAND...]

Options
      --man               print the man page
      --completion SHELL  print the completion script of a shell: bash, zsh,
                          fish
""")

    def test_both_ways_of_asking_say_the_same(self):
        for words in (["webhook"], ["webhook", "send"], ["config", "check"], []):
            with self.subTest(words=words):
                asked = self.lulab(*words, "--help")
                self.assertEqual(asked.stdout, self.lulab("help", *words).stdout)
                self.assertEqual(asked.stderr, "")

    def everything(self):
        """Paths of all commands, found the way a user finds them."""
        todo = [[]]
        while todo:
            path = todo.pop()
            yield path
            text = self.lulab(*path, "--help").stdout
            listed = re.search(r"\nCommands\n(.*?)\n\n", text, re.S)
            for name in re.findall(r"(?m)^  (\w+)\b", listed.group(1)) if listed else []:
                todo.append(path + [name])

    def test_every_command_has_examples_first_and_fits_the_screen(self):
        paths = list(self.everything())
        self.assertGreater(len(paths), 8)
        for path in paths:
            text = self.lulab(*path, "--help").stdout
            with self.subTest(path=path):
                self.assertTrue(text.startswith(" ".join(["lulab", *path]) + " - "))
                self.assertRegex(text, r"\nExamples\n  \S")
                self.assertLess(text.index("\nExamples\n"), text.index("\nUsage\n"))
                for line in text.split("\nUsage\n")[1].splitlines():
                    self.assertLessEqual(len(line), 100, line)

    def test_every_example_names_a_command_that_exists(self):
        known = {" ".join(["lulab", *p]) for p in self.everything()}
        for path in list(self.everything()):
            text = self.lulab(*path, "--help").stdout.split("\nUsage\n")[0]
            for line in re.findall(r"(?m)^  (\S.*)$", text):
                for used in re.findall(r"(?:^|[|(] ?|-u lulab )(lulab(?: [a-z]+)*)", line):
                    with self.subTest(path=path, line=line):
                        words = used.split()
                        self.assertTrue(any(" ".join(words[:n]) in known for n in range(2, len(words) + 1))
                                        or len(words) == 1, used)

    def test_nothing_asked_is_a_usage_error_with_help(self):
        for words in ([], ["webhook"]):
            done = self.lulab(*words, status=2)
            self.assertEqual(done.stdout, "")
            self.assertIn("\nCommands\n", done.stderr)

    def test_version(self):
        self.assertRegex(self.lulab("--version").stdout, r"^lulab \d+\.\d+\.\d+\n$")

    @unittest.skipUnless(shutil.which("man") and shutil.which("groff"), "no man here")
    def test_the_man_page_is_clean_and_whole(self):
        page = self.lulab("help", "--man").stdout
        done = subprocess.run(["groff", "-k", "-man", "-Tutf8", "-ww"], input=page, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for path in self.everything():
            if path:
                self.assertIn(".SS lulab " + " ".join(path).replace("-", "\\-") + "\n", page)

    def complete(self, *words):
        script = (". <(%s help --completion bash); COMP_WORDS=(lulab %s); COMP_CWORD=%d; _lulab; "
                  "printf '%%s\\n' \"${COMPREPLY[@]}\"" % (
                      harness.BINARY, " ".join("'%s'" % w for w in words), len(words)))
        done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              cwd=self.dir)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_completion(self):
        self.assertEqual(self.complete("webh"), ["webhook"])
        self.assertEqual(self.complete("webhook", ""), ["send", "list", "explain", "--help"])
        self.assertEqual(self.complete("webhook", "send", "--ev"), ["--event"])
        self.assertEqual(self.complete("help", "--completion", ""), ["bash", "zsh", "fish"])
        self.write("request.txt", "")
        self.assertEqual(self.complete("webhook", "explain", "--body", "req"), ["request.txt"])

    def test_completions_of_other_shells_are_made(self):
        for shell, starts in (("zsh", "#compdef lulab\n"), ("fish", "# fish completion")):
            self.assertTrue(self.lulab("help", "--completion", shell).stdout.startswith(starts))
            if shutil.which(shell):
                subprocess.run([shell, "-n", self.write("script", self.lulab("help", "--completion", shell).stdout)],
                               cwd=self.dir, check=True)


class Usage(Cli):
    CASES = [
        ("a near command", ["webhok"], 'lulab: there is no command "webhok"; did you mean "webhook"?'),
        ("a far command", ["banana"], 'lulab: there is no command "banana"'),
        ("below a group", ["webhook", "sned"], 'lulab webhook: there is no command "sned"; did you mean "send"?'),
        ("a near option", ["webhook", "send", "tencent", "--evnt", "x"],
         "lulab webhook send: there is no option --evnt; did you mean --event?"),
        ("no number", ["webhook", "send", "tencent", "-n", "many"],
         'lulab webhook send: --count wants a whole number, not "many"'),
        ("too small", ["webhook", "send", "tencent", "-n", "0"],
         "lulab webhook send: --count must be from 1 to 100000000"),
        ("a near choice", ["help", "--completion", "bsah"],
         'lulab help: --completion cannot be "bsah"; did you mean "bash"?'),
        ("a far choice", ["help", "--completion", "tcl"],
         "lulab help: --completion must be one of: bash, zsh, fish"),
        ("missing", ["webhook", "send"], "lulab webhook send: something is missing: lulab webhook send tencent|feishu"),
        ("too much", ["config", "check", "x"], 'lulab config check: takes no arguments, but was given "x"'),
        ("value missing", ["config", "check", "--env-file"], "lulab config check: --env-file wants a value (FILE)"),
        ("value not wanted", ["config", "check", "--json=1"], "lulab config check: --json takes no value"),
    ]

    def test_mistakes_are_told_on_stderr_with_status_2(self):
        for says, words, message in self.CASES:
            with self.subTest(says):
                done = self.lulab(*words, status=2)
                self.assertEqual(done.stdout, "")
                self.assertEqual(done.stderr.splitlines()[0], message)
                self.assertRegex(done.stderr.splitlines()[1], r'^Try "lulab.* --help"\.$')

    def test_a_full_disk_is_no_success(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full here")
        with open("/dev/full", "w", encoding="utf-8") as full:
            for words in (["webhook", "list"], ["webhook", "list", "--json"], ["help"], ["--version"]):
                with self.subTest(words=words):
                    done = subprocess.run([harness.BINARY, *words], stdout=full, stderr=subprocess.PIPE, text=True)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn("cannot write the output", done.stderr)
                    self.assertNotIn("No such file", done.stderr)

    def test_a_service_whose_welcome_nobody_sees_serves_and_ends_well(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full here")
        with tempfile.TemporaryDirectory() as data, open("/dev/full", "w", encoding="utf-8") as full:
            with subprocess.Popen([harness.BINARY, "serve", "--data", data, "--listen", "127.0.0.1:0"], stdout=full,
                                  stderr=subprocess.PIPE, text=True, env=self.environment({})) as server:
                lines = iter(server.stderr.readline, "")
                self.assertTrue(any("could not be shown" in line for line in lines))
                server.terminate()
                told = server.communicate()[1]
                self.assertEqual(server.returncode, 0, told)

    def test_colour_is_for_terminals_that_want_it(self):
        self.assertNotIn("\033", self.lulab("help", env={"TERM": "xterm"}).stdout)
        if not shutil.which("script"):
            self.skipTest("no script(1) here")
        for extra, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            env = self.environment(dict({"TERM": "xterm"}, **extra))
            if not extra.get("NO_COLOR"):
                env.pop("NO_COLOR", None)
            done = subprocess.run(["script", "-qec", harness.BINARY + " help", "/dev/null"], env=env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            self.assertEqual("\033[1m" in done.stdout, coloured, extra)


def width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class Config(Cli):
    def check(self, env=None, dotenv=None, status=0):
        if dotenv is not None:
            self.write(".env", dotenv)
        done = self.lulab("config", "check", "--json", env=env, status=status)
        return json.loads(done.stdout)

    def test_nothing_set_is_good(self):
        self.assertEqual(self.check(), [])

    def test_all_problems_at_once_with_place_and_nearest_name(self):
        rows = self.check(
            env={"PORT": "99999", "LULAB_RATE_LIMT": "5"}, status=1,
            dotenv="LULAB_LOOPS=many\n# fine\nLULAB_LOG_LEVEL=loud\nTENCENT_MEETING_TOKN=abc\nREDIS_HOST=mail\n")
        found = {row["setting"]: row for row in rows}
        self.assertEqual([found[n]["severity"] for n in ("PORT", "LULAB_LOOPS", "LULAB_LOG_LEVEL")], ["problem"] * 3)
        self.assertIn("environment", found["PORT"]["place"])
        self.assertEqual(found["LULAB_LOOPS"]["place"], ".env:1")
        self.assertEqual(found["LULAB_LOG_LEVEL"]["place"], ".env:3")
        self.assertEqual(found["LULAB_RATE_LIMT"]["nearest"], "LULAB_RATE_LIMIT")
        self.assertEqual(found["TENCENT_MEETING_TOKN"]["nearest"], "TENCENT_MEETING_TOKEN")
        self.assertEqual(found["TENCENT_MEETING_TOKN"]["severity"], "remark")
        self.assertEqual(found["REDIS_HOST"]["severity"], "remark")

    def test_no_value_is_printed_by_check(self):
        self.write(".env", "TENCENT_MEETING_ENCODING_AES_KEY=tooShortSecret\nPORT=hunter2\n")
        done = self.lulab("config", "check", status=1)
        self.assertNotIn("tooShortSecret", done.stdout + done.stderr)
        self.assertNotIn("hunter2", done.stdout + done.stderr)

    def show(self, env=None):
        rows = json.loads(self.lulab("config", "show", "--json", env=env).stdout)
        return {row["setting"]: row for row in rows}

    def test_show_tells_the_origin(self):
        self.write(".env", "PORT=4000\nLULAB_LOOPS=2\n")
        found = self.show(env={"LULAB_LOOPS": "3"})
        self.assertEqual((found["PORT"]["value"], found["PORT"]["origin"]), ("4000", ".env:1"))
        self.assertEqual((found["LULAB_LOOPS"]["value"], found["LULAB_LOOPS"]["origin"]), ("3", "environment"))
        self.assertEqual(found["LULAB_LOG_LEVEL"]["origin"], "default")
        self.assertIsNone(found["LULAB_TLS_CERT"]["value"])

    def test_secrets_are_fingerprints(self):
        found = self.show(env=SECRETS)
        text = json.dumps(found)
        for secret in SECRETS.values():
            self.assertNotIn(secret, text)
        one = found["TENCENT_MEETING_TOKEN"]["value"]
        self.assertRegex(one, r"^secret [0-9a-f]{8}, %d characters$" % len(harness.TOKEN))
        self.assertEqual(one, self.show(env=SECRETS)["TENCENT_MEETING_TOKEN"]["value"])
        other = dict(SECRETS, TENCENT_MEETING_TOKEN=harness.TOKEN[::-1])
        self.assertNotEqual(one, self.show(env=other)["TENCENT_MEETING_TOKEN"]["value"])

    def test_secrets_come_from_files_and_credentials_too(self):
        self.write("token", "fromAFile\n")
        os.mkdir(os.path.join(self.dir, "cred"))
        self.write("cred/TENCENT_MEETING_TOKEN", "fromSystemd\n")
        by_file = self.show(env={"TENCENT_MEETING_TOKEN_FILE": "token"})["TENCENT_MEETING_TOKEN"]
        self.assertIn("9 characters", by_file["value"])
        by_systemd = self.show(env={"CREDENTIALS_DIRECTORY": "cred"})["TENCENT_MEETING_TOKEN"]
        self.assertIn("11 characters", by_systemd["value"])
        self.assertIn("cred/TENCENT_MEETING_TOKEN", by_systemd["origin"])


class Vendor(http.server.BaseHTTPRequestHandler):
    """Stands in for the server: keeps what it was asked, answers what the test says."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), body))
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        if self.server.stop_at == len(self.server.asked):
            self.server.child.send_signal(signal.SIGINT)

    def log_message(self, *args):
        pass


class Webhook(Cli):
    def setUp(self):
        super().setUp()
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Vendor)
        self.server.asked, self.server.answer, self.server.stop_at = [], (200, harness.ACK), 0
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def tearDown(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        super().tearDown()

    def send(self, *args, status=0, env=None):
        done = self.lulab("webhook", "send", "tencent", "--to", self.url, "--json", *args,
                          status=status, env=SECRETS if env is None else env)
        return json.loads(done.stdout) if done.stdout else None

    def opened(self, request, key=harness.AES_KEY):
        """The event inside a request, after the signature was checked by other code than the sender's."""
        _, headers, body = request
        headers = {k.lower(): v for k, v in headers.items()}
        data = json.loads(body)["data"]
        self.assertEqual(headers["signature"],
                         harness.sign(harness.TOKEN, headers["timestamp"], headers["nonce"], data))
        self.assertLess(abs(int(headers["timestamp"]) / 1000 - time.time()), 60)
        if not key:
            return json.loads(harness.base64.b64decode(data))
        plain = subprocess.run(
            ["openssl", "enc", "-d", "-aes-256-cbc", "-base64", "-A", "-K", harness.base64.b64decode(key + "=").hex(),
             "-iv", harness.base64.b64decode(key + "=")[:16].hex()],
            input=data.encode(), stdout=subprocess.PIPE, check=True).stdout
        return json.loads(plain)

    def test_a_sample_arrives_signed_and_encrypted(self):
        rows = self.send("--event", "recording.completed", "--set", "payload.0.meeting_info.subject=审计会",
                         "--set", "payload.0.recording_files.0.total_size=7")
        self.assertEqual([(r["event"], r["status"], r["answer"], r["sent"]) for r in rows],
                         [("recording.completed", 200, harness.ACK.decode(), 1)])
        self.assertEqual(self.server.asked[0][0], "/webhooks/tencent")
        event = self.opened(self.server.asked[0])
        item = event["payload"][0]
        self.assertEqual(item["meeting_info"]["subject"], "审计会")
        self.assertEqual(item["recording_files"][0]["total_size"], 7)
        self.assertEqual(event["trace_id"], rows[0]["lastTraceId"])
        self.assertLess(abs(item["operate_time"] / 1000 - time.time()), 60)

    def test_without_a_key_it_is_only_encoded(self):
        self.send("--aes-key", "")
        self.assertEqual(self.opened(self.server.asked[0], key=None)["event"], "meeting.started")

    def test_counts_and_duplicates(self):
        rows = self.send("--count", "5", "--duplicate")
        self.assertEqual(rows[0]["sent"], 10)
        traces = [self.opened(r)["trace_id"] for r in self.server.asked]
        self.assertEqual(traces[0::2], traces[1::2])
        self.assertEqual(len(set(traces)), 5)

    def test_as_is_and_files(self):
        self.write("event.json", '{"event":"x.y","trace_id":"mine","payload":[{"operate_time":5}]}')
        self.send("--file", "event.json", "--as-is")
        self.assertEqual(self.opened(self.server.asked[0]),
                         {"event": "x.y", "trace_id": "mine", "payload": [{"operate_time": 5}]})

    def test_all_samples(self):
        rows = self.send("--event", "all")
        self.assertGreaterEqual(len(rows), 27)
        self.assertEqual(sum(r["sent"] for r in rows), len(self.server.asked))

    def test_the_exit_status_tells_the_answer(self):
        for answer, status in ((401, 6), (403, 6), (404, 3), (503, 7), (429, 7), (400, 1), (500, 1)):
            with self.subTest(answer=answer):
                self.server.answer = (answer, b"no")
                self.assertEqual(self.send(status=status)[0]["status"], answer)

    def test_nobody_there(self):
        port = harness.free_port()
        done = self.lulab("webhook", "send", "tencent", "--to", "http://127.0.0.1:%d" % port, status=7, env=SECRETS)
        self.assertEqual(done.stdout, "")
        self.assertIn("127.0.0.1", done.stderr)

    def test_mistakes(self):
        self.send("--event", "meeting.strated", status=3)
        self.send("--set", "nonsense", status=2)
        self.send("--set", "payload.7.x=1", status=2)
        self.send("--aes-key", "short", status=2)
        self.send(status=6, env={})
        done = self.lulab("webhook", "send", "zoom", status=2, env=SECRETS)
        self.assertIn("tencent, feishu", done.stderr)
        self.lulab("webhook", "send", "tencent", "--to", "nowhere", status=2, env=SECRETS)
        self.assertEqual(self.server.asked, [])

    def test_ctrl_c_ends_between_two_requests_and_still_reports(self):
        self.server.stop_at = 3
        child = subprocess.Popen([harness.BINARY, "webhook", "send", "tencent", "--to", self.url, "--json", "-n",
                                  "1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.dir,
                                 env=self.environment(SECRETS))
        self.server.child = child
        out, err = child.communicate(timeout=120)
        self.assertEqual(child.returncode, 130, err)
        self.assertEqual(json.loads(out)[0]["sent"], len(self.server.asked))

    def test_tables_stay_aligned_with_chinese_text(self):
        self.server.answer = (200, "已收到".encode())
        self.server.answer = (400, "签名不对".encode())
        self.send(status=1)
        done = self.lulab("webhook", "send", "tencent", "--to", self.url, status=1, env=dict(SECRETS, LC_ALL="C"))
        head, row = done.stdout.splitlines()
        self.assertIn("签名不对", row)
        # What stands under SENT ends in the column in which the word ends.
        column = width(head[:head.index("SENT") + 4])
        self.assertEqual(width(row[:row.index("签名不对") + 4].rstrip()) + row[row.index("签名不对") + 4:].index("1") + 1,
                         column)

    def explain(self, *args, status=0, env=None, stdin=None):
        done = self.lulab("webhook", "explain", "--json", *args, status=status, env=env or SECRETS, stdin=stdin)
        return json.loads(done.stdout)

    def test_what_print_prints_explain_takes(self):
        printed = self.lulab("webhook", "send", "tencent", "--print", env=SECRETS).stdout
        self.assertEqual(self.server.asked, [])
        rows = self.explain("/dev/stdin", stdin=printed)
        self.assertEqual({r["result"] for r in rows}, {"ok"})
        self.assertEqual(rows[-1]["step"], "event")
        self.assertIn("meeting.started", rows[-1]["found"])

    def test_explain_names_the_step(self):
        self.write("request.txt", self.lulab("webhook", "send", "tencent", "--print", env=SECRETS).stdout)
        wrong_token = self.explain("request.txt", "--token", "another", status=4)
        self.assertEqual((wrong_token[-1]["step"], wrong_token[-1]["result"]), ("signature", "FAILED"))
        self.assertIn("TENCENT_MEETING_TOKEN", wrong_token[-1]["cause"])
        wrong_key = self.explain("request.txt", "--aes-key", "A" * 43, status=4)
        self.assertEqual(wrong_key[-1]["step"], "decryption")

    def test_explain_from_flags(self):
        headers, body = harness.signed_request(harness.meeting_event())
        self.write("body.json", body.decode())
        flags = ["--body", "body.json", "--timestamp", headers["timestamp"], "--nonce", headers["nonce"]]
        self.explain(*flags, "--signature", headers["signature"])
        rows = self.explain(*flags, "--signature", "0" * 40, status=4)
        self.assertEqual(rows[-1]["step"], "signature")
        self.lulab("webhook", "explain", status=2, env=SECRETS)
        self.lulab("webhook", "explain", "no-such-file", status=3, env=SECRETS)

    def feishu(self, *args, status=0, env=FEISHU):
        return self.lulab("webhook", "send", "feishu", "--to", self.url, "--json", *args, status=status, env=env)

    def test_feishu(self):
        """Encrypted and signed as other code than the sender's says; the challenge comes unsigned."""
        key, token = FEISHU["LARK_EVENT_ENCRYPT_KEY"], FEISHU["LARK_EVENT_VERIFICATION_TOKEN"]
        rows = json.loads(self.feishu("--event", "vc.meeting.join_meeting_v1", "--set", "event.meeting.topic=审计会").stdout)
        self.feishu("--event", "url_verification")
        self.feishu("--aes-key", "")
        for i, (path, headers, body) in enumerate(self.server.asked):
            self.assertEqual(path, "/webhooks/lark")
            headers = {k.lower(): v for k, v in headers.items()}
            if i < 2:
                raw = harness.base64.b64decode(json.loads(body)["encrypt"])
                body = subprocess.run(["openssl", "enc", "-d", "-aes-256-cbc", "-K", hashlib.sha256(key.encode()).hexdigest(),
                                       "-iv", raw[:16].hex()], input=raw[16:], stdout=subprocess.PIPE, check=True).stdout
            if i == 0:
                at, nonce = headers["x-lark-request-timestamp"], headers["x-lark-request-nonce"]
                self.assertLess(abs(int(at) - time.time()), 60)
                self.assertEqual(headers["x-lark-signature"],
                                 hashlib.sha256((at + nonce + key).encode() + self.server.asked[0][2]).hexdigest())
                event = json.loads(body)
                self.assertEqual((event["header"]["token"], event["header"]["event_id"], event["event"]["meeting"]["topic"]),
                                 (token, rows[0]["lastTraceId"], "审计会"))
                self.assertLess(abs(int(event["header"]["create_time"]) / 1000 - time.time()), 60)
            else:
                self.assertNotIn("x-lark-signature", headers)
                told = json.loads(body)
                self.assertEqual((told["type"] if i == 1 else told["header"]["event_type"], (told if i == 1 else told["header"])["token"]),
                                 ("url_verification" if i == 1 else "vc.meeting.all_meeting_started_v1", token))
        self.assertGreaterEqual(len(json.loads(self.feishu("--event", "all").stdout)), 15)
        listed = self.feishu("--event", "nothing.like.that", status=3).stderr
        self.assertIn("vc.meeting.recording_ready_v1, ", listed)
        self.assertNotIn("meeting.canceled", listed)
        self.feishu(status=6, env={})

    def test_what_feishu_sends_is_explained(self):
        printed = self.lulab("webhook", "send", "lark", "--print", env=FEISHU).stdout
        self.write("request.txt", printed)
        for args in (["request.txt"], ["feishu", "request.txt"]):
            rows = self.explain(*args, env=FEISHU)
            self.assertEqual(([r["step"] for r in rows], {r["result"] for r in rows}),
                             (["settings", "body", "headers", "signature", "decryption", "token", "age", "event"], {"ok"}))
        self.write("challenge.txt", self.lulab("webhook", "send", "feishu", "-e", "url_verification", "--print", env=FEISHU).stdout)
        self.assertIn("challenge", self.explain("challenge.txt", env=FEISHU)[-1]["found"])
        wrong = self.explain("request.txt", "--aes-key", "another", status=4, env=FEISHU)
        self.assertIn("LARK_EVENT_ENCRYPT_KEY", wrong[-1]["cause"])
        self.assertEqual(self.explain("request.txt", "--token", "another", status=4, env=FEISHU)[-1]["step"], "token")
        self.lulab("webhook", "explain", "zoom", "request.txt", status=2, env=FEISHU)
        done = self.lulab("webhook", "explain", "request.txt", env=FEISHU)
        for secret in FEISHU.values():
            self.assertNotIn(secret, done.stdout + done.stderr)

    def test_no_secret_is_printed(self):
        self.write("request.txt", self.lulab("webhook", "send", "tencent", "--print", env=SECRETS).stdout)
        for args in (["request.txt"], ["request.txt", "--token", "wrong-token-of-mine"]):
            done = subprocess.run([harness.BINARY, "webhook", "explain", *args], cwd=self.dir, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment(SECRETS))
            for secret in (*SECRETS.values(), "wrong-token-of-mine"):
                self.assertNotIn(secret, done.stdout)


if __name__ == "__main__":
    unittest.main()
