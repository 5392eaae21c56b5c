"""critest's specs of the groups that podvisor passes so far, against the real daemon."""
import subprocess
import xml.etree.ElementTree as ElementTree

from e2e.harness import registry
from e2e.harness.node import NodeTest, clients

FOCUS = "|".join(("Runtime info", "Idempotence", "PodSandbox.*basic operations", "Container.*basic operations",
                  "Image Manager", "Image Consistency"))
SKIP = "stats|metrics"


class Critest(NodeTest):
    @classmethod
    def setUpClass(cls):
        clients()
        cls.enterClassContext(registry.serving())
        super().setUpClass()

    def run_specs(self, focus, skip, *flags, at_least):
        """Every spec that matches passes, and there are so many."""
        report = self.node.folder / "critest.xml"
        done = subprocess.run([clients() / "bin/critest", "-config", "/dev/null", "-runtime-endpoint",
                               "unix://" + self.node.socket, "-ginkgo.junit-report", report, "-ginkgo.focus", focus,
                               "-ginkgo.skip", skip, "-ginkgo.no-color", *flags],
                              capture_output=True, text=True, check=False, timeout=1500, cwd=self.node.folder)
        ran = [case for case in ElementTree.parse(report).getroot().iter("testcase") if case.get("status") != "skipped"]
        failed = [case.get("name") for case in ran if case.get("status") not in ("passed",)]
        self.assertEqual(failed, [], done.stdout[-8000:] + self.node.log_tail())
        self.assertGreaterEqual(len(ran), at_least, done.stdout[-8000:])
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        print(f"critest: {len(ran)} specs passed", flush=True)
        self._remove_segments_of_critest()

    def _remove_segments_of_critest(self):
        """critest leaves two shared memory segments on the host (its own ipcmk): not ours, removed here."""
        for line in subprocess.run(["ipcs", "-m"], capture_output=True, text=True, check=True).stdout.splitlines():
            words = line.split()
            if len(words) > 5 and words[1].isdigit() and words[4] == "1048576" and words[5] == "0":
                subprocess.run(["ipcrm", "-m", words[1]], check=False)


class CritestTest(Critest):
    def test_groups(self):
        self.run_specs(FOCUS, SKIP, at_least=21)


class CritestNriTest(Critest):
    def test_nri(self):
        self.run_specs(r"\bNRI\b", "^$", "-nri-socket", str(self.node.folder / "nri.sock"), at_least=13)
        self.assertEqual(len(self.node.cri.ListPodSandbox().items), 0)


del NodeTest, Critest
