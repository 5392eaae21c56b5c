// The two trees that podvisor keeps on disk. Every path below them is made here or by the part named.
//
//   STATE_DIR (/var/lib/podvisor)             survives a reboot
//     state.db, state.db-wal, state.db-shm    base/state_db: tables "sandboxes" and "containers" (record_store.h),
//                                             "log_checkpoints" (io/container_log.h), those of storage/
//     images/                                 storage/: blobs and EROFS images
//     cni/                                    netns/: cached results
//
//   RUN_DIR (/run/podvisor)                   tmpfs: gone with a reboot, as the VMs are
//     podvisor.sock                           cri/
//     netns/podvisor-<sandbox id>             netns/: namespaces
//     sandboxes/<sandbox id>/                 one per sandbox that may have a VM; mode 0700; VmSpec::runtime_dir, so
//                                             sockets of the VMM are here
//     sandboxes/<sandbox id>/shared/          storage/shared_folder: what the guest sees of the host; mount points
//                                             <container id>-<n> below it, one per mount of a container
//     templates/<key>-<n>/                    factory/template_files.h: memory and devices of a saved VM; elsewhere if
//                                             RUN_DIR is not on tmpfs
//
// Control groups are not below either: <cgroup root>/<hierarchy>/<cgroup parent>/podvisor-<sandbox id>, see
// host_cgroup.h.
#ifndef PODVISOR_PODMANAGER_PATHS_H_
#define PODVISOR_PODMANAGER_PATHS_H_

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace podvisor {

inline std::string SandboxesDir(absl::string_view run_dir) { return absl::StrCat(run_dir, "/sandboxes"); }

inline std::string SandboxRuntimeDir(absl::string_view run_dir, absl::string_view sandbox_id) {
  return absl::StrCat(run_dir, "/sandboxes/", sandbox_id);
}

inline std::string SandboxSharedDir(absl::string_view run_dir, absl::string_view sandbox_id) {
  return absl::StrCat(run_dir, "/sandboxes/", sandbox_id, "/shared");
}

// What a container's mount is called in the sandbox's shared folder: found again from the container's id alone.
inline std::string SharedMountName(absl::string_view container_id, size_t index) {
  return absl::StrCat(container_id, "-", index);
}

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_PATHS_H_
