"""critest, the whole suite but what NOT_PASSING names, against the real daemon."""
import subprocess
import xml.etree.ElementTree as ElementTree

from e2e.harness import registry
from e2e.harness.node import NodeTest, clients

# What does not pass. The host's own namespaces can't be given to a guest; the rest is open.
NOT_PASSING = "|".join((
    "HostIpc is true", "HostNetwork is true", "portforward in host network",
    "listing pod sandbox metrics", "should support non-recursive readonly mounts",
    "should support recursive readonly mounts", "'rshared'"))


class CritestNode(NodeTest):
    @classmethod
    def setUpClass(cls):
        clients()
        cls.enterClassContext(registry.serving())
        super().setUpClass()

    def critest(self, focus, skip="", flags=()):
        """Runs the specs; fails unless all pass. Returns how many."""
        report = self.node.folder / "critest.xml"
        done = subprocess.run([clients() / "bin/critest", "-config", "/dev/null", "-runtime-endpoint",
                               "unix://" + self.node.socket, "-ginkgo.junit-report", report, "-ginkgo.focus", focus,
                               "-ginkgo.skip", skip, "-ginkgo.no-color", *flags],
                              capture_output=True, text=True, check=False, timeout=1500, cwd=self.node.folder)
        ran = [case for case in ElementTree.parse(report).getroot().iter("testcase") if case.get("status") != "skipped"]
        failed = [case.get("name") for case in ran if case.get("status") not in ("passed",)]
        self.assertEqual(failed, [], done.stdout[-8000:] + self.node.log_tail())
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        print(f"critest: {len(ran)} specs passed", flush=True)
        return len(ran)

    def tearDown(self):
        self._remove_segments_of_critest()
        super().tearDown()

    def _remove_segments_of_critest(self):
        """critest leaves two shared memory segments on the host (its own ipcmk): not ours, removed here."""
        for line in subprocess.run(["ipcs", "-m"], capture_output=True, text=True, check=True).stdout.splitlines():
            words = line.split()
            if len(words) > 5 and words[1].isdigit() and words[4] == "1048576" and words[5] == "0":
                subprocess.run(["ipcrm", "-m", words[1]], check=False)


class CritestTest(CritestNode):
    def test_whole_suite(self):
        passed = self.critest("", NOT_PASSING, ("-nri-socket", str(self.node.folder / "nri.sock")))
        self.assertGreaterEqual(passed, 114)
        self.assertEqual(len(self.node.cri.ListPodSandbox().items), 0)


class CritestStreamingTest(CritestNode):
    """Exec, attach and port-forward; of a pod in the host's network there is none."""
    SKIP = "host network"
    SPECS = 5  # the suite's own entry among them

    def test_spdy(self):
        self.assertEqual(self.critest("Streaming", self.SKIP), self.SPECS)

    def test_websocket(self):
        flags = ("-websocket-exec", "-websocket-attach", "-websocket-portforward")
        self.assertEqual(self.critest("Streaming", self.SKIP, flags), self.SPECS)


del NodeTest, CritestNode
