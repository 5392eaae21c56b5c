#include "podmanager/factory/vm_site.h"

#include <errno.h>
#include <sys/stat.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "podmanager/paths.h"
#include "storage/shared_folder.h"

namespace podvisor {

absl::Status MakeVmFolders(absl::string_view run_dir, const Capabilities& capabilities, VmSite* site) {
  site->runtime_dir = SandboxRuntimeDir(run_dir, site->id);
  if (::mkdir(site->runtime_dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("make ", site->runtime_dir));
  }
  if (!capabilities.shared_folder) return absl::OkStatus();
  site->shared_dir = SandboxSharedDir(run_dir, site->id);
  return Annotate(SharedFolder(site->shared_dir).Create(), "shared folder");
}

absl::Status RemoveVmFolders(absl::string_view run_dir, const std::string& id) {
  const std::string shared = SandboxSharedDir(run_dir, id);
  std::error_code error;
  // First, and only if it worked the rest: nothing is ever removed through a mount.
  if (std::filesystem::exists(shared, error)) {
    RETURN_IF_ERROR(SharedFolder(shared).Destroy(), "shared folder of sandbox ", id);
  }
  const std::string directory = SandboxRuntimeDir(run_dir, id);
  std::filesystem::remove_all(directory, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("remove ", directory));
  return absl::OkStatus();
}

}  // namespace podvisor
