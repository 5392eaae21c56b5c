#include "vmm/mock/mock_host.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {

MockHost::~MockHost() {
  std::map<std::string, std::shared_ptr<MockMachine>> machines;
  {
    absl::MutexLock lock(&mu_);
    machines.swap(machines_);
  }
  for (auto& [id, machine] : machines) machine->End("the mock host has gone");
}

void MockHost::SetBootTime(absl::Duration boot_time) {
  absl::MutexLock lock(&mu_);
  guest_.boot_time = boot_time;
}

void MockHost::SetExtension(ExtensionService extension) {
  absl::MutexLock lock(&mu_);
  guest_.extension = extension;
}

absl::StatusOr<std::shared_ptr<MockMachine>> MockHost::Make(const VmSpec& spec, const Capabilities& capabilities) {
  absl::MutexLock lock(&mu_);
  if (machines_.count(spec.id) > 0) return absl::AlreadyExistsError(absl::StrCat("VM ", spec.id, " runs already"));
  ASSIGN_OR_RETURN(
      std::shared_ptr<MockMachine> machine,
      MockMachine::Make(loop_, spec, capabilities, absl::StrCat("mock VM ", spec.id, " #", ++made_), guest_));
  machines_[spec.id] = machine;
  return machine;
}

absl::StatusOr<std::shared_ptr<MockMachine>> MockHost::FindByRecord(const std::string& record) {
  absl::MutexLock lock(&mu_);
  for (const auto& [id, machine] : machines_) {
    if (machine->record() == record) return machine;
  }
  return absl::NotFoundError("no VM of this record runs");
}

std::shared_ptr<MockMachine> MockHost::Find(const std::string& id) {
  absl::MutexLock lock(&mu_);
  auto it = machines_.find(id);
  return it == machines_.end() ? nullptr : it->second;
}

void MockHost::End(const std::shared_ptr<MockMachine>& machine, const std::string& reason) {
  {
    absl::MutexLock lock(&mu_);
    auto it = machines_.find(machine->View().spec.id);
    if (it != machines_.end() && it->second == machine) machines_.erase(it);
  }
  machine->End(reason);
}

absl::Status MockHost::KillVm(const std::string& id, const std::string& reason) {
  std::shared_ptr<MockMachine> machine = Find(id);
  if (machine == nullptr) return absl::NotFoundError(absl::StrCat("no VM ", id, " runs"));
  End(machine, reason);
  return absl::OkStatus();
}

absl::Status MockHost::WriteConsole(const std::string& id, const std::string& text) {
  std::shared_ptr<MockMachine> machine = Find(id);
  if (machine == nullptr) return absl::NotFoundError(absl::StrCat("no VM ", id, " runs"));
  machine->WriteConsole(text);
  return absl::OkStatus();
}

std::vector<std::string> MockHost::LiveVms() {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> ids;
  for (const auto& [id, machine] : machines_) ids.push_back(id);
  return ids;
}

absl::StatusOr<MockVmView> MockHost::View(const std::string& id) {
  std::shared_ptr<MockMachine> machine = Find(id);
  if (machine == nullptr) return absl::NotFoundError(absl::StrCat("no VM ", id, " runs"));
  return machine->View();
}

std::shared_ptr<FakeAgent> MockHost::Agent(const std::string& id) {
  std::shared_ptr<MockMachine> machine = Find(id);
  return machine == nullptr ? nullptr : machine->agent();
}

}  // namespace podvisor
