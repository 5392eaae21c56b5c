// Who a program runs as, by the container's own /etc/passwd and /etc/group. Runs in the child, inside of the container.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_USER_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_USER_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

struct ResolvedUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // additional ones
  std::string home = "/";
};

// Numbers of the spec's user, unless it has a Username: then that is an image's "USER[:GROUP]", names or numbers, and
// replaces UID and GID; the user's groups in /etc/group are added. Files under `etc` ("/etc").
// kInvalidArgument for a name that is not there, in the words containerd has for it.
// With Home::kGiven the home folder is not looked for, unless the user is: numbers need no file then.
enum class Home { kWanted, kGiven };
absl::StatusOr<ResolvedUser> ResolveUser(const grpc::User& user, const std::string& etc, Home home = Home::kWanted);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_USER_H_
