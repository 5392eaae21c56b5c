#!/usr/bin/env python3
"""Runs clang-tidy over the sources that are shipped, many of them as one translation unit.

Alone, a source takes 4 to 12 seconds, nearly all of it for reading and matching gRPC's, protobuf's and Boost's headers;
fifty of them as one take 40. Sources whose names don't clash are therefore included into one unit. Names clash when
two sources have the same file-local name, or one has a file-local name that the other sees in a header. What does
not compile together in spite of that is checked alone, and named: it is right, only slower.

With TEST_TOTAL_SHARDS and TEST_SHARD_INDEX of Bazel, a part of the units. Generated headers are read from bazel-bin.
"""
import functools
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

SOURCES = ["*.cc", ":!*_test.cc", ":!*_fuzz.cc", ":!*/testdata/*", ":!*/testing/*", ":!third_party"]
FLAGS = [
    "-std=c++20", "-I.", "-isystem", "bazel-bin", "-isystem", "/usr/include/libnl3", "-DNOMINMAX",
    "-DSPDLOG_COMPILED_LIB", "-DSPDLOG_SHARED_LIB", "-DSPDLOG_FMT_EXTERNAL", "-ferror-limit=0", "-Wthread-safety",
]
COMPILE_ERROR = re.compile(r"^(\S+?):\d+:\d+: error: .*\[clang-diagnostic-error\]", re.M)
NAMESPACE = re.compile(r'(?:inline )?(?:extern "C"|namespace)(?: ([\w:]+))? \{')
DECLARED = [
    re.compile(r"namespace (\w+) ="),
    re.compile(r"using (\w+) ="),
    re.compile(r"using [\w:]*?(\w+);"),
    re.compile(r"(?:class|struct|enum(?: class)?) (\w+)"),
    re.compile(r"([\w:]+)(?:\(|\[|\{| =|;|$)"),
]
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)


def bare(line):
    """A declaration's first line without template arguments and annotations."""
    line, previous = re.sub(r"(?:ABSL_\w+\([^)]*\)|\[\[.*?\]\]) ?", "", line.rstrip()), None
    while line != previous:
        line, previous = re.sub(r"<[^<>]*>", "", line), line
    return line


def declared(path):
    """Yields (namespace, name, the line if it is local to the file) of what a file declares in its namespaces: in what
    clang-format wrote, these are the lines that begin in the first column."""
    within = []
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        opened = NAMESPACE.match(line)
        if opened:
            within.append(opened[1] or "")
        elif line.startswith(("}  // namespace", "}  // extern")):
            del within[-1:]
        elif within and line[:1].isalpha() and not line.startswith(("template", "friend ")):
            local = "" in within or line.startswith(("static ", "using ", "namespace "))
            found = next(filter(None, (pattern.search(bare(line)) if pattern is DECLARED[-1] else pattern.match(bare(line))
                                       for pattern in DECLARED)), None)
            if found and "::" not in found[1]:
                yield "::".join(filter(None, within)), found[1], line if local else ""


@functools.cache
def local_names(path):
    """(namespace, name) of what is local to a source, and its declaration."""
    names = {(space, name): line for space, name, line in declared(path) if line}
    if re.search(r"^int main\(", pathlib.Path(path).read_text(encoding="utf-8"), re.M):
        names["", "main"] = "int main("
    return names


@functools.cache
def shown_names(header):
    return frozenset((space, name) for space, name, _ in declared(header))


@functools.cache
def included(path):
    """The tree's own files that a file includes directly."""
    return [name for name in INCLUDE.findall(pathlib.Path(path).read_text(encoding="utf-8")) if os.path.isfile(name)]


@functools.cache
def headers_of(source):
    """The tree's own headers that a source includes, through others too."""
    headers, todo = set(), [source]
    while todo:
        for header in included(todo.pop()):
            if header not in headers:
                headers.add(header)
                todo.append(header)
    return frozenset(headers)


@functools.cache
def seen_names(source):
    return frozenset().union(*map(shown_names, headers_of(source)))


class Unit:
    def __init__(self):
        self.sources, self.local, self.seen = [], {}, set()

    def fits(self, local, seen):
        # The same using declaration or alias twice is none too many.
        twice = (name for name in local.keys() & self.local.keys()
                 if local[name] != self.local[name] or not local[name].startswith(("using ", "namespace ")))
        return not (any(twice) or local.keys() & self.seen or self.local.keys() & seen)

    def add(self, source, local, seen):
        self.sources.append(source)
        self.local.update(local)
        self.seen |= seen


def units_of(sources):
    """Every source goes into the first unit whose names it does not clash with; those that see most come first, which
    makes the fewest units."""
    units = []
    for source in sorted(sources, key=lambda source: -len(seen_names(source))):
        local, seen = local_names(source), seen_names(source) - local_names(source).keys()
        unit = next((unit for unit in units if unit.fits(local, seen)), None)
        if unit is None:
            unit = Unit()
            units.append(unit)
        unit.add(source, local, seen)
    return [unit.sources for unit in units]


def tidy(sources):
    """(exit code, output) of clang-tidy for sources as one unit."""
    with tempfile.NamedTemporaryFile("w", suffix=".cc") as unit:
        unit.write("".join(f'#include "{source}"\n' for source in sources))
        unit.flush()
        done = subprocess.run(["clang-tidy", "--quiet", "--config-file=.clang-tidy", unit.name, "--", *FLAGS],
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


def findings_of(sources):
    """(output that is a finding, the sources that had to be checked alone)."""
    code, output = tidy(sources)
    if not COMPILE_ERROR.search(output) or len(sources) == 1:
        return (output if code else ""), []
    # The sources that an error lies in, and those that include a header that one lies in.
    named = {os.path.relpath(name) for name in COMPILE_ERROR.findall(output)}
    alone = [source for source in sources if source in named or headers_of(source) & named] or sources
    print("do not compile together, checked alone: " + " ".join(alone))
    print("\n".join(line for line in output.splitlines() if COMPILE_ERROR.match(line)))
    together = [source for source in sources if source not in alone]
    found, more = findings_of(together) if together else ("", [])
    return found + "".join(findings_of([source])[0] for source in alone), alone + more


def main():
    listed = subprocess.run(["git", "ls-files", *SOURCES], check=True, capture_output=True, text=True)
    units = units_of(listed.stdout.split())
    shards, shard = int(os.environ.get("TEST_TOTAL_SHARDS", 1)), int(os.environ.get("TEST_SHARD_INDEX", 0))
    checked, bad = 0, False
    for sources in units[shard::shards]:
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        found, alone = findings_of(sources)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
        print(f"{len(sources)} sources, {len(alone)} of them alone: {seconds:.0f} s of CPU, {ended.ru_maxrss >> 10} MB", flush=True)
        checked += len(sources)
        if found:
            print(found)
            bad = True
    if not checked and shard < len(units):
        sys.exit("no source file found: the check looked in the wrong place")
    sys.exit(1 if bad else 0)


main()
