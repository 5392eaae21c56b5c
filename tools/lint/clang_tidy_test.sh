#!/usr/bin/env bash
# clang-tidy finds nothing in the sources that are shipped (.clang-tidy says what it looks for). Generated headers come
# from the build: tools/test builds everything first.
set -euo pipefail
if [ -n "${TEST_SHARD_STATUS_FILE:-}" ]; then touch "$TEST_SHARD_STATUS_FILE"; fi
script=$(realpath tools/lint/clang_tidy.py)
cd "$(dirname "$(realpath WORKSPACE)")"
exec python3 "$script"
