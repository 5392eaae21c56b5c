"""What critest's JUnit report says of each spec, and what of it is as it has to be."""
import dataclasses
import xml.etree.ElementTree as ElementTree

_NAMESPACES = "a pod is a VM: the host's own namespaces can't be given to its guest"
# Specs that are left out, by a part of their names, and why.
EXCLUDED = {
    "HostIpc is true": _NAMESPACES,
    "HostNetwork is true": _NAMESPACES,
    "portforward in host network": _NAMESPACES,
    "'rshared'": "a mount that a guest's kernel makes can't appear on the host",
}
BENCHMARK = "a benchmark: with -benchmark only"


@dataclasses.dataclass(frozen=True)
class Spec:
    name: str     # without "[It]" and "[k8s.io]"
    outcome: str  # passed, failed, skipped, excluded, benchmark
    why: str      # of all but passed


def excluded_as(name):
    """Why a spec is left out; None if it is not."""
    return next((why for part, why in EXCLUDED.items() if part in name), None)


def _spec(case):
    name = case.get("name").removeprefix("[It] ").removeprefix("[k8s.io] ").strip()
    status = case.get("status")
    if status == "passed":
        return Spec(name, "passed", "")
    if status != "skipped":
        failure = case.find("failure")
        message = failure.get("message") if failure is not None else ""
        return Spec(name, "failed", (message or status).splitlines()[0])
    skipped = case.find("skipped")
    message = (skipped.get("message") if skipped is not None else "").removeprefix("skipped").strip(" -")
    if message:
        return Spec(name, "skipped", "by itself: " + message)
    if "benchmark about" in name:
        return Spec(name, "benchmark", BENCHMARK)
    return Spec(name, "excluded", excluded_as(name) or "not in this run")


def specs(report):
    """All specs of a JUnit report, in its order; the suite's own set-up and reports only if they failed."""
    found = [_spec(case) for case in ElementTree.parse(report).getroot().iter("testcase")]
    return [spec for spec in found if not spec.name.startswith("[") or spec.outcome == "failed"]
