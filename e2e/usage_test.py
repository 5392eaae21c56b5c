"""What pods use, what happens to them, and how their limits change, in a real VM."""
import collections
import json
import time

import grpc

from e2e.harness.node import NodeTest

MIB = 1 << 20
TYPES = ("created", "started", "stopped", "deleted")


class UsageTest(NodeTest):
    OVERLAY = "hypervisor: {default_max_memory: 512MiB, default_max_vcpus: 2}\n"

    def test_figures_are_the_guests(self):
        pod, config = self.run_pod("figures")
        busy = self.run_container(pod, config, "busy", ["sh", "-c", "while :; do :; done"])
        held = self.run_container(pod, config, "held", ["sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=20; touch /dev/shm/done; sleep 1000"])
        self.exec(held, "sh", "-c", "while [ ! -e /dev/shm/done ]; do :; done")
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

        self.check_complete(linux, stats[held], {busy: "busy", held: "held"})

        metrics = {}
        listed = self.cri.ListPodSandboxMetrics().pod_metrics[0]
        for metric in listed.metrics:
            metrics.setdefault(metric.name, metric.value.value)
        self.assertGreater(metrics["podvisor_vmm_memory_bytes"], metrics["container_memory_usage_bytes"])
        self.assertGreater(metrics["podvisor_vmm_cpu_seconds_total"], 0)
        self.assertEqual({m.container_id for m in listed.container_metrics}, {busy, held, idle})
        counts = {m.container_id: {v.name: v.value.value for v in m.metrics} for m in listed.container_metrics}
        self.assertEqual(counts[busy]["container_processes"], 1)
        self.assertIn(counts[held]["container_processes"], (1, 2))
        self.assertGreaterEqual(counts[held]["container_file_descriptors"], 3)
        self.assertEqual(counts[held]["container_sockets"], 0)
        self.assertGreater(counts[held]["container_ulimits_soft"], 0)

    def check_complete(self, linux, held, running):
        """What the kubelet's summary shows is there, and as it has to be."""
        self.assertTrue(linux.memory.HasField("available_bytes"))
        self.assertGreater(linux.memory.available_bytes.value, 32 * MIB)  # no limit: what the guest has left
        for pressure in (linux.cpu.psi, linux.memory.psi, linux.io.psi):
            self.assertTrue(pressure.HasField("Some") and pressure.HasField("Full"))
        # busy and the execs share one vCPU.
        self.assertGreater(linux.cpu.psi.Some.Total, 0)
        self.assertGreater(linux.network.default_interface.tx_bytes.value, 0)
        self.assertEqual({i.name for i in linux.network.interfaces} & {"eth0", "lo"}, set())
        self.assertIn(linux.process.process_count.value, (2, 3))  # the shell of busy; sleep, beside held's or in its place
        for container in linux.containers:
            if container.attributes.id not in running:
                continue
            with self.subTest(running[container.attributes.id]):
                for message, fields in ((container.cpu, ("usage_core_nano_seconds", "usage_nano_cores", "psi")),
                                        (container.memory, ("working_set_bytes", "available_bytes", "usage_bytes",
                                                            "rss_bytes", "page_faults", "major_page_faults", "psi")),
                                        (container.swap, ("swap_usage_bytes", "swap_available_bytes")),
                                        (container.writable_layer, ("fs_id", "used_bytes", "inodes_used")),
                                        (container.io, ("psi",))):
                    self.assertGreater(message.timestamp, 0)
                    for field in fields:
                        self.assertTrue(message.HasField(field), field)
                self.assertGreater(container.memory.rss_bytes.value, 0)
                self.assertGreater(container.memory.page_faults.value, 0)
                self.assertGreater(container.writable_layer.inodes_used.value, 0)
                self.assertLessEqual(container.memory.working_set_bytes.value, container.memory.usage_bytes.value)
        self.assertGreater(held.memory.working_set_bytes.value, 0)

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
        self.assertEqual(self.cgroup(container, "memory.max"), str(64 * MIB))
        before, cpus = self.guest(container)
        self.assertEqual(cpus, 1)

        self.cri.UpdateContainerResources(container_id=container, linux={
            "memory_limit_in_bytes": 400 * MIB, "cpu_period": 100000, "cpu_quota": 150000})
        self.assertEqual(self.cgroup(container, "memory.max"), str(400 * MIB))
        self.assertEqual(self.cgroup(container, "cpu.max"), "150000 100000")
        info = json.loads(self.cri.PodSandboxStatus(pod_sandbox_id=pod, verbose=True).info["info"])
        self.assertEqual((info["vcpus"], info["memoryBytes"]), (2, 496 * MIB))
        # The guest has what the VM got: 240 MiB more, less what its kernel keeps for their page table.
        self.wait_guest(container, lambda memory, cpus: memory > before + 230 * MIB and cpus == 2)

        self.cri.UpdateContainerResources(container_id=container, linux={"memory_limit_in_bytes": 32 * MIB})
        self.assertEqual(self.cgroup(container, "memory.max"), str(32 * MIB))
        self.assertEqual(self.cri.ContainerStatus(container_id=container).status.resources.linux.memory_limit_in_bytes,
                         32 * MIB)
        self.wait_guest(container, lambda memory, cpus: memory < before + 20 * MIB)  # vCPUs stay
        with self.assertRaises(grpc.RpcError) as refused:
            self.cri.UpdateContainerResources(container_id=container, linux={"memory_limit_in_bytes": 4096 * MIB})
        self.assertEqual(refused.exception.code(), grpc.StatusCode.OUT_OF_RANGE)
        self.assertEqual(self.cgroup(container, "memory.max"), str(32 * MIB))

    def test_a_pods_own_limits_size_its_vm(self):
        pod, config = self.run_pod("pod-limits")
        container = self.run_container(pod, config, "c", ["sleep", "1000"])
        before, _ = self.guest(container)
        self.cri.UpdatePodSandboxResources(pod_sandbox_id=pod, resources={
            "memory_limit_in_bytes": 400 * MIB, "cpu_period": 100000, "cpu_quota": 200000})
        self.wait_guest(container, lambda memory, cpus: memory > before + 230 * MIB and cpus == 2)
        self.cri.UpdatePodSandboxResources(pod_sandbox_id=pod, resources={"memory_limit_in_bytes": 100 * MIB})
        self.wait_guest(container, lambda memory, cpus: memory < before + 20 * MIB)

    def test_limits_of_every_kind(self):
        """At the start and changed in place: cpuset, swap, huge pages, and files of the cgroup by name, pids among them."""
        pod, config = self.run_pod("kinds")
        linux = {"resources": {"memory_limit_in_bytes": 64 * MIB, "memory_swap_limit_in_bytes": 80 * MIB,
                               "cpuset_cpus": "0", "hugepage_limits": [{"page_size": "2MB", "limit": 4 * MIB}],
                               "unified": {"pids.max": "50", "memory.high": str(48 * MIB)}}}
        container = self.run_container(pod, config, "c", ["sleep", "1000"], linux=linux)
        files = ("memory.max", "memory.swap.max", "cpuset.cpus", "hugetlb.2MB.max", "pids.max", "memory.high")

        def values():
            return tuple(self.cgroup(container, file) for file in files)

        self.assertEqual(values(), (str(64 * MIB), str(16 * MIB), "0", str(4 * MIB), "50", str(48 * MIB)))
        self.cri.UpdateContainerResources(container_id=container, linux={
            "memory_limit_in_bytes": 96 * MIB, "memory_swap_limit_in_bytes": 100 * MIB,
            "hugepage_limits": [{"page_size": "2MB", "limit": 2 * MIB}],
            "unified": {"pids.max": "60", "memory.high": "max"}})
        self.assertEqual(values(), (str(96 * MIB), str(4 * MIB), "0", str(2 * MIB), "60", "max"))
        # 60 and not one more.
        code, _, err = self.exec(container, "sh", "-c", "for i in $(seq 70); do sleep 20 & done; wait")
        self.assertNotEqual(code, 0)
        self.assertIn("fork", err)

        with self.assertRaises(grpc.RpcError) as refused:
            self.cri.UpdateContainerResources(container_id=container, linux={"cpuset_cpus": "7"})
        self.assertIn('cpuset.cpus = "7"', refused.exception.details())
        self.assertIn("the VM has processors 0", refused.exception.details())
        self.assertEqual(self.cgroup(container, "cpuset.cpus"), "0")

    def test_oom_scores_are_each_containers_own(self):
        """By turns, for the agent takes on the score of what it starts."""
        pod, config = self.run_pod("scores")
        keep = ["sh", "-c", "cat /proc/self/oom_score_adj >/score; exec sleep 1000"]
        containers = {score: self.run_container(pod, config, f"c{score}", keep,
                                                linux={"resources": {"oom_score_adj": score}}) for score in (100, 900)}
        show = "while [ ! -s /score ]; do :; done; exec cat /score /proc/self/oom_score_adj"
        for score in (100, 900, 900, 100):
            code, out, err = self.exec(containers[score], "sh", "-c", show)
            self.assertEqual((code, out.split()), (0, [str(score)] * 2), err)

    def cgroup(self, container, file):
        code, out, err = self.exec(container, "cat", "/sys/fs/cgroup/" + file)
        self.assertEqual(code, 0, err)
        return out.strip()

    def guest(self, container):
        """(MemTotal in bytes, processors) of the guest."""
        code, out, err = self.exec(container, "sh", "-c", "grep MemTotal /proc/meminfo; grep -c ^processor /proc/cpuinfo")
        self.assertEqual(code, 0, err)
        words = out.split()
        return int(words[1]) * 1024, int(words[3])

    def wait_guest(self, container, reached):
        """The guest's drivers take and give memory when they can."""
        end = time.monotonic() + 30
        while not reached(*self.guest(container)):
            self.assertLess(time.monotonic(), end, f"the guest still has (memory, processors) {self.guest(container)}")
            time.sleep(0.1)

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
