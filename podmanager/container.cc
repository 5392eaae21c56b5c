#include "podmanager/container.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {

std::string ContainerName(const std::string& sandbox_id, const ContainerConfig& config) {
  return absl::StrCat(sandbox_id, "_", config.metadata().name(), "_", config.metadata().attempt());
}

Container::Container(ContainerRecord record, std::shared_ptr<Sandbox> sandbox, RecordStore& store)
    : id_(record.id()),
      config_(std::make_shared<const ContainerConfig>(record.config())),
      sandbox_(std::move(sandbox)),
      store_(store),
      told_(StageOf(FromRecord(record.phase()))),
      phase_(FromRecord(record.phase())),
      record_(std::move(record)) {
  // Recovered: an earlier daemon has told of its end.
  if (phase_ == ContainerPhase::kExited || phase_ == ContainerPhase::kRemoving) absl::call_once(stop_told_, [] {});
}

ContainerConfig Container::effective_config() const {
  absl::MutexLock lock(&mu_);
  return record_.has_adjusted_config() ? record_.adjusted_config() : *config_;
}

ContainerPhase Container::phase() const {
  absl::MutexLock lock(&mu_);
  return phase_;
}

ContainerRecord Container::record() const {
  absl::MutexLock lock(&mu_);
  return record_;
}

void Container::Look(absl::FunctionRef<void(const ContainerRecord&)> look) const {
  absl::MutexLock lock(&mu_);
  look(record_);
}

absl::Status Container::MoveLocked(ContainerPhase next, const Change& change, bool* allowed) {
  *allowed = CanTransition(phase_, next);
  if (!*allowed) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", id_, " is ", Name(phase_), ": it can't become ", Name(next)));
  }
  ContainerRecord changed = record_;
  changed.set_phase(ToRecord(next));
  if (change) change(changed);
  absl::Status written = store_.Put(changed);
  record_ = std::move(changed);
  phase_ = next;
  return written;
}

absl::Status Container::TransitionTo(ContainerPhase next, const Change& change) {
  absl::MutexLock lock(&mu_);
  const ContainerPhase before = phase_;
  ContainerRecord record_before = record_;
  bool allowed = false;
  absl::Status status = MoveLocked(next, change, &allowed);
  if (!status.ok() && allowed) {
    phase_ = before;
    record_ = std::move(record_before);
  }
  return status;
}

bool Container::Observe(ContainerPhase next, const Change& change) {
  absl::MutexLock lock(&mu_);
  bool allowed = false;
  absl::Status status = MoveLocked(next, change, &allowed);
  if (allowed && !status.ok()) spdlog::error("container {}: now {}: {}", id_, Name(next), status.ToString());
  return allowed;
}

absl::Status Container::Update(const Change& change) {
  absl::MutexLock lock(&mu_);
  ContainerRecord changed = record_;
  change(changed);
  RETURN_IF_ERROR(store_.Put(changed));
  record_ = std::move(changed);
  return absl::OkStatus();
}

absl::Status Container::WriteRecord() {
  return Update([](ContainerRecord&) {});
}

bool Container::AwaitEnded(absl::Time deadline) {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithDeadline(absl::Condition(this, &Container::Ended), deadline);
}

void Container::Interrupt() {
  absl::MutexLock lock(&mu_);
  interrupted_ = true;
}

bool Container::ClaimStopSignal() {
  absl::MutexLock lock(&mu_);
  return !std::exchange(stop_signalled_, true);
}

Container::Watchers Container::watchers() const {
  absl::MutexLock lock(&mu_);
  return watchers_;
}

Container::Watchers Container::set_watchers(Watchers watchers) {
  absl::MutexLock lock(&mu_);
  return std::exchange(watchers_, std::move(watchers));
}

}  // namespace podvisor
