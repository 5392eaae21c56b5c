// RunCommand(): a short program with its input and outputs.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/process.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void SetNonBlocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

// Reads what is there; closes `fd` at the end of the stream.
void Drain(UniqueFd& fd, std::string& into, size_t limit) {
  char buffer[16384];
  const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
  if (got > 0)
    into.append(buffer, std::min(static_cast<size_t>(got), limit - std::min(limit, into.size())));
  else if (got == 0 || (errno != EAGAIN && errno != EINTR))
    fd.reset();
}

// Writes what fits; closes `fd` once all is written or nobody reads any more.
void Feed(UniqueFd& fd, absl::string_view& rest) {
  const ssize_t put = ::write(fd.get(), rest.data(), rest.size());
  if (put > 0) rest.remove_prefix(static_cast<size_t>(put));
  if (rest.empty() || (put < 0 && errno != EAGAIN && errno != EINTR)) fd.reset();
}

}  // namespace

absl::StatusOr<CommandResult> RunCommand(SpawnOptions options, const std::string& input, absl::Time deadline,
                                         size_t output_limit) {
  ASSIGN_OR_RETURN(Pipe in, MakePipe());
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  options.stdin_fd = in.read.get();
  options.stdout_fd = out.write.get();
  options.stderr_fd = err.write.get();
  options.session = Session::kOwn;  // a process group of its own, to be killed whole
  ASSIGN_OR_RETURN(Process process, Spawn(options));
  in.read.reset();
  out.write.reset();
  err.write.reset();
  SetNonBlocking(in.write.get());
  SetNonBlocking(out.read.get());
  SetNonBlocking(err.read.get());

  CommandResult result;
  absl::string_view rest = input;
  if (rest.empty()) in.write.reset();
  bool ended = false;
  while (!ended && absl::Now() < deadline) {
    std::array<pollfd, 4> fds = {{{in.write.get(), POLLOUT, 0},
                                  {out.read.get(), POLLIN, 0},
                                  {err.read.get(), POLLIN, 0},
                                  {process.pidfd(), POLLIN, 0}}};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now()) + 1;
    if (::poll(fds.data(), fds.size(), static_cast<int>(std::min<int64_t>(left, 1 << 30))) < 0) continue;
    if (fds[0].revents != 0) Feed(in.write, rest);
    if (fds[1].revents != 0) Drain(out.read, result.out, output_limit);
    if (fds[2].revents != 0) Drain(err.read, result.err, output_limit);
    // A grandchild may hold the pipes open for ever: the program's own end is what counts, once they are empty.
    ended = fds[3].revents != 0 && fds[1].revents == 0 && fds[2].revents == 0;
  }
  if (!ended) {
    ::kill(-process.identity().pid, SIGKILL);
    process.Wait(absl::InfiniteFuture()).IgnoreError();
    return absl::DeadlineExceededError(
        absl::StrCat("run ", options.argv.front(), ": not done in time, killed; stderr: ", result.err));
  }
  ASSIGN_OR_RETURN(result.exit, process.Wait(absl::InfiniteFuture()));
  return result;
}

}  // namespace podvisor
