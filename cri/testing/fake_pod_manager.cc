#include "cri/testing/fake_pod_manager.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace podvisor::cri {
namespace {

absl::Status NoSandbox(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("sandbox ", id, ": not found"));
}
absl::Status NoContainer(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("container ", id, ": not found"));
}

template <typename Map>
typename Map::mapped_type* FindByPrefix(Map& map, const std::string& prefix) {
  for (auto& [id, value] : map) {
    if (absl::StartsWith(id, prefix)) return &value;
  }
  return nullptr;
}

bool HasLabels(const google::protobuf::Map<std::string, std::string>& labels,
               const std::map<std::string, std::string>& wanted) {
  for (const auto& [key, value] : wanted) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

// As the daemon's log writer does: every line with time, stream and a full-line tag.
void WriteLog(const std::string& path, const char* stream, const std::string& text) {
  if (path.empty() || text.empty()) return;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream log(path, std::ios::app);
  absl::string_view rest = text;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    log << "2026-01-01T00:00:00.000000000Z " << stream << (end == absl::string_view::npos ? " P " : " F ")
        << rest.substr(0, end) << '\n';
    rest = end == absl::string_view::npos ? "" : rest.substr(end + 1);
  }
}

}  // namespace

void FakePodManager::SetProgram(Program program) {
  absl::MutexLock lock(&mu_);
  program_ = std::move(program);
}

void FakePodManager::SetHandlers(std::vector<RuntimeHandlerInfo> handlers) {
  absl::MutexLock lock(&mu_);
  handlers_ = std::move(handlers);
}

void FakePodManager::FailNext(const std::string& method, absl::Status status) {
  absl::MutexLock lock(&mu_);
  failures_[method] = std::move(status);
}

void FakePodManager::SetRuntimeReady(absl::Status status) {
  absl::MutexLock lock(&mu_);
  runtime_ready_ = std::move(status);
}

void FakePodManager::SetNetworkReady(absl::Status status) {
  absl::MutexLock lock(&mu_);
  network_ready_ = std::move(status);
}

std::string FakePodManager::pod_cidr() {
  absl::MutexLock lock(&mu_);
  return pod_cidr_;
}

absl::Duration FakePodManager::last_grace() {
  absl::MutexLock lock(&mu_);
  return last_grace_;
}

void FakePodManager::Exit(const std::string& container_id, int exit_code) {
  absl::MutexLock lock(&mu_);
  if (ContainerStatus* container = FindContainer(container_id)) ExitLocked(*container, exit_code);
}

absl::Status FakePodManager::TakeFailure(const std::string& method) {
  const auto found = failures_.find(method);
  if (found == failures_.end()) return absl::OkStatus();
  absl::Status status = std::move(found->second);
  failures_.erase(found);
  return status;
}

std::string FakePodManager::NewId() { return absl::StrFormat("%064x", next_id_++ * 0x9e3779b97f4a7c15ULL); }

SandboxStatus* FakePodManager::FindSandbox(const std::string& prefix) { return FindByPrefix(sandboxes_, prefix); }
ContainerStatus* FakePodManager::FindContainer(const std::string& prefix) { return FindByPrefix(containers_, prefix); }

void FakePodManager::ExitLocked(ContainerStatus& container, int exit_code) {
  container.state = ContainerState::kExited;
  container.exit_code = exit_code;
  container.reason = exit_code == 0 ? "Completed" : "Error";
  container.finished_at = absl::Now();
}

absl::Status FakePodManager::RuntimeReady() {
  absl::MutexLock lock(&mu_);
  return runtime_ready_;
}

absl::Status FakePodManager::NetworkReady() {
  absl::MutexLock lock(&mu_);
  return network_ready_;
}

std::vector<RuntimeHandlerInfo> FakePodManager::Handlers() {
  absl::MutexLock lock(&mu_);
  return handlers_;
}

void FakePodManager::UpdatePodCidr(const std::string& cidr) {
  absl::MutexLock lock(&mu_);
  pod_cidr_ = cidr;
}

