#!/usr/bin/env python3
"""Writes the .proto files of this folder from the interface tables in tables/.

    generate.py [--check]     --check writes nothing and fails if a file would change

A table holds what is on the wire: packages, messages, field numbers, names and types. The .proto files add only what
protoc wants besides: the syntax line, nesting of enums and, where the guest agent uses them, the lite runtime.
"""
import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent

# Table: may its messages use the lite runtime? The guest agent is static and small, so all it speaks must.
TABLES = {"cri-v1.json": False, "kata-agent.json": True, "ttrpc.json": True, "nri.json": True}

# The lite runtime has no google.protobuf.Any: a message with the same fields is the same on the wire.
LITE_STANDINS = {"google.protobuf.Any": ("Any", [("string", "type_url", 1), ("bytes", "value", 2)])}

SCALARS = {"double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64",
           "sfixed32", "sfixed64", "bool", "string", "bytes"}


def qualify(kind, lite, package):
    """A type as protoc wants it: leading dot, so that no nested scope can shadow it."""
    if kind.startswith("map<"):
        key, value = kind[4:-1].split(",")
        return f"map<{key.strip()}, {qualify(value.strip(), lite, package)}>"
    if kind in SCALARS:
        return kind
    if lite and kind in LITE_STANDINS:
        return f".{package}.{LITE_STANDINS[kind][0]}"
    return "." + kind


def enum_lines(name, values, indent):
    lines = [f"{indent}enum {name} {{"]
    if len(set(values.values())) != len(values):
        lines.append(f"{indent}  option allow_alias = true;")
    lines += [f"{indent}  {value} = {number};" for value, number in sorted(values.items(), key=lambda v: v[1])]
    return lines + [indent + "}"]


def field_line(field, lite, package):
    label = f"{field['label']} " if field.get("label") else ""
    deprecated = " [deprecated = true]" if field.get("deprecated") else ""
    return f"{label}{qualify(field['type'], lite, package)} {field['name']} = {field['number']}{deprecated};"


def message_lines(name, message, lite, package):
    lines = [f"message {name} {{"]
    for enum, values in message.get("enums", {}).items():
        lines += enum_lines(enum, values, "  ")
    oneofs = {}
    for field in message.get("fields", []):
        if "oneof" in field:
            oneofs.setdefault(field["oneof"], []).append(field)
        else:
            lines.append("  " + field_line(field, lite, package))
    for oneof, fields in oneofs.items():
        lines += [f"  oneof {oneof} {{"] + ["    " + field_line(f, lite, package) for f in fields] + ["  }"]
    return lines + ["}"]


def render(name, table, lite):
    package = table["package"]
    lines = [f"// Made by generate.py from tables/; change those.", 'syntax = "proto3";', "", f"package {package};", ""]
    for other in table["imports"]:
        if lite and other == "google/protobuf/any.proto":
            continue
        path = other if other.startswith("google/") else f"third_party/wire/{other}"
        lines.append(f'import "{path}";')
    if lite:
        lines.append("option optimize_for = LITE_RUNTIME;")
    used = {f["type"] for m in table["messages"].values() for f in m.get("fields", [])}
    for kind, (stand_in, fields) in LITE_STANDINS.items():
        if lite and kind in used:
            lines += ["", f"// {kind} as the lite runtime can have it.", f"message {stand_in} {{"]
            lines += [f"  {t} {n} = {number};" for t, n, number in fields] + ["}"]
    for enum, values in table["enums"].items():
        lines += [""] + enum_lines(enum, values, "")
    for message, content in table["messages"].items():
        lines += [""] + message_lines(message, content, lite, package)
    for service, methods in table["services"].items():
        lines += ["", f"service {service} {{"]
        for method, io in methods.items():
            kinds = [("stream " if io[d].startswith("stream ") else "") + "." + io[d].removeprefix("stream ")
                     for d in ("in", "out")]
            lines.append(f"  rpc {method}({kinds[0]}) returns ({kinds[1]});")
        lines.append("}")
    return "\n".join(lines) + "\n"


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    stale = []
    for table_file, lite in TABLES.items():
        for name, table in json.loads((FOLDER / "tables" / table_file).read_text()).items():
            path, text = FOLDER / name, render(name, table, lite)
            if check and (not path.exists() or path.read_text() != text):
                stale.append(name)
            if not check:
                path.write_text(text)
    if stale:
        sys.exit("not what generate.py makes of the tables (run it): " + ", ".join(stale))


main()
