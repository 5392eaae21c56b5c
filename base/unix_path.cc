#include "base/unix_path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/un.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr size_t kRoom = sizeof(sockaddr_un::sun_path) - 1;

}  // namespace

absl::StatusOr<UnixPath> UnixPath::For(const std::string& path) {
  if (path.size() <= kRoom) return UnixPath(UniqueFd(), path);
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return absl::InvalidArgumentError(absl::StrCat("socket name too long: ", path));
  UniqueFd folder(::open(path.substr(0, slash + 1).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok()) return ErrnoStatus(errno, absl::StrCat("open the folder of socket ", path));
  std::string name = absl::StrCat("/proc/self/fd/", folder.get(), path.substr(slash));
  if (name.size() > kRoom) return absl::InvalidArgumentError(absl::StrCat("socket name too long: ", path));
  return UnixPath(std::move(folder), std::move(name));
}

}  // namespace podvisor
