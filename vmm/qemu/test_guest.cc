#include "vmm/qemu/test_guest.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "vmm/qemu/unix_socket.h"

namespace podvisor {
namespace {

constexpr size_t kMaxInitrd = 64 << 20;
constexpr char kInit[] = "guest/testdata/echo_init";  // in the runfiles

// A cpio archive that holds only /init.
absl::StatusOr<std::string> InitArchive() {
  ASSIGN_OR_RETURN(const std::string init, ReadFile(kInit, kMaxInitrd));
  std::string bytes(init.size() + 4096, '\0');
  size_t used = 0;
  const std::unique_ptr<archive, int (*)(archive*)> writer(::archive_write_new(), &::archive_write_free);
  const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(::archive_entry_new(), &::archive_entry_free);
  ::archive_entry_set_pathname(entry.get(), "init");
  ::archive_entry_set_filetype(entry.get(), AE_IFREG);
  ::archive_entry_set_perm(entry.get(), 0755);
  ::archive_entry_set_size(entry.get(), static_cast<int64_t>(init.size()));
  if (::archive_write_set_format_cpio_newc(writer.get()) != ARCHIVE_OK ||
      ::archive_write_open_memory(writer.get(), bytes.data(), bytes.size(), &used) != ARCHIVE_OK ||
      ::archive_write_header(writer.get(), entry.get()) != ARCHIVE_OK ||
      ::archive_write_data(writer.get(), init.data(), init.size()) != static_cast<ssize_t>(init.size()) ||
      ::archive_write_close(writer.get()) != ARCHIVE_OK)
    return absl::InternalError(absl::StrCat("write a cpio archive: ", ::archive_error_string(writer.get())));
  bytes.resize(used);
  return bytes;
}

}  // namespace

absl::StatusOr<TestGuest> MakeTestGuest(const std::string& folder) {
  const char* built = ::getenv("PODVISOR_GUEST_DIR");
  if (built == nullptr || !std::filesystem::exists(absl::StrCat(built, "/initrd.img")))
    return absl::NotFoundError(
        "no guest kernel: run guest/build DIR, then bazel test --test_env=PODVISOR_GUEST_DIR=DIR");
  TestGuest guest = {absl::StrCat(built, "/vmlinux"), absl::StrCat(folder, "/initrd.img")};
  ASSIGN_OR_RETURN(std::string initrd, ReadFile(absl::StrCat(built, "/initrd.img"), kMaxInitrd));
  ASSIGN_OR_RETURN(const std::string init, InitArchive());
  // The kernel unpacks one archive after the other; of two files of the same name the later one stays.
  initrd.append((512 - initrd.size() % 512) % 512, '\0');
  RETURN_IF_ERROR(WriteFileAtomically(guest.initrd_path, absl::StrCat(initrd, init), 0644));
  return guest;
}

absl::StatusOr<EchoClient> EchoClient::Connect(const std::string& socket_path) {
  ASSIGN_OR_RETURN(UniqueFd fd, ConnectUnix(socket_path));
  return EchoClient(std::move(fd));
}

absl::StatusOr<std::string> EchoClient::Ask(const std::string& request, absl::Duration patience) {
  const std::string line = absl::StrCat(request, "\n");
  if (::send(fd_.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
    return ErrnoStatus(errno, "send to the guest");
  const absl::Time deadline = absl::Now() + patience;
  std::string answer;
  while (answer.empty() || answer.back() != '\n') {
    pollfd poll_fd = {fd_.get(), POLLIN, 0};
    const auto left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0 || ::poll(&poll_fd, 1, static_cast<int>(left)) == 0)
      return absl::DeadlineExceededError(absl::StrCat("the guest does not answer \"", request, "\""));
    char buffer[1024];
    const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (count == 0) return absl::UnavailableError("the guest's port has been closed");
    if (count < 0 && errno != EAGAIN && errno != EINTR) return ErrnoStatus(errno, "recv from the guest");
    if (count > 0) answer.append(buffer, static_cast<size_t>(count));
  }
  answer.pop_back();
  return answer;
}

}  // namespace podvisor
