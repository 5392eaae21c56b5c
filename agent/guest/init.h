// What PID 1 of a guest owes it.
#ifndef PODVISOR_AGENT_GUEST_INIT_H_
#define PODVISOR_AGENT_GUEST_INIT_H_

#include <sys/types.h>

#include "absl/status/status.h"

namespace podvisor::guest {

// Mounts the kernel's file systems, loads the modules of /etc/podvisor/modules (paths, in order), brings lo up. A step
// that fails is logged; only what nothing works without is an error.
absl::Status SetUpGuest();

// Loads the modules of /etc/podvisor/modules.late in a child of low priority, which the caller reaps: what no pod waits
// for at its start (SCSI, memory that is plugged, free pages reported to the host). The child's pid; -1 if there is
// none.
pid_t LoadLateModules();

// For a daemon beside others: namespaces of its own, so that the pod's names and mounts do not become the machine's.
absl::Status Isolate();

// Writes back, unmounts and powers the machine off. Returns only if it may not.
void PowerOff();

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_INIT_H_
