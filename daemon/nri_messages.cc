#include "daemon/nri_messages.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {

namespace {

nri_api::ContainerState StateOf(const HookContainer& container) {
  switch (container.state) {
    case ContainerState::kCreated:
      return nri_api::CONTAINER_CREATED;
    case ContainerState::kRunning:
      return nri_api::CONTAINER_RUNNING;
    case ContainerState::kExited:
      return nri_api::CONTAINER_STOPPED;
    case ContainerState::kUnknown:
      return nri_api::CONTAINER_UNKNOWN;
  }
  return nri_api::CONTAINER_UNKNOWN;
}

int64_t Nanos(absl::Time time) { return time == absl::InfinitePast() ? 0 : absl::ToUnixNanos(time); }

nri_api::Mount ToNri(const MountConfig& config) {
  nri_api::Mount mount;
  mount.set_destination(config.container_path());
  mount.set_type("bind");
  mount.set_source(config.host_path());
  mount.add_options("rbind");
  mount.add_options(config.readonly() ? "ro" : "rw");
  if (config.propagation() == HOST_TO_CONTAINER) mount.add_options("rslave");
  if (config.propagation() == BIDIRECTIONAL) mount.add_options("rshared");
  if (config.propagation() == PRIVATE) mount.add_options("rprivate");
  return mount;
}

absl::StatusOr<MountConfig> FromNri(const nri_api::Mount& mount) {
  if (!absl::StartsWith(mount.source(), "/") || !absl::StartsWith(mount.destination(), "/")) {
    return absl::InvalidArgumentError(absl::StrCat("NRI mount of \"", mount.source(), "\" at \"", mount.destination(),
                                                   "\": both have to be absolute paths"));
  }
  MountConfig config;
  config.set_container_path(mount.destination());
  config.set_host_path(mount.source());
  for (const std::string& option : mount.options()) {
    if (option == "ro") config.set_readonly(true);
    if (option == "slave" || option == "rslave") config.set_propagation(HOST_TO_CONTAINER);
    if (option == "shared" || option == "rshared") config.set_propagation(BIDIRECTIONAL);
  }
  return config;
}

template <typename Entries, typename Match>
void EraseIf(Entries* entries, const Match& match) {
  entries->erase(std::remove_if(entries->begin(), entries->end(), match), entries->end());
}

absl::Status ApplyMounts(const nri_api::ContainerAdjustment& from, ContainerConfig* to) {
  for (const nri_api::Mount& mount : from.mounts()) {
    const bool removal = absl::StartsWith(mount.destination(), "-");
    const std::string destination = removal ? mount.destination().substr(1) : mount.destination();
    EraseIf(to->mutable_mounts(),
            [&destination](const MountConfig& other) { return other.container_path() == destination; });
    if (removal) continue;
    ASSIGN_OR_RETURN(*to->add_mounts(), FromNri(mount));
  }
  return absl::OkStatus();
}

void ApplyEnv(const nri_api::ContainerAdjustment& from, ContainerConfig* to) {
  for (const nri_api::KeyValue& variable : from.env()) {
    if (absl::StartsWith(variable.key(), "-")) {
      const std::string key = variable.key().substr(1);
      to->mutable_env()->erase(key);
      EraseIf(to->mutable_env_order(), [&key](const std::string& other) { return other == key; });
      to->add_env_unset(key);
      continue;
    }
    if (to->env().count(variable.key()) == 0) to->add_env_order(variable.key());
    (*to->mutable_env())[variable.key()] = variable.value();
  }
}

void ApplyRlimits(const nri_api::ContainerAdjustment& from, ContainerConfig* to) {
  for (const nri_api::POSIXRlimit& limit : from.rlimits()) {
    EraseIf(to->mutable_rlimits(), [&limit](const Rlimit& other) { return other.type() == limit.type(); });
    Rlimit& rlimit = *to->add_rlimits();
    rlimit.set_type(limit.type());
    rlimit.set_hard(limit.hard());
    rlimit.set_soft(limit.soft());
  }
}

}  // namespace

nri_api::PodSandbox ToNri(const HookPod& pod) {
  nri_api::PodSandbox message;
  message.set_id(pod.id);
  message.set_name(pod.config.metadata().name());
  message.set_uid(pod.config.metadata().uid());
  message.set_namespace_(pod.config.metadata().namespace_());
  message.mutable_labels()->insert(pod.config.labels().begin(), pod.config.labels().end());
  message.mutable_annotations()->insert(pod.config.annotations().begin(), pod.config.annotations().end());
  message.set_runtime_handler(pod.runtime_handler);
  nri_api::LinuxPodSandbox& linux = *message.mutable_linux();
  if (pod.config.has_overhead()) *linux.mutable_pod_overhead() = ToNri(pod.config.overhead());
  if (pod.config.has_resources()) *linux.mutable_pod_resources() = ToNri(pod.config.resources());
  linux.set_cgroup_parent(pod.config.cgroup_parent());
  linux.set_cgroups_path(pod.cgroup_path);
  // The one that the host can see: all others are in the guest.
  nri_api::LinuxNamespace& network = *linux.add_namespaces();
  network.set_type("network");
  network.set_path(pod.netns_path);
  message.set_pid(static_cast<uint32_t>(pod.pid));
  for (const std::string& ip : pod.ips) message.add_ips(ip);
  return message;
}

