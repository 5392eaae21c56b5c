#include "vmm/qemu/template_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "vmm/qemu/command_line.h"

namespace podvisor {
namespace {

constexpr int kFirstHeld = 64;  // above all that a child is given

std::string PartPath(const TemplateFiles& files) { return absl::StrCat(files.devices_path, ".part"); }

absl::StatusOr<UniqueFd> OpenForReading(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("template: open ", path));
  return fd;
}

absl::StatusOr<UniqueFd> MakeMemory(const VmSpec& spec, std::optional<uid_t> owner) {
  const std::string& path = spec.template_files.memory_path;
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("template: make ", path));
  const auto failed = [&](const char* what) {
    const int error = errno;
    ::unlink(path.c_str());
    return ErrnoStatus(error, absl::StrCat("template: ", what, " ", path));
  };
  if (::ftruncate(fd.get(), static_cast<off_t>(spec.memory_bytes)) != 0) return failed("set the size of");
  if (owner.has_value() && ::fchown(fd.get(), *owner, 0) != 0) return failed("give away");
  return fd;
}

// Runs in the child: system calls only. Holes stay holes.
int CopyMemory(int source) {
  for (off_t data = 0, hole = 0;; data = hole) {
    data = ::lseek(source, data, SEEK_DATA);
    if (data < 0) return errno == ENXIO ? 0 : errno;  // ENXIO: no more data
    hole = ::lseek(source, data, SEEK_HOLE);
    if (hole < 0 || ::lseek(kMemoryFd, data, SEEK_SET) < 0) return errno;
    while (data < hole) {
      const ssize_t count = ::sendfile(kMemoryFd, source, &data, static_cast<size_t>(hole - data));
      if (count == 0) return EIO;
      if (count < 0 && errno != EINTR) return errno;
    }
  }
}

absl::Status AddCopy(const VmSpec& spec, TemplateFds& fds) {
  fds.source = UniqueFd(::fcntl(fds.memory.get(), F_DUPFD_CLOEXEC, kFirstHeld));
  if (!fds.source.ok()) return ErrnoStatus(errno, "duplicate a template's descriptor");
  fds.memory = UniqueFd(::memfd_create("guest-memory", MFD_CLOEXEC));
  if (!fds.memory.ok()) return ErrnoStatus(errno, "memfd_create");
  if (::ftruncate(fds.memory.get(), static_cast<off_t>(spec.memory_bytes)) != 0)
    return ErrnoStatus(errno, "set the size of a memfd");
  fds.steps.push_back({"copy the template's memory", [source = fds.source.get()] { return CopyMemory(source); }});
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TemplateFds> OpenTemplate(const VmSpec& spec, std::optional<uid_t> owner) {
  TemplateFds fds;
  if (spec.boot == BootMode::kCold) return fds;
  if (spec.boot == BootMode::kToBeTemplate) {
    ASSIGN_OR_RETURN(fds.memory, MakeMemory(spec, owner));
    fds.pass_fds = {{fds.memory.get(), kMemoryFd}};
    return fds;
  }
  ASSIGN_OR_RETURN(fds.devices, OpenForReading(spec.template_files.devices_path));
  ASSIGN_OR_RETURN(fds.memory, OpenForReading(spec.template_files.memory_path));
  struct stat stat = {};
  if (::fstat(fds.memory.get(), &stat) != 0) return ErrnoStatus(errno, "stat of a template");
  if (!S_ISREG(stat.st_mode) || stat.st_size != static_cast<off_t>(spec.memory_bytes))
    return absl::FailedPreconditionError(absl::StrCat("template ", spec.template_files.memory_path, ": has ",
                                                      stat.st_size, " bytes, the VM ", spec.memory_bytes,
                                                      ": make the template anew"));
  if (spec.boot == BootMode::kCloneOfCopy) RETURN_IF_ERROR(AddCopy(spec, fds));
  fds.pass_fds = {{fds.devices.get(), kDevicesFd}, {fds.memory.get(), kMemoryFd}};
  return fds;
}

absl::StatusOr<UniqueFd> MakeDevicesFile(const TemplateFiles& files) {
  const std::string path = PartPath(files);
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("template: make ", path));
  return fd;
}

absl::Status CommitTemplate(const TemplateFiles& files) {
  ASSIGN_OR_RETURN(const UniqueFd memory, OpenForReading(files.memory_path));
  if (::fchown(memory.get(), ::geteuid(), ::getegid()) != 0 || ::fchmod(memory.get(), 0400) != 0)
    return ErrnoStatus(errno, absl::StrCat("template: take back ", files.memory_path));
  if (::rename(PartPath(files).c_str(), files.devices_path.c_str()) != 0)
    return ErrnoStatus(errno, absl::StrCat("template: rename to ", files.devices_path));
  return absl::OkStatus();
}

void RemoveTemplate(const TemplateFiles& files) {
  for (const std::string& path : {files.memory_path, files.devices_path, PartPath(files)}) ::unlink(path.c_str());
}

}  // namespace podvisor
