"""Pods on a bridge of the test's own: addresses, routes between pods and host, host ports; by programs and built in."""
import ipaddress
import json
import os
import signal
import subprocess
import time

from e2e.harness.node import NodeTest


class NetworkTest(NodeTest):
    ENVIRONMENT = {"PODVISOR_CNI": "programs", "PODVISOR_SUBNET6": "fd5e:7a::/64"}

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
        more = [ip.ip for ip in self.cri.PodSandboxStatus(pod_sandbox_id=sandbox).status.network.additional_ips]
        self.assertEqual([ip.split("::")[0] for ip in more], ["fd5e:7a"])
        self.assertIn(more[0] + "/64", self.exec(container, "ip", "addr", "show", "eth0")[1])

    def test_host_reaches_the_pod_by_ipv6(self):
        sandbox, config = self.run_pod("six")
        self.run_container(sandbox, config, "web", ["httpd", "-f", "-p", "[::]:80", "-h", "/var/www"])
        address = self.cri.PodSandboxStatus(pod_sandbox_id=sandbox).status.network.additional_ips[0].ip
        self.assert_answers(f"http://[{address}]/", self.from_host)

    def test_host_port_answers(self):
        address, _ = self.serve("port", port_mappings=[{"container_port": 80, "host_port": 18080}])
        self.assert_answers(f"http://{address}/", self.from_host)
        self.assert_answers("http://127.0.0.1:18080/", self.from_host)
        self.assert_answers(f"http://{self.node_address()}:18080/", self.from_host)

    def node_address(self):
        """The bridge's: an address of the node that is not the loopback's, on every machine."""
        conf = json.loads((self.node.folder / "net.d/10-podvisor.conflist").read_text())
        subnet = conf["plugins"][0]["ipam"]["ranges"][0][0]["subnet"]
        return str(next(ipaddress.ip_network(subnet).hosts()))


class BuiltinNetworkTest(NetworkTest):
    ENVIRONMENT = {**NetworkTest.ENVIRONMENT, "PODVISOR_CNI": "builtin"}

    def tables(self):
        listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
        return {line for line in listed.splitlines() if " podvisor_" in line}

    def test_the_firewalls_table_is_there_as_long_as_a_pod_is(self):
        before = self.tables()
        sandbox, _ = self.run_pod("only")
        self.assertEqual(len(self.tables() - before), 2)
        self.cri.StopPodSandbox(pod_sandbox_id=sandbox)
        self.assertEqual(self.tables(), before)

    def test_a_killed_daemon_keeps_host_ports(self):
        address, _ = self.serve("survivor", port_mappings=[{"container_port": 80, "host_port": 18081}])
        self.assert_answers("http://127.0.0.1:18081/", self.from_host)
        os.kill(self.node.pid(), signal.SIGKILL)
        self.node.up()
        self.assert_answers("http://127.0.0.1:18081/", self.from_host)
        second, _ = self.serve("second-after")
        self.assertNotEqual(address, second)


del NodeTest
