#include "agent/guest/runtime/containers.h"

#include <signal.h>

#include <map>
#include <utility>

#include "agent/guest/folders.h"
#include "agent/guest/log.h"
#include "agent/guest/runtime/exec_run.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::RunExecRequest;

// The OCI messages of the Kata agent have no "unified" resources: podmanager sends them as annotations.
absl::Status ApplyAnnotations(const grpc::Spec& spec, const Cgroup& cgroup) {
  constexpr absl::string_view kPrefix = "podvisor.cgroup.unified/";
  const std::map<std::string, std::string> annotations(spec.annotations().begin(), spec.annotations().end());
  for (const auto& [key, value] : annotations) {
    if (key.rfind(std::string(kPrefix), 0) == 0) RETURN_IF_ERROR(cgroup.SetFile(key.substr(kPrefix.size()), value));
  }
  return absl::OkStatus();
}

// The folder of a container that has an overlay in it; "" for others.
std::string LayerFolder(const grpc::CreateContainerRequest& request) {
  std::string folder = absl::StrCat(kRunFolder, "/", request.container_id());
  for (const grpc::Storage& storage : request.storages()) {
    if (storage.driver() == "overlayfs" && storage.mount_point().rfind(folder + "/", 0) == 0) return folder;
  }
  return "";
}

}  // namespace

Containers::Containers(Loop& loop, Uevents& uevents, CgroupTree* cgroups, Sysctls& sysctls, const PodUsers& users)
    : loop_(loop), uevents_(uevents), cgroups_(cgroups), sysctls_(sysctls), users_(users), watcher_(loop) {
  if (cgroups_ == nullptr) return;
  const absl::StatusOr<UniqueFd> idle = Cgroup(cgroups_->idle_path()).Open();
  const absl::Status status = idle.ok() ? device_filters_.StayOn(idle->get()) : idle.status();
  if (!status.ok()) Log("device filters are switched on for each container anew: ", status.message());
}

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
  const absl::StatusOr<PodUsers> users = UsersOf(request.oci());
  if (!users.ok()) return call->Fail(Prefix(users.status(), absl::StrCat("container ", request.container_id())));
  auto container = std::make_shared<Container>();
  container->id = request.container_id();
  container->mounts->SetUsers(*users);
  container->request = request;
  containers_[container->id] = container;
  if (const std::string folder = LayerFolder(request); !folder.empty()) {
    const absl::Status status = container->mounts->MountLayer(folder);
    if (!status.ok()) return FailCreation(container, call, status);
  }
  MountStorages(uevents_, request.storages(), container->mounts, [this, container, call](const absl::Status& status) {
    if (!status.ok()) return FailCreation(container, call, status);
    container->mounts->EndLayerSetUp();
    if (container->removing) return call->Fail(absl::CancelledError("the sandbox is being destroyed"));
    LaunchContainer(container, call);
  });
}

void Containers::LaunchContainer(const std::shared_ptr<Container>& container, CallPtr call) {
  if (const absl::Status status = TryLaunch(container, call); !status.ok()) FailCreation(container, call, status);
}

// One user namespace for all of the pod's containers, as other runtimes have it: they share network, ipc and perhaps
// processes, over which their root has rights only if these belong to the namespace that it is root of.
absl::StatusOr<PodUsers> Containers::UsersOf(const grpc::Spec& spec) const {
  if (!HasUserNamespace(spec)) return PodUsers();
  if (!users_.AreMapped()) {
    return absl::FailedPreconditionError("a user namespace in a sandbox that was configured without id mappings");
  }
  if (!(FromOci(spec.linux().uidmappings(), spec.linux().gidmappings()) == users_.mappings)) {
    return absl::InvalidArgumentError("id mappings other than the sandbox's");
  }
  return users_;
}

absl::StatusOr<int> Containers::SharedPidNamespace() {
  if (!reaper_.has_value()) {
    ASSIGN_OR_RETURN(reaper_, LaunchReaper(users_), "shared pid namespace");
  }
  return reaper_->pidfd.get();
}

// A path of "container:ID" is that of another container's pid namespace: no file, since those names are not stable.
absl::StatusOr<int> Containers::TargetPidNamespace(const grpc::Spec& spec) const {
  const std::string prefix = "container:";
  for (const grpc::LinuxNamespace& space : spec.linux().namespaces()) {
    if (space.type() != "pid" || space.path().rfind(prefix, 0) != 0) continue;
    ASSIGN_OR_RETURN(const std::shared_ptr<Container> target, Find(space.path().substr(prefix.size())),
                     "pid namespace");
    if (target->state != Container::State::kRunning) {
      return absl::FailedPreconditionError(
          absl::StrCat("pid namespace of container ", target->id, ": it is ", Name(target->state)));
    }
    return target->process->pidfd();
  }
  return -1;
}

