"""Pods on a bridge of the test's own: addresses, routes between pods and host, host ports."""
import subprocess
import time

from e2e.harness.node import NodeTest


class NetworkTest(NodeTest):
    def serve(self, name, **pod):
        sandbox, config = self.run_pod(name, **pod)
        container = self.run_container(sandbox, config, "web", ["httpd", "-f", "-p", "80", "-h", "/var/www"])
        return self.cri.PodSandboxStatus(pod_sandbox_id=sandbox).status.network.ip, container

    def assert_answers(self, url, run):
        end = time.monotonic() + 30
        while True:
            code, out = run(url)
            if code == 0:
                self.assertIn("hello from a virtual machine", out)
                return
            self.assertLess(time.monotonic(), end, f"{url}: {out}\n{self.node.log_tail()}")
            time.sleep(0.2)

    def from_host(self, url):
        done = subprocess.run(["curl", "-s", "-S", "-m", "5", url], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_pods_and_host_reach_each_other_by_pod_address(self):
        first, first_container = self.serve("first")
        second, second_container = self.serve("second")
        self.assertNotEqual(first, second)
        self.assert_answers(f"http://{first}/", self.from_host)
        self.assert_answers(f"http://{second}/", self.from_host)
        for container, target in ((first_container, second), (second_container, first)):
            self.assert_answers(f"http://{target}/", lambda url, c=container: self.exec(c, "wget", "-q", "-O", "-", url)[:2])

    def test_guest_has_what_cni_gave(self):
        sandbox, config = self.run_pod("addresses")
        container = self.run_container(sandbox, config, "c", ["sleep", "1000"])
        address = self.cri.PodSandboxStatus(pod_sandbox_id=sandbox).status.network.ip
        self.assertIn(address + "/", self.exec(container, "ip", "addr", "show", "eth0")[1])
        self.assertIn("default via", self.exec(container, "ip", "route")[1])

    def test_host_port_answers(self):
        address, _ = self.serve("port", port_mappings=[{"container_port": 80, "host_port": 18080}])
        self.assert_answers(f"http://{address}/", self.from_host)
        self.assert_answers("http://127.0.0.1:18080/", self.from_host)


del NodeTest
