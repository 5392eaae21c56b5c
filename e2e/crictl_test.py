"""crictl, unchanged, on images of a registry: a pod's life, step by step. crictl_tour_test has the other commands."""
import os

from e2e.harness.crictl import BUSYBOX, CrictlTest


class LifeTest(CrictlTest):
    def test_a_pods_life_by_hand(self):
        self.crictl("pull", BUSYBOX)
        self.assertIn("e2e-test-images/busybox", self.crictl("images"))
        sandbox = self.pod_config("by-hand")
        os.makedirs(sandbox["log_directory"], exist_ok=True)
        pod_file = self.write("pod.json", sandbox)
        container_file = self.write("container.json", {
            "metadata": {"name": "c"}, "image": {"image": BUSYBOX}, "log_path": "c.log", "linux": {},
            "command": ["sh", "-c", "echo started; exec sleep 1000"]})
        pod = self.crictl("runp", pod_file)
        container = self.crictl("create", pod, container_file, pod_file)
        self.crictl("start", container)
        release = self.crictl("exec", "-s", container, "uname", "-r")
        self.assertNotEqual(release, os.uname().release)
        self.assertEqual(self.crictl("logs", container), "started")
        self.assertIn(container[:13], self.crictl("ps"))
        self.assertIn(pod[:13], self.crictl("pods"))
        self.assertEqual(self.crictl_json("inspect", container)["status"]["state"], "CONTAINER_RUNNING")
        self.assertEqual(self.crictl_json("inspectp", pod)["status"]["state"], "SANDBOX_READY")
        self.crictl("stop", "-t", "1", container)
        self.crictl("rm", container)
        self.crictl("stopp", pod)
        self.crictl("rmp", pod)
        self.assertNotIn(pod[:13], self.crictl("pods"))
        self.crictl("rmi", BUSYBOX)
        self.assertNotIn("e2e-test-images/busybox", self.crictl("images"))

    def test_run_does_it_all(self):
        sandbox = self.pod_config("at-once")
        os.makedirs(sandbox["log_directory"], exist_ok=True)
        container = self.crictl("run", self.write("run-container.json", {
            "metadata": {"name": "c"}, "image": {"image": BUSYBOX}, "log_path": "c.log", "linux": {},
            "command": ["echo", "ran"]}), self.write("run-pod.json", sandbox))
        self.assertEqual(self.crictl("logs", "-f", container), "ran")
        self.crictl("rmp", "-f", "-a")
        self.assertEqual(self.crictl("pods", "-q"), "")

    def test_errors_name_what_is_missing(self):
        self.assertIn("0123456789ab", self.refused("inspectp", "0123456789ab"))
        self.assertIn("no/such-image", self.refused("pull", "registry.k8s.io/no/such-image:1"))


del CrictlTest
