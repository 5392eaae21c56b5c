#!/usr/bin/env python3
"""Fails for every #include of a layer that does not lie below its own, and for sources outside of every layer.

Bazel's visibility says the same for the targets; this says it for the files, whatever their targets are.
"""
import pathlib
import re
import subprocess
import sys

# What a folder may include besides itself, base/ and third_party/. Sibling abilities never include each other. The mock
# hypervisor serves a fake agent: the one exception, and only for it.
ALLOWED = {
    "base": set(),
    "vmm": set(),
    "vmm/mock": {"agent/fake", "agent/protocol", "vmm"},
    "netns": set(),
    "storage": set(),
    "nri": set(),
    "agent/protocol": set(),
    "agent/client": {"agent/protocol"},
    "agent/fake": {"agent/protocol"},
    "agent/guest": {"agent/protocol"},
    "podmanager": {"vmm", "agent/client", "agent/protocol", "netns", "storage"},
    "cri": {"podmanager", "storage"},
    "cli": {"cri"},
    "daemon": {"cri", "podmanager", "vmm", "agent/client", "netns", "nri", "storage", "vmm/mock"},
    "e2e": {"cri"},
}
# Tests may use the fakes.
TEST_EXTRA = {"agent/fake", "vmm/mock", "agent/client"}
# No layers: any may use them, or none does.
BESIDE = ("third_party/", "tools/")
INCLUDE = re.compile(r'^\s*#include "([^"]+)"', re.M)


def folder_of(path):
    """The longest prefix of a path that is a layer."""
    parts = pathlib.PurePosixPath(path).parts
    for length in range(len(parts) - 1, 0, -1):
        name = "/".join(parts[:length])
        if name in ALLOWED:
            return name
    return None


def is_test(path):
    return "_test." in path or "/testing/" in path or "contract_test" in path


def main():
    files = subprocess.run(["git", "ls-files", "*.h", "*.cc"], check=True, capture_output=True, text=True)
    bad, seen = [], 0
    for path in files.stdout.split():
        layer = folder_of(path)
        if layer is None:
            if not path.startswith(BESIDE):
                bad.append(f"{path}: lies in no folder that this check knows: add it to ALLOWED and to ARCHITECTURE.md")
            continue
        seen += 1
        allowed = ALLOWED[layer] | {layer, "base"} | (TEST_EXTRA if is_test(path) else set())
        for target in INCLUDE.findall(pathlib.Path(path).read_text(encoding="utf-8")):
            other = folder_of(target)
            if target.endswith(".cc"):
                bad.append(f"{path}: {target} is a source, not a header")
            if other is not None and other not in allowed:
                bad.append(f"{path}: {layer} must not include {target}")
            if other is None and "/" in target and not target.startswith(("absl/", "third_party/", "google/", "boost/", "gmock/", "gtest/", "prometheus/", "spdlog/", "yaml-cpp/", "nlohmann/", "toml++/", "CLI/", "grpcpp/")):
                bad.append(f"{path}: {target} lies in no known folder")
    if not seen:
        bad.append("no source file found: the check looked in the wrong place")
    print("\n".join(bad) if bad else f"{seen} files")
    sys.exit(1 if bad else 0)


main()
