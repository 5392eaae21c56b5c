"""Small unary calls, by cribench: a Python client would cost more than the call."""
import re
import subprocess

from e2e.harness.node import clients

ROW = re.compile(r"^(\S.*?)\s+(\d+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)$")


def measure(socket, pods, calls):
    """{call: (min, median, p95) in ms} of Version, ListPodSandbox and ListContainers with none and with `pods` pods."""
    done = subprocess.run([clients() / "bin/cribench", "-endpoint", "unix://" + socket, "-n", "1", "-execs", "1",
                           "-pods", str(pods), "-calls", str(calls)],
                          capture_output=True, text=True, check=False, timeout=3000)
    if done.returncode != 0:
        raise AssertionError(f"cribench on {socket}: {done.stdout}{done.stderr}")
    rows = {m[1]: (float(m[3]), float(m[4]), float(m[5])) for m in map(ROW.match, done.stdout.splitlines()) if m}
    return {call: row for call, row in rows.items() if call.endswith("pods")}
