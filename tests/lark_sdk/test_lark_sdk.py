#!/usr/bin/env python3
"""The vendor's own library (npm @larksuiteoapi/node-sdk) speaks with our simulator of it, so that what judges us is judged.

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

FOLDER = npm.fetched("@larksuiteoapi/node-sdk", HERE,
                     os.path.join(os.path.dirname(os.path.abspath(harness.BINARY)), "tests", "lark_node"))


def judged(sim):
    s = sim.settings
    done = subprocess.run(["node", os.path.join(HERE, "judge.mjs"), sim.url["lark"], s["LARK_APP_ID"], s["LARK_APP_SECRET"],
                           s["LARK_BITABLE_APP_TOKEN"]], cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode()[-2000:])
    return json.loads(done.stdout)


class Sdk(unittest.TestCase):
    def test_the_library_understands_every_answer(self):
        with Simulator(vendors=["lark"], options={"lark.rates": 0}) as sim:
            told = judged(sim)
            acts = sim.acts("lark")
        self.assertEqual([f["field_name"] for f in told["fields"]["data"]["items"]],
                         ["platform", "subject", "meeting_id", "sub_meeting_id", "meeting_code"])
        self.assertTrue(told["fields"]["data"]["has_more"])
        self.assertEqual(told["user"], {"uuid": "u-A", "user_name": "张三", "is_enterprise_user": True})
        self.assertTrue(told["once"])
        self.assertEqual(told["token_of_another"]["code"], 1255006)
        self.assertEqual(told["token_no_uuid"]["code"], 1254037)
        self.assertEqual((told["many"], told["updated"], told["one"]), (12, ["changed"] * 2, "one"))
        found = told["found"]["data"]
        self.assertEqual((found["total"], found["has_more"]), (1, False))
        self.assertEqual(found["items"][0]["fields"], {
            "meeting_id": [{"text": "10000000000000000001", "type": "text"}], "start_time": 1760000400000,
            "participants": {"link_record_ids": [told["person"]]}})
        self.assertEqual((told["none"]["data"]["total"], told["none"]["data"]["items"]), (0, None))
        self.assertEqual((told["pages"], told["changed"]), ([5, 5, 2], 2))
        self.assertEqual([r["record_id"] for r in told["got"]["records"]], [told["person"]])
        self.assertEqual(told["got"]["absent_record_ids"], ["recAbsent"])
        self.assertEqual(told["removed"], 12)
        self.assertEqual(told["messages"][0], told["messages"][1])
        self.assertNotEqual(told["messages"][0], told["messages"][2])
        self.assertEqual(len([a for a in acts if a["did"] == "message"]), 2)
        self.assertEqual(len([a for a in acts if a["did"] == "token"]), 1)
        codes = {name: f.get("code", f.get("thrown")) for name, f in told["failures"].items()}
        self.assertEqual(codes, {"field": 1254045, "type": 1254064, "link": 1254043, "table": 1254041, "base": 1254040,
                                 "record": 1254043, "operator": 1254018, "page_size": 1254002, "card": 230099,
                                 "content": 230001, "receiver": 230034, "app": 10003})


if __name__ == "__main__":
    unittest.main()
