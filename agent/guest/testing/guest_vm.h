// The agent as PID 1 of a real VM, for tests that need the guest's kernel.
#ifndef PODVISOR_AGENT_GUEST_TESTING_GUEST_VM_H_
#define PODVISOR_AGENT_GUEST_TESTING_GUEST_VM_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "agent/guest/testing/ttrpc_test_client.h"

namespace podvisor::guest {

// QEMU with a network interface, two processors of which one is to be plugged, and rehearsal.erofs as its disk; the
// machine of a pod, without its daemon.
class GuestVm {
 public:
  // Why there can be none here; "" if there can.
  static std::string WhyNot();

  // Fails the process if QEMU does not start.
  GuestVm();
  // Ends it and removes its files.
  ~GuestVm();

  // A new session on the agent's port; the one before is not answered any more.
  std::unique_ptr<TtrpcTestClient> Connect() const;
  // What a Storage names the disk.
  static constexpr char kDisk[] = "08";

  // Processor time of QEMU so far.
  int64_t CpuNs() const;

  // Sends a command to QEMU's monitor and returns what it answers.
  std::string Monitor(const std::string& command) const;

 private:
  std::string folder_;
  pid_t pid_ = -1;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_TESTING_GUEST_VM_H_
