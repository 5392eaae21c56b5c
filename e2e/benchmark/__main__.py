"""Measures podvisor and its peer, containerd with runc, by turns in one run, and compares them.

    bazel run //e2e:benchmark -- [--lives 30] [--bursts 3] [--pods 50] [--kept 100] [--write docs] [--only throughput|scale]

podvisor runs with cold boots, with a template and no pool, and with a pool, on exec'ed CNI plugins and on the built-in
network; all daemons are up at the same time, and each round times one pod's life on each of them, so that a change of
the machine's load hits all alike. Needs the clients (PODVISOR_CLIENTS, else ../shared beside the checkout), containerd
and runc, and a machine that does nothing else. `--only` measures one section alone (throughput on the peer and on a
pool, scale on the mock hypervisor), and with --write puts it into benchmarks.md.
"""
import argparse
import datetime
import os
import pathlib
import platform
import re
import sys

from e2e.benchmark import kept, picture, report, scale, sections, unary
from e2e.benchmark.lives import Lives
from e2e.benchmark.subjects import Peer, Podvisor
from e2e.benchmark.throughput import Throughput
from e2e.harness import registry
from e2e.harness.node import source_root

POOL = 4
COLD = "hypervisor:\n  factory: cold\n"
TEMPLATE = "hypervisor:\n  factory: template\n"
POOLED = f"hypervisor:\n  factory: pool\npool:\n  size: {POOL}\n"
BUILTIN = "cni:\n  builtin: true\n"


