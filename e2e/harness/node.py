"""A daemon of a test's own: started by e2e/up in a fresh folder, gone with all it made after the test."""
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import unittest

from e2e.harness import cri, machine

# As the kubelet asks for it: each container has a process namespace of its own. A number, which crictl reads too.
LINUX = {"linux": {"security_context": {"namespace_options": {"pid": 1}}}}
IMAGE = "docker.io/library/busybox:local"


class Missing(unittest.SkipTest):
    """Something that the test needs is not on this machine."""


def clients():
    """The folder of crictl, critest and peers, or a visible skip."""
    folder = os.environ.get("PODVISOR_CLIENTS", "")
    if not folder:
        raise Missing("PODVISOR_CLIENTS names no folder with crictl and its kin")
    return pathlib.Path(folder)


def source_root():
    """The checkout: tests run in Bazel's runfiles, whose WORKSPACE is a link into it."""
    return pathlib.Path(os.path.realpath("WORKSPACE")).parent


class Node:
    """up() and down() may be called any number of times; the folder stays until remove(). PLACE in the overlay is it."""

    def __init__(self, overlay="", environment=None):
        self._environment = {**os.environ, **(environment or {})}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="podvisor-e2e.", dir="/tmp"))
        self._overlay = self.folder / "overlay.yaml"
        self._overlay.write_text(overlay.replace("PLACE", str(self.folder)))
        self._client = None

    @property
    def socket(self):
        return str(self.folder / "podvisor.sock")

    @property
    def cri(self):
        if self._client is None:
            self._client = cri.Cri(self.socket)
        return self._client

    def up(self):
        self._forget_client()
        done = subprocess.run([source_root() / "e2e/up", self.folder, self._overlay], capture_output=True, text=True,
                              check=False, timeout=300, env=self._environment)
        if done.returncode != 0:
            raise AssertionError(f"e2e/up failed: {done.stdout}{done.stderr}\n{self.log_tail()}")

    def _forget_client(self):
        """A channel to a daemon that was killed fails its next call; a new daemon gets a new one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def down(self):
        self._forget_client()
        done = subprocess.run([source_root() / "e2e/down", self.folder], capture_output=True, text=True, check=False,
                              timeout=300)
        if done.returncode != 0:
            raise AssertionError(f"e2e/down failed: {done.stdout}{done.stderr}")

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def pid(self):
        return int((self.folder / "podvisord.pid").read_text())

    def kill(self):
        """SIGKILL to the daemon; returns when it has ended."""
        pid = self.pid()
        process = os.pidfd_open(pid)
        try:
            os.kill(pid, signal.SIGKILL)
            if not select.select([process], [], [], 20)[0]:
                raise AssertionError(f"podvisord {pid} outlives SIGKILL")
        finally:
            os.close(process)

    def log_tail(self, lines=60):
        log = self.folder / "podvisord.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def podvisor(self, *words, timeout=300, check=True):
        """Runs the command-line client; returns the CompletedProcess."""
        done = subprocess.run([source_root() / "bazel-bin/cli/podvisor", "--socket", self.socket, *words],
                              capture_output=True, text=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"podvisor {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.log_tail()}")
        return done

    def import_image(self):
        archive = self.folder / "busybox.tar"
        if not archive.exists():
            subprocess.run([source_root() / "tools/busybox-image", archive, IMAGE], check=True)
        self.podvisor("image", "import", archive)
        return IMAGE


class NodeTest(unittest.TestCase):
    """One daemon for all tests of a class, and a check that the class left nothing on the machine."""

    OVERLAY = ""
    ENVIRONMENT = {}  # of e2e/up

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise Missing("needs root")
        cls.before = machine.snapshot()
        cls.node = Node(cls.OVERLAY, cls.ENVIRONMENT)
        cls.addClassCleanup(cls._leave_nothing)
        cls.prepare()
        cls.node.up()
        cls.image = cls.node.import_image()

    @classmethod
    def prepare(cls):
        """What a class wants in the daemon's folder before it starts."""

    @property
    def cri(self):
        return self.node.cri

    @classmethod
    def _leave_nothing(cls):
        try:
            cls.node.down()
            left = machine.left_over(cls.before, machine.snapshot())
            if left:
                raise AssertionError(f"left on the machine: {left}")
        finally:
            cls.node.remove()

    def setUp(self):
        self.addCleanup(self._remove_pods)

    def _remove_pods(self):
        if os.path.exists(self.node.socket):
            self.node.cri.end_pods()

    # Shapes that most tests want.

    def pod_config(self, name, **more):
        return {"metadata": {"name": name, "namespace": "e2e", "uid": name + "-uid", "attempt": 0},
                "log_directory": str(self.node.folder / "logs" / name), **LINUX, **more}

    def run_pod(self, name, **more):
        config = self.pod_config(name, **more)
        os.makedirs(config["log_directory"], exist_ok=True)
        return self.node.cri.RunPodSandbox(config=config).pod_sandbox_id, config

    def run_container(self, pod, config, name, command, **more):
        """Creates and starts; returns the id."""
        container = self.create_container(pod, config, name, command, **more)
        self.node.cri.StartContainer(container_id=container)
        return container

    def create_container(self, pod, config, name, command, **more):
        return self.node.cri.CreateContainer(pod_sandbox_id=pod, sandbox_config=config, config={
            "metadata": {"name": name}, "image": {"image": self.image}, "command": command, "log_path": name + ".log",
            **LINUX, **more}).container_id

    def kill_vm(self, pod):
        """SIGKILL to the pod's VMM, as if it had crashed."""
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if pod in (entry / "cmdline").read_text() and "qemu" in os.readlink(entry / "exe"):
                        os.kill(int(entry.name), 9)
                except OSError:
                    continue

    def exec(self, container, *command, timeout=60):
        """Returns (exit code, stdout, stderr)."""
        done = self.node.cri.ExecSync(container_id=container, cmd=list(command), timeout=timeout)
        return done.exit_code, done.stdout.decode(), done.stderr.decode()

    def wait_exited(self, container, seconds=60):
        """The status once the container has exited."""
        import time
        end = time.monotonic() + seconds
        while True:
            status = self.node.cri.ContainerStatus(container_id=container).status
            if status.state == 2:  # CONTAINER_EXITED
                return status
            if time.monotonic() > end:
                raise AssertionError(f"container {container} still in state {status.state}\n{self.node.log_tail()}")
            time.sleep(0.05)

    def log_lines(self, config, name):
        """[(stream, tag, text)] of a container's log file."""
        text = (pathlib.Path(config["log_directory"]) / (name + ".log")).read_text()
        return [tuple(line.split(" ", 3)[1:]) for line in text.splitlines()]
