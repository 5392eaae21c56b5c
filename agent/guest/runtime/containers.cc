#include "agent/guest/runtime/containers.h"

#include <signal.h>

#include <utility>

#include "base/status_macros.h"

namespace podvisor::guest {

Containers::Containers(Loop& loop, Uevents& uevents, CgroupTree* cgroups, Sysctls& sysctls)
    : loop_(loop), uevents_(uevents), cgroups_(cgroups), sysctls_(sysctls), watcher_(loop) {}

absl::StatusOr<std::shared_ptr<Container>> Containers::Find(const std::string& id) const {
  RETURN_IF_ERROR(CheckId(id, "container id"));
  const auto found = containers_.find(id);
  if (found == containers_.end()) return absl::NotFoundError(absl::StrCat("container ", id, " is not known"));
  return found->second;
}

absl::StatusOr<std::shared_ptr<Process>> Containers::FindProcess(const std::string& id,
                                                                 const std::string& exec_id) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  return container->Find(exec_id);
}

void Containers::Create(const grpc::CreateContainerRequest& request, CallPtr call) {
  if (const absl::Status status = CheckSpec(request); !status.ok()) return call->Fail(status);
  if (containers_.contains(request.container_id())) {
    return call->Fail(absl::AlreadyExistsError(absl::StrCat("container ", request.container_id(), " exists already")));
  }
  auto container = std::make_shared<Container>();
  container->id = request.container_id();
  container->request = request;
  containers_[container->id] = container;
  MountStorages(uevents_, request.storages(), container->mounts, [this, container, call](const absl::Status& status) {
    if (!status.ok()) return FailCreation(container, call, status);
    if (container->removing) return call->Fail(absl::CancelledError("the sandbox is being destroyed"));
    LaunchContainer(container, call);
  });
}

void Containers::LaunchContainer(const std::shared_ptr<Container>& container, CallPtr call) {
  if (const absl::Status status = TryLaunch(container, call); !status.ok()) FailCreation(container, call, status);
}

absl::StatusOr<int> Containers::SharedPidNamespace() {
  if (!reaper_.has_value()) {
    ASSIGN_OR_RETURN(reaper_, LaunchReaper(), "shared pid namespace");
  }
  return reaper_->pidfd.get();
}

absl::Status Containers::TryLaunch(const std::shared_ptr<Container>& container, const CallPtr& call) {
  const grpc::Spec& spec = container->request.oci();
  LaunchRequest request{.spec = &spec, .process = &spec.process()};
  if (container->request.sandbox_pidns()) {
    ASSIGN_OR_RETURN(request.pid_namespace_of, SharedPidNamespace());
  }
  for (const auto& [name, value] : spec.linux().sysctl()) sysctls_.Remember(name);
  UniqueFd cgroup_fd;
  if (cgroups_ != nullptr) {
    ASSIGN_OR_RETURN(container->cgroup, cgroups_->Make(container->id));
    RETURN_IF_ERROR(container->cgroup->Apply(spec.linux().resources()));
    ASSIGN_OR_RETURN(cgroup_fd, container->cgroup->Open());
    request.cgroup_fd = cgroup_fd.get();
  }
  ASSIGN_OR_RETURN(Launched launched, Launch(request));
  container->process = std::make_shared<Process>(loop_, container->id, "");
  by_pid_[launched.pid] = container->process;
  WatchCgroup(container);
  return container->process->Adopt(std::move(launched), [this, container, call](const absl::Status& status) {
    if (!status.ok()) return FailCreation(container, call, status);
    container->state = Container::State::kCreated;
    call->ReplyEmpty();
  });
}

void Containers::FailCreation(const std::shared_ptr<Container>& container, const CallPtr& call,
                              const absl::Status& status) {
  // The caller hears of it when nothing is left of the container, so that it may try again at once.
  container->creation = Prefix(status, absl::StrCat("container ", container->id));
  container->removers.push_back(call);
  Kill(container);
}

void Containers::Start(const std::string& id, CallPtr call) {
  const absl::StatusOr<std::shared_ptr<Container>> found = Find(id);
  if (!found.ok()) return call->Fail(found.status());
  const std::shared_ptr<Container>& container = *found;
  if (container->state != Container::State::kCreated || container->removing) {
    return call->Fail(absl::FailedPreconditionError(
        absl::StrCat("container ", id, " cannot be started: it is ", Name(container->state))));
  }
  container->state = Container::State::kStarting;
  container->process->Start([container, call](const absl::Status& status) {
    if (status.ok()) {
      container->state = Container::State::kRunning;
      return call->ReplyEmpty();
    }
    call->Fail(Prefix(status, absl::StrCat("container ", container->id, ": unable to start container process")));
  });
}

