// One VM of the mock: what QEMU's process would be.
#ifndef PODVISOR_VMM_MOCK_MOCK_MACHINE_H_
#define PODVISOR_VMM_MOCK_MOCK_MACHINE_H_

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "agent/fake/fake_agent.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "vmm/hypervisor.h"
#include "vmm/mock/exit_watch.h"

namespace podvisor {

//   ────▶ kCreated ──Start()──▶ kRunning ──Pause()──▶ kPaused
//             │                   │  ◀──Resume()────    │
//             └───────────────────┴──────End()──────────┴──▶ kEnded
enum class MockVmState { kCreated, kRunning, kPaused, kEnded };

// What guests are like.
struct MockGuest {
  absl::Duration boot_time = absl::ZeroDuration();  // until the agent comes up; InfiniteDuration(): it never does
  ExtensionService extension = ExtensionService::kPresent;
};

// What a test may look at.
struct MockVmView {
  VmSpec spec;  // NicSpec::tap_fd is no descriptor any more
  MockVmState state = MockVmState::kCreated;
  int vcpus = 0;
  uint64_t memory_bytes = 0;
  std::map<std::string, DiskSpec> disks;  // by GuestDisk::id
};

// Thread-safe. Held by shared pointer, by the host as long as it lives and by every Vm object. Its agent listens at
// <runtime_dir>/agent.sock from Start() on. Errors are those of Vm.
class MockMachine : public std::enable_shared_from_this<MockMachine> {
 public:
  // Keeps a duplicate of the tap: its queue is taken, as a real VMM would. kInvalidArgument if it is no descriptor.
  // A clone needs the files of a template that was saved: kFailedPrecondition. Its guest has booted already, so its
  // agent answers from Start() on, whatever the boot time.
  static absl::StatusOr<std::shared_ptr<MockMachine>> Make(EventLoop& loop, const VmSpec& spec,
                                                           const Capabilities& capabilities, std::string record,
                                                           const MockGuest& guest);
  ~MockMachine();

  const std::string& record() const { return record_; }
  std::string agent_path() const;

  absl::Status Start() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Pause() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Resume() ABSL_LOCKS_EXCLUDED(mu_);
  // Writes the template's files, as far as a mock has something to write; the VM is still to be ended.
  absl::Status SaveTemplate() ABSL_LOCKS_EXCLUDED(mu_);
  // False if it had ended before.
  bool End(const std::string& reason) ABSL_LOCKS_EXCLUDED(mu_);

  absl::StatusOr<GuestDisk> AttachDisk(const DiskSpec& disk) ABSL_LOCKS_EXCLUDED(mu_);
  void DetachDisk(const std::string& disk_id) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Resize(int vcpus, uint64_t memory_bytes) ABSL_LOCKS_EXCLUDED(mu_);

  // Replaces the watcher; nullptr removes it.
  void Watch(std::shared_ptr<ExitWatch> watch) ABSL_LOCKS_EXCLUDED(mu_);

  void WriteConsole(const std::string& text) ABSL_LOCKS_EXCLUDED(mu_);
  std::string ConsoleTail(size_t max_bytes) ABSL_LOCKS_EXCLUDED(mu_);
  std::shared_ptr<FakeAgent> agent() ABSL_LOCKS_EXCLUDED(mu_);
  MockVmView View() ABSL_LOCKS_EXCLUDED(mu_);
  VmUsage Usage() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Disk {
    DiskSpec spec;
    GuestDisk guest;
    size_t slot = 0;
  };

  MockMachine(EventLoop& loop, const VmSpec& spec, const Capabilities& capabilities, std::string record,
              const MockGuest& guest);

  absl::Status EndedLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status ServeAgent() ABSL_LOCKS_EXCLUDED(mu_);

  EventLoop& loop_;
  const VmSpec spec_;
  const Capabilities capabilities_;
  const std::string record_;
  const MockGuest guest_;

  absl::Mutex mu_;  // not held while an agent is made or destroyed: that waits for the loop
  MockVmState state_ ABSL_GUARDED_BY(mu_) = MockVmState::kCreated;
  std::string end_reason_ ABSL_GUARDED_BY(mu_);
  UniqueFd tap_ ABSL_GUARDED_BY(mu_);
  int vcpus_ ABSL_GUARDED_BY(mu_);
  uint64_t memory_bytes_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Disk> disks_ ABSL_GUARDED_BY(mu_);  // by id
  std::string console_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<FakeAgent> agent_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<ExitWatch> watch_ ABSL_GUARDED_BY(mu_);
  absl::Time started_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_MOCK_MOCK_MACHINE_H_
