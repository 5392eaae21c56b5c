// Socket paths of any length: sockaddr_un has room for 107 bytes only.
#ifndef PODVISOR_BASE_UNIX_PATH_H_
#define PODVISOR_BASE_UNIX_PATH_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace podvisor {

// A name of `path` that fits into sockaddr_un: the path itself where it does, else by way of a descriptor of its folder
// (/proc/self/fd/N/NAME). Good for bind(2) and connect(2) in this process, as long as the object lives. Move-only.
class UnixPath {
 public:
  // kNotFound if a long path's folder does not exist; kInvalidArgument if the last component alone is too long.
  static absl::StatusOr<UnixPath> For(const std::string& path);

  const std::string& name() const { return name_; }

 private:
  UnixPath(UniqueFd folder, std::string name) : folder_(std::move(folder)), name_(std::move(name)) {}

  UniqueFd folder_;
  std::string name_;
};

}  // namespace podvisor

#endif  // PODVISOR_BASE_UNIX_PATH_H_
