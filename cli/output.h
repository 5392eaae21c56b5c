// Showing a container's output as the program would have.
#ifndef PODVISOR_CLI_OUTPUT_H_
#define PODVISOR_CLI_OUTPUT_H_

#include <functional>
#include <string>

#include "cli/client.h"
#include "cli/log_reader.h"

namespace podvisor::cli {

// To our own stdout and stderr, unbuffered.
void PrintLog(LogStream stream, absl::string_view bytes);

// Prints a container's log until it has exited; returns its status then. `on_wake` runs after every wait, which also
// ends when `wake_fd` is readable; an error of it ends the following.
absl::StatusOr<runtime::v1::ContainerStatus> FollowUntilExit(const Client& client, const std::string& container_id,
                                                             const std::string& log_path, int wake_fd,
                                                             const std::function<absl::Status()>& on_wake);

}  // namespace podvisor::cli

#endif  // PODVISOR_CLI_OUTPUT_H_
