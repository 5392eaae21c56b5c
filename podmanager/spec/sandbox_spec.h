// What a pod's guest is told before its first container.
#ifndef PODVISOR_PODMANAGER_SPEC_SANDBOX_SPEC_H_
#define PODVISOR_PODMANAGER_SPEC_SANDBOX_SPEC_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/protocol/extension.pb.h"
#include "netns/pod_network.h"
#include "podmanager/config.pb.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

// The pod's configured name; the node's for a pod on the node's network; else the pod's metadata name. At most 63
// characters, as the kernel and DNS want it.
std::string PodHostname(const SandboxConfig& config, const std::string& node_hostname);

// Borrows what the pointers show, for the call.
struct SandboxSpecInput {
  std::string sandbox_id;
  const SandboxConfig* config = nullptr;
  const PodNetworkResult* network = nullptr;
  std::string hostname;          // PodHostname()
  std::string shared_folder_fs;  // Capabilities::shared_folder_fs: "9p", "virtiofs"; empty: no shared folder
  std::string node_resolv_conf;  // content of the node's /etc/resolv.conf: where neither the pod nor CNI names any DNS
  absl::Time now;
  std::string entropy;     // FreshEntropy(): never the same for two VMs
  uint64_t shm_bytes = 0;  // 0: 64 MiB
};

// Random bytes of the host's kernel (getrandom), 128 of them.
absl::StatusOr<std::string> FreshEntropy();

// For Extension.ConfigureSandbox. kInvalidArgument names the sysctl that is not namespaced, or the address, route or
// DNS entry that is malformed.
absl::StatusOr<agent::v1::ConfigureSandboxRequest> BuildConfigureSandbox(const SandboxSpecInput& input);

// The same in the plain Kata calls, to be made in this order, for an agent that answers UNIMPLEMENTED. Sysctls are not
// among them: see AgentKind::kPlainKata.
struct PlainSandboxCalls {
  grpc::SetGuestDateTimeRequest time;
  grpc::ReseedRandomDevRequest entropy;
  std::vector<grpc::UpdateInterfaceRequest> interfaces;
  grpc::UpdateRoutesRequest routes;              // not to be sent if empty
  grpc::AddARPNeighborsRequest neighbors;        // not to be sent if empty
  grpc::CreateSandboxRequest sandbox;            // with the pod's /dev/shm as a storage
  std::vector<grpc::CopyFileRequest> pod_files;  // hostname, hosts, resolv.conf
};
PlainSandboxCalls ToPlainCalls(const agent::v1::ConfigureSandboxRequest& request);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_SANDBOX_SPEC_H_
