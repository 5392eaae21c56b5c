#!/usr/bin/env bash
# clang-tidy finds nothing in the sources that are shipped (.clang-tidy says what it looks for). Each shard takes every
# n-th file. Generated headers come from the build: tools/test builds everything first.
set -euo pipefail
if [ -n "${TEST_SHARD_STATUS_FILE:-}" ]; then touch "$TEST_SHARD_STATUS_FILE"; fi
cd "$(dirname "$(realpath WORKSPACE)")"
mapfile -t files < <(git ls-files '*.cc' ':!*_test.cc' ':!*/testdata/*' ':!third_party' ':!*/testing/*')
failed=0
for index in "${!files[@]}"; do
  [ $((index % ${TEST_TOTAL_SHARDS:-1})) -eq "${TEST_SHARD_INDEX:-0}" ] || continue
  if ! output=$(clang-tidy --quiet "${files[index]}" -- -std=c++20 -I. -isystem bazel-bin -DNOMINMAX -DSPDLOG_COMPILED_LIB \
    -DSPDLOG_SHARED_LIB -DSPDLOG_FMT_EXTERNAL -I/usr/include/libnl3 2>&1); then
    printf '%s\n' "$output"
    failed=1
  fi
done
exit "$failed"
