#include "agent/fake/fake_agent.h"

#include <unistd.h>

#include <boost/asio/post.hpp>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/fake/fake_services.h"
#include "base/status_macros.h"

namespace podvisor {

absl::StatusOr<std::unique_ptr<FakeAgent>> FakeAgent::Create(EventLoop& loop, const std::string& socket_path) {
  std::unique_ptr<FakeAgent> agent(new FakeAgent(loop, socket_path));
  ASSIGN_OR_RETURN(agent->server_,
                   TtrpcServer::Listen(loop, socket_path,
                                       [raw = agent.get()](ttrpc::Request request, TtrpcServer::Reply reply) {
                                         raw->OnCall(std::move(request), std::move(reply));
                                       }),
                   "fake agent");
  agent->server_->Start();  // nothing of it is in the loop yet
  return agent;
}

FakeAgent::FakeAgent(EventLoop& loop, std::string socket_path)
    : loop_(loop), socket_path_(std::move(socket_path)), guest_(loop.context()) {}

FakeAgent::~FakeAgent() {
  InLoop([this] {
    if (server_ != nullptr) ::unlink(socket_path_.c_str());
    server_.reset();
    guest_.Reset();
    hung_.clear();
  });
}

void FakeAgent::InLoop(const std::function<void()>& task) {
  if (loop_.InLoop()) return task();
  std::promise<void> done;
  boost::asio::post(loop_.context(), [&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

void FakeAgent::OnCall(ttrpc::Request request, TtrpcServer::Reply reply) {
  {
    absl::MutexLock lock(&mu_);
    ++calls_[request.method()];
  }
  auto it = failpoints_.find(request.method());
  if (it == failpoints_.end() || it->second.empty()) return Serve(request, std::move(reply));
  const auto [kind, status] = it->second.front();
  it->second.erase(it->second.begin());
  switch (kind) {
    case Failpoint::kFail:
      return reply(status);
    case Failpoint::kHang:
      hung_.push_back({std::move(request), std::move(reply)});
      return;
    case Failpoint::kDrop:
      Serve(request, [](const absl::StatusOr<std::string>&) {});
      server_->DropConnections();
      return;
  }
}

void FakeAgent::Serve(const ttrpc::Request& request, TtrpcServer::Reply reply) {
  const bool hidden = extension_ == ExtensionService::kAbsent && request.service() == "podvisor.agent.v1.Extension";
  ServeCall(guest_, hidden ? "" : request.service(), request.method(), request.payload(), std::move(reply));
}

void FakeAgent::AddFailpoints(const std::string& method, Failpoint kind, absl::Status status, int times) {
  InLoop([&] {
    for (int i = 0; i < times; ++i) failpoints_[method].emplace_back(kind, status);
  });
}

void FakeAgent::FailNext(const std::string& method, absl::Status status, int times) {
  AddFailpoints(method, Failpoint::kFail, std::move(status), times);
}

void FakeAgent::HangNext(const std::string& method, int times) {
  AddFailpoints(method, Failpoint::kHang, absl::OkStatus(), times);
}

void FakeAgent::DropConnectionAtNext(const std::string& method) {
  AddFailpoints(method, Failpoint::kDrop, absl::OkStatus(), 1);
}

void FakeAgent::ReleaseHung(HangOutcome outcome) {
  InLoop([&] {
    for (Hung& hung : std::exchange(hung_, {})) {
      if (outcome == HangOutcome::kAnswered) Serve(hung.request, std::move(hung.reply));
    }
  });
}

void FakeAgent::DropConnections() {
  InLoop([this] { server_->DropConnections(); });
}

void FakeAgent::SetExtension(ExtensionService extension) {
  InLoop([this, extension] { extension_ = extension; });
}

void FakeAgent::Freeze() {
  InLoop([this] { server_->Freeze(); });
}

void FakeAgent::Thaw() {
  InLoop([this] { server_->Thaw(); });
}

absl::Status FakeAgent::ExitProcess(const std::string& container_id, const std::string& exec_id, int code) {
  absl::Status status;
  InLoop([&] {
    auto process = guest_.Find(container_id, exec_id);
    status = process.status();
    if (status.ok()) (*process)->Exit(code);
  });
  return status;
}

absl::Status FakeAgent::WriteOutput(const std::string& container_id, const std::string& exec_id,
                                    FakeProcess::Stream stream, const std::string& data) {
  absl::Status status;
  InLoop([&] {
    auto process = guest_.Find(container_id, exec_id);
    status = process.status();
    if (status.ok()) (*process)->Write(stream, data);
  });
  return status;
}

absl::Status FakeAgent::OomKill(const std::string& container_id) {
  absl::Status status;
  InLoop([&] { status = guest_.OomKill(container_id); });
  return status;
}

void FakeAgent::Reboot() {
  InLoop([this] {
    server_->DropConnections();
    guest_.Reset();
    hung_.clear();
  });
}

std::vector<std::string> FakeAgent::Containers() {
  std::vector<std::string> ids;
  InLoop([&] {
    for (const auto& [id, container] : guest_.containers()) ids.push_back(id);
  });
  return ids;
}

absl::StatusOr<grpc::CreateContainerRequest> FakeAgent::ContainerRequest(const std::string& container_id) {
  absl::StatusOr<grpc::CreateContainerRequest> request = absl::NotFoundError(absl::StrCat("no ", container_id));
  InLoop([&] {
    auto it = guest_.containers().find(container_id);
    if (it != guest_.containers().end()) request.emplace().ParseFromString(it->second.request);
  });
  return request;
}

absl::StatusOr<grpc::LinuxResources> FakeAgent::ContainerResources(const std::string& container_id) {
  absl::StatusOr<grpc::LinuxResources> resources = absl::NotFoundError(absl::StrCat("no ", container_id));
  InLoop([&] {
    auto it = guest_.containers().find(container_id);
    if (it != guest_.containers().end()) resources.emplace().ParseFromString(it->second.resources);
  });
  return resources;
}

grpc::CreateSandboxRequest FakeAgent::Sandbox() {
  grpc::CreateSandboxRequest sandbox;
  InLoop([&] { sandbox = guest_.sandbox(); });
  return sandbox;
}

grpc::Interfaces FakeAgent::Interfaces() {
  grpc::Interfaces interfaces;
  InLoop([&] { interfaces = *guest_.ListInterfaces({}); });
  return interfaces;
}

grpc::Routes FakeAgent::Routes() {
  grpc::Routes routes;
  InLoop([&] { routes = *guest_.ListRoutes({}); });
  return routes;
}

absl::StatusOr<std::string> FakeAgent::File(const std::string& path) {
  absl::StatusOr<std::string> content = absl::NotFoundError(absl::StrCat("no file ", path));
  InLoop([&] {
    auto it = guest_.files().find(path);
    if (it != guest_.files().end()) content = it->second;
  });
  return content;
}

int FakeAgent::calls(const std::string& method) {
  absl::MutexLock lock(&mu_);
  return calls_[method];
}

bool FakeAgent::AwaitCalls(const std::string& method, int count, absl::Duration patience) {
  auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return calls_[method] >= count; };
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&enough), patience);
}

}  // namespace podvisor
