#include "podmanager/sandbox.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {

std::string SandboxName(const SandboxConfig& config) {
  const Metadata& metadata = config.metadata();
  return absl::StrCat(metadata.name(), "_", metadata.namespace_(), "_", metadata.uid(), "_", metadata.attempt());
}

Sandbox::Sandbox(SandboxRecord record, const RuntimeHandler* handler, RecordStore& store)
    : id_(record.id()),
      config_(std::make_shared<const SandboxConfig>(record.config())),
      handler_name_(record.runtime_handler()),
      handler_(handler),
      store_(store),
      told_(StageOf(FromRecord(record.phase()))),
      phase_(FromRecord(record.phase())),
      record_(std::move(record)) {}

const RuntimeTimeouts& Sandbox::timeouts() const {
  static const RuntimeTimeouts kDefaults;
  return handler_ != nullptr ? handler_->timeouts : kDefaults;
}

SandboxPhase Sandbox::phase() const {
  absl::MutexLock lock(&mu_);
  return phase_;
}

SandboxRecord Sandbox::record() const {
  absl::MutexLock lock(&mu_);
  return record_;
}

void Sandbox::Look(absl::FunctionRef<void(const SandboxRecord&)> look) const {
  absl::MutexLock lock(&mu_);
  look(record_);
}

absl::Status Sandbox::MoveLocked(SandboxPhase next, const Change& change, bool* allowed) {
  *allowed = CanTransition(phase_, next);
  if (!*allowed) {
    return absl::FailedPreconditionError(
        absl::StrCat("sandbox ", id_, " is ", Name(phase_), ": it can't become ", Name(next)));
  }
  SandboxRecord changed = record_;
  changed.set_phase(ToRecord(next));
  if (change) change(changed);
  absl::Status written = store_.Put(changed);
  record_ = std::move(changed);
  phase_ = next;
  return written;
}

absl::Status Sandbox::TransitionTo(SandboxPhase next, const Change& change) {
  absl::MutexLock lock(&mu_);
  const SandboxPhase before = phase_;
  SandboxRecord record_before = record_;
  bool allowed = false;
  absl::Status status = MoveLocked(next, change, &allowed);
  if (!status.ok() && allowed) {
    phase_ = before;
    record_ = std::move(record_before);
  }
  return status;
}

bool Sandbox::Observe(SandboxPhase from, SandboxPhase next, const Change& change) {
  absl::MutexLock lock(&mu_);
  if (phase_ != from) return false;
  bool allowed = false;
  absl::Status status = MoveLocked(next, change, &allowed);
  if (allowed && !status.ok()) spdlog::error("sandbox {}: now {}: {}", id_, Name(next), status.ToString());
  return allowed;
}

absl::Status Sandbox::Update(const Change& change) {
  absl::MutexLock lock(&mu_);
  SandboxRecord changed = record_;
  change(changed);
  RETURN_IF_ERROR(store_.Put(changed));
  record_ = std::move(changed);
  return absl::OkStatus();
}

absl::Status Sandbox::WriteTaken(const Change& change) {
  absl::MutexLock lock(&mu_);
  SandboxRecord changed = record_;
  change(changed);
  RETURN_IF_ERROR(store_.PutTaken(changed));
  record_ = std::move(changed);
  return absl::OkStatus();
}

absl::Status Sandbox::WriteRecord() {
  return Update([](SandboxRecord&) {});
}

Sandbox::Guest Sandbox::guest() const {
  absl::MutexLock lock(&mu_);
  return guest_;
}

void Sandbox::set_guest(Guest guest) {
  absl::MutexLock lock(&mu_);
  std::swap(guest_, guest);  // the old one ends outside of the lock
}

std::string Sandbox::vm_exit_reason() const {
  absl::MutexLock lock(&mu_);
  return vm_exit_reason_;
}

void Sandbox::set_vm_exit_reason(std::string reason) {
  absl::MutexLock lock(&mu_);
  vm_exit_reason_ = std::move(reason);
}

}  // namespace podvisor
