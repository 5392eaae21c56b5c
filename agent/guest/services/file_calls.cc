// CopyFile: how a host without a shared folder gets its files into the guest.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/guest/agent.h"
#include "agent/guest/services/names.h"
#include "agent/guest/text_file.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::Empty;

absl::Status CheckPath(const std::string& path) {
  const std::string prefix = absl::StrCat(kRunFolder, "/");
  if (path.rfind(prefix, 0) != 0 || path.find("/../") != std::string::npos || path.ends_with("/..") ||
      path.size() > 4000) {
    return absl::InvalidArgumentError(absl::StrCat("path \"", path, "\" is not below ", kRunFolder));
  }
  return absl::OkStatus();
}

absl::Status Own(const grpc::CopyFileRequest& request, const std::string& path) {
  if (::lchown(path.c_str(), static_cast<uid_t>(request.uid()), static_cast<gid_t>(request.gid())) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chown ", path));
  }
  return absl::OkStatus();
}

absl::Status MakeLink(const grpc::CopyFileRequest& request) {
  ::unlink(request.path().c_str());
  if (::symlink(request.data().c_str(), request.path().c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("symlink ", request.path()));
  }
  return Own(request, request.path());
}

absl::Status MakeFolder(const grpc::CopyFileRequest& request) {
  RETURN_IF_ERROR(MakeFolders(request.path()));
  if (::chmod(request.path().c_str(), request.file_mode() & 07777) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chmod ", request.path()));
  }
  return Own(request, request.path());
}

// Parts arrive one by one; the file appears under its name when the last is there.
absl::Status WritePart(const grpc::CopyFileRequest& request) {
  const std::string partial = request.path() + ".partial";
  const int64_t end = request.offset() + static_cast<int64_t>(request.data().size());
  if (request.offset() < 0 || end > request.file_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(request.path(), ": bytes up to ", end, " of a file of ", request.file_size()));
  }
  const int truncate = request.offset() == 0 ? O_TRUNC : 0;
  const UniqueFd file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | truncate, 0600));
  if (!file.ok()) return ErrnoStatus(errno, absl::StrCat("open ", partial));
  for (size_t done = 0; done < request.data().size();) {
    const ssize_t put = ::pwrite(file.get(), request.data().data() + done, request.data().size() - done,
                                 request.offset() + static_cast<off_t>(done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoStatus(errno, absl::StrCat("write ", partial));
    done += static_cast<size_t>(put);
  }
  if (end < request.file_size()) return absl::OkStatus();
  if (::fchmod(file.get(), request.file_mode() & 07777) != 0)
    return ErrnoStatus(errno, absl::StrCat("chmod ", partial));
  RETURN_IF_ERROR(Own(request, partial));
  if (::rename(partial.c_str(), request.path().c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("rename to ", request.path()));
  }
  return absl::OkStatus();
}

absl::Status CopyFile(const grpc::CopyFileRequest& request) {
  RETURN_IF_ERROR(CheckPath(request.path()));
  const std::string parent = request.path().substr(0, request.path().rfind('/'));
  if (::access(parent.c_str(), F_OK) != 0) {
    RETURN_IF_ERROR(MakeFolders(parent));
    if (request.dir_mode() != 0) ::chmod(parent.c_str(), request.dir_mode() & 07777);
  }
  if (S_ISLNK(request.file_mode())) return MakeLink(request);
  if (S_ISDIR(request.file_mode())) return MakeFolder(request);
  return WritePart(request);
}

}  // namespace

void AddFileCalls(Agent& agent) {
  agent.dispatcher.OnSync<grpc::CopyFileRequest, Empty>(
      kAgentService, "CopyFile", [](const grpc::CopyFileRequest& request, Empty*) { return CopyFile(request); });
}

}  // namespace podvisor::guest
