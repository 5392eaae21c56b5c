#!/usr/bin/env bash
# Every C++ file is as clang-format writes it.
set -euo pipefail
cd "$(dirname "$(realpath WORKSPACE)")"
git ls-files '*.h' '*.cc' | xargs -r clang-format --dry-run -Werror
