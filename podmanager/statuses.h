// What PodManager tells of a sandbox and of a container.
#ifndef PODVISOR_PODMANAGER_STATUSES_H_
#define PODVISOR_PODMANAGER_STATUSES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "podmanager/config.pb.h"

namespace podvisor {

enum class SandboxState { kReady, kNotReady };  // as CRI shows them; finer ones are inside
enum class ContainerState { kCreated, kRunning, kExited, kUnknown };

struct SandboxStatus {
  std::string id;
  std::shared_ptr<const SandboxConfig> config;  // never null; immutable, shared with the pod manager
  std::string runtime_handler;
  SandboxState state = SandboxState::kNotReady;
  std::string reason;  // why it is not ready, for people
  absl::Time created_at;
  std::vector<std::string> ips;             // primary first
  std::map<std::string, std::string> info;  // verbose: key to JSON text
};

struct ContainerStatus {
  std::string id;
  std::string sandbox_id;
  std::shared_ptr<const ContainerConfig> config;  // likewise
  ContainerState state = ContainerState::kUnknown;
  absl::Time created_at, started_at, finished_at;  // InfinitePast() if not yet
  int exit_code = 0;
  std::string reason;  // "Completed", "Error", "OOMKilled", "StartError", "SandboxDied"...
  std::string message;
  std::string image_id;  // Image::id
  std::string image_ref;
  std::map<int, std::string> volume_image_ids;  // of image volumes, by place among the mounts
  std::string log_path;                         // absolute, empty if none was asked for
  // The effective user in the container.
  int64_t uid = 0, gid = 0;
  std::vector<int64_t> supplemental_groups;
  Resources resources;
  std::map<std::string, std::string> info;  // verbose
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_STATUSES_H_
