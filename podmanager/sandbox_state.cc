#include "podmanager/sandbox_state.h"

namespace podvisor {

bool CanTransition(SandboxPhase from, SandboxPhase to) {
  switch (from) {
    case SandboxPhase::kCreating:
      return to == SandboxPhase::kReady || to == SandboxPhase::kFailed;
    case SandboxPhase::kReady:
      return to == SandboxPhase::kStopping || to == SandboxPhase::kFailed;
    case SandboxPhase::kFailed:
      return to == SandboxPhase::kStopping;
    case SandboxPhase::kStopping:
      return to == SandboxPhase::kStopped || to == SandboxPhase::kFailed;
    case SandboxPhase::kStopped:
      return to == SandboxPhase::kRemoving;
    case SandboxPhase::kRemoving:
      return false;
  }
  return false;
}

const char* Name(SandboxPhase phase) {
  switch (phase) {
    case SandboxPhase::kCreating:
      return "creating";
    case SandboxPhase::kReady:
      return "ready";
    case SandboxPhase::kFailed:
      return "failed";
    case SandboxPhase::kStopping:
      return "stopping";
    case SandboxPhase::kStopped:
      return "stopped";
    case SandboxPhase::kRemoving:
      return "removing";
  }
  return "unknown";
}

SandboxState ShownAs(SandboxPhase phase) {
  return phase == SandboxPhase::kReady ? SandboxState::kReady : SandboxState::kNotReady;
}

SandboxRecord::Phase ToRecord(SandboxPhase phase) {
  switch (phase) {
    case SandboxPhase::kCreating:
      return SandboxRecord::CREATING;
    case SandboxPhase::kReady:
      return SandboxRecord::READY;
    case SandboxPhase::kFailed:
      return SandboxRecord::FAILED;
    case SandboxPhase::kStopping:
      return SandboxRecord::STOPPING;
    case SandboxPhase::kStopped:
      return SandboxRecord::STOPPED;
    case SandboxPhase::kRemoving:
      return SandboxRecord::REMOVING;
  }
  return SandboxRecord::FAILED;
}

SandboxPhase FromRecord(SandboxRecord::Phase phase) {
  for (SandboxPhase candidate : kAllSandboxPhases) {
    if (ToRecord(candidate) == phase) return candidate;
  }
  return SandboxPhase::kFailed;
}

}  // namespace podvisor
