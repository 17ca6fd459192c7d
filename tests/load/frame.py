"""What the tests of load have in common: a service on a new directory whose end is the verdict, programs
that are commanded a line at a time, and what can be seen of a process from outside."""

import contextlib
import json
import os
import resource
import select
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402


class Breach(AssertionError):
    """A promise of the server was broken."""


def program(variable, name):
    """Where a program of the tests is: meson says it, or it is beside the release build."""
    return os.environ.get(variable, os.path.join(os.path.dirname(harness.BINARY), "tests", name))


class Commanded:
    """A program that takes options NAME=NUMBER, reads commands and answers each with a line of JSON
    (tests/load/control.h). Use as a context manager."""

    def __init__(self, path, options):
        self.name = os.path.basename(path)
        args = ["%s=%d" % item for item in options.items()]
        self.process = subprocess.Popen([path] + args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        code = self.process.wait(30)
        self.process.stdout.close()
        if exc[0] is None and code != 0:
            raise AssertionError("%s ended with %d" % (self.name, code))

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self, timeout_s=120):
        if not select.select([self.process.stdout], [], [], timeout_s)[0]:
            raise Breach("%s has no answer within %d s: nothing acknowledged, or no end of it" % (self.name, timeout_s))
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("%s ended with %d" % (self.name, self.process.wait()))
        answer = json.loads(line)
        if "breach" in answer:
            raise Breach(answer["breach"])
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer

    def call(self, command, timeout_s=120):
        self.ask(command)
        return self.answer(timeout_s)


@contextlib.contextmanager
def service(name, seed, make):
    """Runs a test with what make(data) returns, a harness.Server that is not started yet. Prints the
    verdict; data and log of one that failed are kept. This process may open what descriptors it can."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    data = tempfile.mkdtemp(prefix="lulab-%s-" % name)
    server = make(data)
    try:
        yield server
    except BaseException:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        print("%s: FAILED, seed %d, data kept in %s" % (name, seed, data), flush=True)
        raise
    shutil.rmtree(data)
    os.unlink(server.log_path)
    print("%s: ok" % name, flush=True)


def stop(server):
    """A graceful stop, or a breach that tells."""
    if server.stop() != 0:
        raise Breach("a graceful stop ended with %s:\n%s" % (server.process.returncode, server.log()[-2000:]))


def memory_mib(server):
    """What the process holds, file maps not counted."""
    with open("/proc/%d/status" % server.process.pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon")) / 1024


def processor_s(server):
    """Processor time the process has used."""
    with open("/proc/%d/stat" % server.process.pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(server, kind=""):
    """How many the process holds, of those whose name begins so: "socket:"."""
    directory, n = "/proc/%d/fd" % server.process.pid, 0
    for name in os.listdir(directory):
        try:
            n += os.readlink(os.path.join(directory, name)).startswith(kind)
        except OSError:
            pass  # closed just now
    return n


def pin(process, number):
    """Keeps a process with all its threads on one processor, where there are two."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) >= 2:
        for thread in os.listdir("/proc/%d/task" % process.pid):
            os.sched_setaffinity(int(thread), {processors[number]})