nri_api::Container ToNri(const HookContainer& container) {
  nri_api::Container message;
  message.set_id(container.id);
  message.set_pod_sandbox_id(container.sandbox_id);
  message.set_name(container.config.metadata().name());
  message.set_state(StateOf(container));
  message.mutable_labels()->insert(container.config.labels().begin(), container.config.labels().end());
  message.mutable_annotations()->insert(container.config.annotations().begin(), container.config.annotations().end());
  message.mutable_args()->Add(container.args.begin(), container.args.end());
  message.mutable_env()->Add(container.env.begin(), container.env.end());
  for (const MountConfig& mount : container.config.mounts()) {
    if (mount.image().empty()) *message.add_mounts() = ToNri(mount);
  }
  nri_api::LinuxContainer& linux = *message.mutable_linux();
  *linux.mutable_resources() = ToNri(container.resources);
  linux.mutable_oom_score_adj()->set_value(container.resources.oom_score_adj());
  for (const Rlimit& limit : container.config.rlimits()) {
    nri_api::POSIXRlimit& rlimit = *message.add_rlimits();
    rlimit.set_type(limit.type());
    rlimit.set_hard(limit.hard());
    rlimit.set_soft(limit.soft());
  }
  message.set_created_at(Nanos(container.created_at));
  message.set_started_at(Nanos(container.started_at));
  message.set_finished_at(Nanos(container.finished_at));
  message.set_exit_code(container.exit_code);
  message.set_status_reason(container.reason);
  message.set_status_message(container.message);
  message.mutable_user()->set_uid(container.uid);
  message.mutable_user()->set_gid(container.gid);
  message.mutable_user()->mutable_additional_gids()->Add(container.groups.begin(), container.groups.end());
  return message;
}

nri_api::LinuxResources ToNri(const Resources& resources) {
  nri_api::LinuxResources message;
  nri_api::LinuxMemory& memory = *message.mutable_memory();
  if (resources.memory_limit_bytes() != 0) memory.mutable_limit()->set_value(resources.memory_limit_bytes());
  if (resources.memory_swap_limit_bytes() != 0) memory.mutable_swap()->set_value(resources.memory_swap_limit_bytes());
  nri_api::LinuxCPU& cpu = *message.mutable_cpu();
  if (resources.cpu_shares() != 0) cpu.mutable_shares()->set_value(static_cast<uint64_t>(resources.cpu_shares()));
  if (resources.cpu_quota() != 0) cpu.mutable_quota()->set_value(resources.cpu_quota());
  if (resources.cpu_period() != 0) cpu.mutable_period()->set_value(static_cast<uint64_t>(resources.cpu_period()));
  cpu.set_cpus(resources.cpuset_cpus());
  cpu.set_mems(resources.cpuset_mems());
  for (const auto& [size, limit] : resources.hugepage_limits()) {
    nri_api::HugepageLimit& hugepages = *message.add_hugepage_limits();
    hugepages.set_page_size(size);
    hugepages.set_limit(limit);
  }
  message.mutable_unified()->insert(resources.unified().begin(), resources.unified().end());
  return message;
}

void Apply(const nri_api::LinuxResources& from, Resources* to) {
  const nri_api::LinuxMemory& memory = from.memory();
  if (memory.has_limit()) to->set_memory_limit_bytes(memory.limit().value());
  if (memory.has_swap()) to->set_memory_swap_limit_bytes(memory.swap().value());
  if (memory.has_reservation()) (*to->mutable_unified())["memory.low"] = absl::StrCat(memory.reservation().value());
  const nri_api::LinuxCPU& cpu = from.cpu();
  if (cpu.has_shares()) to->set_cpu_shares(static_cast<int64_t>(cpu.shares().value()));
  if (cpu.has_quota()) to->set_cpu_quota(cpu.quota().value());
  if (cpu.has_period()) to->set_cpu_period(static_cast<int64_t>(cpu.period().value()));
  if (!cpu.cpus().empty()) to->set_cpuset_cpus(cpu.cpus());
  if (!cpu.mems().empty()) to->set_cpuset_mems(cpu.mems());
  for (const nri_api::HugepageLimit& limit : from.hugepage_limits()) {
    (*to->mutable_hugepage_limits())[limit.page_size()] = limit.limit();
  }
  for (const auto& [file, value] : from.unified()) (*to->mutable_unified())[file] = value;
  if (from.has_pids()) {
    const int64_t limit = from.pids().limit();
    (*to->mutable_unified())["pids.max"] = limit > 0 ? absl::StrCat(limit) : "max";
  }
}

absl::Status Apply(const nri_api::ContainerAdjustment& from, ContainerConfig* to) {
  for (const auto& [key, value] : from.annotations()) {
    if (absl::StartsWith(key, "-")) {
      to->mutable_annotations()->erase(key.substr(1));
    } else {
      (*to->mutable_annotations())[key] = value;
    }
  }
  RETURN_IF_ERROR(ApplyMounts(from, to));
  ApplyEnv(from, to);
  if (from.args_size() > 0) {
    *to->mutable_command() = from.args();
    to->clear_args();
  }
  ApplyRlimits(from, to);
  if (from.linux().has_oom_score_adj()) {
    to->mutable_resources()->set_oom_score_adj(from.linux().oom_score_adj().value());
  }
  if (from.linux().has_resources()) Apply(from.linux().resources(), to->mutable_resources());
  return absl::OkStatus();
}

}  // namespace podvisor
