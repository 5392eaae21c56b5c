"""What is measured: daemons, each on a socket of its own, all up at the same time so that they can take turns."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from e2e.harness import factory
from e2e.harness.cri import Cri
from e2e.harness.node import Node, clients

IMAGE = "registry.k8s.io/e2e-test-images/busybox:1.29-2"


class Subject:
    """name for the tables, socket, cri; up(), settle() before each measurement, down()."""

    name = ""

    def settle(self):
        """Waits until what the last measurement left to do in the background is done."""
        _wait_for_idle_machine()

    def pull(self):
        self.image_ref = self.cri.PullImage(image={"image": IMAGE}).image_ref


class Peer(Subject):
    """containerd with runc in a folder of its own: bench/peer-containerd of the clients."""

    name = "containerd + runc"

    def up(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="podvisor-peer."))
        subprocess.run([clients() / "bench/peer-containerd", self.folder], check=True)
        self.socket = str(self.folder / "containerd.sock")
        self.cri = Cri(self.socket)
        self.pid = int((self.folder / "containerd.pid").read_text())
        self.pull()

    def down(self):
        # Also when a measurement failed: a shim and its pod would outlive containerd.
        self.cri.end_pods()
        self.cri.close()
        os.kill(self.pid, signal.SIGTERM)
        while _alive(self.pid):
            time.sleep(0.05)
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            points = [line.split(" ")[4] for line in mounts if str(self.folder) in line]
        for point in reversed(points):
            subprocess.run(["umount", "-l", point], check=False)
        subprocess.run(["ip", "link", "del", "peer0"], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Podvisor(Subject):
    def __init__(self, name, overlay, pool=0):
        self.name = name
        self._overlay = overlay
        self._pool = pool

    def up(self):
        self.node = Node(self._overlay)
        self.prepare()
        self.node.up()
        self.socket = self.node.socket
        self.cri = self.node.cri
        self.pid = self.node.pid()
        if "type: mock" not in self._overlay:
            self.pull()

    def prepare(self):
        """What is to be in the daemon's folder before it starts."""

    def down(self):
        self.node.down()
        self.node.remove()

    def settle(self):
        if self._pool:
            factory.await_pool(self.node, self._pool)
        super().settle()

    def stages(self):
        """{stage: (count, mean in ms)} of all RunPodSandbox calls so far."""
        metrics = factory.metrics(self.node)
        prefix = 'podvisor_vm_start_stage_seconds_count{stage="'
        counts = {key[len(prefix):-2]: value for key, value in metrics.items() if key.startswith(prefix)}
        return {stage: (count, 1000 * metrics[f'podvisor_vm_start_stage_seconds_sum{{stage="{stage}"}}'] / count)
                for stage, count in counts.items() if count}


def _alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _busy_share(seconds):
    def read():
        fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        return fields[3] + fields[4], sum(fields[:8])
    idle, total = read()
    time.sleep(seconds)
    idle_after, total_after = read()
    return 1 - (idle_after - idle) / max(1, total_after - total)


def _wait_for_idle_machine():
    """At most 3 s: on a machine that is never idle all subjects are measured under the same load."""
    end = time.monotonic() + 3
    while _busy_share(0.05) > 0.1 and time.monotonic() < end:
        pass
