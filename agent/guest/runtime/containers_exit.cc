// How containers end: exits, out of memory, removal.
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "agent/guest/log.h"
#include "agent/guest/runtime/containers.h"

namespace podvisor::guest {
namespace {

constexpr size_t kMaxOomEvents = 1024;
// The kernel tells of an empty cgroup before its last member can be removed from it.
constexpr int64_t kCgroupRetryMs = 20;

}  // namespace

void Containers::WatchCgroup(const std::shared_ptr<Container>& container) {
  if (container->cgroup == nullptr) return;
  const std::weak_ptr<Container> weak = container;
  container->events_watch = watcher_.Add(container->cgroup->path() + "/cgroup.events", [this, weak] {
    if (const auto container = weak.lock()) OnCgroupEvent(container);
  });
  container->memory_watch = watcher_.Add(container->cgroup->path() + "/memory.events", [this, weak] {
    if (const auto container = weak.lock()) CheckOom(*container);
  });
}

void Containers::OnCgroupEvent(const std::shared_ptr<Container>& container) {
  if (container->pauser != nullptr && container->cgroup->IsFrozen()) {
    std::exchange(container->pauser, nullptr)->ReplyEmpty();
  }
  if (container->cgroup->IsPopulated()) return;
  // Whoever still holds a pipe of theirs lives elsewhere.
  if (container->process != nullptr && container->process->state() == Process::State::kExited) {
    container->process->EndOutputs();
    for (const auto& [id, exec] : container->execs) exec->EndOutputs();
  }
  if (container->removing) FinishRemoval(container);
}

void Containers::CheckOom(Container& container) {
  const uint64_t kills = container.cgroup != nullptr ? container.cgroup->OomKills() : 0;
  if (kills <= container.oom_kills) return;
  container.oom_kills = kills;
  if (oom_events_.size() < kMaxOomEvents) oom_events_.push_back(container.id);
  while (!oom_events_.empty() && !oom_waiters_.empty()) {
    const CallPtr waiter = oom_waiters_.front();
    oom_waiters_.pop_front();
    if (!waiter->IsAlive()) continue;
    grpc::OOMEvent event;
    event.set_container_id(oom_events_.front());
    oom_events_.pop_front();
    waiter->Reply(event);
  }
}

bool Containers::OnChildExit(pid_t pid, int wait_status) {
  const auto found = by_pid_.find(pid);
  if (found == by_pid_.end()) {
    if (reaper_.has_value() && reaper_->pid == pid) {
      reaper_.reset();
      TellIfEmpty();
    }
    return false;
  }
  const std::shared_ptr<Process> process = found->second;
  by_pid_.erase(found);
  OnProcessExit(process, wait_status);
  return true;
}

void Containers::OnProcessExit(const std::shared_ptr<Process>& process, int wait_status) {
  const auto found = containers_.find(process->container_id());
  if (found == containers_.end()) return process->OnExit(wait_status, false);
  const std::shared_ptr<Container> container = found->second;
  CheckOom(*container);
  const bool killed = WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL;
  if (process != container->process) {
    process->OnExit(wait_status, killed && container->oom_kills > 0);
  } else {
    container->state = Container::State::kExited;
    // A pid namespace of its own is dead by now. In a shared one, its children are not.
    if (container->cgroup != nullptr) container->cgroup->KillAll();
    process->OnExit(wait_status, container->oom_kills > 0);
    if (container->cgroup != nullptr) OnCgroupEvent(container);
  }
  if (container->removing) FinishRemoval(container);
}

bool Containers::HasProcesses(const Container& container) const {
  for (const auto& [pid, process] : by_pid_) {
    if (process->container_id() == container.id) return true;
  }
  return false;
}

void Containers::Remove(const std::string& id, CallPtr call) {
  const absl::StatusOr<std::shared_ptr<Container>> found = Find(id);
  if (!found.ok()) return call->Fail(found.status());
  const std::shared_ptr<Container>& container = *found;
  if (container->state == Container::State::kCreating) {
    return call->Fail(absl::FailedPreconditionError(absl::StrCat("container ", id, " is still being created")));
  }
  container->removers.push_back(std::move(call));
  Kill(container);
}

void Containers::Kill(const std::shared_ptr<Container>& container) {
  container->removing = true;
  if (container->process != nullptr) (void)container->process->Signal(SIGKILL);
  for (const auto& [id, exec] : container->execs) (void)exec->Signal(SIGKILL);
  if (container->cgroup != nullptr) container->cgroup->KillAll();
  // Never from within: the caller may be in the middle of its table.
  loop_.Post([this, container] { FinishRemoval(container); });
}

void Containers::FinishRemoval(const std::shared_ptr<Container>& container) {
  if (!containers_.contains(container->id) || containers_[container->id] != container) return;
  if (HasProcesses(*container)) return;  // their exits bring us here again
  if (container->cgroup != nullptr) {
    const absl::Status status = container->cgroup->Remove();
    if (absl::IsFailedPrecondition(status)) {
      loop_.After(kCgroupRetryMs, [this, container] { FinishRemoval(container); });
      return;
    }
    if (!status.ok()) Log("container ", container->id, ": ", status.message());
  }
  watcher_.Remove(container->events_watch);
  watcher_.Remove(container->memory_watch);
  if (container->process != nullptr) container->process->EndOutputs();
  for (const auto& [id, exec] : container->execs) exec->EndOutputs();
  container->mounts->Unmount();
  containers_.erase(container->id);
  for (const CallPtr& call : container->removers) call->Finish(container->creation);
  TellIfEmpty();
}

void Containers::TellIfEmpty() {
  if (when_empty_.empty() || !containers_.empty() || reaper_.has_value()) return;
  oom_events_.clear();
  for (const auto& function : std::exchange(when_empty_, {})) function();
}

void Containers::RemoveAll(std::function<void()> done) {
  when_empty_.push_back(std::move(done));
  for (const auto& [id, container] : containers_) Kill(container);
  if (reaper_.has_value()) ::syscall(SYS_pidfd_send_signal, reaper_->pidfd.get(), SIGKILL, nullptr, 0);
  loop_.Post([this] { TellIfEmpty(); });
}

}  // namespace podvisor::guest
