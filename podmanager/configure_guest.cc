// What a pod's guest is told before its first container: by our agent's extension in one call, else by Kata's.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/protocol/extension.pb.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "google/protobuf/empty.pb.h"
#include "podmanager/sandbox_operations.h"
#include "podmanager/spec/sandbox_spec.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

namespace {

// A stock Kata agent. Each call has its own answer, of which only the status matters here.
class PlainConfiguration {
 public:
  PlainConfiguration(AgentClient& agent, absl::Duration timeout) : agent_(agent), timeout_(timeout) {}

  absl::Status Make(const PlainSandboxCalls& calls) {
    google::protobuf::Empty empty;
    RETURN_IF_ERROR(Call("SetGuestDateTime", calls.time, empty));
    RETURN_IF_ERROR(Call("ReseedRandomDev", calls.entropy, empty));
    for (const grpc::UpdateInterfaceRequest& interface : calls.interfaces) {
      types::Interface updated;
      RETURN_IF_ERROR(Call("UpdateInterface", interface, updated));
    }
    if (calls.routes.routes().routes_size() > 0) {
      grpc::Routes updated;
      RETURN_IF_ERROR(Call("UpdateRoutes", calls.routes, updated));
    }
    if (calls.neighbors.neighbors().arpneighbors_size() > 0) {
      RETURN_IF_ERROR(Call("AddARPNeighbors", calls.neighbors, empty));
    }
    RETURN_IF_ERROR(Call("CreateSandbox", calls.sandbox, empty));
    for (const grpc::CopyFileRequest& file : calls.pod_files) RETURN_IF_ERROR(Call("CopyFile", file, empty));
    return absl::OkStatus();
  }

 private:
  absl::Status Call(const char* method, const google::protobuf::MessageLite& request,
                    google::protobuf::MessageLite& response) {
    return Annotate(agent_.Call(kAgentService, method, request, &response, absl::Now() + timeout_), method);
  }

  AgentClient& agent_;
  const absl::Duration timeout_;
};

// The time that came with the configuration is late by as long as the guest took to get to it. Sent again by calls that
// do nothing else, until one is through fast enough to bound the error.
constexpr absl::Duration kClockError = absl::Milliseconds(25);
constexpr int kClockTries = 4;

absl::Status SetClockAgain(AgentClient& agent, absl::Duration took, absl::Duration timeout) {
  google::protobuf::Empty empty;
  for (int tries = 0; took > kClockError && tries < kClockTries; ++tries) {
    const absl::Time now = absl::Now();
    grpc::SetGuestDateTimeRequest time;
    time.set_sec(absl::ToUnixSeconds(now));
    time.set_usec(absl::ToUnixMicros(now) % 1000000);
    RETURN_IF_ERROR(agent.Call(kAgentService, "SetGuestDateTime", time, &empty, now + timeout), "SetGuestDateTime");
    took = absl::Now() - now;
  }
  return absl::OkStatus();
}

absl::StatusOr<agent::v1::ConfigureSandboxRequest> BuildRequest(PodContext& context, const Sandbox& sandbox,
                                                                const PodNetworkResult* network) {
  SandboxSpecInput input;
  input.sandbox_id = sandbox.id();
  input.config = &sandbox.config();
  input.network = network;
  input.hostname = PodHostname(sandbox.config(), context.options.node_hostname);
  const Capabilities& capabilities = sandbox.handler()->hypervisor->capabilities();
  if (capabilities.shared_folder) input.shared_folder_fs = capabilities.shared_folder_fs;
  // Of use only where neither pod nor CNI names a DNS server; a node without the file has no DNS to pass on.
  input.node_resolv_conf = ReadFile("/etc/resolv.conf", 64 << 10).value_or("");
  ASSIGN_OR_RETURN(input.entropy, FreshEntropy());
  input.now = absl::Now();
  return BuildConfigureSandbox(input);
}

absl::Status Refused(absl::Status status, const Sandbox& sandbox) {
  return Annotate(std::move(status), "sandbox ", sandbox.id(), ": the guest refused its configuration");
}

}  // namespace

absl::StatusOr<AgentFlavor> PrepareGuest(PodContext& context, const Sandbox& sandbox, AgentClient& agent) {
  ASSIGN_OR_RETURN(const agent::v1::ConfigureSandboxRequest request, BuildRequest(context, sandbox, nullptr),
                   "sandbox ", sandbox.id());
  agent::v1::Empty empty;
  absl::Status status =
      agent.Call(kExtensionService, "ConfigureSandbox", request, &empty, absl::Now() + sandbox.timeouts().agent_call);
  if (absl::IsUnimplemented(status)) return AGENT_PLAIN_KATA;
  RETURN_IF_ERROR(Refused(std::move(status), sandbox));
  return AGENT_PODVISOR;
}

absl::Status ConfigureGuest(PodContext& context, const Sandbox& sandbox, AgentClient& agent, AgentFlavor flavor,
                            const PodNetworkResult& network) {
  ASSIGN_OR_RETURN(agent::v1::ConfigureSandboxRequest request, BuildRequest(context, sandbox, &network), "sandbox ",
                   sandbox.id());
  const absl::Duration timeout = sandbox.timeouts().agent_call;
  if (flavor == AGENT_PLAIN_KATA && sandbox.config().namespaces().user_namespace())
    return absl::UnimplementedError(absl::StrCat("sandbox ", sandbox.id(),
                                                 ": userns_options: the guest has a stock Kata agent, which knows no "
                                                 "user namespaces: use podvisor's guest, or hostUsers: true"));
  if (flavor == AGENT_PLAIN_KATA)
    return Refused(PlainConfiguration(agent, timeout).Make(ToPlainCalls(request)), sandbox);
  request.clear_entropy();  // it has had some
  const absl::Time sent = absl::Now();
  agent::v1::Empty empty;
  RETURN_IF_ERROR(Refused(agent.Call(kExtensionService, "ConfigureSandbox", request, &empty, sent + timeout), sandbox));
  return Annotate(SetClockAgain(agent, absl::Now() - sent, timeout), "sandbox ", sandbox.id());
}

}  // namespace podvisor
