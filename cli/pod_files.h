// Where `podvisor run` has the daemon write its containers' logs.
#ifndef PODVISOR_CLI_POD_FILES_H_
#define PODVISOR_CLI_POD_FILES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace podvisor::cli {

// /var/log/podvisor/POD, mode 0750. Only pods made by `podvisor run` have one.
std::string LogFolder(const std::string& pod_name);
absl::StatusOr<std::string> MakeLogFolder(const std::string& pod_name);
// Success if there is none.
absl::Status RemoveLogFolder(const std::string& pod_name);

}  // namespace podvisor::cli

#endif  // PODVISOR_CLI_POD_FILES_H_
