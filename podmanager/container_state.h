// What may happen to a container after what.
#ifndef PODVISOR_PODMANAGER_CONTAINER_STATE_H_
#define PODVISOR_PODMANAGER_CONTAINER_STATE_H_

#include <array>

#include "absl/strings/string_view.h"
#include "podmanager/pod_manager.h"
#include "podmanager/records.pb.h"

namespace podvisor {

//                               Start                     its process ended
//   kCreating --> kCreated --> kStarting --> kRunning --------------------------> kExited --> kRemoving --> (no record)
//     |   |         |   ^          |                                                ^  ^         ^
//     |   |         |   +----------+ (recovery: the guest had not started it)       |  |         |
//     |   |         |              +-- StartError ----------------------------------+  |         |
//     |   |         +-- the sandbox stopped or died ------------------------------------+         |
//     |   |         +-- Remove ------------------------------------------------------------------+
//     |   +-- undo failed -----------------------------------------------------------------------+
//     +--> (no record): undone
//
// kCreating is not shown. kRemoving is shown as EXITED: its removal failed half-way and is tried again by whoever asks.
enum class ContainerPhase { kCreating, kCreated, kStarting, kRunning, kExited, kRemoving };

inline constexpr std::array kAllContainerPhases = {ContainerPhase::kCreating, ContainerPhase::kCreated,
                                                   ContainerPhase::kStarting, ContainerPhase::kRunning,
                                                   ContainerPhase::kExited,   ContainerPhase::kRemoving};

// Whether the diagram has this arrow.
bool CanTransition(ContainerPhase from, ContainerPhase to);
const char* Name(ContainerPhase phase);
// As CRI shows it.
ContainerState ShownAs(ContainerPhase phase);

ContainerRecord::Phase ToRecord(ContainerPhase phase);
// A number that this version does not know is kRemoving: it can be removed, nothing else.
ContainerPhase FromRecord(ContainerRecord::Phase phase);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_CONTAINER_STATE_H_
