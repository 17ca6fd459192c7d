#!/usr/bin/env python3
"""Aliyun's own client (npm) against the simulator: it signs as the simulator expects, and understands what it answers.

Skipped (77) where there is no Node, or no registry to fetch the client from.
"""

import datetime
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..", "lib")]
import harness  # noqa: E402
import npm  # noqa: E402
from simulator import Simulator  # noqa: E402

PHONE, OUT_ID = "13800138000", "x~ *+/'(会议)!"


def send(**more):
    return {"call": "sendSms", "with": {"phoneNumbers": PHONE, "signName": "视算新里程科技", "templateCode": "SMS_271525576",
                                       "templateParam": '{"code":"123456"}', "outId": OUT_ID, **more}}


def main():
    folder = npm.fetched("@alicloud/dysmsapi20170525", HERE,
                         os.path.join(os.path.dirname(os.path.abspath(harness.BINARY)), "tests", "aliyun_node"))
    today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).strftime("%Y%m%d")
    query = {"call": "querySendDetails", "with": {"phoneNumber": PHONE, "sendDate": today, "pageSize": 10, "currentPage": 1}}
    calls = [send(), send(), send(phoneNumbers="12"), send(phoneNumbers="13800138001", templateParam="{}"), query,
             {**send(), "secret": "wrong"}, {**send(), "key": "nobody"}]
    with Simulator(vendors=["aliyun"]) as sim:
        settings = sim.settings
        lines = subprocess.run(["node", os.path.join(HERE, "judge.mjs"), sim.url["aliyun"],
                                settings["ALIBABA_CLOUD_ACCESS_KEY_ID"], settings["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]] +
                               [json.dumps(c) for c in calls], check=True, cwd=folder, stdout=subprocess.PIPE, timeout=60).stdout
        sent, again, number, param, found, forged, stranger = [json.loads(line) for line in lines.decode().splitlines()]
        acts = sim.acts("aliyun")
    assert sent["body"]["Code"] == "OK" and sent["body"]["BizId"] == acts[0]["biz_id"], sent
    assert [a["out_id"] for a in acts] == [OUT_ID], acts
    codes = [a["body"]["Code"] for a in (again, number, param)]
    assert codes == ["isv.BUSINESS_LIMIT_CONTROL", "isv.MOBILE_NUMBER_ILLEGAL", "isv.TEMPLATE_MISSING_PARAMETERS"], codes
    detail, = found["body"]["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
    assert (detail["OutId"], detail["SendStatus"], detail["PhoneNum"]) == (OUT_ID, 1, PHONE), detail
    assert forged["error"] == "SignatureDoesNotMatch", forged
    assert stranger["error"] == "InvalidAccessKeyId.NotFound", stranger
    print("aliyun: its own client sends, is refused and finds its message in the simulator")


if __name__ == "__main__":
    main()
