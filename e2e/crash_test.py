"""kill -9 of the daemon at bad moments: nothing is lost, doubled or left."""
import pathlib
import threading
import time

import grpc

from e2e.harness.node import NodeTest


class CrashTest(NodeTest):
    def test_pods_logs_and_execs_survive(self):
        pods = [self.run_pod(name) for name in ("first", "second")]
        counter = self.run_container(*pods[0], "count", [
            "sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); usleep 10000; done"])
        other = self.run_container(*pods[1], "idle", ["sleep", "100000"])
        log = pathlib.Path(pods[0][1]["log_directory"]) / "count.log"
        self._wait_for_lines(log, 50)
        for _ in range(3):
            lines = len(log.read_text().splitlines())
            self.node.kill()
            time.sleep(1)  # output that nobody reads meanwhile
            self.node.up()
            for pod, _ in pods:
                self.assertEqual(self.cri.PodSandboxStatus(pod_sandbox_id=pod).status.state, 0)
            for container in (counter, other):
                self.assertEqual(self.cri.ContainerStatus(container_id=container).status.state, 1)
                self.assertEqual(self.exec(container, "echo", "alive"), (0, "alive\n", ""))
            self._wait_for_lines(log, lines + 100)
        self.cri.StopContainer(container_id=counter, timeout=0)
        numbers = [int(line.split(" ", 3)[3]) for line in log.read_text().splitlines()]
        self.assertEqual(numbers, list(range(len(numbers))))

    def test_exit_while_the_daemon_is_down_is_known_afterwards(self):
        pod, config = self.run_pod("exits")
        container = self.run_container(pod, config, "c", ["sh", "-c", "sleep 2; echo last words; exit 9"])
        self.node.kill()
        time.sleep(4)
        self.node.up()
        status = self.wait_exited(container)
        self.assertEqual(status.exit_code, 9)
        self.assertEqual(self.log_lines(config, "c"), [("stdout", "F", "last words")])

    def test_kill_while_pods_start_leaves_nothing_half_made(self):
        for delay in (0.05, 0.5, 1.5, 3):
            config = self.pod_config(f"half-{delay}")

            def run(config=config):
                try:
                    self.node.cri.RunPodSandbox(config=config)
                except grpc.RpcError:
                    pass

            thread = threading.Thread(target=run)
            thread.start()
            time.sleep(delay)
            self.node.kill()
            thread.join()
            self.node.up()
            for pod in self.cri.ListPodSandbox().items:
                self.cri.StopPodSandbox(pod_sandbox_id=pod.id)
                self.cri.RemovePodSandbox(pod_sandbox_id=pod.id)
            # What is left is looked for when the class is done.

    def test_vm_that_dies_while_the_daemon_is_down(self):
        pod, config = self.run_pod("dies")
        container = self.run_container(pod, config, "c", ["sleep", "1000"])
        self.node.kill()
        self.kill_vm(pod)
        self.node.up()
        self.assertEqual(self.cri.PodSandboxStatus(pod_sandbox_id=pod).status.state, 1)
        self.assertEqual(self.wait_exited(container).state, 2)

    def _wait_for_lines(self, path, count):
        end = time.monotonic() + 60
        while len(path.read_text().splitlines()) < count:
            self.assertLess(time.monotonic(), end, self.node.log_tail())
            time.sleep(0.05)


del NodeTest
