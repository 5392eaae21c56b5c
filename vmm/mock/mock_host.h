// The machine that mock VMs run on. It outlives hypervisor objects as QEMU's processes outlive a daemon, so that a test
// can restart "the daemon" and find its VMs again.
#ifndef PODVISOR_VMM_MOCK_MOCK_HOST_H_
#define PODVISOR_VMM_MOCK_MOCK_HOST_H_

#include <cstdint>
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
#include "vmm/mock/failpoints.h"
#include "vmm/mock/mock_machine.h"

namespace podvisor {

// Thread-safe. All VMs and their agents share the one event loop, which has to outlive this object; a VM has no thread
// and takes a few KiB. The destructor ends every VM.
class MockHost {
 public:
  explicit MockHost(EventLoop& loop) : loop_(loop) {}
  MockHost(const MockHost&) = delete;
  MockHost& operator=(const MockHost&) = delete;
  ~MockHost();

  Failpoints& failpoints() { return failpoints_; }

  // Of VMs made from now on.
  void SetBootTime(absl::Duration boot_time) ABSL_LOCKS_EXCLUDED(mu_);
  void SetExtension(ExtensionService extension) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends a VM as a crash would. kNotFound if it does not live.
  absl::Status KillVm(const std::string& id, const std::string& reason) ABSL_LOCKS_EXCLUDED(mu_);
  // The guest writes to its console.
  absl::Status WriteConsole(const std::string& id, const std::string& text) ABSL_LOCKS_EXCLUDED(mu_);

  // Looking in. Ids of the VMs that have not ended, sorted.
  std::vector<std::string> LiveVms() ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<MockVmView> View(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);
  // The agent of a VM that has booted, nullptr if there is none. To be let go of before the VM ends: its connections
  // break with the last reference.
  std::shared_ptr<FakeAgent> Agent(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);

  // The hypervisor's part. kAlreadyExists if a VM of this id lives.
  absl::StatusOr<std::shared_ptr<MockMachine>> Make(const VmSpec& spec, const Capabilities& capabilities)
      ABSL_LOCKS_EXCLUDED(mu_);
  // kNotFound if it has ended.
  absl::StatusOr<std::shared_ptr<MockMachine>> FindByRecord(const std::string& record) ABSL_LOCKS_EXCLUDED(mu_);
  // nullptr if there is none.
  std::shared_ptr<MockMachine> Find(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);
  void End(const std::shared_ptr<MockMachine>& machine, const std::string& reason) ABSL_LOCKS_EXCLUDED(mu_);
  EventLoop& loop() { return loop_; }

 private:
  EventLoop& loop_;
  Failpoints failpoints_;
  absl::Mutex mu_;
  std::map<std::string, std::shared_ptr<MockMachine>> machines_ ABSL_GUARDED_BY(mu_);  // by id, the living ones
  uint64_t made_ ABSL_GUARDED_BY(mu_) = 0;
  MockGuest guest_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_MOCK_MOCK_HOST_H_
