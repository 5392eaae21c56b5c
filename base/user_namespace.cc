#include "base/user_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

// A copy of a process that may have more threads: nothing but system calls until its end. Bare ones where the C library
// would look for the threads.
[[noreturn]] void Hold(int talk, int others) {
  ::prctl(PR_SET_NAME, "podvisor-ns");
  char byte = 0;
  if (::read(talk, &byte, 1) != 1) ::_exit(1);
  int error = 0;
  // Root of the namespace, whose the files are that the kernel makes in the others.
  if (others != 0 &&
      (::syscall(SYS_setresgid, 0, 0, 0) != 0 || ::syscall(SYS_setresuid, 0, 0, 0) != 0 || ::unshare(others) != 0)) {
    error = errno;
  }
  if (::write(talk, &error, sizeof error) != sizeof error) ::_exit(1);
  while (::read(talk, &byte, 1) > 0) {
  }
  ::_exit(0);
}

// A map takes one write.
absl::Status WriteMap(pid_t pid, const char* name, const std::vector<IdRange>& ranges) {
  std::string text;
  for (const IdRange& range : ranges) absl::StrAppend(&text, range.inside, " ", range.outside, " ", range.count, "\n");
  const std::string path = absl::StrCat("/proc/", pid, "/", name);
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    const int error = errno;
    if (!text.empty()) text.pop_back();
    return ErrnoStatus(error, absl::StrCat("write \"", text, "\" to ", name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NamespaceHolder> NamespaceHolder::Make(const IdMappings& mappings, int others) {
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) return ErrnoStatus(errno, "socketpair");
  UniqueFd ours(sockets[0]);
  const UniqueFd childs(sockets[1]);
  clone_args args{};
  args.flags = CLONE_NEWUSER;
  // No signal: whoever reaps all children need not hear of it.
  const long pid = ::syscall(SYS_clone3, &args, sizeof(args));
  if (pid < 0) return ErrnoStatus(errno, "new user namespace");
  if (pid == 0) {
    ::close(ours.get());
    Hold(childs.get(), others);
  }
  NamespaceHolder holder(static_cast<pid_t>(pid), std::move(ours));
  RETURN_IF_ERROR(holder.Map(mappings), "new user namespace");
  RETURN_IF_ERROR(holder.AwaitOthers(), "new user namespace");
  return holder;
}

absl::Status NamespaceHolder::Map(const IdMappings& mappings) const {
  RETURN_IF_ERROR(WriteMap(pid_, "uid_map", mappings.uids));
  return WriteMap(pid_, "gid_map", mappings.gids);
}

absl::Status NamespaceHolder::AwaitOthers() const {
  int error = 0;
  if (::send(talk_.get(), "m", 1, MSG_NOSIGNAL) != 1) return ErrnoStatus(errno, "talk to its process");
  ssize_t got;
  do {
    got = ::recv(talk_.get(), &error, sizeof error, 0);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof error) return absl::InternalError("its process has ended");
  return error == 0 ? absl::OkStatus() : ErrnoStatus(error, "namespaces that belong to it");
}

absl::StatusOr<UniqueFd> NamespaceHolder::Open(const char* kind) const {
  const std::string path = absl::StrCat("/proc/", pid_, "/ns/", kind);
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  return fd;
}

void NamespaceHolder::End() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  // __WALL, since it tells of its end by no signal.
  while (::waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

NamespaceHolder::NamespaceHolder(NamespaceHolder&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), talk_(std::move(other.talk_)) {}

NamespaceHolder& NamespaceHolder::operator=(NamespaceHolder&& other) noexcept {
  End();
  pid_ = std::exchange(other.pid_, -1);
  talk_ = std::move(other.talk_);
  return *this;
}

NamespaceHolder::~NamespaceHolder() { End(); }

absl::StatusOr<UniqueFd> MakeUserNamespace(const IdMappings& mappings) {
  ASSIGN_OR_RETURN(const NamespaceHolder holder, NamespaceHolder::Make(mappings, 0));
  return holder.Open("user");
}

}  // namespace podvisor
