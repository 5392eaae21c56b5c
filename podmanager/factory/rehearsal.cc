#include "podmanager/factory/rehearsal.h"

#include <signal.h>
#include <sys/socket.h>

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"
#include "google/protobuf/empty.pb.h"
#include "podmanager/config.pb.h"
#include "podmanager/ids.h"
#include "podmanager/spec/container_spec.h"
#include "podmanager/spec/sandbox_spec.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

namespace {

// In the rehearsal image: guest/rehearsal.c.
constexpr char kProgram[] = "/bin/rehearsal";
constexpr char kDone[] = "rehearsed\n";
constexpr char kContainer[] = "rehearsal";
constexpr char kExec[] = "rehearsal-exec";

class Rehearsal {
 public:
  Rehearsal(const RuntimeHandler& handler, Vm& vm, AgentClient& agent, const std::function<void()>& stand_back)
      : handler_(handler), vm_(vm), agent_(agent), stand_back_(stand_back), id_(RandomId()) {
    config_.mutable_metadata()->set_name("rehearsal");
    config_.mutable_metadata()->set_namespace_("podvisor");
    config_.mutable_metadata()->set_uid(id_);
    container_.mutable_metadata()->set_name("rehearsal");
    container_.add_command(kProgram);
    container_.add_command("rehearse");
  }

  absl::Status Run() {
    agent::v1::HelloRequest hello;
    hello.set_wait_settled(true);
    RETURN_IF_ERROR(Call(kExtensionService, "Hello", hello, agent::v1::HelloResponse()));
    stand_back_();
    RETURN_IF_ERROR(Configure(), "sandbox");
    if (!handler_.rehearsal_image.empty()) {
      stand_back_();
      ASSIGN_OR_RETURN(const GuestDisk disk, vm_.AttachDisk({.path = handler_.rehearsal_image}), "disk");
      stand_back_();
      RETURN_IF_ERROR(RunContainer(disk), "container");
      RETURN_IF_ERROR(vm_.DetachDisk(disk.id), "disk");
    }
    stand_back_();
    return Call(kAgentService, "DestroySandbox", grpc::DestroySandboxRequest());
  }

 private:
  template <typename Response = google::protobuf::Empty>
  absl::Status Call(absl::string_view service, const char* method, const google::protobuf::MessageLite& request,
                    Response response = Response()) {
    return Annotate(agent_.Call(service, method, request, &response, absl::Now() + handler_.timeouts.agent_call),
                    method);
  }

  // Addresses for documentation (RFC 5737): nothing is sent there, the tap leads nowhere yet.
  static PodNetworkResult Network(const std::string& id) {
    PodNetworkResult network;
    network.interfaces.push_back({.name = kPodInterface, .mac = MacOf(id), .mtu = 1500, .addresses = {"192.0.2.2/24"}});
    network.routes.push_back(
        {.destination = "0.0.0.0/0", .gateway = "192.0.2.1", .device = kPodInterface, .family = AF_INET});
    network.ips = {"192.0.2.2"};
    return network;
  }

  absl::Status Configure() {
    const PodNetworkResult network = Network(id_);
    SandboxSpecInput input;
    input.sandbox_id = id_;
    input.config = &config_;
    input.hostname = "rehearsal";
    const Capabilities& capabilities = handler_.hypervisor->capabilities();
    if (capabilities.shared_folder) input.shared_folder_fs = capabilities.shared_folder_fs;
    input.now = absl::Now();
    ASSIGN_OR_RETURN(input.entropy, FreshEntropy());
    ASSIGN_OR_RETURN(agent::v1::ConfigureSandboxRequest request, BuildConfigureSandbox(input));
    RETURN_IF_ERROR(Call(kExtensionService, "ConfigureSandbox", request));
    input.network = &network;
    ASSIGN_OR_RETURN(request, BuildConfigureSandbox(input));
    request.clear_entropy();
    return Call(kExtensionService, "ConfigureSandbox", request);
  }

