// What a new daemon makes of what the one before it left.
#ifndef PODVISOR_PODMANAGER_RECOVERY_H_
#define PODVISOR_PODMANAGER_RECOVERY_H_

#include "absl/status/status.h"
#include "podmanager/pod_context.h"

namespace podvisor {

// Assumes: the state database is ours alone (StateDb locks it). A row was written before what it stands for came into
// being, and deleted after that had gone. The earlier daemon may have died between any two of its instructions, or the
// machine may have been restarted since, which ends every VM, namespace and cgroup, and empties RUN_DIR. Whatever is
// named by one of our ids in RUN_DIR, in the network's folder or among the image leases and has no row is nobody's.
//
//   sandbox    becomes
//   CREATING   undone, row deleted; a caller who asks for it meanwhile waits and then gets a new one
//   READY      taken over: VM adopted, agent connected again (not waited for), exits and logs followed from where they
//              were; FAILED with the reason if the VM has ended, its containers EXITED (255, SandboxDied)
//   STOPPING   the stop is done again and finished
//   FAILED, STOPPED   as they are
//   REMOVING   the removal is finished
//
//   VM of the pool
//              left as it is, for Factories::Start(): taken over, or ended. One that a sandbox was about to take is
//              either still the pool's or the sandbox's, never both: RecordStore::PutTaken()
//
//   container, in a sandbox that was taken over
//   CREATING   undone, row deleted
//   CREATED    as it is
//   STARTING   the guest is asked: RUNNING, or CREATED again
//   RUNNING    followed again; an exit meanwhile is reported by the guest at once
//   EXITED     as it is
//   REMOVING   the removal is finished
//
// Returns when everything is listed as what it is; undoing and finishing go on in tasks.
absl::Status Recover(PodContext& context);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_RECOVERY_H_
