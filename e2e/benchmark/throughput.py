"""Bytes through an exec and through a forwarded port, both ways, by crictl as the client of all subjects.

The bytes are random, as a file is: zeros would spare podvisor the marks that its serial link has to keep free. What goes out
comes from one program, without a shell around it. What goes in is counted by dd in large blocks: busybox's head and wc look
at each byte, which in an emulated guest takes longer than the way there, so that they would be what is measured.
"""
import contextlib
import os
import re
import select
import socket
import subprocess
import threading
import time

from e2e.harness.node import clients

MIB = 1 << 20
BLOCK = 64 << 10
SENDS, TAKES = 7001, 7002  # ports in the pod
# Reads $1 blocks and says first how many of them were whole: "256+0".
COUNT = f"dd of=/dev/null bs={BLOCK} iflag=fullblock count=$1 2>&1"
# Each connection to a port gets a program of its own.
SERVERS = f"""
head -c {MIB} /dev/urandom >/tmp/random
printf '#!/bin/sh\\nread count; exec cat $(yes /tmp/random | head -n $count)\\n' >/tmp/send
cat >/tmp/count <<'END'
#!/bin/sh
{COUNT}
END
printf '#!/bin/sh\\nread blocks; exec /tmp/count $blocks\\n' >/tmp/take
chmod +x /tmp/send /tmp/count /tmp/take
nc -ll -p {SENDS} -e /tmp/send &
nc -ll -p {TAKES} -e /tmp/take &
exec sleep 100000
"""
WAYS = ("exec, out", "exec, in", "port-forward, out", "port-forward, in")


class Throughput:
    """MiB a second of each way of one subject: samples[way] is a list. close() removes the pod."""

    def __init__(self, lives):
        self.samples = {}
        self._lives = lives
        config = lives.config()
        self._pod = lives.subject.cri.RunPodSandbox(config=config).pod_sandbox_id
        self._container = lives.subject.cri.CreateContainer(pod_sandbox_id=self._pod, sandbox_config=config, config={
            "metadata": {"name": "c"}, "image": {"image": lives.subject.image_ref}, "command": ["sh", "-c", SERVERS],
            "log_path": "c.log", "linux": {}}).container_id
        lives.subject.cri.StartContainer(container_id=self._container)
        self._exec("sh", "-c", "while ! grep -q :1B5A /proc/net/tcp /proc/net/tcp6; do :; done")

    def close(self):
        self._lives.end(self._pod)

    def measure(self, mebibytes):
        """Each way once, with so many MiB."""
        for way, move in zip(WAYS, (self._exec_out, self._exec_in, self._port_out, self._port_in)):
            start = time.perf_counter()
            move(mebibytes)
            self.samples.setdefault(way, []).append(mebibytes / (time.perf_counter() - start))

    def _words(self, *words):
        return [str(clients() / "bin/crictl"), "-c", "/dev/null", "-r", "unix://" + self._lives.subject.socket, "-t",
                "120s", *words]

    def _exec(self, *words, flags=(), feed=None):
        """Bytes on stdout, and the last of them."""
        command = self._words("exec", *flags, self._container, *words)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            feeder = threading.Thread(target=_feed, args=(process.stdin.fileno(), feed)) if feed else None
            if feeder:
                feeder.start()
            size, tail = _drain(lambda: os.read(process.stdout.fileno(), MIB))
            if feeder:
                feeder.join()
        if process.returncode != 0:
            raise AssertionError(f"{self._lives.subject.name}: exec {words} ended with {process.returncode}")
        return size, tail

    def _exec_out(self, mebibytes):
        self._expect(mebibytes, self._exec("cat", *["/tmp/random"] * mebibytes)[0])

    def _exec_in(self, mebibytes):
        # Not "exec dd": where dd is the exec's own process, the peer ends its input after the first 32 KiB.
        words = ("sh", "-c", f"{COUNT}; :", "sh", str(_blocks(mebibytes)))
        self._expect_blocks(mebibytes, self._exec(*words, flags=("-i",), feed=mebibytes)[1])

    def _port_out(self, mebibytes):
        with self._forwarded(SENDS) as connection:
            connection.sendall(b"%d\n" % mebibytes)
            self._expect(mebibytes, _drain(lambda: connection.recv(MIB))[0])

    def _port_in(self, mebibytes):
        with self._forwarded(TAKES) as connection:
            connection.sendall(b"%d\n" % _blocks(mebibytes))
            _feed(connection.fileno(), mebibytes)
            self._expect_blocks(mebibytes, _drain(lambda: connection.recv(MIB))[1])

    @contextlib.contextmanager
    def _forwarded(self, port):
        with subprocess.Popen(self._words("port-forward", self._pod, f"0:{port}"), stdout=subprocess.PIPE, text=True,
                              bufsize=1) as process:
            try:
                for line in process.stdout:
                    found = re.search(r"127\.0\.0\.1:(\d+)", line)
                    if found:
                        break
                with socket.create_connection(("127.0.0.1", int(found[1]))) as connection:
                    connection.settimeout(300)
                    yield connection
            finally:
                process.terminate()

    def _expect(self, mebibytes, size):
        if size != mebibytes * MIB:
            raise AssertionError(f"{self._lives.subject.name}: {size} bytes instead of {mebibytes} MiB")

    def _expect_blocks(self, mebibytes, counted):
        if counted.split()[:1] != [b"%d+0" % _blocks(mebibytes)]:
            raise AssertionError(f"{self._lives.subject.name}: counted {counted} instead of {_blocks(mebibytes)} blocks")


_RANDOM = os.urandom(MIB)


def _blocks(mebibytes):
    return mebibytes * MIB // BLOCK


def _feed(fd, mebibytes):
    """Writes, also where the descriptor does not block, and closes nothing."""
    for _ in range(mebibytes):
        rest = memoryview(_RANDOM)
        while rest:
            try:
                rest = rest[os.write(fd, rest):]
            except BlockingIOError:
                select.select([], [fd], [])


def _drain(read):
    size, tail = 0, b""
    while piece := read():
        size += len(piece)
        tail = (tail + piece)[-256:]
    return size, tail
