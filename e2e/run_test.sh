#!/usr/bin/env bash
# run_test.sh MODULE…: the Python of Debian's packages, whatever else is first in PATH.
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=.
exec /usr/bin/python3 -m e2e.harness.main "$@"
