// What may happen to a sandbox after what.
#ifndef PODVISOR_PODMANAGER_SANDBOX_STATE_H_
#define PODVISOR_PODMANAGER_SANDBOX_STATE_H_

#include <array>

#include "absl/strings/string_view.h"
#include "podmanager/pod_manager.h"
#include "podmanager/records.pb.h"

namespace podvisor {

//                       VM died, or can't be adopted
//                  +-------------------------------> kFailed ----+
//                  |                       undo failed ^  ^      | Stop, Remove
//                  |                                   |  |      v
//   kCreating --> kReady --------------- Stop ---------|--|-> kStopping --> kStopped --> kRemoving --> (no record)
//      |  |                                            |  |      |                          |
//      |  +--------------------------------------------+  +------+ a step of the stop       +--> kRemoving: tried again
//      |                                                           failed; tried again
//      +--> (no record): undone
//
// kCreating is not shown to anyone: the kubelet asks again with the same attempt and finds it. kFailed and kStopped are
// both NOTREADY: the first may still own a VM, a network, a cgroup; the second owns its record and containers only.
enum class SandboxPhase { kCreating, kReady, kFailed, kStopping, kStopped, kRemoving };

inline constexpr std::array kAllSandboxPhases = {SandboxPhase::kCreating, SandboxPhase::kReady,
                                                 SandboxPhase::kFailed,   SandboxPhase::kStopping,
                                                 SandboxPhase::kStopped,  SandboxPhase::kRemoving};

// Whether the diagram has this arrow.
bool CanTransition(SandboxPhase from, SandboxPhase to);
const char* Name(SandboxPhase phase);
// As CRI shows it.
SandboxState ShownAs(SandboxPhase phase);

SandboxRecord::Phase ToRecord(SandboxPhase phase);
// A number that this version does not know is kFailed: Stop and Remove clean up whatever it was.
SandboxPhase FromRecord(SandboxRecord::Phase phase);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SANDBOX_STATE_H_
