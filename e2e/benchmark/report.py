"""What was measured, as Markdown."""
import statistics

CALLS = ("RunPodSandbox", "CreateContainer", "StartContainer", "Run+Create+Start", "ExecSync", "PodSandboxStatus",
         "ContainerStatus", "StopPodSandbox", "RemovePodSandbox")


def quantile(values, share):
    ordered = sorted(values)
    return ordered[round(share * (len(ordered) - 1))]


def summary(values):
    """(n, min, median, p95, p99)"""
    return len(values), min(values), statistics.median(values), quantile(values, 0.95), quantile(values, 0.99)


def _table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
                     + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def ratios(subjects, peer, calls=CALLS):
    """Medians of every subject and their ratio to the peer's; subjects: {name: samples}."""
    rows = []
    for call in calls:
        base = statistics.median(subjects[peer][call]) if call in subjects[peer] else None
        cells = [call]
        for name, samples in subjects.items():
            if call not in samples:
                cells.append("")
                continue
            median = statistics.median(samples[call])
            cells.append(f"{median:.1f}" if name == peer or not base else f"{median:.1f} (**{median / base:.2f}**)")
        rows.append(cells)
    return _table(["median ms (ratio)", *subjects], rows)


def details(name, samples, calls=None):
    rows = [[call, *(str(v) if k == 0 else f"{v:.2f}" for k, v in enumerate(summary(samples[call])))]
            for call in (calls or samples) if call in samples]
    return _table([name, "n", "min ms", "median", "p95", "p99"], rows)


def rates(subjects, peer):
    """subjects: {name: {way: [MiB/s]}}; a ratio above 1 is faster than the peer."""
    rows = []
    for way, values in subjects[peer].items():
        base = statistics.median(values)
        rows.append([way] + [f"{min(s[way]):.1f} | {statistics.median(s[way]):.1f} | {max(s[way]):.1f}" + (
            "" if name == peer else f" | **{statistics.median(s[way]) / base:.2f}**") for name, s in subjects.items()])
    head = [f"{name}: min | median | max" + ("" if name == peer else " | ratio") for name in subjects]
    return _table(["MiB/s", *" | ".join(head).split(" | ")], rows)


def unary(subjects, peer):
    """subjects: {name: {call: (min, median, p95)}}"""
    rows = [[call] + [f"{rows_[call][1]:.3f}" if name == peer else
                      f"{rows_[call][1]:.3f} (**{rows_[call][1] / base[1]:.2f}**)" if call in rows_ else ""
                      for name, rows_ in subjects.items()] for call, base in subjects[peer].items()]
    return _table(["median ms (ratio)", *subjects], rows)


def memory(subjects):
    """subjects: {name: {what: KiB a pod}}"""
    return "\n".join(_table([f"{name}: KiB a pod", ""], [[what, f"{kib:.0f}"] for what, kib in figures.items()])
                     for name, figures in subjects.items())


def scale(rows):
    return _table(["sandboxes", "daemon's PSS, MiB", "ListPodSandbox, median ms"],
                  [[str(n), f"{mib:.1f}", f"{ms:.2f}"] for n, mib, ms in rows])


def stages(subjects):
    """subjects: {name: {stage: (count, mean ms)}}"""
    names = list(dict.fromkeys(stage for stages_ in subjects.values() for stage in stages_))
    return _table(["mean ms", *subjects],
                  [[stage] + [f"{s[stage][1]:.1f}" if stage in s else "" for s in subjects.values()] for stage in names])
