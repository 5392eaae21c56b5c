// User namespaces that are made for others to use: to map the owners of a mount's files, or to run programs in.
#ifndef PODVISOR_BASE_USER_NAMESPACE_H_
#define PODVISOR_BASE_USER_NAMESPACE_H_

#include <sys/types.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace podvisor {

// `count` ids from `inside` on are those from `outside` on in the namespace that ours is in: a line of
// /proc/PID/uid_map.
struct IdRange {
  uint32_t inside = 0;
  uint32_t outside = 0;
  uint32_t count = 0;

  friend bool operator==(const IdRange&, const IdRange&) = default;
};

struct IdMappings {
  std::vector<IdRange> uids;
  std::vector<IdRange> gids;

  friend bool operator==(const IdMappings&, const IdMappings&) = default;
};

// A process that sleeps in a new user namespace, and in others that belong to that one, until the object goes. What has
// been opened stays. Movable; not thread-safe.
class NamespaceHolder {
 public:
  // `others`: CLONE_NEWNET and the like, made by the root of the new user namespace, so that what is in them is its
  // own. kInvalidArgument for mappings that the kernel refuses (overlapping, empty, more than 340), kPermissionDenied
  // without the right, kResourceExhausted beyond /proc/sys/user/max_*_namespaces. May be called with other threads
  // around. Blocks for some milliseconds.
  static absl::StatusOr<NamespaceHolder> Make(const IdMappings& mappings, int others);

  NamespaceHolder(NamespaceHolder&& other) noexcept;
  NamespaceHolder& operator=(NamespaceHolder&& other) noexcept;
  ~NamespaceHolder();

  // `kind` as in /proc/PID/ns: "user", "net".
  absl::StatusOr<UniqueFd> Open(const char* kind) const;

 private:
  NamespaceHolder(pid_t pid, UniqueFd talk) : pid_(pid), talk_(std::move(talk)) {}
  absl::Status Map(const IdMappings& mappings) const;
  absl::Status AwaitOthers() const;
  void End();

  pid_t pid_ = -1;
  UniqueFd talk_;
};

absl::StatusOr<UniqueFd> MakeUserNamespace(const IdMappings& mappings);

}  // namespace podvisor

#endif  // PODVISOR_BASE_USER_NAMESPACE_H_
