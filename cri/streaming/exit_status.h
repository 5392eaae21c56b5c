// How a session ended, as clients of the Kubernetes streaming protocols read it.
// Source: k8s.io/apimachinery meta/v1 Status; k8s.io/apimachinery/pkg/util/remotecommand.
#ifndef PODVISOR_CRI_STREAMING_EXIT_STATUS_H_
#define PODVISOR_CRI_STREAMING_EXIT_STATUS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor::cri {

// A v1.Status: Success; Failure with reason NonZeroExitCode and the code as a cause; or InternalError. `what` is what
// failed then: "executing command in container".
std::string ExitStatusJson(const absl::StatusOr<int>& exit, absl::string_view what);

// The same for protocols before version 4: text, empty for success.
std::string ExitStatusText(const absl::StatusOr<int>& exit, absl::string_view what);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_EXIT_STATUS_H_
