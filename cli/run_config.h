// From `podvisor run`'s arguments to CRI's configurations.
#ifndef PODVISOR_CLI_RUN_CONFIG_H_
#define PODVISOR_CLI_RUN_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "third_party/wire/cri_messages.h"

namespace podvisor::cli {

struct RunArguments {
  std::string name;
  std::string image;
  std::vector<std::string> command;
  std::vector<std::string> env;      // KEY=VALUE
  std::vector<std::string> volumes;  // HOST:CONTAINER[:ro]
  std::vector<std::string> ports;    // [IP:]HOST:CONTAINER[/PROTOCOL]
  std::string working_dir;
  std::string user;    // NAME or UID, optionally :GID
  std::string memory;  // "64m"
  std::string runtime_handler;
  bool remove = false;
  bool detach = false;
};

// kInvalidArgument names the argument and its form.
absl::StatusOr<runtime::v1::PodSandboxConfig> SandboxConfigOf(const RunArguments& arguments,
                                                              const std::string& log_folder);
absl::StatusOr<runtime::v1::ContainerConfig> ContainerConfigOf(const RunArguments& arguments);

}  // namespace podvisor::cli

#endif  // PODVISOR_CLI_RUN_CONFIG_H_
