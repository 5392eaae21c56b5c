"""What processes take, from /proc."""
import pathlib


def proportional_kib(pid):
    """A process' proportional set size; 0 if it has ended or is a kernel thread."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
