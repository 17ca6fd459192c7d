#!/usr/bin/env python3
"""What lies in examples/ is what the program is: settings, sample webhooks, the systemd unit."""

import glob
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

# vendor-protocols 1.9: every event the vendor documents.
EVENTS = """
meeting.created meeting.updated meeting.canceled meeting.started meeting.end
meeting.participant-joined meeting.participant-left meeting.participant-jbh-waiting
meeting.participant-joined-waiting-room meeting.participant-left-waiting-room
meeting.participant-admitted meeting.participant-put-in-waiting-room
meeting.share-screen-open meeting.share-screen-close meeting.live-started meeting.live-stopped
recording.started recording.paused recording.resumed recording.stopped
recording.completed recording.failed recording.deleted recording.updated
smart.transcripts smart.minutes smart.fullsummary
""".split()


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


class Settings(unittest.TestCase):
    def declared(self):
        names = {}
        for path in glob.glob(os.path.join(ROOT, "schemas", "config", "*.json")):
            with open(path, encoding="utf-8") as f:
                names.update(json.load(f)["properties"])
        return names

    def test_the_example_is_what_the_schemas_say(self):
        """To bring it up to date: cp build/schemas/settings.env examples/.env"""
        files = re.search(r"config_files = files\((.*?)\)", read("schemas", "meson.build"), re.S).group(1)
        paths = [os.path.join(ROOT, "schemas", p) for p in re.findall(r"'([^']+)'", files)]
        with tempfile.TemporaryDirectory() as tmp:
            made = os.path.join(tmp, "env")
            subprocess.run([sys.executable, os.path.join(ROOT, "tools", "gen_schemas.py"), "config",
                            "--env", made, *paths], check=True)
            with open(made, encoding="utf-8") as f:
                self.assertEqual(read("examples", ".env"), f.read())

    def test_every_setting_is_explained(self):
        text = read("examples", ".env")
        for name in self.declared():
            with self.subTest(name=name):
                self.assertRegex(text, r"(?m)^# ?%s[=:]" % name)

    def test_the_example_with_everything_taken_in_is_accepted(self):
        taken = re.sub(r"(?m)^#([A-Z][A-Z0-9_]*=)", r"\1", read("examples", ".env"))
        with tempfile.TemporaryDirectory() as tmp:
            with open(os.path.join(tmp, ".env"), "w", encoding="utf-8") as f:
                f.write(taken)
            done = subprocess.run([BINARY, "config", "check", "--json"], cwd=tmp, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual([row for row in json.loads(done.stdout) if row["severity"] == "problem"], [])

    def test_no_secret_has_a_default(self):
        for name, rules in self.declared().items():
            if rules.get("x-class") == "secret":
                self.assertNotIn("default", rules, name)


class Webhooks(unittest.TestCase):
    def samples(self, *folder):
        for path in sorted(glob.glob(os.path.join(ROOT, "examples", "webhooks", *folder, "*.json"))):
            with open(path, encoding="utf-8") as f:
                yield os.path.basename(path)[:-len(".json")], json.load(f)

    def test_there_is_one_for_every_event(self):
        self.assertEqual(sorted({event["event"] for _, event in self.samples()}), sorted(EVENTS))

    def test_they_have_the_vendors_shape(self):
        for name, event in self.samples():
            with self.subTest(name=name):
                self.assertTrue(name.startswith(event["event"]))
                self.assertTrue(event["trace_id"])
                for item in event["payload"]:
                    self.assertIsInstance(item["operate_time"], int)
                    self.assertIsInstance(item["meeting_info"]["meeting_id"], str)

    def test_the_build_knows_all_of_them(self):
        done = subprocess.run([BINARY, "webhook", "list", "--json"], stdout=subprocess.PIPE, check=True)
        self.assertEqual([(row["vendor"], row["sample"]) for row in json.loads(done.stdout)],
                         [("tencent", name) for name, _ in self.samples()] +
                         [("feishu", name) for name, _ in self.samples("feishu")])

    def test_there_is_one_of_feishu_for_every_event_that_is_known(self):
        known = set(re.findall(r'\{"(vc\.meeting\.[a-z_0-9]+)", EVENT', read("adapters", "lark_events.c")))
        self.assertEqual({name for name, _ in self.samples("feishu")}, known | {"url_verification"})


@unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd here")
class WitnessUnit(unittest.TestCase):
    def test_it_is_understood_and_locked_down(self):
        with tempfile.TemporaryDirectory() as tmp:
            path = os.path.join(tmp, "lulab-witness.service")
            text = read("examples", "systemd", "lulab-witness.service").replace("/usr/local/bin/lulab", BINARY)
            with open(path, "w", encoding="utf-8") as f:
                f.write(re.sub(r"(?m)^Documentation=.*\n", "", text))
            done = subprocess.run(["systemd-analyze", "verify", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual((done.returncode, done.stdout), (0, ""))
            done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", path],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(done.returncode, 0, done.stdout[-400:])


@unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd here")
class Unit(unittest.TestCase):
    def analyze(self, *args):
        with tempfile.TemporaryDirectory() as tmp:
            path = os.path.join(tmp, "lulab.service")
            text = read("examples", "systemd", "lulab.service").replace("/usr/local/bin/lulab", BINARY)
            # The man page is not installed where the tests run; that it can be made is tested with the CLI.
            text = re.sub(r"(?m)^Documentation=.*\n", "", text)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            return subprocess.run(["systemd-analyze", *args, path], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)

    def test_it_is_understood(self):
        done = self.analyze("verify")
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_it_is_locked_down(self):
        done = self.analyze("security", "--offline=yes", "--no-pager", "--threshold=20")
        self.assertEqual(done.returncode, 0, done.stdout[-400:])

    def test_its_settings_exist(self):
        text = read("examples", "systemd", "lulab.service")
        names = re.findall(r"(?m)^(?:LoadCredential|Environment)=([A-Z_]+)[:=]", text)
        env = read("examples", ".env")
        self.assertGreaterEqual(len(names), 3)
        for name in names:
            self.assertIn("\n#%s=" % name, env)


if __name__ == "__main__":
    unittest.main()
