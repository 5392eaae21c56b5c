#!/usr/bin/env bash
# The .proto files in the tree are what generate.py makes of the tables.
exec python3 third_party/wire/generate.py --check
