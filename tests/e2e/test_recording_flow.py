#!/usr/bin/env python3
"""The file of a recording from Tencent Meeting to our storage: fetched with resume, compared, looked into, shown and served."""

import hashlib
import os
import shutil
import unittest

from harness import ROOT, eventually, lulab
from test_tencent_out import OutCase

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
        self.sim.command("tencent", "expire")
        recording, served = self.stored(meeting)
        self.assertEqual(hashlib.sha256(served).hexdigest(), recording["files"][0]["checksumSha256"])
        self.assertGreater(sum(self.sim.calls("tencent")["address"].values()), 1)

    def test_cuts_and_a_kill_lose_nothing(self):
        self.start()
        self.sim.fault("tencent", "cut", op="file", count=4)
        meeting = self.meeting(events=ONLY, size=(20 << 20) + 12345)
        eventually(lambda: self.sim.calls("tencent").get("file"))
        self.server.kill()
        self.server.start()
        recording, served = self.stored(meeting)
        self.assertEqual(len(served), (20 << 20) + 12345)
        self.assertEqual(hashlib.sha256(served).hexdigest(), recording["files"][0]["checksumSha256"])
        self.assertEqual(served[5 << 20:][:16], b"%016d" % 5)
        lulab("log", "verify", "--data", self.server.data)


if __name__ == "__main__":
    unittest.main()
