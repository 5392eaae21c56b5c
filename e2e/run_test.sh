#!/usr/bin/env bash
# run_test.sh MODULE…: the Python of Debian's packages, whatever else is first in PATH. In a mount namespace whose mounts
# propagate, as a service manager's do and the kubelet wants it: in a container or a bare VM they may not.
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=.
run=(/usr/bin/python3 -m e2e.harness.main "$@")
if [ "$(id -u)" = 0 ]; then run=(unshare --mount --propagation shared "${run[@]}"); fi
exec "${run[@]}"
