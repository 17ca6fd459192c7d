#!/usr/bin/env python3
"""The link that the first start prints, opened in a real browser: its page works under its own security policy.

Skipped (77) where there is no Chromium, no Node, or no registry to fetch puppeteer-core from.
"""

import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..", "lib")]
import harness  # noqa: E402
import npm  # noqa: E402

PASSWORD = "correct horse battery"


def link_of(server):
    found = re.search(r"http://\S+/setup#\S+", server.log())
    return found and found.group(0)


def main():
    browser = shutil.which("chromium")
    if browser is None:
        npm.skip("no Chromium here")
    folder = npm.fetched("puppeteer-core", HERE,
                         os.path.join(os.path.dirname(os.path.abspath(harness.BINARY)), "tests", "browser_node"))
    shutil.copy(os.path.join(HERE, "setup.mjs"), folder)  # beside node_modules, where its import looks
    with harness.Server() as server:
        link = harness.eventually(lambda: link_of(server))
        out = subprocess.run(["node", "setup.mjs", browser, link], cwd=folder, check=True, timeout=150,
                             stdout=subprocess.PIPE, text=True).stdout
        lines = [line.split("\t", 1) for line in out.splitlines()]
        said = [text for kind, text in lines if kind == "said"]
        assert len(said) == 4, out
        for pattern, text in zip(("behind # is missing", "not the same", "password", "You can sign in as first_one"), said):
            assert re.search(pattern, text), (pattern, text)
        assert ["form", "gone"] in lines, out
        # The token does not stay where the browser keeps its history.
        assert ["address", link.split("#")[0]] in lines, out
        # The one refusal is all there is to complain of: nothing that the policy forbids.
        complaints = [text for kind, text in lines if kind == "complaint"]
        assert all("400" in c for c in complaints) and len(complaints) == 1, complaints
        answer = server.request("POST", "/api/auth/login", json.dumps({
            "type": "username_password", "username": "first_one", "password": PASSWORD}).encode(), token=None,
            headers={"Content-Type": "application/json"})
        assert answer.status == 200, answer.body
    print("set-up page: an account was made with", browser)


if __name__ == "__main__":
    main()
