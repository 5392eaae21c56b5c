"""Many pods kept at the same time: what memory they take, whether all of them answer."""
import pathlib
import time

from e2e.harness.memory import proportional_kib


def _available_kib():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    raise AssertionError("/proc/meminfo has no MemAvailable")


def _by_name():
    """{process name: (count, PSS in KiB)}"""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name = (entry / "comm").read_text().strip()
            except OSError:
                continue
            count, kib = found.get(name, (0, 0))
            found[name] = (count + 1, kib + proportional_kib(entry.name))
    return found


def keep(lives, count):
    """Runs `count` pods of one container, executes a program in each, removes them. Figures in KiB a pod."""
    lives.subject.settle()
    available, before, daemon = _available_kib(), _by_name(), proportional_kib(lives.subject.pid)
    pods = [lives.start(lives.config(), ", many pods") for _ in range(count)]
    try:
        lives.subject.settle()
        time.sleep(2)
        after = _by_name()
        figures = {"available memory": (available - _available_kib()) / count,
                   "daemon, PSS": (proportional_kib(lives.subject.pid) - daemon) / count}
        for name, (processes, kib) in after.items():
            more, more_kib = processes - before.get(name, (0, 0))[0], kib - before.get(name, (0, 0))[1]
            if more >= count:
                figures[f"{more // count} × {name}, PSS"] = more_kib / count
        answered = sum(lives.timed("ExecSync", container_id=container, cmd=["true"], timeout=60,
                                   kind=", many pods").exit_code == 0 for _, container in pods)
    finally:
        for pod, _ in pods:
            lives.end(pod, ", many pods")
    return figures, answered
