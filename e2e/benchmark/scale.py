"""How daemon memory and List calls grow with the number of sandboxes: on the mock hypervisor, which only pretends."""
import concurrent.futures
import json
import os
import statistics
import time

import grpc

from e2e.benchmark.subjects import Podvisor
from e2e.harness.memory import proportional_kib

OVERLAY = "hypervisor:\n  type: mock\nnetwork:\n  interworking: none\n"


class Mock(Podvisor):
    """With links of two ends: a bridge takes 1,024 ports."""

    def __init__(self):
        super().__init__("mock", OVERLAY)

    def prepare(self):
        (self.node.folder / "net.d").mkdir()
        (self.node.folder / "net.d/10-podvisor.conflist").write_text(
            json.dumps({"cniVersion": "0.4.0", "name": "podvisor", "plugins": [{"type": "ptp", "ipam": {
                "type": "host-local", "dataDir": str(self.node.folder / "ipam"), "subnet": "10.104.0.0/16"}}]}))


def _list_ms(subject, times=50):
    """Median of ListPodSandbox. The answer is not parsed: in Python that takes longer than the call."""
    taken = []
    with grpc.insecure_channel("unix://" + subject.socket,
                               options=[("grpc.max_receive_message_length", 32 << 20)]) as channel:
        call = channel.unary_unary("/runtime.v1.RuntimeService/ListPodSandbox")
        for _ in range(times):
            start = time.perf_counter()
            call(b"")
            taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def grow(subject, sizes):
    """[(sandboxes, daemon's PSS in MiB, median ms of ListPodSandbox)]; the sandboxes are removed at the end."""
    def run(number):
        name = f"scale-{number}"
        return subject.cri.RunPodSandbox(deadline=600, config={
            "metadata": {"name": name, "namespace": "bench", "uid": f"{name}-{os.getpid()}"},
            "labels": {"app": "bench", "number": str(number)}, "linux": {}}).pod_sandbox_id

    def remove(pod):
        subject.cri.StopPodSandbox(pod_sandbox_id=pod, deadline=600)
        subject.cri.RemovePodSandbox(pod_sandbox_id=pod, deadline=600)

    pods, rows = [], [(0, proportional_kib(subject.pid) / 1024, _list_ms(subject))]
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        try:
            for size in sizes:
                pods += threads.map(run, range(len(pods), size))
                rows.append((size, proportional_kib(subject.pid) / 1024, _list_ms(subject)))
        finally:
            list(threads.map(remove, pods))
    return rows
