// A real podvisor-agent outside of a VM, with a root file system of busybox, for tests as root.
#ifndef PODVISOR_AGENT_GUEST_TESTING_AGENT_PROCESS_H_
#define PODVISOR_AGENT_GUEST_TESTING_AGENT_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/guest/testing/ttrpc_test_client.h"
#include "agent/protocol/extension.pb.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor::guest {

class AgentProcess {
 public:
  // Why it cannot run here ("needs root"); "" if it can.
  static std::string WhyNot();

  // kOwnNetwork: in a network namespace of its own, with lo and the tap interface "tap0", both down.
  enum class Kind { kHostNetwork, kOwnNetwork };

  explicit AgentProcess(Kind kind = Kind::kHostNetwork);
  // Ends the agent, which takes its containers along, and removes all files.
  ~AgentProcess();

  TtrpcTestClient& client() { return *client_; }
  std::unique_ptr<TtrpcTestClient> Connect() const { return std::make_unique<TtrpcTestClient>(socket_path()); }
  std::string socket_path() const { return folder_ + "/agent.sock"; }
  const std::string& folder() const { return folder_; }
  std::string rootfs() const { return folder_ + "/rootfs"; }
  pid_t pid() const { return pid_; }
  // Exit status of the agent itself.
  int WaitEnd();

  // Of kAgentService, with an empty answer.
  absl::Status Do(const std::string& method, const google::protobuf::MessageLite& request);

  // A container's request as a CRI daemon would send it: capabilities of Docker's default, the usual mounts.
  grpc::CreateContainerRequest Request(const std::string& id, const std::vector<std::string>& args) const;
  absl::Status Create(const grpc::CreateContainerRequest& request);
  absl::Status Start(const std::string& id);
  absl::Status Exec(const std::string& id, const std::string& exec_id, const grpc::Process& process);
  // Extension.RunExec.
  absl::Status RunExec(const podvisor::agent::v1::RunExecRequest& request, podvisor::agent::v1::RunExecResponse* ran);
  absl::Status Remove(const std::string& id);
  absl::Status Signal(const std::string& id, const std::string& exec_id, int signal);
  // Extension.WaitExit until it has exited.
  podvisor::agent::v1::ProcessState WaitExit(const std::string& id, const std::string& exec_id = "");
  // Extension.ReadOutput to the end.
  std::string Output(const std::string& id, const std::string& exec_id = "",
                     podvisor::agent::v1::Stream stream = podvisor::agent::v1::STDOUT);
  podvisor::agent::v1::ReadOutputResponse ReadOutput(const std::string& id, const std::string& exec_id, uint64_t offset,
                                                     uint32_t max_bytes, uint32_t wait_ms);

 private:
  void MakeRootfs();

  std::string folder_;
  pid_t pid_ = -1;
  std::unique_ptr<TtrpcTestClient> client_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_TESTING_AGENT_PROCESS_H_
