#include "agent/fake/fake_guest.h"

#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace podvisor {
namespace {

constexpr size_t kMaxFileBytes = 64 << 20;

}  // namespace

void FakeGuest::Reset() {
  for (auto& [id, container] : std::exchange(containers_, {})) {
    for (auto& [exec_id, process] : container.processes) process->Release();
  }
  for (auto& answer : std::exchange(oom_waiters_, {})) answer(absl::UnavailableError("the guest has been reset"));
  for (auto& [id, port] : std::exchange(ports_, {})) {
    if (port.reader) port.reader(absl::CancelledError("the connection has been closed"));
  }
  oom_events_.clear();
  sandbox_.Clear();
  interfaces_.clear();
  routes_.Clear();
  files_.clear();
  boot_id_.clear();
}

absl::Status FakeGuest::CreateSandbox(const grpc::CreateSandboxRequest& request) {
  sandbox_ = request;
  return absl::OkStatus();
}

absl::Status FakeGuest::DestroySandbox(const grpc::DestroySandboxRequest&) {
  Reset();
  return absl::OkStatus();
}

absl::Status FakeGuest::ConfigureSandbox(const agent::v1::ConfigureSandboxRequest& request) {
  if (!sandbox_.sandbox_id().empty() && sandbox_.sandbox_id() != request.sandbox().sandbox_id()) {
    return absl::AlreadyExistsError(absl::StrCat("this guest is sandbox ", sandbox_.sandbox_id()));
  }
  if (sandbox_.sandbox_id().empty()) boot_id_.clear();
  sandbox_ = request.sandbox();
  for (const types::Interface& interface : request.interfaces()) {
    grpc::UpdateInterfaceRequest update;
    *update.mutable_interface() = interface;
    if (absl::Status status = UpdateInterface(update).status(); !status.ok()) return status;
  }
  routes_.Clear();
  for (const types::Route& route : request.routes()) *routes_.add_routes() = route;
  return absl::OkStatus();
}

absl::StatusOr<types::Interface> FakeGuest::UpdateInterface(const grpc::UpdateInterfaceRequest& request) {
  const types::Interface& interface = request.interface();
  const std::string& key = interface.hwaddr().empty() ? interface.name() : interface.hwaddr();
  if (key.empty()) return absl::InvalidArgumentError("interface without hardware address and name");
  interfaces_[key] = interface;
  return interface;
}

absl::StatusOr<grpc::Routes> FakeGuest::UpdateRoutes(const grpc::UpdateRoutesRequest& request) {
  routes_ = request.routes();
  return routes_;
}

absl::StatusOr<grpc::Interfaces> FakeGuest::ListInterfaces(const grpc::ListInterfacesRequest&) {
  grpc::Interfaces interfaces;
  for (const auto& [key, interface] : interfaces_) *interfaces.add_interfaces() = interface;
  return interfaces;
}

absl::StatusOr<grpc::Routes> FakeGuest::ListRoutes(const grpc::ListRoutesRequest&) { return routes_; }

absl::Status FakeGuest::AddARPNeighbors(const grpc::AddARPNeighborsRequest&) { return absl::OkStatus(); }
absl::Status FakeGuest::OnlineCPUMem(const grpc::OnlineCPUMemRequest&) { return absl::OkStatus(); }
absl::Status FakeGuest::ReseedRandomDev(const grpc::ReseedRandomDevRequest&) { return absl::OkStatus(); }
absl::Status FakeGuest::SetGuestDateTime(const grpc::SetGuestDateTimeRequest&) { return absl::OkStatus(); }

absl::Status FakeGuest::CopyFile(const grpc::CopyFileRequest& request) {
  if (request.path().empty() || request.path()[0] != '/') {
    return absl::InvalidArgumentError(absl::StrCat("CopyFile to \"", request.path(), "\", which is not absolute"));
  }
  if (request.offset() < 0 || request.offset() + request.data().size() > kMaxFileBytes) {
    return absl::OutOfRangeError(absl::StrCat("CopyFile to ", request.path(), " at offset ", request.offset()));
  }
  std::string& content = files_[request.path()];
  const size_t offset = static_cast<size_t>(request.offset());
  if (offset == 0) content.clear();
  content.resize(offset);
  content += request.data();
  return absl::OkStatus();
}

absl::StatusOr<grpc::GuestDetailsResponse> FakeGuest::GetGuestDetails(const grpc::GuestDetailsRequest&) {
  grpc::GuestDetailsResponse response;
  response.set_mem_block_size_bytes(128 << 20);
  response.mutable_agent_details()->set_version("fake");
  response.mutable_agent_details()->set_init_daemon(true);
  return response;
}

absl::StatusOr<grpc::Metrics> FakeGuest::GetMetrics(const grpc::GetMetricsRequest&) {
  grpc::Metrics metrics;
  metrics.set_metrics(absl::StrCat("podvisor_agent_containers ", containers_.size(), "\n"));
  return metrics;
}

void FakeGuest::GetOOMEvent(const grpc::GetOOMEventRequest&, Answer<grpc::OOMEvent> answer) {
  if (oom_events_.empty()) {
    oom_waiters_.push_back(std::move(answer));
    return;
  }
  grpc::OOMEvent event;
  event.set_container_id(std::move(oom_events_.front()));
  oom_events_.pop_front();
  answer(event);
}

absl::Status FakeGuest::OomKill(const std::string& container_id) {
  absl::StatusOr<std::shared_ptr<FakeProcess>> init = Find(container_id, container_id);
  if (!init.ok()) return init.status();
  containers_.at(container_id).oom_killed = true;
  if (oom_waiters_.empty()) {
    oom_events_.push_back(container_id);
  } else {
    grpc::OOMEvent event;
    event.set_container_id(container_id);
    // One event, one listener: as a queue has it.
    auto answer = std::move(oom_waiters_.front());
    oom_waiters_.erase(oom_waiters_.begin());
    answer(event);
  }
  (*init)->Exit(137);
  return absl::OkStatus();
}

absl::StatusOr<agent::v1::HelloResponse> FakeGuest::Hello(const agent::v1::HelloRequest&) {
  if (boot_id_.empty()) {
    std::random_device random;
    boot_id_ = absl::StrFormat("%08x-%08x", random(), random());
  }
  agent::v1::HelloResponse response;
  response.set_agent_version("fake");
  response.set_boot_id(boot_id_);
  for (const char* call : {"ReadOutput", "WaitExit", "RunExec", "ReleaseExec", "ListProcesses", "ConfigureSandbox",
                           "DialPort", "ReadPort", "WritePort", "ClosePort", "GetStats", "SetCgroupFiles"}) {
    response.add_features(call);
  }
  return response;
}

}  // namespace podvisor