absl::StatusOr<std::string> FakePodManager::RunPodSandbox(const SandboxConfig& config,
                                                          const std::string& runtime_handler, absl::Time) {
  absl::MutexLock lock(&mu_);
  if (absl::Status failure = TakeFailure("RunPodSandbox"); !failure.ok()) return failure;
  for (const auto& [id, sandbox] : sandboxes_) {
    if (sandbox.config->metadata().SerializeAsString() == config.metadata().SerializeAsString()) return id;
  }
  SandboxStatus sandbox;
  sandbox.id = NewId();
  sandbox.config = std::make_shared<const SandboxConfig>(config);
  sandbox.runtime_handler = runtime_handler;
  sandbox.state = SandboxState::kReady;
  sandbox.created_at = absl::Now();
  sandbox.ips = {"10.88.0.2", "fd00::2"};
  sandbox.info = {{"vm", "{\"pid\":1}"}};
  const std::string id = sandbox.id;
  sandboxes_[id] = std::move(sandbox);
  return id;
}

absl::Status FakePodManager::StopPodSandbox(const std::string& id, absl::Time) {
  absl::MutexLock lock(&mu_);
  if (absl::Status failure = TakeFailure("StopPodSandbox"); !failure.ok()) return failure;
  SandboxStatus* sandbox = FindSandbox(id);
  if (sandbox == nullptr) return absl::OkStatus();
  sandbox->state = SandboxState::kNotReady;
  sandbox->ips.clear();
  for (auto& [container_id, container] : containers_) {
    if (container.sandbox_id == sandbox->id && container.state == ContainerState::kRunning) ExitLocked(container, 137);
  }
  return absl::OkStatus();
}

absl::Status FakePodManager::RemovePodSandbox(const std::string& id, absl::Time) {
  absl::MutexLock lock(&mu_);
  SandboxStatus* sandbox = FindSandbox(id);
  if (sandbox == nullptr) return absl::OkStatus();
  const std::string full = sandbox->id;
  std::erase_if(containers_, [&](const auto& entry) { return entry.second.sandbox_id == full; });
  sandboxes_.erase(full);
  return absl::OkStatus();
}

absl::StatusOr<SandboxStatus> FakePodManager::GetSandbox(const std::string& id, Detail detail) {
  absl::MutexLock lock(&mu_);
  const SandboxStatus* sandbox = FindSandbox(id);
  if (sandbox == nullptr) return NoSandbox(id);
  SandboxStatus copy = *sandbox;
  if (detail == Detail::kBrief) copy.info.clear();
  return copy;
}

std::vector<SandboxStatus> FakePodManager::ListSandboxes(const SandboxFilter& filter) {
  absl::MutexLock lock(&mu_);
  std::vector<SandboxStatus> found;
  for (const auto& [id, sandbox] : sandboxes_) {
    if (absl::StartsWith(id, filter.id) && (!filter.state || *filter.state == sandbox.state) &&
        HasLabels(sandbox.config->labels(), filter.labels)) {
      found.push_back(sandbox);
    }
  }
  return found;
}

absl::StatusOr<std::string> FakePodManager::CreateContainer(const std::string& sandbox_id,
                                                            const ContainerConfig& config, absl::Time) {
  absl::MutexLock lock(&mu_);
  if (absl::Status failure = TakeFailure("CreateContainer"); !failure.ok()) return failure;
  const SandboxStatus* sandbox = FindSandbox(sandbox_id);
  if (sandbox == nullptr) return NoSandbox(sandbox_id);
  if (sandbox->state != SandboxState::kReady) {
    return absl::FailedPreconditionError(absl::StrCat("sandbox ", sandbox->id, ": is not ready"));
  }
  ContainerStatus container;
  container.id = NewId();
  container.sandbox_id = sandbox->id;
  container.config = std::make_shared<const ContainerConfig>(config);
  container.state = ContainerState::kCreated;
  container.created_at = absl::Now();
  container.started_at = container.finished_at = absl::InfinitePast();
  container.image_id = container.image_ref = config.image();
  if (!config.log_path().empty()) {
    container.log_path = absl::StrCat(sandbox->config->log_directory(), "/", config.log_path());
  }
  container.resources = config.resources();
  container.info = {{"pid", "7"}};
  const std::string id = container.id;
  containers_[id] = std::move(container);
  return id;
}