absl::Status Containers::TryLaunch(const std::shared_ptr<Container>& container, const CallPtr& call) {
  const grpc::Spec& spec = container->request.oci();
  LaunchRequest request{
      .spec = &spec, .process = &spec.process(), .users = container->mounts->users(), .ipc_owner = users_.root_uid};
  if (container->request.sandbox_pidns()) {
    ASSIGN_OR_RETURN(request.pid_namespace_of, SharedPidNamespace());
  } else {
    ASSIGN_OR_RETURN(request.pid_namespace_of, TargetPidNamespace(spec));
  }
  if (spec.linux().has_seccomp()) {
    ASSIGN_OR_RETURN(container->seccomp, seccomp_filters_.Get(spec.linux().seccomp()));
    request.seccomp = container->seccomp.get();
  }
  for (const auto& [name, value] : spec.linux().sysctl()) sysctls_.Remember(name);
  UniqueFd cgroup_fd;
  if (cgroups_ != nullptr) {
    ASSIGN_OR_RETURN(container->cgroup, cgroups_->Make(container->id));
    RETURN_IF_ERROR(container->cgroup->Apply(spec.linux().resources()));
    RETURN_IF_ERROR(ApplyAnnotations(spec, *container->cgroup));
    ASSIGN_OR_RETURN(cgroup_fd, container->cgroup->Open());
    RETURN_IF_ERROR(device_filters_.Apply(spec.linux().resources().devices(), cgroup_fd.get()));
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
  StartExec(request, [call = std::move(call)](const absl::StatusOr<std::shared_ptr<Process>>& process) {
    call->Finish(process.status());
  });
}

void Containers::RunExec(const RunExecRequest& request, CallPtr call) {
  const std::string id = request.exec().container_id();
  const std::string exec_id = request.exec().exec_id();
  StartExec(request.exec(), [this, id, exec_id, wait_ms = request.wait_ms(),
                             call = std::move(call)](const absl::StatusOr<std::shared_ptr<Process>>& process) {
    if (!process.ok()) return call->Fail(process.status());
    ExecRun::Follow(loop_, *process, wait_ms, call, [this, id, exec_id] { (void)ReleaseExec(id, exec_id); });
  });
}

void Containers::StartExec(const grpc::ExecProcessRequest& request, ExecStarted started) {
  const absl::StatusOr<std::shared_ptr<Container>> found = Find(request.container_id());
  absl::Status status = found.status();
  if (status.ok()) status = CheckId(request.exec_id(), "exec id");
  if (status.ok()) status = CheckProcess(request.process());
  if (!status.ok()) return started(status);
  const std::shared_ptr<Container>& container = *found;
  const std::string where = absl::StrCat("exec ", request.exec_id(), " in container ", container->id);
  if (container->state != Container::State::kRunning || container->removing) {
    return started(absl::FailedPreconditionError(absl::StrCat(where, ": it is ", Name(container->state))));
  }
  if (request.exec_id() == container->id || container->execs.contains(request.exec_id())) {
    return started(absl::AlreadyExistsError(absl::StrCat(where, ": the id is in use")));
  }
  LaunchRequest launch{.spec = &container->request.oci(),
                       .process = &request.process(),
                       .container_pidfd = container->process->pidfd(),
                       .pid_namespace_of = container->process->pidfd(),
                       .seccomp = container->seccomp.get(),
                       .users = container->mounts->users()};
  UniqueFd cgroup_fd;
  if (container->cgroup != nullptr) {
    if (absl::StatusOr<UniqueFd> fd = container->cgroup->Open(); fd.ok()) cgroup_fd = *std::move(fd);
    launch.cgroup_fd = cgroup_fd.get();
  }
  // The caller knows which exec in which container it has asked for: what comes from the program says the rest.
  absl::StatusOr<Launched> launched = Launch(launch);
  if (!launched.ok()) return started(launched.status());
  auto process = std::make_shared<Process>(loop_, container->id, request.exec_id());
  by_pid_[launched->pid] = process;
  container->execs[request.exec_id()] = process;
  status = process->Adopt(*std::move(launched), nullptr);
  process->Start([container, process = std::weak_ptr(process), exec_id = request.exec_id(),
                  started = std::move(started)](const absl::Status& status) {
    if (status.ok()) return started(process.lock());
    container->execs.erase(exec_id);
    started(status);
  });
  if (!status.ok()) (void)process->Signal(SIGKILL);
}

void Containers::Pause(const std::string& id, CallPtr call) {
  const absl::StatusOr<std::shared_ptr<Container>> found = Find(id);
  if (!found.ok()) return call->Fail(found.status());
  const std::shared_ptr<Container>& container = *found;
  if (container->state != Container::State::kRunning || container->cgroup == nullptr || container->removing) {
    return call->Fail(absl::FailedPreconditionError(
        absl::StrCat("container ", id, " cannot be paused: it is ", Name(container->state))));
  }
  if (const absl::Status status = container->cgroup->SetFreezer(Cgroup::Freezer::kFrozen); !status.ok()) {
    return call->Fail(Prefix(status, absl::StrCat("pause container ", id)));
  }
  if (container->cgroup->IsFrozen()) return call->ReplyEmpty();
  container->pauser = std::move(call);  // cgroup.events tells
}

absl::Status Containers::Resume(const std::string& id) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  if (container->cgroup == nullptr)
    return absl::FailedPreconditionError(absl::StrCat("container ", id, " has no cgroup"));
  if (container->pauser != nullptr) {
    std::exchange(container->pauser, nullptr)->Fail(absl::AbortedError("it has been resumed meanwhile"));
  }
  RETURN_IF_ERROR(container->cgroup->SetFreezer(Cgroup::Freezer::kThawed), "resume container ", id);
  return absl::OkStatus();
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
