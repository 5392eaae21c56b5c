#include "podmanager/container_state.h"

namespace podvisor {

bool CanTransition(ContainerPhase from, ContainerPhase to) {
  switch (from) {
    case ContainerPhase::kCreating:
      return to == ContainerPhase::kCreated || to == ContainerPhase::kRemoving;
    case ContainerPhase::kCreated:
      return to == ContainerPhase::kStarting || to == ContainerPhase::kExited || to == ContainerPhase::kRemoving;
    case ContainerPhase::kStarting:
      return to == ContainerPhase::kRunning || to == ContainerPhase::kExited || to == ContainerPhase::kCreated;
    case ContainerPhase::kRunning:
      return to == ContainerPhase::kExited;
    case ContainerPhase::kExited:
      return to == ContainerPhase::kRemoving;
    case ContainerPhase::kRemoving:
      return false;
  }
  return false;
}

const char* Name(ContainerPhase phase) {
  switch (phase) {
    case ContainerPhase::kCreating:
      return "creating";
    case ContainerPhase::kCreated:
      return "created";
    case ContainerPhase::kStarting:
      return "starting";
    case ContainerPhase::kRunning:
      return "running";
    case ContainerPhase::kExited:
      return "exited";
    case ContainerPhase::kRemoving:
      return "removing";
  }
  return "unknown";
}

ContainerState ShownAs(ContainerPhase phase) {
  switch (phase) {
    case ContainerPhase::kCreating:
    case ContainerPhase::kCreated:
    case ContainerPhase::kStarting:
      return ContainerState::kCreated;
    case ContainerPhase::kRunning:
      return ContainerState::kRunning;
    case ContainerPhase::kExited:
    case ContainerPhase::kRemoving:
      return ContainerState::kExited;
  }
  return ContainerState::kUnknown;
}

ContainerRecord::Phase ToRecord(ContainerPhase phase) {
  switch (phase) {
    case ContainerPhase::kCreating:
      return ContainerRecord::CREATING;
    case ContainerPhase::kCreated:
      return ContainerRecord::CREATED;
    case ContainerPhase::kStarting:
      return ContainerRecord::STARTING;
    case ContainerPhase::kRunning:
      return ContainerRecord::RUNNING;
    case ContainerPhase::kExited:
      return ContainerRecord::EXITED;
    case ContainerPhase::kRemoving:
      return ContainerRecord::REMOVING;
  }
  return ContainerRecord::REMOVING;
}

ContainerPhase FromRecord(ContainerRecord::Phase phase) {
  for (ContainerPhase candidate : kAllContainerPhases) {
    if (ToRecord(candidate) == phase) return candidate;
  }
  return ContainerPhase::kRemoving;
}

}  // namespace podvisor
