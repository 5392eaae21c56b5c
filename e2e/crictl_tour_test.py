"""The commands that docs/crictl.md shows, by crictl itself, on one pod with two containers."""
import os
import socket
import threading
import urllib.request

from e2e.harness.crictl import BUSYBOX, CrictlTest, Terminal

TRANSPORTS = ("spdy", "websocket")
MIB = 1 << 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class TourTest(CrictlTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.crictl("pull", BUSYBOX)
        sandbox = cls.pod_config(cls, "web")
        os.makedirs(sandbox["log_directory"], exist_ok=True)
        cls.pod_file = cls.write("pod.json", sandbox)
        cls.pod = cls.crictl("runp", cls.pod_file)
        cls.shell = cls.start("shell", "sh", "-c", "echo hello; echo oops >&2; exec sleep 100000")
        cls.cat = cls.start("cat", "cat", stdin=True)

    def setUp(self):
        """The pod serves all tests; it goes with the daemon."""

    @classmethod
    def create(cls, name, *command, **more):
        return cls.crictl("create", cls.pod, cls.write(name + ".json", {
            "metadata": {"name": name}, "image": {"image": BUSYBOX}, "command": command, "log_path": name + ".log",
            "linux": {}, **more}), cls.pod_file)

    @classmethod
    def start(cls, name, *command, **more):
        container = cls.create(name, *command, **more)
        cls.crictl("start", container)
        return container

    def in_shell(self, *command):
        return self.crictl("exec", "-s", self.shell, *command)

    def test_version_info_and_runtime_config(self):
        self.assertIn("RuntimeName:  podvisor", self.crictl("version"))
        info = self.crictl_json("info")
        self.assertEqual({c["type"]: c["status"] for c in info["status"]["conditions"]},
                         {"RuntimeReady": True, "NetworkReady": True})
        self.assertEqual(info["config"]["socket"], self.node.socket)
        self.assertRegex(self.crictl("runtime-config"), r"cgroup driver: +CGROUPFS")

    def test_images(self):
        self.assertRegex(self.crictl("images"), r"e2e-test-images/busybox +1.29-2")
        image = self.crictl_json("inspecti", BUSYBOX)
        self.assertIn(BUSYBOX, image["status"]["repoTags"])
        self.assertEqual(image["info"]["imageSpec"]["os"], "linux")
        system = self.crictl_json("imagefsinfo")["status"]["imageFilesystems"][0]
        self.assertGreater(int(system["usedBytes"]["value"]), MIB)

    def test_inspect(self):
        container = self.crictl_json("inspect", self.shell)
        self.assertEqual((container["status"]["state"], container["info"]["sandboxID"]), ("CONTAINER_RUNNING", self.pod))
        pod = self.crictl_json("inspectp", self.pod)
        self.assertEqual(pod["status"]["metadata"]["name"], "web")
        self.assertIn(pod["vm_origin"]["origin"], ("pool", "template", "cold"))
        self.assertTrue(os.path.exists(f"/proc/{pod['info']['pid']}"))

    def test_stats(self):
        stats = {s["attributes"]["id"]: s for s in self.crictl_json("stats", "-o", "json")["stats"]}
        self.assertGreater(int(stats[self.shell]["memory"]["workingSetBytes"]["value"]), 0)
        self.assertIn(self.cat[:13], self.crictl("stats"))
        pod = self.crictl_json("statsp", "-o", "json")["stats"][0]
        self.assertEqual(pod["attributes"]["id"], self.pod)
        self.assertEqual(pod["linux"]["network"]["defaultInterface"]["name"], "eth0")
        self.assertIn(self.pod[:13], self.crictl("statsp"))

    def test_metrics(self):
        described = {d["name"] for d in self.crictl_json("metricdescs")["descriptors"]}
        of_pod = self.crictl_json("metricsp")["podMetrics"][0]
        told = {m["name"] for c in of_pod["containerMetrics"] for m in c["metrics"]}
        self.assertIn("container_memory_working_set_bytes", told)
        self.assertLessEqual(told | {m["name"] for m in of_pod["metrics"]}, described)

    def test_events(self):
        with self.running("events", "-o", "go-template", "--template",
                          "{{.containerId}} {{.containerEventType}}") as events:
            self.await_subscription(events)
            container = self.start("short", "sh", "-c", "exit 7")
            self.assertEqual(self.wait_exited(container).exit_code, 7)
            self.crictl("rm", container)
            seen = events.until(container + " CONTAINER_DELETED_EVENT")
        self.assertEqual([line.split()[1] for line in seen.splitlines() if line.startswith(container)],
                         [f"CONTAINER_{what}_EVENT" for what in ("CREATED", "STARTED", "STOPPED", "DELETED")])

    def await_subscription(self, events):
        """crictl does not say when it listens: containers are made until it tells of one."""
        heard = threading.Event()

        def make():
            number = 0
            while not heard.is_set():
                number += 1
                self.crictl("rm", self.create(f"probe-{number}", "true"))

        maker = threading.Thread(target=make)
        maker.start()
        try:
            events.until("CONTAINER_CREATED_EVENT")
        finally:
            heard.set()
            maker.join()

    def test_logs(self):
        self.assertEqual(set(self.crictl("logs", self.shell).splitlines()), {"hello"})
        self.assertEqual(self.crictl("logs", self.shell, check=False).stderr, "oops\n")
        self.assertEqual(self.crictl("logs", "--since", "2099-01-01T00:00:00", self.shell), "")
        self.assertRegex(self.crictl("logs", "-t", "-s", "stdout", self.shell), r"^20\d\d-.*Z hello$")
        container = self.start("ticks", "sh", "-c", "for i in 1 2 3; do echo tick $i; sleep 1; done; exit 7")
        with self.running("logs", "-f", container) as follower:
            self.assertEqual(follower.until("tick 1"), "tick 1\n")
            self.assertEqual(self.crictl_json("inspect", container)["status"]["state"], "CONTAINER_RUNNING")
            self.assertEqual(follower.until("tick 3"), "tick 2\ntick 3\n")
            self.assertEqual(follower.process.wait(timeout=60), 0)
        self.assertEqual(self.crictl("logs", "--tail", "2", container), "tick 2\ntick 3")
        self.assertIn("CONTAINER_EXITED", self.crictl("inspect", container))
        self.assertIn("is exited", self.refused("exec", "-s", container, "true"))

    def test_exec(self):
        self.assertEqual(self.in_shell("hostname"), "web")
        self.assertIn("exited with 3", self.refused("exec", "-s", self.shell, "sh", "-c", "exit 3"))
        missing = 'exec: "no-such-command": executable file not found in $PATH'
        self.assertEqual(self.refused("exec", "-s", self.shell, "no-such-command").replace("\\", "").count(missing), 2)
        for transport in TRANSPORTS:
            with self.subTest(transport):
                how = ("exec", "-r", transport)
                self.assertEqual(self.crictl(*how, "-i", self.shell, "cat", stdin="typed"), "typed")
                self.assertIn("exit code 4", self.refused(*how, self.shell, "sh", "-c", "exit 4"))
                said = self.refused(*how, self.shell, "no-such-command").replace("\\", "")
                self.assertIn("error executing command in container: " + missing, said)

    def test_exec_on_a_terminal_follows_its_size(self):
        for transport in TRANSPORTS:
            with self.subTest(transport):
                words = self.words("exec", "-r", transport, "-it", self.shell, "sh")
                with Terminal(words, rows=24, columns=80) as terminal:
                    terminal.until("# ")
                    terminal.say("stty size; tty\n")
                    self.assertIn("24 80", terminal.until("/dev/pts/"))
                    terminal.until("# ")
                    terminal.say("echo wait''ing; while [ \"$(stty size)\" != '50 132' ]; do :; done; echo re''sized\n")
                    terminal.until("waiting")
                    terminal.resize(50, 132)
                    terminal.until("resized")
                    terminal.say("exit 5\n")
                    terminal.until("exit code 5")
                    self.assertEqual(terminal.wait(), 1)

    def test_attach(self):
        for transport in TRANSPORTS:
            with self.subTest(transport), self.running("attach", "-r", transport, "-i", self.cat) as attached:
                attached.say(f"over {transport}\n")
                self.assertEqual(attached.until(transport), f"over {transport}\n")
        self.assertEqual(self.crictl("logs", self.cat).splitlines(), [f"over {t}" for t in TRANSPORTS])

    def test_port_forward(self):
        self.in_shell("sh", "-c", "mkdir -p /tmp/www; echo page >/tmp/www/index.html; "
                                  "httpd -p 127.0.0.1:8004 -h /tmp/www; httpd -p '[::1]:8006' -h /tmp/www")
        for transport in TRANSPORTS:
            with self.subTest(transport):
                v4, v6, nobody = free_port(), free_port(), free_port()
                with self.running("port-forward", "-r", transport, self.pod, f"{v4}:8004", f"{v6}:8006",
                                  f"{nobody}:8009") as forwarder:
                    forwarder.until(f"127.0.0.1:{nobody}")
                    for port in (v4, v6):
                        with urllib.request.urlopen(f"http://127.0.0.1:{port}/index.html", timeout=60) as page:
                            self.assertEqual(page.read(), b"page\n")
                    with socket.create_connection(("127.0.0.1", nobody), timeout=60) as refused:
                        self.assertEqual(refused.recv(1), b"")
                    self.assertIn("dial tcp 127.0.0.1:8009: connect: Connection refused",
                                  forwarder.until("Connection refused"))

    def test_update(self):
        self.crictl("update", "--memory", 100 * MIB, "--cpu-quota", 50000, "--cpu-period", 100000, self.shell)
        self.assertEqual(self.in_shell("cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/cpu.max").splitlines(),
                         [str(100 * MIB), "50000 100000"])
        limits = self.crictl_json("inspect", self.shell)["status"]["resources"]["linux"]
        self.assertEqual(limits["memoryLimitInBytes"], str(100 * MIB))
        said = self.refused("update", "--memory", 1 << 40, self.shell)
        self.assertIn("OutOfRange", said)
        self.assertIn("default_max_memory", said)

    def test_checkpoint_says_why_not(self):
        said = self.refused("checkpoint", "--export", self.node.folder / "checkpoint.tar", self.shell)
        self.assertIn("FailedPrecondition", said)
        self.assertIn("a single container of a VM can't be checkpointed", said)


del CrictlTest
