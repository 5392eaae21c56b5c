// System call filters of an OCI spec, by libseccomp.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_SECCOMP_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_SECCOMP_H_

#include <linux/filter.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

// A filter as the kernel takes it. Making one costs much more than loading it.
class SeccompFilter {
 public:
  // kInvalidArgument names what is not understood. System calls that libseccomp does not know are left out (they get
  // the default action), as runc does.
  static absl::StatusOr<std::shared_ptr<const SeccompFilter>> Build(const grpc::LinuxSeccomp& spec);

  // For this process, for ever. Needs CAP_SYS_ADMIN or no_new_privs.
  absl::Status Load() const;

 private:
  SeccompFilter() = default;

  std::vector<sock_filter> program_;
  unsigned flags_ = 0;  // SECCOMP_FILTER_FLAG_*
};

// The last few that were made: a pod's containers and their execs mostly have one in common.
class SeccompFilters {
 public:
  absl::StatusOr<std::shared_ptr<const SeccompFilter>> Get(const grpc::LinuxSeccomp& spec);

 private:
  struct Entry {
    std::string spec;
    std::shared_ptr<const SeccompFilter> filter;
  };
  std::deque<Entry> entries_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_SECCOMP_H_
