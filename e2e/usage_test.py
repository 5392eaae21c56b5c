"""What pods use, what happens to them, and how their limits change, in a real VM."""
import collections
import json

import grpc

from e2e.harness.node import NodeTest

MIB = 1 << 20
TYPES = ("created", "started", "stopped", "deleted")


class UsageTest(NodeTest):
    OVERLAY = "hypervisor: {default_max_memory: 512MiB, default_max_vcpus: 2}\n"

    def test_figures_are_the_guests(self):
        pod, config = self.run_pod("figures")
        busy = self.run_container(pod, config, "busy", ["sh", "-c", "while :; do :; done"])
        held = self.run_container(pod, config, "held", ["sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=20; sleep 1000"])
        self.exec(held, "sh", "-c", "while [ ! -s /dev/shm/x ]; do :; done")
        idle = self.create_container(pod, config, "idle", ["sleep", "1000"])

        stats = {s.attributes.id: s for s in self.cri.ListContainerStats().stats}
        self.assertEqual(set(stats), {busy, held, idle})
        self.assertGreater(stats[idle].cpu.timestamp, 0)
        self.assertGreater(stats[busy].cpu.usage_core_nano_seconds.value, stats[idle].cpu.usage_core_nano_seconds.value)
        self.assertGreater(stats[busy].cpu.usage_nano_cores.value, 0)
        self.assertGreater(stats[held].memory.usage_bytes.value, 0)
        first = stats[busy].cpu.usage_core_nano_seconds.value
        self.exec(held, "sleep", "2")
        second = self.cri.ContainerStats(container_id=busy).stats.cpu.usage_core_nano_seconds.value
        self.assertGreater(second, first)

        linux = self.cri.PodSandboxStats(pod_sandbox_id=pod).stats.linux
        self.assertEqual({c.attributes.id for c in linux.containers}, {busy, held, idle})
        self.assertGreaterEqual(linux.cpu.usage_core_nano_seconds.value, second)
        self.assertEqual(linux.network.default_interface.name, "eth0")
        self.assertGreaterEqual(linux.process.process_count.value, 2)

        metrics = {}
        listed = self.cri.ListPodSandboxMetrics().pod_metrics[0]
        for metric in listed.metrics:
            metrics.setdefault(metric.name, metric.value.value)
        self.assertGreater(metrics["podvisor_vmm_memory_bytes"], metrics["container_memory_usage_bytes"])
        self.assertGreater(metrics["podvisor_vmm_cpu_seconds_total"], 0)
        self.assertEqual({m.container_id for m in listed.container_metrics}, {busy, held, idle})

    def test_events_tell_every_transition(self):
        events = self.cri.GetContainerEvents(deadline=600)
        events.initial_metadata()  # from here on nothing is lost
        pod, config = self.run_pod("events")
        container = self.run_container(pod, config, "c", ["sh", "-c", "exit 3"])
        self.wait_exited(container)
        self.cri.RemovePodSandbox(pod_sandbox_id=pod)
        got = collections.defaultdict(list)
        for event in events:
            got[event.container_id].append(TYPES[event.container_event_type])
            if event.container_id == container and got[container][-1] == "stopped":
                self.assertEqual([c.exit_code for c in event.containers_statuses], [3])
            if event.container_id == pod and got[pod][-1] == "deleted":
                break
        events.cancel()
        self.assertEqual(dict(got), {pod: list(TYPES), container: list(TYPES)})

    def test_limits_change_in_place(self):
        pod, config = self.run_pod("limits")
        linux = {"resources": {"memory_limit_in_bytes": 64 * MIB, "cpu_period": 100000, "cpu_quota": 50000}}
        container = self.run_container(pod, config, "c", ["sleep", "1000"], linux=linux)

        def cgroup(file):
            code, out, err = self.exec(container, "cat", "/sys/fs/cgroup/" + file)
            self.assertEqual(code, 0, err)
            return out.strip()

        self.assertEqual(cgroup("memory.max"), str(64 * MIB))
        self.cri.UpdateContainerResources(container_id=container, linux={
            "memory_limit_in_bytes": 400 * MIB, "cpu_period": 100000, "cpu_quota": 150000})
        self.assertEqual(cgroup("memory.max"), str(400 * MIB))
        self.assertEqual(cgroup("cpu.max"), "150000 100000")
        info = json.loads(self.cri.PodSandboxStatus(pod_sandbox_id=pod, verbose=True).info["info"])
        self.assertEqual((info["vcpus"], info["memoryBytes"]), (2, 496 * MIB))
        self.cri.UpdateContainerResources(container_id=container, linux={"memory_limit_in_bytes": 32 * MIB})
        self.assertEqual(cgroup("memory.max"), str(32 * MIB))
        self.assertEqual(self.cri.ContainerStatus(container_id=container).status.resources.linux.memory_limit_in_bytes,
                         32 * MIB)
        with self.assertRaises(grpc.RpcError) as refused:
            self.cri.UpdateContainerResources(container_id=container, linux={"memory_limit_in_bytes": 4096 * MIB})
        self.assertEqual(refused.exception.code(), grpc.StatusCode.OUT_OF_RANGE)
        self.assertEqual(cgroup("memory.max"), str(32 * MIB))

    def test_out_of_memory_is_told(self):
        pod, config = self.run_pod("oom")
        linux = {"resources": {"memory_limit_in_bytes": 15 * MIB, "memory_swap_limit_in_bytes": 15 * MIB}}
        container = self.run_container(pod, config, "c", ["sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"],
                                       linux=linux)
        status = self.wait_exited(container, 120)
        self.assertEqual((status.exit_code, status.reason), (137, "OOMKilled"))

    def test_image_volume(self):
        pod, config = self.run_pod("volume")
        mount = {"container_path": "/image", "readonly": True, "image": {"image": self.image}}
        inside = {"container_path": "/programs", "readonly": True, "image": {"image": self.image}, "image_sub_path": "bin"}
        container = self.run_container(pod, config, "c", ["sleep", "1000"], mounts=[mount, inside])
        self.assertEqual(self.exec(container, "/image/bin/sh", "-c", "exit 7")[0], 7)
        self.assertEqual(self.exec(container, "/programs/sh", "-c", "exit 8")[0], 8)
        self.assertNotEqual(self.exec(container, "touch", "/image/x")[0], 0)
        status = self.cri.ContainerStatus(container_id=container).status
        self.assertEqual({m.image.image_ref for m in status.mounts}, {status.image_id})
        with self.assertRaises(grpc.RpcError) as refused:
            self.create_container(pod, config, "d", ["sh"], mounts=[{**inside, "image_sub_path": "no/such"}])
        self.assertIn("no/such", refused.exception.details())
        with self.assertRaises(grpc.RpcError) as refused:
            self.create_container(pod, config, "e", ["sh"], mounts=[{**mount, "readonly": False}])
        self.assertEqual(refused.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)


del NodeTest
