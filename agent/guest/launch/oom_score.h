// How ready the kernel is to kill a process when memory runs out (proc(5): oom_score_adj).
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_OOM_SCORE_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_OOM_SCORE_H_

#include <cstdint>

#include "absl/status/status.h"

namespace podvisor::guest {

// Gives the calling process this score, unless it has inherited it: children do, and to write it costs an emulated
// processor as much as some of the namespaces of an exec. So the agent takes on a child's score before it forks, where
// it is PID 1, which the kernel never chooses.
absl::Status TakeOomScore(int64_t score);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_OOM_SCORE_H_