absl::Status FakePodManager::StartContainer(const std::string& id, absl::Time) {
  absl::MutexLock lock(&mu_);
  if (absl::Status failure = TakeFailure("StartContainer"); !failure.ok()) return failure;
  ContainerStatus* container = FindContainer(id);
  if (container == nullptr) return NoContainer(id);
  if (container->state != ContainerState::kCreated) {
    return absl::FailedPreconditionError(absl::StrCat("container ", container->id, ": is not created"));
  }
  container->state = ContainerState::kRunning;
  container->started_at = absl::Now();
  if (!program_) return absl::OkStatus();
  std::vector<std::string> command(container->config->command().begin(), container->config->command().end());
  command.insert(command.end(), container->config->args().begin(), container->config->args().end());
  const ExecResult result = program_(command);
  WriteLog(container->log_path, "stdout", result.out);
  WriteLog(container->log_path, "stderr", result.err);
  ExitLocked(*container, result.exit_code);
  return absl::OkStatus();
}

absl::Status FakePodManager::StopContainer(const std::string& id, absl::Duration grace, absl::Time) {
  absl::MutexLock lock(&mu_);
  last_grace_ = grace;
  ContainerStatus* container = FindContainer(id);
  if (container != nullptr && container->state == ContainerState::kRunning) ExitLocked(*container, 137);
  return absl::OkStatus();
}

absl::Status FakePodManager::RemoveContainer(const std::string& id, absl::Time) {
  absl::MutexLock lock(&mu_);
  if (const ContainerStatus* container = FindContainer(id)) containers_.erase(std::string(container->id));
  return absl::OkStatus();
}

absl::StatusOr<ContainerStatus> FakePodManager::GetContainer(const std::string& id, Detail detail) {
  absl::MutexLock lock(&mu_);
  const ContainerStatus* container = FindContainer(id);
  if (container == nullptr) return NoContainer(id);
  ContainerStatus copy = *container;
  if (detail == Detail::kBrief) copy.info.clear();
  return copy;
}

std::vector<ContainerStatus> FakePodManager::ListContainers(const ContainerFilter& filter) {
  absl::MutexLock lock(&mu_);
  std::vector<ContainerStatus> found;
  for (const auto& [id, container] : containers_) {
    if (absl::StartsWith(id, filter.id) && absl::StartsWith(container.sandbox_id, filter.sandbox_id) &&
        (!filter.state || *filter.state == container.state) && HasLabels(container.config->labels(), filter.labels)) {
      found.push_back(container);
    }
  }
  return found;
}

absl::StatusOr<ExecResult> FakePodManager::ExecSync(const std::string& id, const std::vector<std::string>& command,
                                                    absl::Duration, absl::Time) {
  absl::MutexLock lock(&mu_);
  if (absl::Status failure = TakeFailure("ExecSync"); !failure.ok()) return failure;
  const ContainerStatus* container = FindContainer(id);
  if (container == nullptr) return NoContainer(id);
  if (container->state != ContainerState::kRunning) {
    return absl::FailedPreconditionError(absl::StrCat("container ", container->id, ": is not running"));
  }
  return program_ ? program_(command) : ExecResult{};
}

void FakePodManager::SetStream(Stream stream) {
  absl::MutexLock lock(&mu_);
  stream_ = std::move(stream);
}

absl::StatusOr<std::shared_ptr<StreamSession>> FakePodManager::StartStream(const std::string& what,
                                                                           const StreamOptions& options,
                                                                           std::shared_ptr<StreamPeer> peer) {
  Stream stream;
  {
    absl::MutexLock lock(&mu_);
    stream = stream_;
  }
  if (stream == nullptr) return absl::UnimplementedError("no stream set");
  return stream(what, options, std::move(peer));
}

absl::StatusOr<std::shared_ptr<StreamSession>> FakePodManager::StartExec(const std::string&,
                                                                         const std::vector<std::string>& command,
                                                                         const StreamOptions& options,
                                                                         std::shared_ptr<StreamPeer> peer) {
  return StartStream(absl::StrJoin(command, " "), options, std::move(peer));
}

