"""C++ from .proto files by the distribution's protoc, as a genrule: no toolchain to fetch."""

load("@rules_cc//cc:defs.bzl", "cc_library")
load("//third_party:small.bzl", "SMALL")

def cc_protos(name, srcs, deps = [], lite = False, grpc = False, first_hdr = None, visibility = None):
    """A cc_library with the messages (and, if grpc, the service stubs) of srcs.

    Args:
      name: of the cc_library. `name_protos` is a filegroup of the .proto files, for others to import.
      srcs: .proto files of this package, imported by their path from the workspace.
      deps: other cc_protos that srcs import.
      lite: the files say LITE_RUNTIME and the library links protobuf-lite.
      grpc: make service stubs as well.
      first_hdr: a header that the generated sources need before any other.
      visibility: as usual.
    """
    stems = [src[:-len(".proto")] for src in srcs]
    extensions = ["pb.h", "pb.cc"] + (["grpc.pb.h", "grpc.pb.cc"] if grpc else [])
    plugin = "--grpc_out=$(GENDIR) --plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin)" if grpc else ""
    native.filegroup(
        name = name + "_protos",
        srcs = srcs + [dep + "_protos" for dep in deps],
        visibility = visibility,
    )
    native.genrule(
        name = name + "_gen",
        srcs = srcs + [dep + "_protos" for dep in deps],
        outs = ["%s.%s" % (stem, ext) for stem in stems for ext in extensions],
        cmd = "protoc -I. --cpp_out=$(GENDIR) %s %s" % (plugin, " ".join(["$(location %s)" % src for src in srcs])),
    )
    cc_library(
        name = name,
        srcs = ["%s.%s" % (stem, ext) for stem in stems for ext in extensions if ext.endswith("cc")],
        hdrs = ["%s.%s" % (stem, ext) for stem in stems for ext in extensions if ext.endswith("h")] + ([first_hdr] if first_hdr else []),
        # What is lite is also linked into the guest's agent, where size counts in every build mode.
        copts = ["-w"] + (SMALL if lite else []) +
                (["-include", native.package_name() + "/" + first_hdr] if first_hdr else []),
        deps = deps + ["@system//:protobuf_lite" if lite else "@system//:protobuf"] + (["@system//:grpc"] if grpc else []),
        visibility = visibility,
    )

def proto_descriptors(name, srcs, testonly = False):
    """One serialized FileDescriptorSet of srcs, with what they import."""
    native.genrule(
        name = name,
        srcs = srcs,
        testonly = testonly,
        outs = [name + ".bin"],
        cmd = "protoc -I. --include_imports --descriptor_set_out=$@ $$(for f in $(SRCS); do echo $$f; done)",
    )
