// The machine that mock VMs run on. It outlives hypervisor objects as QEMU processes outlive a daemon, so that a test
// can restart "the daemon" and find its VMs again.
#ifndef PODVISOR_VMM_MOCK_MOCK_HOST_H_
#define PODVISOR_VMM_MOCK_MOCK_HOST_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "agent/fake/fake_agent.h"
#include "base/event_loop.h"
#include "vmm/hypervisor.h"
#include "vmm/mock/exit_watch.h"

namespace podvisor {

// Calls of Hypervisor and Vm that can be made to fail or hang.
enum class MockCall {
  kCreate,
  kAdopt,
  kCleanUp,
  kStart,
  kPause,
  kResume,
  kStop,
  kAttachDisk,
  kDetachDisk,
  kResize,
  kUsage,
};

//   Create()          Start()          Pause()
//   ────────▶ kCreated ─────▶ kRunning ──────▶ kPaused
//                 │               │ ◀────────────  │
//                 └───────────────┴──── Stop() ────┴──▶ gone
//                                       or KillVm()
enum class MockVmState { kCreated, kRunning, kPaused };

// What a test may look at.
struct MockVmView {
  VmSpec spec;
  MockVmState state = MockVmState::kCreated;
  int vcpus = 0;
  uint64_t memory_bytes = 0;
  std::map<std::string, DiskSpec> disks;  // by GuestDisk::id
};

// Thread-safe. All VMs and their agents share the one event loop, which has to outlive this object; no VM has a thread.
// The destructor ends every VM.
class MockHost {
 public:
  explicit MockHost(EventLoop& loop);
  MockHost(const MockHost&) = delete;
  MockHost& operator=(const MockHost&) = delete;
  ~MockHost();

  // Failpoints. They wait in order; each one takes one call of any VM.
  void FailNext(MockCall call, absl::Status status, int times = 1) ABSL_LOCKS_EXCLUDED(mu_);
  // The call blocks until ReleaseHung(), then goes on; after Vm::kVmmTimeout it fails with kUnavailable.
  void HangNext(MockCall call) ABSL_LOCKS_EXCLUDED(mu_);
  void ReleaseHung() ABSL_LOCKS_EXCLUDED(mu_);
  // Blocks until a call hangs; false after `patience`.
  bool AwaitHung(absl::Duration patience) ABSL_LOCKS_EXCLUDED(mu_);
  // What guests started from now on do: how long the agent takes to come up; InfiniteDuration(): it never does.
  void SetBootTime(absl::Duration boot_time) ABSL_LOCKS_EXCLUDED(mu_);

  // Ends a VM as a crash would. kNotFound if it does not live.
  absl::Status KillVm(const std::string& id, const std::string& reason) ABSL_LOCKS_EXCLUDED(mu_);
  // The guest writes to its console.
  void WriteConsole(const std::string& id, const std::string& text) ABSL_LOCKS_EXCLUDED(mu_);

  // Looking in.
  std::vector<std::string> LiveVms() ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<MockVmView> View(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);
  // The agent of a started VM, valid as long as the caller holds it; nullptr if there is none.
  std::shared_ptr<FakeAgent> Agent(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);
  int calls(MockCall call) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class MockHypervisor;
  friend class MockVm;
  struct Machine;
  struct Failpoint {
    absl::Status status;  // OK: hang
  };

  // Counts the call and applies its failpoint.
  absl::Status Enter(MockCall call) ABSL_LOCKS_EXCLUDED(mu_);

  absl::StatusOr<std::shared_ptr<Machine>> NewMachine(const VmSpec& spec, const Capabilities& can)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::shared_ptr<Machine>> Find(const std::string& record) ABSL_LOCKS_EXCLUDED(mu_);
  std::shared_ptr<Machine> FindById(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);
  void End(const std::shared_ptr<Machine>& machine, const std::string& reason) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Boot(const std::shared_ptr<Machine>& machine) ABSL_LOCKS_EXCLUDED(mu_);
  static void ServeAgent(const std::shared_ptr<Machine>& machine);
  absl::Status Freeze(const std::shared_ptr<Machine>& machine, MockVmState state) ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<GuestDisk> Attach(Machine& machine, const DiskSpec& disk) ABSL_LOCKS_EXCLUDED(mu_);
  void Detach(Machine& machine, const std::string& disk_id) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Resize(Machine& machine, int vcpus, uint64_t memory_bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void Watch(const std::shared_ptr<Machine>& machine, std::shared_ptr<ExitWatch> watch) ABSL_LOCKS_EXCLUDED(mu_);
  void Unwatch(Machine& machine, const ExitWatch* watch) ABSL_LOCKS_EXCLUDED(mu_);
  std::string ConsoleTail(Machine& machine, size_t max_bytes) ABSL_LOCKS_EXCLUDED(mu_);

  EventLoop& loop_;
  absl::Mutex mu_;  // never held while an agent is made or destroyed, or a watcher called
  std::map<std::string, std::shared_ptr<Machine>> machines_ ABSL_GUARDED_BY(mu_);  // by id, the living ones
  std::map<MockCall, std::vector<Failpoint>> failpoints_ ABSL_GUARDED_BY(mu_);
  std::map<MockCall, int> calls_ ABSL_GUARDED_BY(mu_);
  uint64_t made_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t released_ ABSL_GUARDED_BY(mu_) = 0;
  int hung_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration boot_time_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_MOCK_MOCK_HOST_H_
