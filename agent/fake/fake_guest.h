// The state of a fake guest: what its agent's calls do to it.
#ifndef PODVISOR_AGENT_FAKE_FAKE_GUEST_H_
#define PODVISOR_AGENT_FAKE_FAKE_GUEST_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/fake/fake_process.h"
#include "agent/protocol/extension.pb.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

// One method per call, with the errors of the real agents: kNotFound for an unknown container or process,
// kFailedPrecondition for one in the wrong state, kAlreadyExists for an id in use. For the event loop's thread.
class FakeGuest {
 public:
  template <typename Response>
  using Answer = std::function<void(absl::StatusOr<Response>)>;

  explicit FakeGuest(boost::asio::io_context& context) : context_(context) {}
  ~FakeGuest() { Reset(); }

  // Everything is gone, as after a boot.
  void Reset();

  // Sandbox and network: fake_guest.cc.
  absl::Status CreateSandbox(const grpc::CreateSandboxRequest& request);
  absl::Status DestroySandbox(const grpc::DestroySandboxRequest& request);
  absl::Status ConfigureSandbox(const agent::v1::ConfigureSandboxRequest& request);
  absl::StatusOr<types::Interface> UpdateInterface(const grpc::UpdateInterfaceRequest& request);
  absl::StatusOr<grpc::Routes> UpdateRoutes(const grpc::UpdateRoutesRequest& request);
  absl::StatusOr<grpc::Interfaces> ListInterfaces(const grpc::ListInterfacesRequest& request);
  absl::StatusOr<grpc::Routes> ListRoutes(const grpc::ListRoutesRequest& request);
  absl::Status AddARPNeighbors(const grpc::AddARPNeighborsRequest& request);
  absl::Status OnlineCPUMem(const grpc::OnlineCPUMemRequest& request);
  absl::Status ReseedRandomDev(const grpc::ReseedRandomDevRequest& request);
  absl::Status SetGuestDateTime(const grpc::SetGuestDateTimeRequest& request);
  absl::Status CopyFile(const grpc::CopyFileRequest& request);
  absl::StatusOr<grpc::GuestDetailsResponse> GetGuestDetails(const grpc::GuestDetailsRequest& request);
  absl::StatusOr<grpc::Metrics> GetMetrics(const grpc::GetMetricsRequest& request);
  void GetOOMEvent(const grpc::GetOOMEventRequest& request, Answer<grpc::OOMEvent> answer);

  // Containers and processes: fake_containers.cc.
  absl::Status CreateContainer(const grpc::CreateContainerRequest& request);
  absl::Status StartContainer(const grpc::StartContainerRequest& request);
  absl::Status RemoveContainer(const grpc::RemoveContainerRequest& request);
  absl::Status PauseContainer(const grpc::PauseContainerRequest& request);
  absl::Status ResumeContainer(const grpc::ResumeContainerRequest& request);
  absl::Status UpdateContainer(const grpc::UpdateContainerRequest& request);
  absl::StatusOr<grpc::StatsContainerResponse> StatsContainer(const grpc::StatsContainerRequest& request);
  absl::Status ExecProcess(const grpc::ExecProcessRequest& request);
  absl::Status SignalProcess(const grpc::SignalProcessRequest& request);
  void WaitProcess(const grpc::WaitProcessRequest& request, Answer<grpc::WaitProcessResponse> answer);
  absl::StatusOr<grpc::WriteStreamResponse> WriteStdin(const grpc::WriteStreamRequest& request);
  void ReadStdout(const grpc::ReadStreamRequest& request, Answer<grpc::ReadStreamResponse> answer);
  void ReadStderr(const grpc::ReadStreamRequest& request, Answer<grpc::ReadStreamResponse> answer);
  absl::Status CloseStdin(const grpc::CloseStdinRequest& request);
  absl::Status TtyWinResize(const grpc::TtyWinResizeRequest& request);

  // The extension service: fake_containers.cc.
  absl::StatusOr<agent::v1::HelloResponse> Hello(const agent::v1::HelloRequest& request);
  void ReadOutput(const agent::v1::ReadOutputRequest& request, Answer<agent::v1::ReadOutputResponse> answer);
  void WaitExit(const agent::v1::WaitExitRequest& request, Answer<agent::v1::ProcessState> answer);
  void RunExec(const agent::v1::RunExecRequest& request, Answer<agent::v1::RunExecResponse> answer);
  absl::Status ReleaseExec(const agent::v1::ReleaseExecRequest& request);
  absl::StatusOr<agent::v1::ListProcessesResponse> ListProcesses(const agent::v1::ListProcessesRequest& request);

  absl::StatusOr<agent::v1::GetStatsResponse> GetStats(const agent::v1::GetStatsRequest& request);
  absl::Status SetCgroupFiles(const agent::v1::SetCgroupFilesRequest& request);

  // Ports: fake_ports.cc. On every port listens a server that sends back what it gets, and ends when its client does,
  // except on port 1, where nobody listens.
  absl::StatusOr<agent::v1::DialPortResponse> DialPort(const agent::v1::DialPortRequest& request);
  void ReadPort(const agent::v1::ReadPortRequest& request, Answer<agent::v1::ReadPortResponse> answer);
  absl::Status WritePort(const agent::v1::WritePortRequest& request);
  absl::Status ClosePort(const agent::v1::ClosePortRequest& request);

  // For tests.
  struct Container {
    std::string request;    // serialized CreateContainerRequest: small, there may be thousands
    std::string resources;  // serialized LinuxResources of the last UpdateContainer
    std::map<std::string, std::string> cgroup_files;  // SetCgroupFiles'
    bool paused = false;
    bool oom_killed = false;
    std::map<std::string, std::shared_ptr<FakeProcess>> processes;  // by exec id; the container's own: its id
    FakeProcess& init(const std::string& id) { return *processes.at(id); }
  };
  absl::StatusOr<std::shared_ptr<FakeProcess>> Find(const std::string& container_id, const std::string& exec_id);
  absl::Status OomKill(const std::string& container_id);
  const std::map<std::string, Container>& containers() const { return containers_; }
  const grpc::CreateSandboxRequest& sandbox() const { return sandbox_; }
  const std::map<std::string, std::string>& files() const { return files_; }

 private:
  struct Port {
    std::string data;  // sent by the client, not yet sent back
    bool ended = false;
    Answer<agent::v1::ReadPortResponse> reader;
    uint32_t read_max = 0;
    std::unique_ptr<boost::asio::steady_timer> timer;
  };
  void Serve(Port& port);

  absl::StatusOr<Container*> FindContainer(const std::string& container_id);
  agent::v1::ProcessState StateOf(const std::string& container_id, const std::string& exec_id) const;
  void Take(const grpc::ReadStreamRequest& request, FakeProcess::Stream stream,
            Answer<grpc::ReadStreamResponse> answer);

  boost::asio::io_context& context_;
  uint32_t next_pid_ = 100;
  std::string boot_id_;
  grpc::CreateSandboxRequest sandbox_;
  std::map<std::string, types::Interface> interfaces_;  // by MAC, else by name
  grpc::Routes routes_;
  std::map<std::string, std::string> files_;  // CopyFile's, by path
  std::map<std::string, Container> containers_;
  std::deque<std::string> oom_events_;
  std::vector<Answer<grpc::OOMEvent>> oom_waiters_;
  uint64_t last_port_ = 0;
  std::map<uint64_t, Port> ports_;
};

}  // namespace podvisor

#endif  // PODVISOR_AGENT_FAKE_FAKE_GUEST_H_
