// Settings under /proc/sys that can be undone.
#ifndef PODVISOR_AGENT_GUEST_SYSCTLS_H_
#define PODVISOR_AGENT_GUEST_SYSCTLS_H_

#include <sys/types.h>

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace podvisor::guest {

// "net.ipv4.ip_forward" and "net/ipv4/ip_forward" to "/proc/sys/net/ipv4/ip_forward". kInvalidArgument for what leads
// elsewhere.
absl::StatusOr<std::string> SysctlPath(const std::string& name);
// Without a way back: for a process that ends anyway.
// `owner`: the root of the user namespace that the ipc namespace belongs to: newer kernels let nobody else set what is
// in that.
absl::Status SetSysctl(const std::string& name, const std::string& value, uid_t owner);

class Sysctls {
 public:
  absl::Status Set(const std::string& name, const std::string& value, uid_t owner);
  // Somebody else is about to change it. What cannot be read is not restored.
  void Remember(const std::string& name);
  // All as they were before the first change; what cannot be written back (its interface is gone) is logged.
  void Restore(uid_t owner);

 private:
  std::map<std::string, std::string> before_;  // by path
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_SYSCTLS_H_
