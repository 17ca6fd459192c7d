#!/usr/bin/env python3
"""The vendor's own library (npm openai) speaks with our simulator of it, so that what judges us is judged.

Skipped (77) where there is no Node, or no registry to fetch the library from.
"""

import json
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..", "lib")]
import harness  # noqa: E402
import npm  # noqa: E402
from simulator import Simulator  # noqa: E402

FOLDER = npm.fetched("openai", HERE, os.path.join(os.path.dirname(os.path.abspath(harness.BINARY)), "tests", "openai_node"))


def node(script, sim, *args):
    done = subprocess.run(["node", *script, sim.settings["OPENAI_BASE_URL"], sim.settings["OPENAI_API_KEY"], *args], cwd=FOLDER,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode()[-2000:])
    return json.loads(done.stdout)


AGAIN = """
const require = (await import("node:module")).createRequire(process.cwd() + "/x.js");
const { default: OpenAI } = require("openai");
const [baseURL, apiKey] = process.argv.slice(1);
const started = Date.now();
const c = new OpenAI({ baseURL, apiKey, maxRetries: 2, timeout: 700 });
const a = await c.chat.completions.create({ model: "sim-chat", messages: [{ role: "user", content: "你好，世界，你好" }] });
console.log(JSON.stringify({ content: a.choices[0].message.content, refusal: a.choices[0].message.refusal }));
"""


class Sdk(unittest.TestCase):
    def test_the_library_understands_every_answer(self):
        with Simulator(vendors=["openai"]) as sim:
            told = node([os.path.join(HERE, "judge.mjs")], sim)
            acts = sim.acts("openai")
        self.assertEqual(told["whole"]["finish"], "stop")
        self.assertTrue(told["whole"]["request"].startswith("req_"))
        self.assertEqual(json.loads(told["whole"]["content"]), told["parsed"])
        self.assertEqual(told["parsed"]["items"][0]["level"], "HIGH")
        self.assertEqual(told["parsed"]["summary"], "我们周五发布新版本")
        self.assertEqual(told["stream"], {"content": told["whole"]["content"], "usage": told["whole"]["usage"], "finish": "stop",
                                          "pieces": told["stream"]["pieces"]})
        self.assertGreater(told["stream"]["pieces"], 3)
        self.assertEqual(told["whole"]["usage"]["total_tokens"],
                         told["whole"]["usage"]["prompt_tokens"] + told["whole"]["usage"]["completion_tokens"])
        self.assertEqual(told["runner"], "我们周五发布新版本")
        self.assertEqual((told["models"], told["model"]), (["sim-chat", "sim-small", "sim-transcribe"], "sim-chat"))
        self.assertEqual((told["heard"]["segments"], told["heard"]["words"], told["heard"]["duration"]), (2, 2, 6))
        self.assertEqual(told["plain"].strip(), told["heard"]["text"])
        self.assertEqual([a["op"] for a in acts], ["chat"] * 4 + ["transcription"] * 2)
        kinds = {name: (f["kind"], f["status"], f["code"]) for name, f in told["failures"].items() if f}
        bad = ("BadRequestError", 400)
        self.assertEqual(kinds, {
            "key": ("AuthenticationError", 401, "invalid_api_key"), "model": ("NotFoundError", 404, "model_not_found"),
            "window": (*bad, "context_length_exceeded"), "argument": (*bad, None),
            "temperature": (*bad, "decimal_above_max_value"), "both": (*bad, "invalid_parameter_combination"),
            "strict": (*bad, None), "json": (*bad, None), "audio": (*bad, "invalid_value"), "extension": (*bad, None),
            "big": ("APIError", 413, None)})

    def test_the_library_repeats_what_is_limited_or_failed(self):
        with Simulator(vendors=["openai"]) as sim:
            for fault in ("limit", "fail", "act_then_timeout"):
                sim.fault("openai", fault, op="chat", count=1)
                self.assertEqual(node(["--input-type=module", "-e", AGAIN], sim)["content"], "你好，世界，你好")
            self.assertEqual(sim.calls("openai")["chat"], {"429": 1, "500": 1, "act_then_timeout": 1, "200": 3})
            sim.command("openai", "script", answers=[{"refusal": "I cannot help with that."}], match="世界")
            self.assertEqual(node(["--input-type=module", "-e", AGAIN], sim),
                             {"content": None, "refusal": "I cannot help with that."})


if __name__ == "__main__":
    unittest.main()
