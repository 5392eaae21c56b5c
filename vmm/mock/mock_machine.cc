#include "vmm/mock/mock_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr size_t kConsoleBytes = 64 << 10;
// The first PCI slot that a disk is on; hotplugged ones follow those of the fixed slots.
constexpr size_t kFirstDiskSlot = 5;

constexpr char kSavedMark[] = "mock devices of ";

bool IsClone(const VmSpec& spec) { return spec.boot == BootMode::kClone || spec.boot == BootMode::kCloneOfCopy; }

absl::Status CheckBootMode(const VmSpec& spec, const Capabilities& capabilities) {
  if (spec.boot == BootMode::kCold) return absl::OkStatus();
  const bool can = spec.boot == BootMode::kCloneOfCopy ? capabilities.clone_of_copy : capabilities.clone;
  if (!can) return absl::UnimplementedError(absl::StrCat("VM ", spec.id, ": this hypervisor makes no such clones"));
  if (!IsClone(spec)) return WriteFileAtomically(spec.template_files.memory_path, spec.id, 0600);
  ASSIGN_OR_RETURN(const std::string memory, ReadFile(spec.template_files.memory_path, 4096), "VM ", spec.id,
                   ": template");
  absl::StatusOr<std::string> devices = ReadFile(spec.template_files.devices_path, 4096);
  if (!devices.ok() || *devices != kSavedMark + memory) {
    return absl::FailedPreconditionError(
        absl::StrCat("VM ", spec.id, ": the template at ", spec.template_files.devices_path, " was never saved"));
  }
  return absl::OkStatus();
}

}  // namespace

MockMachine::MockMachine(EventLoop& loop, const VmSpec& spec, const Capabilities& capabilities, std::string record,
                         const MockGuest& guest)
    : loop_(loop),
      spec_(spec),
      capabilities_(capabilities),
      record_(std::move(record)),
      guest_({.boot_time = IsClone(spec) ? absl::ZeroDuration() : guest.boot_time, .extension = guest.extension}),
      vcpus_(spec.vcpus),
      memory_bytes_(spec.memory_bytes) {}

MockMachine::~MockMachine() { End("the mock host has gone"); }

absl::StatusOr<std::shared_ptr<MockMachine>> MockMachine::Make(EventLoop& loop, const VmSpec& spec,
                                                               const Capabilities& capabilities, std::string record,
                                                               const MockGuest& guest) {
  if (spec.id.empty()) return absl::InvalidArgumentError("VM without id");
  if (spec.vcpus < 1 || spec.vcpus > capabilities.max_vcpus) {
    return absl::InvalidArgumentError(absl::StrCat("VM ", spec.id, ": ", spec.vcpus, " vCPUs, between 1 and ",
                                                   capabilities.max_vcpus, " are possible"));
  }
  if (!spec.shared_folder.empty() && !capabilities.shared_folder) {
    return absl::UnimplementedError(absl::StrCat("VM ", spec.id, ": this hypervisor has no shared folder"));
  }
  if (::access(spec.runtime_dir.c_str(), W_OK | X_OK) != 0) {
    return ErrnoStatus(errno, absl::StrCat("VM ", spec.id, ": runtime folder ", spec.runtime_dir));
  }
  RETURN_IF_ERROR(CheckBootMode(spec, capabilities));
  UniqueFd tap;
  if (spec.nic) {
    tap.reset(::fcntl(spec.nic->tap_fd, F_DUPFD_CLOEXEC, 3));
    if (!tap.ok()) return absl::InvalidArgumentError(absl::StrCat("VM ", spec.id, ": its tap is no descriptor"));
  }
  VmSpec kept = spec;
  if (kept.nic) kept.nic->tap_fd = -1;
  std::shared_ptr<MockMachine> machine(new MockMachine(loop, kept, capabilities, std::move(record), guest));
  absl::MutexLock lock(&machine->mu_);
  machine->tap_ = std::move(tap);
  return machine;
}

std::string MockMachine::agent_path() const { return absl::StrCat(spec_.runtime_dir, "/agent.sock"); }

