#!/usr/bin/env python3
"""lulab demo: beside a service and the simulator it tells a whole story, and without them what to do."""

import json
import os
import re
import tempfile
import unittest

from harness import Server, lulab
from simulator import Simulator


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


# What is told of who has an account; the first time only.
ACCOUNTS = lines("""
verification.requested a code is asked for, to show whose an address is: it goes there by mail
effect.done           a mail is out (mail.code)
user.registered       demo_zhang_wei has an account (EMAIL_CODE)
effect.done           a mail is out (mail.welcome)
user.registered       demo_li_na has an account (OPERATOR)
user.registered       demo_wang_fang has an account (OPERATOR)
identity.linked       an account is known to be the same person
identity.linked       an account is known to be the same person
identity.linked       an account is known to be the same person
""")
# In this order.
MEETING = lines("""
meeting.started       “季度预算评审会” begins; 张伟 is the host
participant.joined    张伟 comes in
participant.joined    李娜 comes in
participant.joined    王芳 comes in
participant.left      王芳 leaves
participant.left      李娜 leaves
participant.left      张伟 leaves
meeting.ended         the meeting is over
recording.completed   Tencent Meeting has made a recording of it: fetch it
transcript.ready      Tencent Meeting has written down what was said
minutes.ready         Tencent Meeting has minutes
summary.ready         Tencent Meeting has a summary
""")
# In any: each is of another lane.
EFFECTS = lines("""
participants.fetched  asked who was there: 3 people, 3 stays
transcript.stored     what was said is stored: 13 paragraphs, 162 words
summary.stored        FULL: 会议讨论了下个季度的预算和新版本的发布时间。上季度共使用四十二万元，比计划少百分之六；下…
summary.stored        MINUTES: ## 会议纪要  ### 季度预算 - 上季度实际使用四十二万元，低于计划 - 下季度预…
summary.stored        TODO: - 王芳：二十八号之前给出旧录像的存储方案 - 李娜：下周三之前发出预算表格 - 李娜：…
summary.stored        TOPIC: - 季度预算 (00:00:00–00:00:40) - 新版本发布 (00:00:41…
object.stored         a file is in the storage: video/mp4, 33 KiB
object.stored         a file is in the storage: image/jpeg, 12 KiB
recording.stored      the recording is stored and looked into: mp4, 320×180, 6.0 s
summary.generated     the language model has written: 季度预算评审会
summary.generated     the language model has written: 季度预算评审会
summary.generated     the language model has written: 季度预算评审会
summary.generated     the language model has written: 季度预算与新版本发布
effect.done           the summary goes to who was there and has shown that their address is theirs
mail.requested        to be mailed: 会议纪要：季度预算与新版本发布
effect.done           a mail is out (mail.message)
""")
# At least once: a row that still waits to be written is written once for what comes meanwhile.
TABLES = ["lark.row_synced       Feishu has it in the table %s" % t for t in ("MEETING", "RECORDING", "SUMMARY", "USER")]

MAIL = """
The last of them:

    From: no-reply@example.org
    To: zhang.wei@example.com
    Subject: 会议纪要：季度预算与新版本发布

    张伟，您好：

    以下是会议“季度预算与新版本发布”（TIME，北京时间）的纪要，由语言模型根据会议转写生成，仅供参考。

    ## 概况
    会议讨论了下个季度的预算和新版本的发布时间。上季度共使用四十二万元，比计划少百分之六；下季度预算定为四十五万元。旧录像将转入成本更低的存储。新版本还有一个严重问题等待供应商回复，发布推迟一周至十二月十二日。

    ## 季度预算
    上季度省下的主要是差旅费，服务器费用涨了一成，原因是录像存得多了。

    ## 新版本发布
    三个严重问题中两个已修复，一个等待供应商回复；市场活动随发布改期。

    ## 决定

    - 发布推迟一周，定在十二月十二号 — 还有一个严重问题等待供应商回复
    - 旧录像转到便宜的存储里

    ## 待办

    - 给出旧录像的存储方案 — 王芳 · 二十八号之前
    - 把预算表格发给大家 — 李娜 · 下周三之前
    - 请市场部改活动时间 — 李娜

    此邮件由系统自动发送，请勿回复。

That is all. The meeting, and what was made of it: lulab log tail, or """


class Demo(unittest.TestCase):
    def demo(self, server, **kw):
        return lulab("demo", "--pace", "0", "--data", server.data, "--to", "http://127.0.0.1:%d" % server.port, **kw)

    def check_story(self, told, first):
        story, _, mails = told.partition("\nThe mail server got:\n")
        mails, last, end = mails.partition("\nThe last of them:\n")
        for line in story.splitlines():
            self.assertRegex(line, r"^\d\d:\d\d:\d\d  \S")
        story = [line[10:] for line in story.splitlines()]
        self.assertEqual([line for line in story if line in MEETING], MEETING, told)
        tables = [line for line in story if line.startswith("lark.")]
        self.assertLessEqual(set(tables), set(TABLES))
        if first:
            self.assertEqual(set(tables), set(TABLES))
        rest = [line for line in story if line not in MEETING and line not in tables]
        self.assertEqual(sorted(rest), sorted(EFFECTS + (ACCOUNTS if first else [])), told)
        subjects = (["LuLab 注册验证码", "欢迎加入 LuLab！"] if first else []) + ["会议纪要：季度预算与新版本发布"]
        self.assertEqual(lines(mails), ["to zhang.wei@example.com: " + s for s in subjects])
        self.assertEqual(re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", last + end)[:len(MAIL)], MAIL)

    def test_a_story_is_told_twice(self):
        with Simulator() as sim, Server(env={**sim.settings, "LULAB_EFFECTS_BATCH_WAIT": "50ms"}) as server:
            with open(os.path.join(server.data, "simulator.json"), "w", encoding="utf-8") as f:
                json.dump({"control": sim.url["control"]}, f)
            for n in (1, 2):
                self.check_story(self.demo(server).stdout, n == 1)
            self.assertEqual([v for v in sim.url if v != "control" and sim.refused(v)], [])

    def test_what_is_missing_is_told(self):
        with tempfile.TemporaryDirectory() as data:
            done = lulab("demo", "--data", data, check=False)
            self.assertEqual(done.returncode, 7)
            self.assertIn("./tools/run starts one", done.stderr)
        with Server() as server:
            with open(os.path.join(server.data, "simulator.json"), "w", encoding="utf-8") as f:
                f.write('{"control": "http://127.0.0.1:1"}')
            done = self.demo(server, check=False)
            self.assertEqual(done.returncode, 7)
            self.assertIn("does not play", done.stderr)
            self.assertEqual(server.stop(), 0)
            done = lulab("demo", "--data", server.data, check=False)
            self.assertIn("the service does not run", done.stderr)


if __name__ == "__main__":
    unittest.main()