absl::StatusOr<std::shared_ptr<StreamSession>> FakePodManager::Attach(const std::string&, const StreamOptions& options,
                                                                      std::shared_ptr<StreamPeer> peer) {
  return StartStream("attach", options, std::move(peer));
}

absl::StatusOr<std::shared_ptr<StreamSession>> FakePodManager::DialPort(const std::string&, uint16_t port,
                                                                        std::shared_ptr<StreamPeer> peer) {
  return StartStream(absl::StrCat("port ", port), {}, std::move(peer));
}

absl::Status FakePodManager::ReopenContainerLog(const std::string& id) {
  absl::MutexLock lock(&mu_);
  const ContainerStatus* container = FindContainer(id);
  if (container == nullptr) return NoContainer(id);
  std::filesystem::create_directories(std::filesystem::path(container->log_path).parent_path());
  std::ofstream(container->log_path, std::ios::app);
  return absl::OkStatus();
}

absl::Status FakePodManager::UpdateContainerResources(const std::string& id, const Resources& resources, absl::Time) {
  absl::MutexLock lock(&mu_);
  ContainerStatus* container = FindContainer(id);
  if (container == nullptr) return NoContainer(id);
  container->resources.MergeFrom(resources);  // zero members of a proto3 message leave what is
  return absl::OkStatus();
}

void FakePodManager::SetUsage(agent::v1::CgroupUsage figures) {
  absl::MutexLock lock(&mu_);
  figures_ = std::move(figures);
}

Resources FakePodManager::sandbox_resources() {
  absl::MutexLock lock(&mu_);
  return sandbox_resources_;
}

absl::Status FakePodManager::UpdateSandboxResources(const std::string& id, const Resources&, const Resources& resources,
                                                    absl::Time) {
  absl::MutexLock lock(&mu_);
  if (FindSandbox(id) == nullptr) return NoSandbox(id);
  sandbox_resources_ = resources;
  return absl::OkStatus();
}

PodUsage FakePodManager::UsageOf(const SandboxStatus& sandbox, Detail detail) {
  PodUsage pod;
  pod.sandbox = sandbox;
  pod.usage.at = absl::Now();
  pod.usage.figures = figures_;
  pod.usage.guest_available_bytes = 123;
  for (const auto& [id, container] : containers_) {
    if (container.sandbox_id != sandbox.id || container.state == ContainerState::kExited) continue;
    ContainerUsage& usage = pod.containers.emplace_back();
    usage.status = container;
    usage.usage = pod.usage;
    usage.rest.set_layer_bytes(4096);
    usage.rest.set_process_count(3);
    (*usage.rest.mutable_soft_limits())["max_open_files"] = 1024;
  }
  for (const char* name : {"eth0", "eth1"}) {
    agent::v1::InterfaceUsage& interface = pod.interfaces.emplace_back();
    interface.set_name(name);
    interface.set_rx_bytes(100);
  }
  if (detail == Detail::kVerbose) pod.vmm = VmUsage{.cpu_time = absl::Seconds(9), .proportional_bytes = 77};
  return pod;
}

absl::StatusOr<PodUsage> FakePodManager::GetUsage(const std::string& sandbox_id, Detail detail, absl::Time) {
  absl::MutexLock lock(&mu_);
  if (absl::Status failure = TakeFailure("GetUsage"); !failure.ok()) return failure;
  const SandboxStatus* sandbox = FindSandbox(sandbox_id);
  if (sandbox == nullptr) return NoSandbox(sandbox_id);
  return UsageOf(*sandbox, detail);
}

std::vector<PodUsage> FakePodManager::ListUsage(const SandboxFilter& filter, Detail detail, absl::Time) {
  absl::MutexLock lock(&mu_);
  std::vector<PodUsage> found;
  for (const auto& [id, sandbox] : sandboxes_) {
    if (absl::StartsWith(id, filter.id) && sandbox.state == SandboxState::kReady &&
        HasLabels(sandbox.config->labels(), filter.labels)) {
      found.push_back(UsageOf(sandbox, detail));
    }
  }
  return found;
}

}  // namespace podvisor::cri
