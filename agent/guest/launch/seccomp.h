// System call filters of an OCI spec, by libseccomp.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_SECCOMP_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_SECCOMP_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

class SeccompFilter {
 public:
  // kInvalidArgument names what is not understood. System calls that libseccomp does not know are left out (they get
  // the default action), as runc does.
  static absl::StatusOr<std::unique_ptr<SeccompFilter>> Build(const grpc::LinuxSeccomp& spec);
  SeccompFilter(const SeccompFilter&) = delete;
  SeccompFilter& operator=(const SeccompFilter&) = delete;
  ~SeccompFilter();

  // For this process, for ever. Needs CAP_SYS_ADMIN or no_new_privs.
  absl::Status Load() const;

 private:
  explicit SeccompFilter(void* context) : context_(context) {}

  void* const context_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_SECCOMP_H_
