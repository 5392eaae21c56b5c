"""What a machine holds that a pod may have left behind: to be compared before and after."""
import os
import pathlib
import subprocess


def _lines(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return set(done.stdout.splitlines())


def _processes():
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        name = os.path.basename(command.split(" ")[0]) if command else ""
        if name.startswith(("qemu-system", "virtiofsd", "podvisord", "firecracker", "cloud-hyperv")):
            found.add(f"{entry.name} {command[:160]}")
    return found


def _mounts():
    """Mount points, without those that other tests' processes make in folders of their own."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        return {line.split(" ")[4] for line in mounts}


def _links():
    return {line.split(": ")[1].split("@")[0] for line in _lines("ip", "-o", "link") if ": " in line}


def _cgroups():
    return {str(p) for p in pathlib.Path("/sys/fs/cgroup").rglob("podvisor*") if p.is_dir()}


def _rules():
    keep = set()
    for tool in ("iptables-save", "ip6tables-save"):
        keep |= {f"{tool}: {line}" for line in _lines(tool) if line.startswith("-A")}
    return keep | {line for line in _lines("nft", "list", "tables") if " podvisor_" in line}


def snapshot():
    """A dictionary of sets; the same machine gives the same value."""
    return {"processes": _processes(), "netns": set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set(),
            "links": _links(), "mounts": _mounts(), "cgroups": _cgroups(), "rules": _rules()}


def left_over(before, after):
    """What is in `after` and was not in `before`, by kind; empty if nothing is."""
    return {kind: sorted(after[kind] - before[kind]) for kind in after if after[kind] - before[kind]}
