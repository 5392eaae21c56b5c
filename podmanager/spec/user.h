// Who a container's process runs as, by the image's own passwd and group files.
#ifndef PODVISOR_PODMANAGER_SPEC_USER_H_
#define PODVISOR_PODMANAGER_SPEC_USER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "podmanager/config.pb.h"

namespace podvisor {

struct ResolvedUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  // supplemental; the primary one first, as containerd has it
  std::string home = "/";
};

// The user database of an image, borrowed: content of /etc/passwd and /etc/group (empty if it has none), and what to
// call the image in errors.
struct UserDatabase {
  const std::string& passwd;
  const std::string& group;
  std::string image;
};

// CRI's request wins over the image's user ("UID", "NAME", "UID:GID", "NAME:GROUP"); neither is root. A uid that the
// image does not list has group 0, as with containerd. Malformed lines of the files are passed over.
// Errors: kInvalidArgument for a group without a user and for numbers out of range; kNotFound for an unlisted name.
absl::StatusOr<ResolvedUser> ResolveUser(const User& run_as, const std::string& image_user,
                                         const UserDatabase& database);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_USER_H_
