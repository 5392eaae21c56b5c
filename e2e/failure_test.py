"""What bad input and broken parts get: a clear error with the code that the kubelet expects, and nothing left behind."""
import json
import os
import pathlib
import subprocess
import time

import grpc

from e2e.harness import machine
from e2e.harness.node import Node, NodeTest, source_root

NOT_FOUND = grpc.StatusCode.NOT_FOUND
INVALID = grpc.StatusCode.INVALID_ARGUMENT


class FailureTest(NodeTest):
    # Cold boots: a pool that fills up again is a difference between before and after that is nobody's fault.
    ENVIRONMENT = {"PODVISOR_FACTORY": "cold"}

    def assert_fails(self, codes, words, call, **request):
        """The call fails with one of the codes and a message that holds all the words."""
        with self.assertRaises(grpc.RpcError) as raised:
            call(**request)
        codes = codes if isinstance(codes, tuple) else (codes,)
        self.assertIn(raised.exception.code(), codes, raised.exception.details())
        for word in words:
            self.assertIn(word, raised.exception.details())

    def assert_start_fails_clean(self, name, codes, words):
        before = machine.snapshot()
        self.assert_fails(codes, words, self.cri.RunPodSandbox, config=self.pod_config(name))
        self._remove_pods()
        # Network namespaces go in the background.
        end = time.monotonic() + 30
        while (left := machine.left_over(before, machine.snapshot())) and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(left, {})

    def test_unknown_ids(self):
        self.assert_fails(NOT_FOUND, ["nosuchpod"], self.cri.PodSandboxStatus, pod_sandbox_id="nosuchpod")
        self.assert_fails(NOT_FOUND, ["nosuchctr"], self.cri.ContainerStatus, container_id="nosuchctr")
        self.assert_fails(NOT_FOUND, ["nosuchctr"], self.cri.StartContainer, container_id="nosuchctr")
        self.assert_fails(NOT_FOUND, ["nosuchctr"], self.cri.ExecSync, container_id="nosuchctr", cmd=["true"])
        self.cri.StopPodSandbox(pod_sandbox_id="nosuchpod")
        self.cri.RemovePodSandbox(pod_sandbox_id="nosuchpod")
        self.cri.StopContainer(container_id="nosuchctr")
        self.cri.RemoveContainer(container_id="nosuchctr")
        self.cri.RemoveImage(image={"image": "registry.k8s.io/no/such:1"})

    def test_missing_fields_are_named(self):
        self.assert_fails(INVALID, ["config"], self.cri.RunPodSandbox)
        self.assert_fails(INVALID, ["name"], self.cri.RunPodSandbox, config={"metadata": {"namespace": "x", "uid": "y"}})
        self.assert_fails(INVALID, ["container_id"], self.cri.StartContainer)

    def test_image_references(self):
        self.assert_fails(INVALID, ["UPPER//"], self.cri.PullImage, image={"image": "UPPER//case::"})
        pod, config = self.run_pod("noimage")
        self.assert_fails(NOT_FOUND, ["no/such"], self.cri.CreateContainer, pod_sandbox_id=pod, sandbox_config=config,
                          config={"metadata": {"name": "c"}, "image": {"image": "docker.io/no/such:1"}, "command": ["x"]})

    def test_registry_that_is_not_there(self):
        self.assert_fails(grpc.StatusCode.UNAVAILABLE, ["127.0.0.1:9"], self.cri.PullImage,
                          image={"image": "127.0.0.1:9/a/b:1"})

    def test_duplicate_name_with_another_configuration(self):
        self.run_pod("twice", labels={"a": "1"})
        self.assert_fails(grpc.StatusCode.ALREADY_EXISTS, ["twice"], self.cri.RunPodSandbox,
                          config=self.pod_config("twice", labels={"a": "2"}))

    def test_command_that_is_not_there(self):
        pod, config = self.run_pod("nocommand")
        container = self.create_container(pod, config, "c", ["nosuchprogram"])
        with self.assertRaises(grpc.RpcError) as raised:
            self.cri.StartContainer(container_id=container)
        self.assertIn('exec: "nosuchprogram": executable file not found in $PATH', raised.exception.details())
        status = self.cri.ContainerStatus(container_id=container).status
        self.assertEqual((status.state, status.exit_code, status.reason), (2, 128, "StartError"))
        running = self.run_container(pod, config, "d", ["sleep", "1000"])
        with self.assertRaises(grpc.RpcError) as raised:
            self.exec(running, "nosuchprogram")
        self.assertIn("executable file not found", raised.exception.details())

    def test_user_that_is_not_in_the_image(self):
        pod, config = self.run_pod("nouser")
        with self.assertRaises(grpc.RpcError) as raised:
            self.run_container(pod, config, "c", ["true"], linux={"security_context": {"run_as_username": "nobody-here"}})
        self.assertIn("nobody-here", raised.exception.details())

    def test_working_folder_that_is_a_file(self):
        pod, config = self.run_pod("nodir")
        with self.assertRaises(grpc.RpcError) as raised:
            self.run_container(pod, config, "c", ["true"], working_dir="/etc/passwd")
        self.assertIn("/etc/passwd", raised.exception.details())

    def test_host_path_that_is_not_there_is_made(self):
        # As containerd and CRI-O do it: the kubelet has checked what the pod's hostPath type asks for.
        folder = self.node.folder / "made/by/runtime"
        pod, config = self.run_pod("nomount")
        container = self.run_container(pod, config, "c", ["sleep", "1000"], mounts=[
            {"container_path": "/x", "host_path": str(folder)}])
        self.assertEqual(self.exec(container, "touch", "/x/y")[0], 0)
        self.assertTrue((folder / "y").exists())

    def plugin(self, script):
        """Replaces the network by one plugin made of a shell script; undone after the test."""
        conf = self.node.folder / "net.d/10-podvisor.conflist"
        good = conf.read_text()
        self.addCleanup(conf.write_text, good)
        path = self.node.folder / "cni-bin/broken"
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        conf.write_text(json.dumps({"cniVersion": "0.4.0", "name": "broken", "plugins": [{"type": "broken"}]}))

    def test_network_plugin_that_fails(self):
        self.plugin('cat >/dev/null; [ "$CNI_COMMAND" = DEL ] && exit 0\n'
                    'echo \'{"code": 7, "msg": "no more addresses"}\'; exit 1\n')
        self.assert_start_fails_clean("cni-fails", tuple(grpc.StatusCode), ["broken", "no more addresses"])

    def test_network_plugin_that_prints_garbage(self):
        self.plugin('cat >/dev/null; [ "$CNI_COMMAND" = DEL ] && exit 0\necho "hello"\n')
        self.assert_start_fails_clean("cni-garbage", tuple(grpc.StatusCode), ["broken"])

    def test_network_plugin_that_hangs(self):
        self.plugin('cat >/dev/null; [ "$CNI_COMMAND" = DEL ] && exit 0\nsleep 1000\n')
        self.assert_start_fails_clean("cni-hangs", grpc.StatusCode.DEADLINE_EXCEEDED, ["broken"])

    def test_second_daemon_on_the_same_root(self):
        done = subprocess.run([source_root() / "bazel-bin/daemon/podvisord", "--config", self.node.folder / "podvisor.yaml"],
                              capture_output=True, text=True, check=False, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("another podvisord", done.stderr)
        self.assertTrue(self.cri.Version().runtime_name)

    OVERLAY = "network:\n  cni_bin_dirs: [PLACE/cni-bin, /usr/lib/cni, /opt/cni/bin]\n  cni_timeout: 5s\n"


class BrokenNodeTest(NodeTest):
    """Daemons that can't start a VM."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")

    def run_on(self, overlay):
        """The error of RunPodSandbox on a daemon with this overlay; the machine is as before."""
        before = machine.snapshot()
        node = Node(overlay)
        try:
            node.up()
            with self.assertRaises(grpc.RpcError) as raised:
                node.cri.RunPodSandbox(config={"metadata": {"name": "a", "namespace": "b", "uid": "c"}, "linux": {}})
            node.down()
        finally:
            node.remove()
        self.assertEqual(machine.left_over(before, machine.snapshot()), {})
        return raised.exception

    def test_missing_kernel(self):
        self.assertIn("/no/such/vmlinux", self.run_on("hypervisor:\n  kernel: /no/such/vmlinux\n").details())

    def test_qemu_that_dies_at_start(self):
        error = self.run_on("hypervisor:\n  hypervisor_params: [-no-such-option]\n")
        self.assertIn("no-such-option", error.details())

    def test_agent_that_never_answers(self):
        node_dir = pathlib.Path(os.environ.get("TEST_TMPDIR", "/tmp"))
        initrd = node_dir / "empty.cpio"
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], input=b"", stdout=open(initrd, "wb"), check=True)
        error = self.run_on(f"hypervisor:\n  initrd: {initrd}\n  kernel_params: [panic=0]\nagent:\n  ready_timeout: 15s\n")
        self.assertIn("agent", error.details())
        self.assertIn("panic", error.details().lower())  # the console's tail


del NodeTest
