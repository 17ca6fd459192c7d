#!/usr/bin/env python3
"""Runs every command block of the README, in order, as a newcomer would.

The blocks run in a folder of their own that holds links to this checkout, so
that `./data` and `.env` are new and the build is reused. A block marked ```sh
must succeed; the one that starts the service runs in the background until the
end. A block marked ```console shows output and is not run. The port is a free
one instead of 3000.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import harness  # noqa: E402


def blocks(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    return [b for b in re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M)]


def main():
    todo = blocks(os.path.join(ROOT, "README.md"))
    if len(todo) < 4:
        print("readme: only %d command blocks found" % len(todo))
        return 1
    work = tempfile.mkdtemp(prefix="lulab-readme-")
    for name in os.listdir(ROOT):
        if name not in ("data", ".env", ".git"):
            os.symlink(os.path.join(ROOT, name), os.path.join(work, name))
    port = harness.free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("TENCENT_", "LULAB"))}
    env.update({"PORT": str(port), "NO_COLOR": "1", "PATH": env["PATH"]})
    service, failed = None, 0
    try:
        for number, block in enumerate(todo, 1):
            script = block.replace("127.0.0.1:3000", "127.0.0.1:%d" % port)
            script = script.replace("localhost:3000", "127.0.0.1:%d" % port)
            first = script.strip().splitlines()[0]
            if first.startswith("git clone") or first.strip() == "./tools/test":
                continue
            if first.strip() == "./tools/run":
                log = open(os.path.join(work, "run.out"), "wb")
                service = subprocess.Popen(["bash", "-c", "exec ./tools/run"], cwd=work, env=env,
                                           stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                           start_new_session=True)
                wait_ready(service, port, work)
                continue
            done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=work, env=env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=300)
            if done.returncode != 0:
                failed += 1
                print("readme: block %d failed with %d:\n%s\n--- output\n%s" % (
                    number, done.returncode, script, done.stdout))
    finally:
        if service is not None and service.poll() is None:
            os.killpg(service.pid, signal.SIGTERM)
            try:
                if service.wait(30) != 0:
                    print("readme: ./tools/run ended with %s" % service.returncode)
                    failed += 1
            except subprocess.TimeoutExpired:
                os.killpg(service.pid, signal.SIGKILL)
                failed += 1
        if failed:
            with open(os.path.join(work, "run.out"), errors="replace") as f:
                print(f.read()[-3000:])
        shutil.rmtree(work, ignore_errors=True)
    print("readme: %d blocks, %d failed" % (len(todo), failed))
    return 1 if failed else 0


def wait_ready(service, port, work):
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        if service.poll() is not None:
            with open(os.path.join(work, "run.out"), errors="replace") as f:
                raise SystemExit("readme: ./tools/run ended with %d\n%s" % (service.returncode, f.read()))
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/readyz" % port, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("readme: the service did not become ready")


if __name__ == "__main__":
    sys.exit(main())
