#!/usr/bin/env bash
# Runs in the runfiles: bazel run //e2e:benchmark -- --help
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=.
exec /usr/bin/python3 -m e2e.benchmark "$@"
