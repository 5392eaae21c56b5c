#include "agent/guest/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "agent/guest/text_file.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor::guest {
namespace {

// "kernel/drivers/scsi/virtio-scsi.ko" to "virtio_scsi".
std::string ModuleName(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  name = name.substr(0, name.find('.'));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace

absl::Status LoadModuleFile(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok()) return ErrnoStatus(errno, absl::StrCat("open module ", path));
  if (::syscall(SYS_finit_module, file.get(), "", 0) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("load module ", path));
  }
  return absl::OkStatus();
}

absl::Status LoadModule(const std::string& name, const std::string& lib) {
  const std::string wanted = ModuleName(name);
  if (::access(absl::StrCat("/sys/module/", wanted).c_str(), F_OK) == 0) return absl::OkStatus();
  utsname kernel;
  ::uname(&kernel);
  const std::string folder = absl::StrCat(lib, "/", kernel.release, "/");
  for (const std::string& path : SplitWords(ReadTextOrEmpty(folder + "modules.builtin"), "\n")) {
    if (ModuleName(path) == wanted) return absl::OkStatus();
  }
  // "kernel/a.ko: kernel/b.ko kernel/c.ko": a needs b and c, the last of which comes first.
  for (const std::string& line : SplitWords(ReadTextOrEmpty(folder + "modules.dep"), "\n")) {
    std::vector<std::string> paths = SplitWords(line, ": ");
    if (paths.empty() || ModuleName(paths[0]) != wanted) continue;
    std::reverse(paths.begin(), paths.end());
    for (const std::string& path : paths) RETURN_IF_ERROR(LoadModuleFile(folder + path));
    return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat("kernel module ", name, " is not in ", folder));
}

}  // namespace podvisor::guest
