#include "storage/image/erofs_builder.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "storage/content/durable_file.h"

namespace podvisor {
namespace {

constexpr absl::Duration kKillTimeout = absl::Seconds(10);
constexpr size_t kMaxOutput = 2000;

std::string FindProgram() {
  for (const char* path : {"/usr/bin/mkfs.erofs", "/usr/sbin/mkfs.erofs", "/usr/local/bin/mkfs.erofs"})
    if (::access(path, X_OK) == 0) return path;
  return "";
}

// The first 32 hexadecimal digits as a UUID.
std::string UuidOf(const Digest& id) {
  const std::string& hex = id.hex();
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-", hex.substr(16, 4), "-",
                      hex.substr(20, 12));
}

std::string Tail(int fd) {
  const off_t end = ::lseek(fd, 0, SEEK_END);
  const off_t start = end > static_cast<off_t>(kMaxOutput) ? end - static_cast<off_t>(kMaxOutput) : 0;
  std::string text(static_cast<size_t>(end > 0 ? end - start : 0), '\0');
  const ssize_t got = ::pread(fd, text.data(), text.size(), start);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return std::string(absl::StripAsciiWhitespace(text));
}

absl::StatusOr<ExitStatus> WaitOrKill(Process& process, const Interruption& interruption) {
  for (;;) {
    absl::StatusOr<ExitStatus> exit = process.Wait(absl::Now() + kInterruptionGranularity);
    if (!absl::IsDeadlineExceeded(exit.status())) return exit;
    absl::Status interrupted = interruption.Check();
    if (interrupted.ok()) continue;
    RETURN_IF_ERROR(process.Signal(SIGKILL));
    RETURN_IF_ERROR(process.Wait(absl::Now() + kKillTimeout).status());
    return interrupted;
  }
}

}  // namespace

absl::Status BuildErofs(const std::string& folder, const std::string& image, const Digest& id,
                        const Interruption& interruption) {
  const std::string program = FindProgram();
  if (program.empty())
    return absl::FailedPreconditionError("mkfs.erofs is not installed: install the package erofs-utils");
  const UniqueFd output(::memfd_create("mkfs.erofs", MFD_CLOEXEC));
  if (!output.ok()) return ErrnoStatus(errno, "memfd_create");
  SpawnOptions options;
  options.argv = {program, "--quiet", absl::StrCat("-U", UuidOf(id)), image, folder};
  // -T would set all times alike, whatever --preserve-mtime says (1.5). This fixes only the superblock's time, and
  // limits the files' to what lies before it.
  options.env = {"SOURCE_DATE_EPOCH=4102444800", "LC_ALL=C"};
  options.stdout_fd = output.get();
  options.stderr_fd = output.get();
  // If the daemon is killed, what it leaves half-made is removed at the next start: nobody may still write there.
  options.steps.push_back(
      {"prctl PR_SET_PDEATHSIG", [] { return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 ? 0 : errno; }});
  ASSIGN_OR_RETURN(Process process, Spawn(options));
  ASSIGN_OR_RETURN(const ExitStatus exit, WaitOrKill(process, interruption), "mkfs.erofs");
  if (!exit.success()) {
    const std::string text = Tail(output.get());
    const std::string message = absl::StrCat("mkfs.erofs: ", exit.ToString(), ": ", text);
    ASSIGN_OR_RETURN(const uint64_t available, AvailableBytes(image.substr(0, image.rfind('/'))));
    if (available < (1 << 20) || absl::StrContains(text, "No space left"))
      return absl::ResourceExhaustedError(
          absl::StrCat(message, ": the disk of the image store is full: remove images or make room"));
    return absl::InternalError(message);
  }
  return SyncPath(image);
}

}  // namespace podvisor
