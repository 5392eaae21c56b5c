// How far a sandbox or container has come, as events tell it.
#ifndef PODVISOR_PODMANAGER_EVENTS_LIFE_STAGE_H_
#define PODVISOR_PODMANAGER_EVENTS_LIFE_STAGE_H_

#include "podmanager/container_state.h"
#include "podmanager/sandbox_state.h"

namespace podvisor {

// In this order. Some leave one out: a container that is removed before it was started.
enum class LifeStage { kNone, kCreated, kStarted, kStopped, kDeleted };

inline LifeStage StageOf(ContainerPhase phase) {
  switch (phase) {
    case ContainerPhase::kCreating:
      return LifeStage::kNone;
    case ContainerPhase::kCreated:
    case ContainerPhase::kStarting:
      return LifeStage::kCreated;
    case ContainerPhase::kRunning:
      return LifeStage::kStarted;
    case ContainerPhase::kExited:
    case ContainerPhase::kRemoving:
      return LifeStage::kStopped;
  }
  return LifeStage::kNone;
}

inline LifeStage StageOf(SandboxPhase phase) {
  switch (phase) {
    case SandboxPhase::kCreating:
      return LifeStage::kNone;
    case SandboxPhase::kReady:
    case SandboxPhase::kStopping:
      return LifeStage::kStarted;
    case SandboxPhase::kFailed:
    case SandboxPhase::kStopped:
    case SandboxPhase::kRemoving:
      return LifeStage::kStopped;
  }
  return LifeStage::kNone;
}

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_EVENTS_LIFE_STAGE_H_
