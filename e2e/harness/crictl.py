"""crictl, unchanged, as a person at a node uses it: words in, text out."""
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time

from e2e.harness import registry
from e2e.harness.node import NodeTest, clients

BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.29-2"


class CrictlTest(NodeTest):
    @classmethod
    def setUpClass(cls):
        clients()
        cls.enterClassContext(registry.serving())
        super().setUpClass()

    @classmethod
    def words(cls, *words):
        """The command line that runs crictl with these words."""
        return [str(clients() / "bin/crictl"), "-c", "/dev/null", "-r", "unix://" + cls.node.socket, "-t", "120s",
                *map(str, words)]

    @classmethod
    def crictl(cls, *words, check=True, stdin="", timeout=300):
        """The output, stripped; with check=False the CompletedProcess, whatever came of it."""
        done = subprocess.run(cls.words(*words), input=stdin, capture_output=True, text=True, check=False,
                              timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(
                f"crictl {' '.join(map(str, words))}: {done.stdout}{done.stderr}\n{cls.node.log_tail()}")
        return done.stdout.strip() if check else done

    @classmethod
    def crictl_json(cls, *words):
        return json.loads(cls.crictl(*words))

    def refused(self, *words, stdin=""):
        """What a command that has to fail says."""
        done = self.crictl(*words, check=False, stdin=stdin)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stdout + done.stderr

    @classmethod
    def running(cls, *words):
        """A command that goes on: a Popen whose output is read line by line. Used as a context, it ends with it."""
        return _Running(cls.words(*words))

    @classmethod
    def write(cls, name, value):
        path = cls.node.folder / name
        path.write_text(json.dumps(value))
        return str(path)


class _Running:
    def __init__(self, command):
        self._command = command

    def __enter__(self):
        self.process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, bufsize=1)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def say(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def until(self, wanted):
        """Reads to the line that holds this; all that came. The whole output without such a line is an error."""
        seen = ""
        for line in self.process.stdout:
            seen += line
            if wanted in line:
                return seen
        raise AssertionError(f"{wanted!r} is not in: {seen}")


class Terminal:
    """A command on a terminal of its own: a context. `until` gives up after a minute."""

    def __init__(self, command, rows=24, columns=80):
        self._command = command
        self._size = (rows, columns)
        self._unread = ""

    def __enter__(self):
        self._fd, worker = pty.openpty()
        self.resize(*self._size)
        self._process = subprocess.Popen(self._command, stdin=worker, stdout=worker, stderr=worker,
                                         start_new_session=True, preexec_fn=_take_terminal)
        os.close(worker)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._fd)

    def resize(self, rows, columns):
        """The kernel tells the command by SIGWINCH."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def say(self, text):
        os.write(self._fd, text.encode())

    def until(self, wanted):
        """What came up to and with this; what comes after it is kept."""
        end = time.monotonic() + 60
        while wanted not in self._unread:
            if not select.select([self._fd], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"{wanted!r} is not in {self._unread!r}")
            self._unread += os.read(self._fd, 4096).decode(errors="replace")
        seen, found, self._unread = self._unread.partition(wanted)
        return seen + found

    def wait(self):
        return self._process.wait(timeout=60)


def _take_terminal():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


del NodeTest
