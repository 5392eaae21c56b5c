"""Where pods' VMs come from: asked of the daemon, waited for by its metrics."""
import json
import pathlib
import time
import urllib.request


def origin(node, pod):
    """{"origin": "pool"}, and perhaps "reason"."""
    status = node.cri.PodSandboxStatus(pod_sandbox_id=pod, verbose=True)
    return json.loads(status.info["vm_origin"])


def trace(node, pod):
    """[(stage, offset in ms, duration in ms)]"""
    status = node.cri.PodSandboxStatus(pod_sandbox_id=pod, verbose=True)
    return [(s["stage"], s["offset_ms"], s["duration_ms"]) for s in json.loads(status.info["trace"])]


def metrics(node):
    """The metrics page's samples: a dictionary of "name{labels}" to a number."""
    address = (node.folder / "metrics.addr").read_text().strip()
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as page:
        lines = page.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def _sum(samples, name, label):
    return sum(value for key, value in samples.items() if key.startswith(name + "{") and label in key)


def _wait(node, what, ready, seconds):
    end = time.monotonic() + seconds
    while not ready(metrics(node)):
        if time.monotonic() > end:
            raise AssertionError(f"no {what} after {seconds} s\n{node.log_tail()}")
        time.sleep(0.05)


def await_template(node, seconds=240):
    _wait(node, "template", lambda s: _sum(s, "podvisor_templates", 'state="ready"') >= 1, seconds)


def await_pool(node, waiting, seconds=240):
    """Until so many VMs wait and none is being made."""
    _wait(node, f"pool of {waiting}",
          lambda s: (_sum(s, "podvisor_pool_vms", 'state="waiting"') == waiting
                     and _sum(s, "podvisor_pool_vms", 'state="filling"') == 0), seconds)


def vmms(node):
    """Pids of the daemon's VMMs: named after the folders that it keeps for them."""
    names = {f"podvisor-{folder.name}," for folder in (node.folder / "run/sandboxes").iterdir()}
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text().startswith("qemu") \
                    and any(name in (entry / "cmdline").read_text() for name in names):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
