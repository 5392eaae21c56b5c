#!/usr/bin/env bash
# The tree names no folder of a developer's machine and holds no unfinished business.
set -euo pipefail
cd "$(dirname "$(realpath WORKSPACE)")"
if git grep -nIE '(^|[^A-Za-z0-9_.])/(work|home/[a-z]+)/[a-z]' -- ':!third_party/wire/tables' ':!tools/lint' \
  ':!*testdata*' ':!*_test.cc'; then
  echo 'absolute paths of a machine (above)'
  exit 1
fi
if git grep -nIE '\b(TODO|FIXME|XXX|HACK)\b' -- ':!tools/lint'; then
  echo 'unfinished business (above): do it, or file an issue'
  exit 1
fi