absl::Status MockMachine::EndedLocked() const {
  if (state_ != MockVmState::kEnded) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("VM ", spec_.id, " has ended: ", end_reason_, "; console: ", console_));
}

absl::Status MockMachine::Start() {
  {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(EndedLocked());
    if (state_ != MockVmState::kCreated) return absl::OkStatus();
    state_ = MockVmState::kRunning;
    started_at_ = absl::Now();
  }
  WriteConsole(absl::StrCat("mock guest ", spec_.id, " starts\n"));
  if (guest_.boot_time == absl::InfiniteDuration()) return absl::OkStatus();
  if (guest_.boot_time <= absl::ZeroDuration()) return ServeAgent();
  auto timer =
      std::make_shared<boost::asio::steady_timer>(loop_.context(), absl::ToChronoNanoseconds(guest_.boot_time));
  timer->async_wait([timer, weak = weak_from_this()](const boost::system::error_code& error) {
    auto self = weak.lock();
    if (error || self == nullptr) return;
    absl::Status served = self->ServeAgent();
    if (!served.ok()) self->WriteConsole(absl::StrCat("agent: ", served.message(), "\n"));
  });
  return absl::OkStatus();
}

absl::Status MockMachine::ServeAgent() {
  ASSIGN_OR_RETURN(std::shared_ptr<FakeAgent> agent, FakeAgent::Create(loop_, agent_path()), "VM ", spec_.id);
  agent->SetExtension(guest_.extension);
  bool frozen = false;
  {
    absl::MutexLock lock(&mu_);
    if (state_ == MockVmState::kEnded) return absl::OkStatus();  // in the meantime; the agent goes with this scope
    frozen = state_ == MockVmState::kPaused;
    agent_ = agent;
  }
  if (frozen) agent->Freeze();
  WriteConsole("agent ready\n");
  return absl::OkStatus();
}

absl::Status MockMachine::Pause() {
  std::shared_ptr<FakeAgent> agent;
  {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(EndedLocked());
    if (state_ == MockVmState::kCreated) {
      return absl::FailedPreconditionError(absl::StrCat("VM ", spec_.id, " was not started"));
    }
    state_ = MockVmState::kPaused;
    agent = agent_;
  }
  if (agent != nullptr) agent->Freeze();
  return absl::OkStatus();
}

absl::Status MockMachine::Resume() {
  std::shared_ptr<FakeAgent> agent;
  {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(EndedLocked());
    if (state_ == MockVmState::kCreated) {
      return absl::FailedPreconditionError(absl::StrCat("VM ", spec_.id, " was not started"));
    }
    state_ = MockVmState::kRunning;
    agent = agent_;
  }
  if (agent != nullptr) agent->Thaw();
  return absl::OkStatus();
}

absl::Status MockMachine::SaveTemplate() {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(EndedLocked());
  if (spec_.boot != BootMode::kToBeTemplate) {
    return absl::FailedPreconditionError(absl::StrCat("VM ", spec_.id, " was not made to be a template"));
  }
  return WriteFileAtomically(spec_.template_files.devices_path, kSavedMark + spec_.id, 0600);
}

bool MockMachine::End(const std::string& reason) {
  std::shared_ptr<FakeAgent> agent;
  std::shared_ptr<ExitWatch> watch;
  {
    absl::MutexLock lock(&mu_);
    if (state_ == MockVmState::kEnded) return false;
    state_ = MockVmState::kEnded;
    end_reason_ = reason;
    tap_.reset();
    disks_.clear();
    agent = std::move(agent_);
    watch = watch_;
  }
  agent.reset();  // the last connection breaks before anybody hears of the end, unless a test holds the agent
  if (watch != nullptr) watch->Fire(reason);
  return true;
}

