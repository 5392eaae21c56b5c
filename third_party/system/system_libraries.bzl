"""Makes the distribution's libraries Bazel targets, by asking pkg-config."""

_INSTALL_HINT = "run tools/install-deps"

def _split(output):
    return [word for word in output.replace("\n", " ").split(" ") if word]

def _ask(ctx, packages):
    result = ctx.execute(["pkg-config", "--cflags", "--libs"] + packages)
    if result.return_code != 0:
        fail("pkg-config does not know %s (%s): %s" % (packages, _INSTALL_HINT, result.stderr.strip()))
    return _split(result.stdout)

def _unique_from_the_right(words):
    """Keeps the last of each word: a static linker wants a library after all who use it."""
    seen = {}
    kept = []
    for word in reversed(words):
        if word not in seen:
            seen[word] = True
            kept.append(word)
    return reversed(kept)

def _library(name, words):
    defines = [w[2:] for w in words if w.startswith("-D")]
    linkopts = [w for w in words if w.startswith("-l") or w.startswith("-L") or w.startswith("-Wl")]
    return 'cc_library(name = %r, defines = %r, linkopts = %r)\n' % (
        name,
        defines,
        _unique_from_the_right(linkopts),
    )

def _system_libraries_impl(ctx):
    build = ['load("@rules_cc//cc:defs.bzl", "cc_library")\n', 'package(default_visibility = ["//visibility:public"])\n']
    for name, packages in ctx.attr.packages.items():
        build.append(_library(name, _ask(ctx, packages)))
    for name in ctx.attr.headers_only:
        build.append(_library(name, ["-lpthread"]))
    ctx.file("BUILD", "".join(build))

system_libraries = repository_rule(
    implementation = _system_libraries_impl,
    attrs = {
        "packages": attr.string_list_dict(doc = "target name: pkg-config packages"),
        "headers_only": attr.string_list(doc = "targets that need no pkg-config file"),
    },
    local = True,
)
