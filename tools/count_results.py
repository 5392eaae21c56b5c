#!/usr/bin/env python3
"""Counts test cases of Bazel runs and prints "N passed, N failed, N skipped".

    count_results.py BUILD_EVENTS_JSON…

Reads the test.xml of every test that a run's build event file names, so neither results of earlier runs nor those of
targets that are gone are counted. A test whose report has no cases counts as one; so does one that could not run.
Exits with 1 if a test failed or none ran. Skipped cases are listed with their reasons.
"""
import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def cases(path):
    """Yields (name, outcome, detail) of a JUnit report."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name', '')}".strip(".")
        problems = case.findall("failure") + case.findall("error")
        skipped = case.find("skipped")
        if problems:
            yield name, "failed", problems[0].get("message") or ""
        elif skipped is not None or case.get("status") == "notrun" or case.get("result") == "skipped":
            yield name, "skipped", (skipped.get("message") if skipped is not None else "") or ""
        else:
            yield name, "passed", ""


def results(events):
    """Yields (target, [(name, outcome, detail)]) of the last attempt at each shard; earlier ones are named as flaky."""
    last = {}
    for line in events:
        event = json.loads(line)
        key = event.get("id", {}).get("testResult")
        if key is None:
            continue
        shard = (key["label"], key.get("shard", 1), key.get("run", 1))
        attempt = key.get("attempt", 1)
        if attempt >= last.get(shard, (0, None))[0]:
            last[shard] = (attempt, event["testResult"])
    for (label, shard, _), (attempt, result) in sorted(last.items()):
        if attempt > 1:
            print(f"flaky: {label} shard {shard} failed before attempt {attempt}")
        found = []
        for out in result.get("testActionOutput", []):
            if out["name"] != "test.xml":
                continue
            try:
                found += list(cases(urllib.parse.unquote(urllib.parse.urlparse(out["uri"]).path)))
            except (OSError, ElementTree.ParseError) as error:
                found.append(("report", "failed", str(error)))
        ok = result["status"] in ("PASSED", "FLAKY")
        if not ok and not any(outcome == "failed" for _, outcome, _ in found):
            found.append(("run", "failed", result["status"]))
        yield label, found or [("run", "passed", "")]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as events:
            for label, found in results(events):
                for name, outcome, detail in found:
                    counts[outcome] += 1
                    if outcome != "passed":
                        print(f"{outcome}: {label} {name} {detail.splitlines()[0] if detail else ''}".rstrip())
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)


main()
