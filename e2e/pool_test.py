"""The pool: pods take VMs that wait; bursts go beyond it; kill -9 at bad moments loses and doubles nothing."""
import concurrent.futures
import os
import pathlib
import shutil
import time

import grpc

from e2e.harness import factory
from e2e.harness.node import NodeTest, source_root


class PoolTest(NodeTest):
    OVERLAY = "pool:\n  size: 2\nhypervisor:\n  kernel: PLACE/vmlinux\n"

    @classmethod
    def prepare(cls):
        """A copy of the guest's kernel, so that others don't see its time change."""
        guest = pathlib.Path(os.environ.get("PODVISOR_GUEST_DIR") or source_root() / "out/guest")
        shutil.copy(guest / "vmlinux", cls.node.folder)

    def test_a_pod_takes_a_waiting_vm_and_works(self):
        factory.await_pool(self.node, 2)
        pod, config = self.run_pod("web")
        self.assertEqual(factory.origin(self.node, pod), {"origin": "pool"})
        container = self.run_container(pod, config, "c", ["sleep", "100000"])
        self.assertEqual(self.exec(container, "hostname"), (0, "web\n", ""))
        stages = {stage for stage, _, _ in factory.trace(self.node, pod)}
        self.assertLessEqual({"record", "cni", "resume", "configure", "ready", "total"}, stages)
        factory.await_pool(self.node, 2)

    def test_a_burst_beyond_the_pool_fails_nowhere(self):
        factory.await_pool(self.node, 2)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            pods = list(pool.map(lambda n: self.run_pod(f"burst{n}"), range(8)))
        origins = [factory.origin(self.node, pod)["origin"] for pod, _ in pods]
        self.assertGreaterEqual(origins.count("pool"), 2, origins)
        for pod, config in pods:
            container = self.run_container(pod, config, "c", ["sleep", "100000"])
            self.assertEqual(self.exec(container, "echo", "alive"), (0, "alive\n", ""))

    def test_idle_pool_vms_take_no_processor_time(self):
        factory.await_pool(self.node, 2)

        def ticks():
            total = 0
            for pid in factory.vmms(self.node):
                with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                    fields = stat.read().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
            return total

        self.assertEqual(len(factory.vmms(self.node)), 2)
        before = ticks()
        time.sleep(3)
        self.assertLessEqual(ticks() - before, 3, "hundredths of a second")

    def test_a_killed_daemons_pool_is_taken_over(self):
        factory.await_pool(self.node, 2)
        before = sorted(factory.vmms(self.node))
        self.node.kill()
        self.node.up()
        factory.await_pool(self.node, 2)
        self.assertEqual(sorted(factory.vmms(self.node)), before)
        pod, _ = self.run_pod("after")
        self.assertEqual(factory.origin(self.node, pod), {"origin": "pool"})

    def test_kill_while_the_pool_fills_and_vms_are_given(self):
        for delay in (0.0, 0.02, 0.1, 0.5, 2.0):
            config = self.pod_config(f"half-{delay}")
            with concurrent.futures.ThreadPoolExecutor(1) as client:
                call = client.submit(self.node.cri.RunPodSandbox, config=config)
                time.sleep(delay)
                self.node.kill()
                try:
                    call.result()
                except grpc.RpcError:
                    pass
            self.node.up()
            try:
                pod = self.node.cri.RunPodSandbox(config=config).pod_sandbox_id
            except grpc.RpcError as error:
                self.fail(f"after a kill at {delay} s: {error.details()}\n{self.node.log_tail()}")
            self.assertEqual(self.cri.PodSandboxStatus(pod_sandbox_id=pod).status.state, 0)
        factory.await_pool(self.node, 2)
        pods = self.cri.ListPodSandbox().items
        self.assertEqual(len({pod.id for pod in pods}), 5)
        self.assertEqual(len(factory.vmms(self.node)), 7, "a VM for each pod, two that wait, and no other")

    def test_kill_while_the_template_is_made(self):
        factory.await_pool(self.node, 2)
        os.utime(self.node.folder / "vmlinux")  # another guest, as far as anybody knows
        for delay in (0.5, 3.0):
            try:
                self.node.cri.RunPodSandbox(config=self.pod_config(f"new-{delay}"))
            finally:
                time.sleep(delay)
                self.node.kill()
                self.node.up()
        factory.await_pool(self.node, 2)
        pod, _ = self.run_pod("after")
        self.assertEqual(factory.origin(self.node, pod), {"origin": "pool"})