absl::StatusOr<GuestDisk> MockMachine::AttachDisk(const DiskSpec& disk) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(EndedLocked());
  std::set<size_t> taken;
  for (const auto& [id, attached] : disks_) {
    if (attached.spec.path == disk.path && attached.spec.read_only == disk.read_only) return attached.guest;
    taken.insert(attached.slot);
  }
  if (::access(disk.path.c_str(), disk.read_only ? R_OK : R_OK | W_OK) != 0) {
    return ErrnoStatus(errno, absl::StrCat("attach disk ", disk.path, " to VM ", spec_.id));
  }
  size_t slot = 0;
  while (taken.count(slot) > 0) ++slot;
  const bool fixed = capabilities_.disk_swap && slot < static_cast<size_t>(spec_.disk_slots);
  if (!fixed && !capabilities_.disk_hotplug) {
    return absl::ResourceExhaustedError(
        absl::StrCat("attach disk ", disk.path, " to VM ", spec_.id, ": all ", spec_.disk_slots, " slots are taken"));
  }
  Disk& attached = disks_[absl::StrCat("disk", slot)];
  attached = {.spec = disk,
              .guest = {.id = absl::StrCat("disk", slot), .pci_path = absl::StrFormat("%02x", kFirstDiskSlot + slot)},
              .slot = slot};
  return attached.guest;
}

void MockMachine::DetachDisk(const std::string& disk_id) {
  absl::MutexLock lock(&mu_);
  disks_.erase(disk_id);
}

absl::Status MockMachine::Resize(int vcpus, uint64_t memory_bytes) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(EndedLocked());
  if (vcpus != vcpus_ && !capabilities_.vcpu_hotplug) {
    return absl::UnimplementedError("this hypervisor cannot change the number of vCPUs");
  }
  if (memory_bytes != memory_bytes_ && !capabilities_.memory_resize) {
    return absl::UnimplementedError("this hypervisor cannot change the memory");
  }
  if (vcpus < 1 || vcpus > std::max(spec_.vcpus, spec_.max_vcpus)) {
    return absl::OutOfRangeError(absl::StrCat("VM ", spec_.id, ": ", vcpus, " vCPUs, at most ", spec_.max_vcpus));
  }
  if (memory_bytes == 0 || memory_bytes > std::max(spec_.memory_bytes, spec_.max_memory_bytes)) {
    return absl::OutOfRangeError(
        absl::StrCat("VM ", spec_.id, ": ", memory_bytes, " bytes of memory, at most ", spec_.max_memory_bytes));
  }
  vcpus_ = vcpus;
  memory_bytes_ = memory_bytes;
  return absl::OkStatus();
}

void MockMachine::Watch(std::shared_ptr<ExitWatch> watch) {
  std::shared_ptr<ExitWatch> old;
  {
    absl::MutexLock lock(&mu_);
    old = std::exchange(watch_, watch);
    if (watch != nullptr && state_ == MockVmState::kEnded) watch->Fire(end_reason_);
  }
  if (old != nullptr) old->Remove();
}

void MockMachine::WriteConsole(const std::string& text) {
  absl::MutexLock lock(&mu_);
  console_ += text;
  if (console_.size() > kConsoleBytes) console_.erase(0, console_.size() - kConsoleBytes);
}

std::string MockMachine::ConsoleTail(size_t max_bytes) {
  absl::MutexLock lock(&mu_);
  return console_.substr(console_.size() - std::min(max_bytes, console_.size()));
}

std::shared_ptr<FakeAgent> MockMachine::agent() {
  absl::MutexLock lock(&mu_);
  return agent_;
}

MockVmView MockMachine::View() {
  absl::MutexLock lock(&mu_);
  MockVmView view{.spec = spec_, .state = state_, .vcpus = vcpus_, .memory_bytes = memory_bytes_, .disks = {}};
  for (const auto& [id, disk] : disks_) view.disks[id] = disk.spec;
  return view;
}

VmUsage MockMachine::Usage() {
  absl::MutexLock lock(&mu_);
  // A thousandth of a vCPU; no memory, since there is none.
  return {.cpu_time = std::max(absl::ZeroDuration(), (absl::Now() - started_at_) / 1000)};
}

}  // namespace podvisor
