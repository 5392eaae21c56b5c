"""Fuzz targets: tests in every build, fuzzers with --config=fuzz."""

load("@rules_cc//cc:defs.bzl", "cc_test")

def cc_fuzz_test(name, srcs, deps, max_len = 4096, tags = []):
    """A test that gives inputs to LLVMFuzzerTestOneInput, which `srcs` define.

    In an ordinary build it replays the corpus, the files of the folder NAME_corpus. With --config=fuzz it is libFuzzer,
    which begins with the corpus and goes on with inputs of its own for FUZZ_SECONDS.

    Args:
      name: ends with _fuzz.
      srcs: of the target.
      deps: what it fuzzes; //base/testing:fuzz_input is among them.
      max_len: of an input, in bytes.
      tags: beside "fuzz".
    """
    corpus = native.glob([name + "_corpus/**"])
    if not corpus:
        fail("%s has no corpus: put an input or two into the folder %s_corpus" % (name, name))
    cc_test(
        name = name,
        size = "medium",
        srcs = srcs,
        args = ["-max_len=%d" % max_len, "%s/%s_corpus" % (native.package_name(), name)],
        data = corpus,
        tags = tags + ["fuzz"],
        deps = deps + select({
            "//tools/fuzz:fuzzing": ["//base/testing:fuzzer_options"],
            "//conditions:default": ["//base/testing:replay_corpus"],
        }),
    )
