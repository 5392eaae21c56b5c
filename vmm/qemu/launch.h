// Starting the process of a VM.
#ifndef PODVISOR_VMM_QEMU_LAUNCH_H_
#define PODVISOR_VMM_QEMU_LAUNCH_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/process.h"
#include "base/unique_fd.h"
#include "vmm/hypervisor.h"
#include "vmm/qemu/accelerator.h"
#include "vmm/qemu/options.h"

namespace podvisor {

// Sockets in VmSpec::runtime_dir. QEMU inherits them listening.
std::string QmpSocketPath(const std::string& runtime_dir);
std::string AgentSocketPath(const std::string& runtime_dir);
std::string ConsoleSocketPath(const std::string& runtime_dir);

struct LaunchedQemu {
  Process process;
  // What QEMU writes to its stderr: memory of a fixed size, so that a guest that provokes messages fills nothing. It is
  // also /proc/PID/fd/2, where a later daemon finds it. See ReadStderr().
  UniqueFd stderr_file;
};

// Who QEMU runs as for the sandbox `id`. kFailedPrecondition for an unknown name.
struct QemuUser {
  uid_t uid = 0;
  gid_t gid = 0;
};
inline constexpr uid_t kFirstUid = 1'900'000'000;
inline constexpr uid_t kUids = 1 << 20;
absl::StatusOr<QemuUser> ResolveUser(const std::string& user, const std::string& id);

// Starts QEMU as `options` say: own session, the cgroups and the network namespace of `spec`, and, if the daemon is
// root and confinement is kFull, a mount namespace that holds only /usr, the kernel, the initrd and the shared folder,
// its own user, no_new_privs and no capability but those that serving 9p takes. A `spec` that passed ValidateSpec().
//
// kNotFound, kPermissionDenied and the like name the file that can't be used. That QEMU exits at once is no error here.
absl::StatusOr<LaunchedQemu> LaunchQemu(const QemuOptions& options, Accelerator accelerator, const VmSpec& spec);

// What has been written so far.
std::string ReadStderr(int stderr_file);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_LAUNCH_H_
