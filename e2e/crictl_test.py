"""crictl, unchanged, on images of a registry: every step that a person at a node takes."""
import json
import os
import subprocess

from e2e.harness import registry
from e2e.harness.node import NodeTest, clients

BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.29-2"


class CrictlTest(NodeTest):
    @classmethod
    def setUpClass(cls):
        clients()
        cls.enterClassContext(registry.serving())
        super().setUpClass()

    def crictl(self, *words, check=True):
        done = subprocess.run([clients() / "bin/crictl", "-r", "unix://" + self.node.socket, "-t", "120s", *words],
                              capture_output=True, text=True, check=False, timeout=300)
        if check and done.returncode != 0:
            raise AssertionError(f"crictl {' '.join(map(str, words))}: {done.stdout}{done.stderr}\n{self.node.log_tail()}")
        return done.stdout.strip() if check else done

    def write(self, name, value):
        path = self.node.folder / name
        path.write_text(json.dumps(value))
        return str(path)

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
        self.assertEqual(json.loads(self.crictl("inspect", container))["status"]["state"], "CONTAINER_RUNNING")
        self.assertEqual(json.loads(self.crictl("inspectp", pod))["status"]["state"], "SANDBOX_READY")
        self.crictl("stop", "-t", "1", container)
        self.crictl("rm", container)
        self.crictl("stopp", pod)
        self.crictl("rmp", pod)
        self.assertNotIn(pod[:13], self.crictl("pods"))
        self.crictl("rmi", BUSYBOX)
        self.assertNotIn("e2e-test-images/busybox", self.crictl("images"))

    def test_errors_name_what_is_missing(self):
        done = self.crictl("inspectp", "0123456789ab", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("0123456789ab", done.stdout + done.stderr)
        done = self.crictl("pull", "registry.k8s.io/no/such-image:1", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no/such-image", done.stdout + done.stderr)


del NodeTest
