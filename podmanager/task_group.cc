#include "podmanager/task_group.h"

#include <spdlog/spdlog.h>

#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace podvisor {

void Outcome::Set(absl::Status status) {
  absl::MutexLock lock(&mu_);
  if (!status_) status_ = std::move(status);
}

absl::Status Outcome::Await(absl::Time deadline, const std::string& what) {
  absl::MutexLock lock(&mu_);
  if (mu_.AwaitWithDeadline(absl::Condition(this, &Outcome::IsSet), deadline)) return *status_;
  return absl::DeadlineExceededError(absl::StrCat(what, ": still under way; ask again"));
}

std::optional<absl::Status> Outcome::Peek() {
  absl::MutexLock lock(&mu_);
  return status_;
}

void TaskGroup::Run(std::function<void()> task) {
  {
    absl::MutexLock lock(&mu_);
    ++running_;
  }
  auto run = [this, task = std::move(task)]() mutable {
    task();
    task = nullptr;  // what it holds goes before the group may
    absl::MutexLock lock(&mu_);
    --running_;
  };
  try {
    std::thread(run).detach();
  } catch (const std::system_error& error) {  // no more threads: slower, but done
    spdlog::warn("no thread for a task: {}", error.what());
    run();
  }
}

absl::Status TaskGroup::Perform(absl::Time deadline, const std::string& what, std::function<absl::Status()> work) {
  struct Shared {
    absl::Mutex mu;
    bool abandoned ABSL_GUARDED_BY(mu) = false;
    std::optional<absl::Status> status ABSL_GUARDED_BY(mu);
    bool Done() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) { return status.has_value(); }
  };
  auto shared = std::make_shared<Shared>();
  Run([shared, what, work = std::move(work)] {
    absl::Status status = work();
    absl::MutexLock lock(&shared->mu);
    if (shared->abandoned && !status.ok()) spdlog::error("{}: {}", what, status.ToString());
    shared->status = std::move(status);
  });
  absl::MutexLock lock(&shared->mu);
  if (shared->mu.AwaitWithDeadline(absl::Condition(shared.get(), &Shared::Done), deadline)) return *shared->status;
  shared->abandoned = true;
  return absl::DeadlineExceededError(absl::StrCat(what, ": still under way; ask again"));
}

absl::Status TaskGroup::All(std::vector<std::function<absl::Status()>> works) {
  if (works.empty()) return absl::OkStatus();
  std::vector<std::unique_ptr<Outcome>> outcomes;
  for (size_t i = 0; i + 1 < works.size(); ++i) {
    Outcome& outcome = *outcomes.emplace_back(std::make_unique<Outcome>());
    Run([&outcome, work = std::move(works[i])] { outcome.Set(work()); });
  }
  const absl::Status last = works.back()();
  absl::Status first;
  for (auto& outcome : outcomes) {
    absl::Status status = outcome->Await(absl::InfiniteFuture(), "");
    if (first.ok()) first = std::move(status);
  }
  return first.ok() ? last : first;
}

bool TaskGroup::Wait(absl::Time deadline) {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithDeadline(absl::Condition(this, &TaskGroup::Idle), deadline);
}

}  // namespace podvisor
