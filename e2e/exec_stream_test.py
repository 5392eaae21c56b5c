"""Bytes through the streams of an exec, by crictl, in a real VM: they arrive whole, however late they are read."""
import hashlib
import os
import subprocess

from e2e.harness.crictl import CrictlTest

BYTES = os.urandom(3_000_000)
TEXT = b"".join(b"%d\n" % number for number in range(500_000))
TRANSPORTS = ("spdy", "websocket")


class ExecStreamTest(CrictlTest):
    def setUp(self):
        super().setUp()
        self.pod, config = self.run_pod("streams")
        self.container = self.run_container(self.pod, config, "c", ["sleep", "100000"])

    def exec(self, transport, script, data=None):
        words = self.words("exec", "-r", transport, *(["-i"] if data is not None else []), self.container, "sh", "-c",
                             script)
        done = subprocess.run(words, input=data, capture_output=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def assert_sum(self, said, data):
        self.assertEqual(said.split()[0].decode(), hashlib.sha256(data).hexdigest())

    def test_what_goes_in(self):
        # Pieces that wait in the program's pipe while the next ones come, and a program that reads little by little.
        for transport in TRANSPORTS:
            for script in ("sha256sum", "sleep 1; sha256sum",
                           "for i in $(seq 30); do dd bs=10001 count=10 iflag=fullblock 2>/dev/null; sleep 0.02; done"
                           " | sha256sum"):
                for data in (BYTES, TEXT):
                    with self.subTest(transport=transport, script=script, text=data is TEXT):
                        said = self.exec(transport, script, data)
                        self.assert_sum(said, data[:30 * 10 * 10001] if "seq" in script else data)
        shared = self.node.folder / "run/sandboxes" / self.pod / "shared"
        self.assertTrue(shared.is_dir())
        self.assertEqual([name for name in os.listdir(shared) if name.startswith("stdin-")], [])

    def test_what_comes_out(self):
        for transport in TRANSPORTS:
            with self.subTest(transport):
                said = self.exec(transport, "seq 0 499999; sleep 0.3; cat", TEXT)
                self.assertEqual(hashlib.sha256(said).hexdigest(), hashlib.sha256(TEXT + TEXT).hexdigest())

    def test_both_ways_at_once(self):
        for transport in TRANSPORTS:
            with self.subTest(transport):
                self.assertEqual(hashlib.sha256(self.exec(transport, "cat", BYTES)).hexdigest(),
                                 hashlib.sha256(BYTES).hexdigest())


del CrictlTest
