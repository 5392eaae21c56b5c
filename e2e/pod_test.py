"""The main job in a real VM: pods, containers, execs, logs, with an image that needs no registry."""
import base64
import os
import pathlib
import time

import grpc

from e2e.harness.node import NodeTest


class PodTest(NodeTest):
    def test_container_runs_on_the_guests_kernel(self):
        pod, config = self.run_pod("kernel")
        container = self.run_container(pod, config, "c", ["sleep", "1000"])
        code, out, _ = self.exec(container, "uname", "-r")
        self.assertEqual(code, 0)
        self.assertNotEqual(out.strip(), os.uname().release)

    def test_life_of_a_pod(self):
        pod, config = self.run_pod("life", labels={"app": "web"}, annotations={"a": "b"})
        status = self.cri.PodSandboxStatus(pod_sandbox_id=pod).status
        self.assertEqual(status.state, 0)
        self.assertEqual(dict(status.labels), {"app": "web"})
        self.assertEqual(dict(status.annotations), {"a": "b"})
        self.assertTrue(status.network.ip)
        container = self.create_container(pod, config, "c", ["sleep", "1000"])
        self.assertEqual(self.cri.ContainerStatus(container_id=container).status.state, 0)
        self.cri.StartContainer(container_id=container)
        status = self.cri.ContainerStatus(container_id=container).status
        self.assertEqual(status.state, 1)
        self.assertGreater(status.started_at, status.created_at)
        self.cri.StopContainer(container_id=container, timeout=1)
        status = self.cri.ContainerStatus(container_id=container).status
        self.assertEqual((status.state, status.exit_code, status.reason), (2, 137, "Error"))
        self.assertGreater(status.finished_at, status.started_at)
        self.cri.RemoveContainer(container_id=container)
        self.assertEqual(len(self.cri.ListContainers(filter={"pod_sandbox_id": pod}).containers), 0)
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        self.assertEqual(self.cri.PodSandboxStatus(pod_sandbox_id=pod).status.state, 1)
        self.cri.RemovePodSandbox(pod_sandbox_id=pod)
        with self.assertRaises(grpc.RpcError) as raised:
            self.cri.PodSandboxStatus(pod_sandbox_id=pod)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_same_request_again_finds_the_same_pod(self):
        pod, config = self.run_pod("again")
        again, _ = self.run_pod("again")
        self.assertEqual(pod, again)
        first = self.create_container(pod, config, "c", ["sleep", "1000"])
        self.assertEqual(first, self.create_container(pod, config, "c", ["sleep", "1000"]))

    def test_exit_codes_output_and_log(self):
        pod, config = self.run_pod("logs")
        container = self.run_container(pod, config, "c", ["sh", "-c", "echo out; echo err >&2; printf rest; exit 3"])
        status = self.wait_exited(container)
        self.assertEqual((status.exit_code, status.reason), (3, "Error"))
        self.assertTrue(os.path.isabs(status.log_path))
        lines = self.log_lines(config, "c")
        self.assertCountEqual([(stream, text) for stream, _, text in lines],
                              [("stdout", "out"), ("stderr", "err"), ("stdout", "rest")])
        done = self.run_container(pod, config, "d", ["true"])
        status = self.wait_exited(done)
        self.assertEqual((status.exit_code, status.reason), (0, "Completed"))

    def test_program_without_stdin_reads_its_end(self):
        pod, config = self.run_pod("stdin")
        container = self.run_container(pod, config, "c", ["sh", "-c", "cat; echo end"])
        self.assertEqual(self.wait_exited(container, seconds=20).exit_code, 0)
        self.assertEqual(self.log_lines(config, "c"), [("stdout", "F", "end")])

    def test_exec_passes_output_code_and_both_streams(self):
        pod, config = self.run_pod("exec")
        container = self.run_container(pod, config, "c", ["sleep", "1000"])
        self.assertEqual(self.exec(container, "sh", "-c", "echo a; echo b >&2; exit 7"), (7, "a\n", "b\n"))
        code, out, _ = self.exec(container, "sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x")
        self.assertEqual((code, len(out)), (0, 1000000))

    def test_exec_time_out_kills_and_says_so(self):
        pod, config = self.run_pod("timeout")
        container = self.run_container(pod, config, "c", ["sleep", "1000"])
        with self.assertRaises(grpc.RpcError) as raised:
            self.exec(container, "sleep", "4242", timeout=1)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        processes = self.exec(container, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")[1]
        self.assertNotIn("sleep 4242", processes)
        self.assertIn("sleep 1000", processes)

    def test_host_folder_and_file_are_live(self):
        folder = self.node.folder / "volume"
        folder.mkdir(exist_ok=True)
        (folder / "from-host").write_text("one")
        pod, config = self.run_pod("volumes")
        container = self.run_container(pod, config, "c", ["sleep", "1000"], mounts=[
            {"container_path": "/data", "host_path": str(folder)},
            {"container_path": "/ro", "host_path": str(folder), "readonly": True},
            {"container_path": "/etc/motd", "host_path": str(folder / "from-host"), "readonly": True}])
        self.assertEqual(self.exec(container, "cat", "/data/from-host")[1], "one")
        self.assertEqual(self.exec(container, "cat", "/etc/motd")[1], "one")
        self.assertEqual(self.exec(container, "sh", "-c", "echo two > /data/from-guest")[0], 0)
        self.assertEqual((folder / "from-guest").read_text(), "two\n")
        self.assertNotEqual(self.exec(container, "touch", "/ro/x")[0], 0)
        (folder / "later").write_text("three")
        self.assertEqual(self.exec(container, "cat", "/data/later")[1], "three")

    def test_users_environment_and_working_folder(self):
        pod, config = self.run_pod("user")
        container = self.run_container(
            pod, config, "c", ["sleep", "1000"], working_dir="/made/by/runtime", envs=[{"key": "A", "value": base64.b64encode(b"b c").decode()}],
            **{"linux": {"security_context": {"run_as_username": "www-data", "supplemental_groups": [4242]}}})
        self.assertEqual(self.exec(container, "id", "-u")[1].strip(), "33")
        self.assertIn("4242", self.exec(container, "id", "-G")[1].split())
        self.assertEqual(self.exec(container, "pwd")[1].strip(), "/made/by/runtime")
        self.assertEqual(self.exec(container, "sh", "-c", "echo $A")[1].strip(), "b c")

    def test_pods_files(self):
        pod, config = self.run_pod("files", hostname="some-host",
                                   dns_config={"servers": ["10.9.8.7"], "searches": ["x.y"], "options": ["ndots:2"]})
        container = self.run_container(pod, config, "c", ["sleep", "1000"])
        self.assertEqual(self.exec(container, "hostname")[1].strip(), "some-host")
        resolv = self.exec(container, "cat", "/etc/resolv.conf")[1]
        for line in ("nameserver 10.9.8.7", "search x.y", "options ndots:2"):
            self.assertIn(line, resolv)
        self.assertIn("localhost", self.exec(container, "cat", "/etc/hosts")[1])

    def test_killed_vm_is_noticed_and_named(self):
        pod, config = self.run_pod("killed")
        container = self.run_container(pod, config, "c", ["sleep", "1000"])
        self.kill_vm(pod)
        status = self.wait_exited(container, seconds=20)
        self.assertNotEqual(status.exit_code, 0)
        self.assertTrue(status.reason)
        self.assertEqual(self.cri.PodSandboxStatus(pod_sandbox_id=pod).status.state, 1)

    def test_two_containers_share_the_network_and_have_roots_of_their_own(self):
        pod, config = self.run_pod("two")
        server = self.run_container(pod, config, "a", ["httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/var/www"])
        client = self.run_container(pod, config, "b", ["sleep", "1000"])
        end = time.monotonic() + 20
        while self.exec(client, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/")[0] != 0:
            self.assertLess(time.monotonic(), end)
        self.exec(server, "touch", "/only-here")
        self.assertNotEqual(self.exec(client, "ls", "/only-here")[0], 0)

    def test_logs_are_reopened(self):
        pod, config = self.run_pod("reopen")
        container = self.run_container(pod, config, "c", ["sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done"])
        path = pathlib.Path(config["log_directory"]) / "c.log"
        old = path.with_suffix(".log.1")
        os.rename(path, old)
        self.cri.ReopenContainerLog(container_id=container)
        self.assertTrue(path.exists())
        end = time.monotonic() + 20
        while not path.read_text():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.cri.StopContainer(container_id=container, timeout=0)
        numbers = [int(line.split(" ", 3)[3]) for line in (old.read_text() + path.read_text()).splitlines()]
        self.assertEqual(numbers, list(range(len(numbers))))


del NodeTest
