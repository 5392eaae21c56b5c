"""ExecSync with much output, many in a row, many at once, in a real VM: right, and no memory is kept."""
import concurrent.futures
import time

from e2e.harness import memory
from e2e.harness.node import NodeTest

MIB = 1 << 20
LINE = b"0123456789abcde\n"
# What the kubelet's client takes; a little of it is the message's own.
MOST = 16 * MIB


class ExecLoadTest(NodeTest):
    def setUp(self):
        super().setUp()
        pod, config = self.run_pod("load")
        self.container = self.run_container(pod, config, "c", ["sleep", "100000"])

    def sync(self, script, timeout=300):
        return self.cri.ExecSync(container_id=self.container, cmd=["sh", "-c", script], timeout=timeout, deadline=400)

    def write(self, mib, redirect=""):
        """A script that writes so much of LINE over and over."""
        return f"yes {LINE.decode().strip()} {redirect} | head -c {mib * MIB}"

    def assert_lines(self, output):
        """LINE over and over, cut anywhere."""
        self.assertTrue((LINE * (len(output) // len(LINE) + 1)).startswith(output))

    def kept(self):
        """KiB that the daemon has, and the guest but for its page cache: its kernel, the agent, a sleeping program."""
        meminfo = dict(line.split(":") for line in self.sync("cat /proc/meminfo").stdout.decode().splitlines())
        guest = sum(int(meminfo[name].split()[0]) for name in ("AnonPages", "SUnreclaim", "KernelStack", "PageTables"))
        return memory.proportional_kib(self.node.pid()), guest

    def assert_nothing_is_kept(self, work, daemon_kib, guest_kib):
        """A hundred execs at once make what stays (threads and their memory); what `work` adds would be a leak."""
        self.at_once(100)
        daemon, guest = self.kept()
        work()
        end = time.monotonic() + 20
        while True:
            daemon_now, guest_now = self.kept()
            grown = (daemon_now - daemon, guest_now - guest)
            if (grown[0] <= daemon_kib and grown[1] <= guest_kib) or time.monotonic() > end:
                break
        print(f"daemon: {daemon} KiB, then {daemon_now}; guest: {guest} KiB, then {guest_now}", flush=True)
        self.assertLessEqual(grown[0], daemon_kib, "KiB that the daemon has grown by")
        self.assertLessEqual(grown[1], guest_kib, "KiB that the guest has grown by")

    def test_much_output_is_whole_up_to_what_a_client_takes(self):
        def work():
            done = self.sync(self.write(12) + "; exit 7")
            self.assertEqual((done.exit_code, len(done.stdout)), (7, 12 * MIB))
            self.assert_lines(done.stdout)
            done = self.sync(self.write(20) + "; exit 8")
            self.assertEqual(done.exit_code, 8)
            self.assertLessEqual(done.ByteSize(), MOST)
            self.assertGreater(len(done.stdout), MOST - 4096)
            self.assert_lines(done.stdout)
            # Both outputs have their share.
            done = self.sync(f"({self.write(20)}) >&2; {self.write(4)}")
            self.assertEqual(len(done.stdout), 4 * MIB)
            self.assertGreater(len(done.stderr), MOST - 4 * MIB - 4096)
            self.assertLessEqual(done.ByteSize(), MOST)
            self.assert_lines(done.stderr)

        # Far less than one such answer.
        self.assert_nothing_is_kept(work, daemon_kib=6144, guest_kib=1024)

    def test_a_thousand_in_a_row(self):
        def work():
            for number in range(1000):
                done = self.sync(f"echo {number}; echo e{number} >&2; exit {number % 7}")
                self.assertEqual((done.stdout, done.stderr, done.exit_code),
                                 (b"%d\n" % number, b"e%d\n" % number, number % 7))

        self.assert_nothing_is_kept(work, daemon_kib=2048, guest_kib=1024)

    def test_a_hundred_at_once(self):
        self.assert_nothing_is_kept(lambda: self.at_once(100), daemon_kib=2048, guest_kib=1024)

    def at_once(self, count):
        def one(number):
            done = self.sync(f"echo {number}; exit {number % 7}")
            return done.stdout == b"%d\n" % number and done.exit_code == number % 7

        with concurrent.futures.ThreadPoolExecutor(count) as threads:
            self.assertEqual(list(threads.map(one, range(count))), [True] * count)


del NodeTest
