"""Clones of one template: each is a machine of its own, and the template stays what it is."""
import concurrent.futures
import hashlib
import os
import pathlib
import time

from e2e.harness import factory
from e2e.harness.node import NodeTest

CLONES = 20
LOOK = ("cat /proc/sys/kernel/random/uuid /etc/machine-id /proc/sys/kernel/random/boot_id /sys/class/net/eth0/address; "
        "hostname -i; hexdump -n 16 -e '16/1 \"%02x\"' /dev/urandom; echo")
# busybox's date knows no fractions of a second; a new file's time has them.
CLOCK = "touch /now; stat -c %y /now"


def seconds_of(text):
    """Of "2026-11-22 23:20:46.640955228 +0000"."""
    date, clock, _ = text.split()
    whole, _, fraction = clock.partition(".")
    import calendar
    return calendar.timegm(time.strptime(f"{date} {whole}", "%Y-%m-%d %H:%M:%S")) + float("0." + fraction)


class CloneTest(NodeTest):
    OVERLAY = "hypervisor:\n  factory: template\n"

    def setUp(self):
        super().setUp()
        factory.await_template(self.node)

    def template_digest(self):
        folder = pathlib.Path("/dev/shm") / next(
            name for name in os.listdir("/dev/shm") if name in (self.node.folder / "podvisor.yaml").read_text())
        [memory] = folder.glob("*/memory")
        with open(memory, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def look(self, number):
        pod, config = self.run_pod(f"clone{number}")
        self.assertEqual(factory.origin(self.node, pod), {"origin": "template"})
        container = self.run_container(pod, config, "c", ["sleep", "100000"])
        code, out, err = self.exec(container, "sh", "-c", LOOK)
        self.assertEqual(code, 0, err)
        before = time.time()
        code, clock, err = self.exec(container, "sh", "-c", CLOCK)
        after = time.time()
        self.assertEqual(code, 0, err)
        late = min(0, seconds_of(clock) - before) + max(0, seconds_of(clock) - after)
        return out.splitlines(), late

    def test_clones_differ_and_know_the_time(self):
        digest = self.template_digest()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            seen = list(pool.map(self.look, range(CLONES)))
        names = ("uuid", "machine-id", "boot-id", "MAC", "address", "urandom")
        for column, name in enumerate(names):
            values = [facts[column] for facts, _ in seen]
            self.assertEqual(len(set(values)), CLONES, f"{name}: {values}")
            self.assertNotIn("", values)
        for _, late in seen:
            self.assertLess(abs(late), 0.05)
        self.assertEqual(self.template_digest(), digest, "a clone wrote to its template")
