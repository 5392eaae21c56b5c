"""Pods' lives, timed call by call with one client for all subjects."""
import concurrent.futures
import os
import shutil
import tempfile
import time


class Lives:
    """Milliseconds of each call of one subject: samples[call] is a list."""

    def __init__(self, subject):
        self.subject = subject
        self.samples = {}
        self._folder = tempfile.mkdtemp(prefix="podvisor-bench.")
        self._number = 0

    def close(self):
        shutil.rmtree(self._folder, ignore_errors=True)

    def config(self):
        self._number += 1
        name = f"bench-{self._number}"
        folder = os.path.join(self._folder, name)
        os.mkdir(folder)
        return {"metadata": {"name": name, "namespace": "bench", "uid": f"{name}-{os.getpid()}"},
                "log_directory": folder, "linux": {}}

    def timed(self, call, kind="", **request):
        """The answer; the time goes to `call` with `kind` behind it."""
        start = time.perf_counter()
        answer = getattr(self.subject.cri, call)(**request)
        took = 1000 * (time.perf_counter() - start)
        self.samples.setdefault(call + kind, []).append(took)
        return answer

    def start(self, config, kind=""):
        """A pod with a sleeping container; returns their ids."""
        begin = time.perf_counter()
        pod = self.timed("RunPodSandbox", config=config, kind=kind).pod_sandbox_id
        container = self.timed("CreateContainer", pod_sandbox_id=pod, sandbox_config=config, config={
            "metadata": {"name": "c"}, "image": {"image": self.subject.image_ref}, "command": ["sleep", "100000"],
            "log_path": "c.log", "linux": {}}, kind=kind).container_id
        self.timed("StartContainer", container_id=container, kind=kind)
        self.samples.setdefault("Run+Create+Start" + kind, []).append(1000 * (time.perf_counter() - begin))
        return pod, container

    def end(self, pod, kind=""):
        self.timed("StopPodSandbox", pod_sandbox_id=pod, kind=kind)
        self.timed("RemovePodSandbox", pod_sandbox_id=pod, kind=kind)

    def live(self, execs=5):
        """One pod from its start to its removal."""
        pod, container = self.start(self.config())
        for _ in range(execs):
            answer = self.timed("ExecSync", container_id=container, cmd=["true"], timeout=10)
            if answer.exit_code != 0:
                raise AssertionError(f"{self.subject.name}: true ended with {answer.exit_code}: {answer.stderr}")
        self.timed("PodSandboxStatus", pod_sandbox_id=pod)
        self.timed("ContainerStatus", container_id=container)
        self.end(pod)

    def burst(self, count):
        """`count` RunPodSandbox at once; their times go to "RunPodSandbox, COUNT at once", the whole to the second."""
        configs = [self.config() for _ in range(count)]
        kind = f", {count} at once"
        begin = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(count) as threads:
            pods = list(threads.map(lambda c: self.timed("RunPodSandbox", config=c, kind=kind).pod_sandbox_id, configs))
        self.samples.setdefault(f"all of {count} at once", []).append(1000 * (time.perf_counter() - begin))
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda pod: self.end(pod, ", after a burst"), pods))
