// What tells one machine from another that was cloned from the same memory.
//
// The kernel makes its boot_id when it is first read, and keeps it. A guest that has rehearsed shows a fresh one for
// each pod all the same, since containers see kBootIdFile in its place.
#ifndef PODVISOR_AGENT_GUEST_IDENTITY_H_
#define PODVISOR_AGENT_GUEST_IDENTITY_H_

#include <string>

#include "absl/status/status.h"

namespace podvisor::guest {

class Identity {
 public:
  Identity();

  // Becomes the machine of sandbox `sandbox_id`: writes kBootIdFile and kMachineIdFile. The random numbers have to be
  // its own by now.
  absl::Status Assume(const std::string& sandbox_id);
  // Sets the host name; the one before is remembered. kInvalidArgument if it is longer than 64 bytes.
  absl::Status SetHostname(const std::string& hostname);
  // Nobody's machine again. The files are the caller's.
  void Forget();

  // A random UUID; Assume() and Forget() make a new one.
  const std::string& boot_id() const { return boot_id_; }

 private:
  std::string boot_id_;
  std::string hostname_before_;
  bool hostname_changed_ = false;
};

// 32 hex digits: the first of the id if it has as many, else random.
std::string MachineId(const std::string& sandbox_id);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_IDENTITY_H_
