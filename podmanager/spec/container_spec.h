// What the agent is asked for a container, an exec or an update, made from what CRI and the image say. Pure functions:
// no I/O, thread-safe. Defaults are containerd's, so that an image behaves here as it does there.
#ifndef PODVISOR_PODMANAGER_SPEC_CONTAINER_SPEC_H_
#define PODVISOR_PODMANAGER_SPEC_CONTAINER_SPEC_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "podmanager/config.pb.h"
#include "storage/image_store.h"
#include "third_party/wire/agent.pb.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// Which agent the guest has: found out once per VM, by Extension.Hello.
enum class AgentKind {
  kPodvisor,   // with podvisor.agent.v1.Extension
  kPlainKata,  // a stock Kata agent: pod-wide sysctls go into every container's spec
};

// Borrows what the pointers show, for the call; none is null.
struct ContainerSpecInput {
  std::string container_id;
  const SandboxConfig* sandbox = nullptr;
  const ContainerConfig* config = nullptr;
  const ImageConfig* image = nullptr;
  // /etc/passwd and /etc/group of the image (RootfsLease), empty if it has none.
  const std::string* passwd = nullptr;
  const std::string* group = nullptr;
  GuestDisk disk;  // the image's
  // One per ContainerConfig::mounts, in their order: the name given to SharedFolder::Bind(), or, if it begins with '/',
  // a path in the guest.
  std::vector<std::string> mount_names;
  // Of these, by place: host paths with mounts below.
  std::set<size_t> holding_mounts;
  // Image volumes: the disk of each, by its place among the mounts. Its mount name is the path in the guest, with the
  // sub path.
  std::map<size_t, GuestDisk> volume_disks;
  std::string hostname;  // PodHostname()
  // Content of the file that a LOCALHOST seccomp profile names (LoadSeccompProfile()), else empty.
  std::string seccomp_json;
  AgentKind agent = AgentKind::kPodvisor;
};

// The effective user of the container is OCI().Process().User() of the result.
//
// Errors: kInvalidArgument naming the field (no command, unknown capability, a path that is not absolute, malformed
// seccomp profile); kNotFound for a user or group that the image lacks, naming both; kUnimplemented for what a VM can't
// give (a host device, another container's pid namespace).
absl::StatusOr<grpc::CreateContainerRequest> BuildCreateContainer(const ContainerSpecInput& input);

// The process of an exec: user, environment, folder and rights of the container's own process, with other arguments.
enum class Terminal { kNo, kYes };
absl::StatusOr<grpc::Process> BuildExecProcess(const grpc::Process& container_process,
                                               const std::vector<std::string>& command, Terminal terminal);

// `update` over `current`: zero and empty members leave what is. What ContainerStatus shows and BuildUpdate() sends.
Resources MergeResources(const Resources& current, const Resources& update);

// The whole of `resources`, for UpdateContainer.
absl::StatusOr<grpc::UpdateContainerRequest> BuildUpdate(const std::string& container_id, const Resources& resources);

// Signal that stops the container: ContainerConfig::stop_signal, else the image's, else SIGTERM. Accepts "SIGTERM",
// "TERM", "term", "15", "RTMIN+3", "SIGRTMAX-1"; kInvalidArgument names what it can't read.
absl::StatusOr<int> StopSignal(const ContainerConfig& config, const ImageConfig& image);
absl::StatusOr<int> ParseSignal(const std::string& text);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_CONTAINER_SPEC_H_