  absl::Status RunContainer(const GuestDisk& disk) {
    const std::string none;
    const ImageConfig image;
    ContainerSpecInput input;
    input.container_id = kContainer;
    input.sandbox = &config_;
    input.config = &container_;
    input.image = &image;
    input.passwd = &none;
    input.group = &none;
    input.disk = disk;
    input.hostname = "rehearsal";
    ASSIGN_OR_RETURN(const grpc::CreateContainerRequest create, BuildCreateContainer(input));
    RETURN_IF_ERROR(Call(kAgentService, "CreateContainer", create));
    stand_back_();
    grpc::StartContainerRequest start;
    start.set_container_id(kContainer);
    RETURN_IF_ERROR(Call(kAgentService, "StartContainer", start));
    RETURN_IF_ERROR(AwaitDone());
    stand_back_();
    RETURN_IF_ERROR(Exec(create.oci().process()));
    grpc::SignalProcessRequest end;
    end.set_container_id(kContainer);
    end.set_signal(SIGTERM);
    RETURN_IF_ERROR(Call(kAgentService, "SignalProcess", end));
    RETURN_IF_ERROR(AwaitExit(""));
    grpc::RemoveContainerRequest remove;
    remove.set_container_id(kContainer);
    return Call(kAgentService, "RemoveContainer", remove);
  }

  absl::Status Exec(const grpc::Process& process) {
    agent::v1::RunExecRequest run;
    grpc::ExecProcessRequest& exec = *run.mutable_exec();
    exec.set_container_id(kContainer);
    exec.set_exec_id(kExec);
    ASSIGN_OR_RETURN(*exec.mutable_process(), BuildExecProcess(process, {kProgram, "true"}, Terminal::kNo));
    run.set_wait_ms(WaitMs());
    agent::v1::RunExecResponse ran;
    RETURN_IF_ERROR(agent_.Call(kExtensionService, "RunExec", run, &ran, absl::Now() + handler_.timeouts.agent_call),
                    "RunExec");
    if (ran.done() && ran.exit_code() == 0) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(
        "the rehearsal program ", ran.done() ? absl::StrCat("ended with ", ran.exit_code()) : "does not end"));
  }

  absl::Status AwaitExit(const std::string& exec_id) {
    agent::v1::WaitExitRequest request;
    request.set_container_id(kContainer);
    request.set_exec_id(exec_id);
    request.set_wait_ms(WaitMs());
    agent::v1::ProcessState state;
    RETURN_IF_ERROR(
        agent_.Call(kExtensionService, "WaitExit", request, &state, absl::Now() + handler_.timeouts.agent_call),
        "WaitExit");
    if (!state.exited()) return absl::DeadlineExceededError("the rehearsal program does not end");
    if (state.exit_code() == 0) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("the rehearsal program ended with ", state.exit_code()));
  }

  absl::StatusOr<agent::v1::ReadOutputResponse> ReadOutput(const std::string& exec_id, uint64_t offset) {
    agent::v1::ReadOutputRequest request;
    request.set_container_id(kContainer);
    request.set_exec_id(exec_id);
    request.set_offset(offset);
    request.set_max_bytes(4096);
    request.set_wait_ms(WaitMs());
    agent::v1::ReadOutputResponse response;
    RETURN_IF_ERROR(
        agent_.Call(kExtensionService, "ReadOutput", request, &response, absl::Now() + handler_.timeouts.agent_call),
        "ReadOutput");
    return response;
  }

  // As a log would read it.
  absl::Status AwaitDone() {
    std::string output;
    while (output.size() < 4096) {
      ASSIGN_OR_RETURN(const agent::v1::ReadOutputResponse response, ReadOutput("", output.size()));
      output += response.data();
      if (output == kDone) return absl::OkStatus();
      if (response.eof() || response.data().empty()) break;
    }
    return absl::InternalError(absl::StrCat("the rehearsal program says \"", absl::CHexEscape(output), "\""));
  }

  uint32_t WaitMs() const { return static_cast<uint32_t>(absl::ToInt64Milliseconds(handler_.timeouts.agent_call / 2)); }

  const RuntimeHandler& handler_;
  Vm& vm_;
  AgentClient& agent_;
  const std::function<void()>& stand_back_;
  const std::string id_;
  SandboxConfig config_;
  ContainerConfig container_;
};

}  // namespace

absl::Status Rehearse(const RuntimeHandler& handler, Vm& vm, AgentClient& agent,
                      const std::function<void()>& stand_back) {
  absl::Status status = Rehearsal(handler, vm, agent, stand_back).Run();
  return Annotate(std::move(status), "rehearsal of a pod's start");
}

}  // namespace podvisor
