#!/usr/bin/env python3
"""The file of a recording from Tencent Meeting to our storage: fetched with resume, compared, looked into, shown and served."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import unittest

from harness import ROOT, Server, eventually, lulab
from simulator import Simulator
from test_tencent_out import OutCase, settings

CLIP = os.path.join(ROOT, "tools", "sim", "meeting.mp4")
ONLY = ["recording.completed"]


class Recordings(OutCase):
    def stored(self, meeting):
        """The recording, once its file is there; and the bytes that a link leads to."""
        self.settled()
        recording = eventually(lambda: (lambda r: r if r["files"] else None)(self.recording(meeting)))
        return recording, self.download(recording)

    def download(self, recording):
        answer = self.server.get("/api/v1/recordings/%s/files/%s/download" % (recording["id"], recording["files"][0]["id"]))
        self.assertEqual(answer.status, 302, answer.body)
        return self.server.get(answer.headers["location"], token=None).body

    def test_a_recording_is_kept_and_shown(self):
        self.start()
        meeting = self.meeting(events=ONLY)
        recording, served = self.stored(meeting)
        with open(CLIP, "rb") as f:
            clip = f.read()
        file = recording["files"][0]
        self.assertEqual(served, clip)
        self.assertEqual((file["fileType"], file["sizeBytes"], file["checksumSha256"], file["contentType"]),
                         ("VIDEO", len(clip), hashlib.sha256(clip).hexdigest(), "video/mp4"))
        self.assertEqual((recording["sizeBytes"], recording["status"]), (len(clip), "COMPLETED"))
        if shutil.which("ffprobe"):
            self.assertEqual(file["format"], "mp4")
            self.assertRegex(file["resolution"], r"^[1-9][0-9]*x[1-9][0-9]*$")
            self.assertGreater(file["durationMs"], 0)
            self.assertEqual(recording["durationSeconds"], file["durationMs"] // 1000)
            self.assertRegex(file["thumbnailObjectId"], r"^[0-9a-f]{32}$")
        # Told once more by another delivery, it is fetched no more and told no more.
        files = self.sim.calls("tencent").get("file")
        told = [{"record_file_id": f["record_file_id"]} for f in meeting["record_files"]]
        self.tell(meeting, "recording.completed", recording_files=told)
        eventually(lambda: len(self.effects(effect="tencent.recording", state="DONE")) == 2)
        self.assertEqual(self.sim.calls("tencent").get("file"), files)
        self.assertEqual(len(self.events("recording.stored")), 1)
        self.assertEqual(self.sim.refused("tencent"), [])
        self.tell(meeting, "recording.deleted", recording_files=told)
        eventually(lambda: self.recording(meeting)["files"] == [])

    def test_the_sample_leads_to_a_recording(self):
        """What a newcomer types: what the samples tell of is there at the simulator."""
        self.start()
        for event in ("meeting.end", "recording.completed"):
            lulab("webhook", "send", "tencent", "--event", event, "--to", self.webhook(), env=self.sim.settings)
        recording = eventually(lambda: [r for r in self.data("/api/v1/recordings") if r["status"] == "COMPLETED"])[0]
        recording = eventually(lambda: (lambda r: r if r["files"] and r["transcripts"] else None)(
            self.data("/api/v1/recordings/" + recording["id"])), 10)
        self.assertEqual(recording["externalId"], "2005979751095140353")
        self.assertEqual(self.sim.refused("tencent"), [])

    def test_an_address_that_ended_is_asked_for_anew(self):
        self.start()
        self.sim.fault("tencent", "slow", op="file", seconds=1, count=1)
        meeting = self.meeting(events=ONLY)
        eventually(lambda: self.sim.calls("tencent").get("address"))
        running = eventually(lambda: [r for r in self.data("/api/v1/effects/running") if r["effect"] == "tencent.recording"])[0]
        self.assertEqual((running["lane"], running["attempt"], running["doneBytes"]), ("tencent_files", 1, 0))
        shown = lulab("effects", "running", "--data", self.server.data, "--to", "http://127.0.0.1:%d" % self.server.port)
        self.assertIn("BYTES", shown.stdout)
        self.sim.command("tencent", "expire")
        recording, served = self.stored(meeting)
        self.assertEqual(hashlib.sha256(served).hexdigest(), recording["files"][0]["checksumSha256"])
        self.assertGreater(sum(self.sim.calls("tencent")["address"].values()), 1)

    def test_cuts_and_a_kill_lose_nothing(self):
        self.start()
        self.sim.fault("tencent", "cut", op="file", count=1, seconds=60)
        meeting = self.meeting(events=ONLY, size=(20 << 20) + 12345)
        # How far it is can be seen meanwhile.
        running = eventually(lambda: [r for r in self.data("/api/v1/effects/running") if r["doneBytes"] > 0])[0]
        self.assertEqual((running["effect"], running["totalBytes"]), ("tencent.recording", (20 << 20) + 12345))
        self.assertLess(running["doneBytes"], running["totalBytes"])
        self.sim.fault("tencent", "cut", op="file", count=3)
        self.server.kill()
        self.server.start()
        recording, served = self.stored(meeting)
        self.assertEqual(len(served), (20 << 20) + 12345)
        self.assertEqual(hashlib.sha256(served).hexdigest(), recording["files"][0]["checksumSha256"])
        self.assertEqual(served[5 << 20:][:16], b"%016d" % 5)
        lulab("log", "verify", "--data", self.server.data)


@unittest.skipUnless(shutil.which("ffmpeg"), "there is no ffmpeg")
class Speech(OutCase):
    """Recordings of which Tencent Meeting makes no transcript, written down by a model, in parts of 10 seconds."""

    @classmethod
    def setUpClass(cls):
        where = tempfile.TemporaryDirectory()
        cls.addClassCleanup(where.cleanup)
        cls.clip, cls.mute = (os.path.join(where.name, name) for name in ("said.mp4", "mute.mp4"))
        for path, what in ((cls.clip, "sine=frequency=300:sample_rate=16000:duration=31"), (cls.mute, "color=size=16x16:rate=2:duration=2")):
            subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", what, "-c:a", "aac", "-c:v", "mpeg4", path], check=True)

    def begin(self, **env):
        self.sim = Simulator(vendors=("tencent", "openai")).start()
        self.addCleanup(self.sim.stop)
        self.server = Server(env=settings(self.sim, **{"LULAB_TRANSCRIBE_DELAY": "0", "LULAB_TRANSCRIBE_PART": "10s", **env})).start()
        self.addCleanup(lambda: self.server.__exit__(None, None, None))

    def unheard(self, **how):
        return self.meeting(events=ONLY, transcript=False, clip=self.clip, **how)

    def heard(self, n=1):
        return eventually(lambda: (lambda t: t if len(t) >= n else None)(self.kept("transcript.stored")), 20)

    def speech(self, state=None):
        return [e for e in self.effects(lane="speech") if state in (None, e["state"])]

    def ask(self, recording, status, **body):
        answer = self.call("POST", "/api/v1/recordings/%s/transcript" % recording, body, self.server.admin_token(), status=status)
        return answer.json["data"]["requestId"] if status == 202 else answer.json["code"]

    def test_what_nobody_wrote_down_is(self):
        self.begin()
        self.sim.command("openai", "speech", text=["第一段。还是第一段。", "第二段。", "最后一段。"])
        for fault in ("limit", "act_then_timeout", "fail"):
            self.sim.fault("openai", fault, op="transcription", share=0.33, count=1, seconds=0)
        meeting = self.unheard()
        made = self.heard()[0]
        # Three parts, for a second is none, and what was made and did not arrive.
        acts = self.sim.acts("openai", op="transcription")
        self.assertEqual(len(acts), 3 + self.sim.calls("openai")["transcription"].get("act_then_timeout", 0))
        self.assertEqual({(a["file"], a["settings"]["model"], a["settings"]["response_format"]) for a in acts},
                         {("part.mp3", "sim-transcribe", "verbose_json")})
        self.assertEqual((made["source"], made["model"], made["calls"], made["speakers_known"], made["currency"]),
                         ("ai:sim-transcribe", "sim-transcribe", 3, False, "CNY"))
        self.assertEqual(made["cost_micros"], round(made["billed_ms"] / 3600000 * 2.5 * 1e6))
        recording = made["recording_id"]
        said = self.data("/api/v1/recordings/%s/transcript" % recording)
        self.assertEqual(said["language"], "zh-CN")
        starts = [s["startTimeMs"] for p in said["paragraphs"] for s in p["sentences"]]
        self.assertEqual([s // 10000 for s in starts if s % 10000 == 0], [0, 1, 2])
        self.assertEqual(len(self.kept("transcript.part_stored")), 3)
        # What follows a transcript follows this one.
        eventually(lambda: [s for s in self.data("/api/v1/summaries") if s["kind"] == "MEETING"], 20)
        with open(os.path.join(self.server.data, "log", "data.mdb"), "rb") as f:
            self.assertNotIn("还是第一段".encode(), f.read())
        self.assertNotIn("第一段", self.server.log())
        # Another one is made when somebody wants it, and once.
        self.assertEqual(self.ask(recording, 409), "has_transcript")
        self.ask(recording, 400, language="chinese")
        self.ask("c" + "0" * 24, 404)
        self.sim.fault("openai", "slow", op="transcription", count=1, seconds=1)
        request = self.ask(recording, 202, again=True, language="en")
        self.assertEqual(self.ask(recording, 202, again=True), request)
        second = self.heard(2)
        self.assertEqual({t["source"] for t in second}, {"ai:sim-transcribe"})
        self.assertEqual([t for t in second if t.get("request_id") == request][0]["calls"], 3)
        self.assertEqual(len([a for a in self.sim.acts("openai", op="transcription") if a["settings"].get("language") == "en"]), 3)
        self.meeting(events=ONLY, transcript=False, clip=self.mute)
        self.assertEqual(eventually(lambda: self.speech("FAILED"))[0]["class"], "no_sound")
        # One that is deleted in the middle is no failure that somebody should look at.
        self.sim.fault("openai", "slow", op="transcription", count=3, seconds=1)
        self.ask(recording, 202, again=True)
        eventually(lambda: self.speech("TRYING"))
        self.tell(meeting, "recording.deleted", recording_files=[{"record_file_id": f["record_file_id"]} for f in meeting["record_files"]])
        self.assertEqual(sorted(e["class"] for e in eventually(lambda: (lambda f: f if len(f) == 2 else None)(self.speech("FAILED")))),
                         ["deleted", "no_sound"])
        self.assertEqual(self.sim.refused("openai"), [])

    def test_a_kill_pays_for_one_part_at_most_and_the_platform_goes_first(self):
        self.begin(LULAB_TRANSCRIBE_DELAY="1s", LULAB_TRANSCRIBE_ANSWER="json")
        self.sim.command("openai", "speech", text=["一。", "二。", "三。"])
        usual = self.meeting(events=ONLY)  # of this one there is a transcript
        self.assertEqual(self.heard()[0]["source"][:16], "tencent-meeting:")
        eventually(lambda: self.speech("DONE"))
        self.assertEqual(self.sim.acts("openai", op="transcription"), [])
        self.unheard()
        eventually(lambda: self.kept("transcript.part_stored"), 20)
        self.server.kill()
        spool = os.path.join(self.server.data, "spool")
        os.makedirs(spool, exist_ok=True)
        with open(os.path.join(spool, "left"), "wb"):
            pass
        self.server.start()
        self.assertEqual(os.listdir(spool), [])
        made = [t for t in self.heard(2) if "model" in t][0]
        self.assertEqual((made["calls"], made["billed_ms"], made["sentences"], made["end_ms"] - made["start_ms"] > 30000), (3, 9000, 3, True))
        self.assertEqual(len(self.kept("transcript.part_stored")), 3)
        self.assertLessEqual(len(self.sim.acts("openai", op="transcription")), 4)
        self.assertEqual(len(self.kept("transcript.stored", usual)), 1)
        lulab("log", "verify", "--data", self.server.data)
        # Where there is no ffmpeg nobody waits for it, and the reason is told.
        self.server.stop()
        self.server.env["PATH"] = "/nonexistent"
        self.server.start()
        self.assertEqual(self.ask(made["recording_id"], 503, again=True), "not_configured")
        self.assertIn("no ffmpeg", self.server.get("/health").body.decode())


if __name__ == "__main__":
    unittest.main()
