"""critest, the whole suite but what harness/critest.py excludes, against the real daemon."""
import collections
import os
import shutil
import subprocess

from e2e.harness import critest, registry
from e2e.harness.node import Missing, NodeTest, clients, source_root

SKIP = "|".join(critest.EXCLUDED)
WEBSOCKETS = ("-websocket-exec", "-websocket-attach", "-websocket-portforward")
# Specs that may skip themselves: the host's kernel has no AppArmor.
MAY_SKIP = ("AppArmor ",)


def ginkgo():
    """The folder of ginkgo's command, which critest runs for -parallel, or a visible skip."""
    found = shutil.which("ginkgo", path=os.pathsep.join(
        [str(source_root() / "out/bin"), str(clients() / "bin"), os.environ.get("PATH", "")]))
    if not found:
        raise Missing("critest -parallel runs ginkgo, which is not here: "
                      "GOBIN=$PWD/out/bin go install github.com/onsi/ginkgo/v2/ginkgo@v2.32.0")
    return os.path.dirname(found)


class CritestNode(NodeTest):
    @classmethod
    def setUpClass(cls):
        clients()
        cls.enterClassContext(registry.serving())
        super().setUpClass()

    def critest(self, focus, skip="", flags=(), keep="", environment=None):
        """Runs the specs; fails unless all pass but those of MAY_SKIP. Returns how many passed. `keep`: the report stays
        as out/critest/KEEP.xml."""
        report = self.node.folder / "critest.xml"
        done = subprocess.run([clients() / "bin/critest", "-config", "/dev/null", "-runtime-endpoint",
                               "unix://" + self.node.socket, "-ginkgo.junit-report", report, "-ginkgo.focus", focus,
                               "-ginkgo.skip", skip, "-ginkgo.no-color", *flags],
                              capture_output=True, text=True, check=False, timeout=1500, cwd=self.node.folder,
                              env=environment)
        self.assertTrue(report.exists(), done.stdout[-8000:] + done.stderr[-2000:])
        if keep:
            kept = source_root() / "out/critest"
            kept.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(report, kept / (keep + ".xml"))
        specs = critest.specs(report)
        bad = [spec for spec in specs if spec.outcome == "failed" or
               spec.outcome == "skipped" and not spec.name.startswith(MAY_SKIP)]
        self.assertEqual(bad, [], done.stdout[-8000:] + self.node.log_tail())
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        counts = collections.Counter(spec.outcome for spec in specs)
        print(f"critest {' '.join(flags)}: {dict(counts)}", flush=True)
        return counts["passed"]

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
    PASSED = 124

    def whole_suite(self, *flags, keep=""):
        passed = self.critest("", SKIP, ("-nri-socket", str(self.node.folder / "nri.sock"), *flags), keep)
        self.assertGreaterEqual(passed, self.PASSED)
        self.assertEqual(len(self.node.cri.ListPodSandbox().items), 0)

    def test_whole_suite(self):
        self.whole_suite(keep="whole")

    def test_whole_suite_over_websockets(self):
        self.whole_suite(*WEBSOCKETS)


class CritestParallelTest(CritestNode):
    """The suite in four processes at once."""

    def test_parallel(self):
        environment = {**os.environ, "PATH": ginkgo() + os.pathsep + os.environ["PATH"]}
        flags = ("-nri-socket", str(self.node.folder / "nri.sock"), "-parallel", "4")
        self.assertGreaterEqual(self.critest("", SKIP, flags, environment=environment), CritestTest.PASSED)
        self.assertEqual(len(self.node.cri.ListPodSandbox().items), 0)


class CritestStreamingTest(CritestNode):
    """Exec, attach and port-forward; of a pod in the host's network there is none."""
    SPECS = 4

    def test_spdy(self):
        self.assertEqual(self.critest("Streaming", SKIP), self.SPECS)

    def test_each_over_websockets(self):
        for flag in WEBSOCKETS:
            with self.subTest(flag):
                self.assertEqual(self.critest("Streaming", SKIP, (flag,)), self.SPECS)


del NodeTest, CritestNode
