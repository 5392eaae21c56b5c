#!/usr/bin/env bash
# Includes go down the layers only.
set -euo pipefail
script=$(realpath tools/lint/include_direction.py)
cd "$(dirname "$(realpath WORKSPACE)")"
exec python3 "$script"
