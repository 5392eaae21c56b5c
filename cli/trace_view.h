// How the start of a pod is shown: its stages on a common time axis.
#ifndef PODVISOR_CLI_TRACE_VIEW_H_
#define PODVISOR_CLI_TRACE_VIEW_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor::cli {

// `trace_json` is what the daemon gives as PodSandboxStatus' info["trace"]: an array of {"stage": NAME, "offset_ms": N,
// "duration_ms": N}. One line a stage, in the order of their starts, with a bar `width` characters wide at most.
// kInvalidArgument if it is something else.
absl::StatusOr<std::string> TraceView(absl::string_view trace_json, int width);

}  // namespace podvisor::cli

#endif  // PODVISOR_CLI_TRACE_VIEW_H_
