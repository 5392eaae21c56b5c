"""Runs cribench against podvisor and against its peer, containerd with runc, by turns in one run, and compares them.

    bazel run //e2e:benchmark -- [--rounds 3] [--lives 10] [--pods 50] [--write docs/benchmarks.md] [--overlay FILE]

Each round measures the peer and then podvisor, so that a change of the machine's load hits both. Of each call it prints
the median over all rounds of the rounds' medians, minima and 95th percentiles, and podvisor's median divided by the
peer's. Needs the clients (PODVISOR_CLIENTS, else ../shared beside the checkout), containerd and runc.
"""
import argparse
import datetime
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from e2e.harness import registry
from e2e.harness.node import Node, clients, source_root

ROW = re.compile(r"^(\S.*?)\s+(\d+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)$")


class Peer:
    """containerd in a folder of its own."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="podvisor-peer."))
        subprocess.run([clients() / "bench/peer-containerd", self.folder], check=True)
        self.socket = str(self.folder / "containerd.sock")

    def remove(self):
        pid = int((self.folder / "containerd.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        while os.path.exists(f"/proc/{pid}") and "Z" != pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]:
            time.sleep(0.05)
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            points = [line.split(" ")[4] for line in mounts if str(self.folder) in line]
        for point in reversed(points):
            subprocess.run(["umount", "-l", point], check=False)
        subprocess.run(["ip", "link", "del", "peer0"], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)


def measure(socket, lives, pods):
    """{call: (min, median, p95)} in ms, and the text of the memory table."""
    done = subprocess.run([clients() / "bin/cribench", "-endpoint", "unix://" + socket, "-n", str(lives), "-pods", str(pods)],
                          capture_output=True, text=True, check=False, timeout=3000)
    if done.returncode != 0:
        sys.exit(f"cribench on {socket}: {done.stdout}{done.stderr}")
    rows = {m[1]: (float(m[3]), float(m[4]), float(m[5])) for m in map(ROW.match, done.stdout.splitlines()) if m}
    return rows, done.stdout.partition("\n\n")[2]


def table(peer_rounds, our_rounds):
    lines = ["| call | containerd + runc: min | median | p95 ms | podvisor: min | median | p95 ms | ratio of medians |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for call in peer_rounds[0]:
        if not all(call in r for r in peer_rounds + our_rounds):
            continue
        middle = lambda rounds: [statistics.median(r[call][k] for r in rounds) for k in range(3)]
        peer, ours = middle(peer_rounds), middle(our_rounds)
        lines.append(f"| {call} | " + " | ".join(f"{v:.2f}" for v in peer + ours) + f" | {ours[1] / peer[1]:.2f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lives", type=int, default=10)
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--write", help="a Markdown file to replace")
    parser.add_argument("--overlay", help="configuration overlay for podvisor")
    arguments = parser.parse_args()
    os.environ.setdefault("PODVISOR_CLIENTS", str(source_root().parent / "shared"))
    overlay = pathlib.Path(arguments.overlay).read_text() if arguments.overlay else ""
    peer_rounds, our_rounds, memory = [], [], ""
    with registry.serving():
        node = Node(overlay)
        peer = None
        try:
            node.up()
            peer = Peer()
            for number in range(arguments.rounds):
                rows, peer_memory = measure(peer.socket, arguments.lives, arguments.pods)
                peer_rounds.append(rows)
                rows, our_memory = measure(node.socket, arguments.lives, arguments.pods)
                our_rounds.append(rows)
                memory = f"containerd + runc\n\n{peer_memory}\npodvisor\n\n{our_memory}"
                print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr)
        finally:
            if peer is not None:
                peer.remove()
            node.down()
            node.remove()
    command = f"bazel run //e2e:benchmark -- --rounds {arguments.rounds} --lives {arguments.lives} --pods {arguments.pods}"
    text = (f"# Benchmarks\n\n`{command}`\n\n{datetime.date.today()}, {os.cpu_count()} cores, "
            f"kernel {os.uname().release}, pods of podvisor in QEMU VMs"
            f"{' under TCG (no KVM)' if not re.search(r'vmx|svm', pathlib.Path('/proc/cpuinfo').read_text()) else ''}. "
            f"Medians over the rounds.\n\n{table(peer_rounds, our_rounds)}\n\n"
            f"Memory that {arguments.pods} pods of one container add, by process (last round):\n\n```\n{memory}```\n")
    print(text)
    if arguments.write:
        pathlib.Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")).joinpath(arguments.write).write_text(text)


main()