def log(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def make_subjects():
    return [Peer(), Podvisor("cold", COLD), Podvisor("template", TEMPLATE), Podvisor("pool", POOLED, POOL),
            Podvisor("pool, built-in network", POOLED + BUILTIN, POOL)]


def time_lives(all_lives, rounds, cold_rounds):
    for lives in all_lives:  # the first life of each warms up
        lives.subject.settle()
        lives.live()
        lives.samples.clear()
    for number in range(rounds):
        for lives in all_lives:
            if lives.subject.name == "cold" and number >= cold_rounds:
                continue
            lives.subject.settle()
            lives.live()
        log(f"round {number + 1} of {rounds}")


def time_bursts(all_lives, sizes, repeats):
    for size in sizes:
        for _ in range(repeats):
            for lives in all_lives:
                if lives.subject.name != "cold":
                    lives.subject.settle()
                    lives.burst(size)
        log(f"bursts of {size}")


def measure_throughput(all_lives, rounds, mebibytes, peer):
    """The section's text."""
    measured = {}
    try:
        for lives in all_lives:
            measured[lives.subject.name] = Throughput(lives)
        for number in range(rounds + 1):
            for one in measured.values():
                if number == 1:
                    one.samples.clear()  # the first round warms up
                one.measure(mebibytes)
            log(f"throughput, round {number} of {rounds}")
    finally:
        for one in measured.values():
            one.close()
    text = (f"{mebibytes} MiB of random bytes each way, by crictl over SPDY, {rounds} rounds by turns, start of crictl and "
            "of the program included.\n\n")
    return "## Throughput of exec and port-forward\n", text + report.rates(
        {name: one.samples for name, one in measured.items()}, peer)


def only_throughput(arguments):
    subjects, up = [Peer(), Podvisor("pool", POOLED, POOL)], []
    with registry.serving():
        try:
            for subject in subjects:
                up.append(subject)
                subject.up()
            all_lives = [Lives(subject) for subject in subjects]
            section = measure_throughput(all_lives, arguments.rounds, arguments.mebibytes, subjects[0].name)
            for lives in all_lives:
                lives.close()
        finally:
            for subject in reversed(up):
                subject.down()
    replace_section(arguments, *section)


def measure_scale(sizes):
    log("scale")
    mock = scale.Mock()
    mock.up()
    try:
        return "## Many sandboxes (mock hypervisor)\n", report.scale(scale.grow(mock, sizes))
    finally:
        mock.down()


def replace_section(arguments, heading, text):
    text = f"{heading}\n`bazel run //e2e:benchmark -- {' '.join(sys.argv[1:])}`\n\n{machine()}.\n\n{text}"
    print(text)
    if arguments.write:
        sections.replace(written(arguments) / "benchmarks.md", text)


def written(arguments):
    return pathlib.Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."), arguments.write)


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    emulated = not re.search(r"\b(vmx|svm)\b", pathlib.Path("/proc/cpuinfo").read_text())
    return (f"{datetime.date.today()}, {os.cpu_count()} cores ({model[1] if model else 'unknown'}), kernel "
            f"{platform.release()}, pods of podvisor in QEMU VMs{' under TCG (no KVM)' if emulated else ''}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lives", type=int, default=30, help="pod lives of each subject")
    parser.add_argument("--cold-lives", type=int, default=5, help="of the one that boots each VM")
    parser.add_argument("--bursts", type=int, default=3, help="times that each size of burst is run")
    parser.add_argument("--burst-sizes", default="1,10,20,40")
    parser.add_argument("--pods", type=int, default=50, help="pods that unary calls list")
    parser.add_argument("--kept", type=int, default=100, help="pods kept at once for the memory figures")
    parser.add_argument("--scale", default="10,100,1000,2000", help="sandboxes of the mock hypervisor")
    parser.add_argument("--rounds", type=int, default=5, help="of the throughput")
    parser.add_argument("--mebibytes", type=int, default=64, help="that each of them moves each way")
    parser.add_argument("--only", choices=["throughput", "scale"], help="nothing but this")
    parser.add_argument("--write", help="folder that gets benchmarks.md and benchmarks.svg")
    arguments = parser.parse_args()
    os.environ.setdefault("PODVISOR_CLIENTS", str(source_root().parent / "shared"))
    numbers = lambda text: [int(word) for word in text.split(",") if word]
    if arguments.only == "throughput":
        return only_throughput(arguments)
    if arguments.only == "scale":
        return replace_section(arguments, *measure_scale(numbers(arguments.scale)))

    subjects, up, parts = make_subjects(), [], []
    peer = subjects[0].name
    with registry.serving():
        try:
            for subject in subjects:
                up.append(subject)
                subject.up()
            all_lives = [Lives(subject) for subject in subjects]
            samples = {lives.subject.name: lives.samples for lives in all_lives}
            time_lives(all_lives, arguments.lives, arguments.cold_lives)
            parts += ["## A pod's life\n", "![medians](benchmarks.svg)\n", report.ratios(samples, peer)]
            parts += [report.details(name, series, report.CALLS) for name, series in samples.items()]
            chart = picture.draw(report.CALLS[:5] + report.CALLS[7:], {
                name: {call: report.summary(series[call])[2:4] for call in report.CALLS if call in series}
                for name, series in samples.items() if name != "cold"})
            parts += ["## Stages of RunPodSandbox\n", report.stages(
                {subject.name: subject.stages() for subject in subjects[1:]})]

            time_bursts(all_lives, numbers(arguments.burst_sizes), arguments.bursts)
            burst_calls = [call for size in numbers(arguments.burst_sizes)
                           for call in (f"RunPodSandbox, {size} at once", f"all of {size} at once")]
            parts += ["## Bursts\n"] + [report.details(name, series, burst_calls)
                                        for name, series in samples.items() if name != "cold"]

            log("unary calls")
            parts += [f"## Unary calls\n", report.unary(
                {s.name: unary.measure(s.socket, arguments.pods, 1000) for s in (subjects[0], subjects[-1])}, peer)]

            log("throughput")
            parts += measure_throughput([all_lives[0], all_lives[-1]], arguments.rounds, arguments.mebibytes, peer)

            figures = {}
            for lives in (all_lives[0], all_lives[-1]):
                log(f"{arguments.kept} pods of {lives.subject.name}")
                figures[lives.subject.name], answered = kept.keep(lives, arguments.kept)
                figures[lives.subject.name][f"pods of {arguments.kept} that answered an exec (a count)"] = answered
            parts += [f"## {arguments.kept} pods at once\n", report.memory(figures)]
            for lives in all_lives:
                lives.close()
        finally:
            for subject in reversed(up):
                subject.down()
    text = f"# Benchmarks\n\n`bazel run //e2e:benchmark -- {' '.join(sys.argv[1:])}`\n\n{machine()}.\n\n" + "\n".join(parts)
    print(text)
    if arguments.write:
        folder = written(arguments)
        (folder / "benchmarks.md").write_text(text)
        (folder / "benchmarks.svg").write_text(chart)
    if arguments.scale:
        replace_section(arguments, *measure_scale(numbers(arguments.scale)))


main()