void Containers::Exec(const grpc::ExecProcessRequest& request, CallPtr call) {
  const absl::StatusOr<std::shared_ptr<Container>> found = Find(request.container_id());
  absl::Status status = found.status();
  if (status.ok()) status = CheckId(request.exec_id(), "exec id");
  if (status.ok()) status = CheckProcess(request.process());
  if (!status.ok()) return call->Fail(status);
  const std::shared_ptr<Container>& container = *found;
  const std::string where = absl::StrCat("exec ", request.exec_id(), " in container ", container->id);
  if (container->state != Container::State::kRunning || container->removing) {
    return call->Fail(absl::FailedPreconditionError(absl::StrCat(where, ": it is ", Name(container->state))));
  }
  if (request.exec_id() == container->id || container->execs.contains(request.exec_id())) {
    return call->Fail(absl::AlreadyExistsError(absl::StrCat(where, ": the id is in use")));
  }
  LaunchRequest launch{.spec = &container->request.oci(),
                       .process = &request.process(),
                       .container_pidfd = container->process->pidfd(),
                       .pid_namespace_of = container->process->pidfd()};
  UniqueFd cgroup_fd;
  if (container->cgroup != nullptr) {
    if (absl::StatusOr<UniqueFd> fd = container->cgroup->Open(); fd.ok()) cgroup_fd = *std::move(fd);
    launch.cgroup_fd = cgroup_fd.get();
  }
  absl::StatusOr<Launched> launched = Launch(launch);
  if (!launched.ok()) return call->Fail(Prefix(launched.status(), where));
  auto process = std::make_shared<Process>(loop_, container->id, request.exec_id());
  by_pid_[launched->pid] = process;
  container->execs[request.exec_id()] = process;
  status = process->Adopt(*std::move(launched), nullptr);
  process->Start([container, call, where, exec_id = request.exec_id()](const absl::Status& status) {
    if (status.ok()) return call->ReplyEmpty();
    container->execs.erase(exec_id);
    call->Fail(Prefix(status, where));
  });
  if (!status.ok()) (void)process->Signal(SIGKILL);
}

void Containers::WaitProcess(const grpc::WaitProcessRequest& request, CallPtr call) {
  const absl::StatusOr<std::shared_ptr<Process>> process = FindProcess(request.container_id(), request.exec_id());
  if (!process.ok()) return call->Fail(process.status());
  // As the stock agent has it: who has been told the status of an exec has seen the last of it.
  (*process)->WaitProcess(std::move(call), [this, id = request.container_id(), exec_id = request.exec_id()] {
    (void)ReleaseExec(id, exec_id);
  });
}

absl::Status Containers::ReleaseExec(const std::string& id, const std::string& exec_id) {
  const auto container = containers_.find(id);
  if (container == containers_.end()) return absl::OkStatus();
  const auto exec = container->second->execs.find(exec_id);
  if (exec == container->second->execs.end()) return absl::OkStatus();
  if (exec->second->state() != Process::State::kExited) {
    return absl::FailedPreconditionError(absl::StrCat("exec ", exec_id, " in container ", id, " is running"));
  }
  container->second->execs.erase(exec);
  return absl::OkStatus();
}

std::vector<podvisor::agent::v1::ProcessState> Containers::List() const {
  std::vector<podvisor::agent::v1::ProcessState> states;
  for (const auto& [id, container] : containers_) {
    if (container->process != nullptr) states.push_back(container->process->Describe());
    for (const auto& [exec_id, exec] : container->execs) states.push_back(exec->Describe());
  }
  return states;
}

void Containers::GetOomEvent(CallPtr call) {
  std::erase_if(oom_waiters_, [](const CallPtr& waiter) { return !waiter->IsAlive(); });
  oom_waiters_.push_back(std::move(call));
  while (!oom_events_.empty() && !oom_waiters_.empty()) {
    grpc::OOMEvent event;
    event.set_container_id(oom_events_.front());
    oom_events_.pop_front();
    oom_waiters_.front()->Reply(event);
    oom_waiters_.pop_front();
  }
}

}  // namespace podvisor::guest
