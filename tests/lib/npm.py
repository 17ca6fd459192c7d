"""Packages of the npm registry that a test asks for a second opinion."""

import fcntl
import os
import shutil
import subprocess
import sys


def skip(why):
    """Ends the test as skipped."""
    print("skipped:", why)
    sys.exit(77)


def fetched(package, source, folder):
    """`folder`, with what source/package-lock.json names installed in it; fetched once. Skips without Node or registry."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        skip("no Node here")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:  # tests that run together share folders
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(os.path.join(folder, "node_modules", package)):
            for name in ("package.json", "package-lock.json"):
                shutil.copy(os.path.join(source, name), folder)
            done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=folder, timeout=120,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if done.returncode != 0:
                skip("%s could not be fetched: %s" % (package, done.stderr.strip()[-200:]))
    return folder
