// Where the agent keeps what is a pod's: agreed with the host, see agent/README.md.
#ifndef PODVISOR_AGENT_GUEST_FOLDERS_H_
#define PODVISOR_AGENT_GUEST_FOLDERS_H_

namespace podvisor::guest {

inline constexpr char kRunFolder[] = "/run/kata-containers";
inline constexpr char kSandboxFolder[] = "/run/kata-containers/sandbox";

// In the sandbox's folder. Containers get them over /proc/sys/kernel/random/boot_id and /etc/machine-id: see
// identity.h.
inline constexpr char kBootIdFile[] = "/run/kata-containers/sandbox/boot-id";
inline constexpr char kMachineIdFile[] = "/run/kata-containers/sandbox/machine-id";

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_FOLDERS_H_
