// What `podvisor check` looks at.
#ifndef PODVISOR_CLI_PROBES_H_
#define PODVISOR_CLI_PROBES_H_

#include <string>
#include <vector>

#include "cli/client.h"

namespace podvisor::cli {

enum class Verdict {
  kGood,
  kWorse,    // works, but less well than it could
  kMissing,  // no pod can run without it
};

struct Finding {
  std::string what;  // "QEMU"
  Verdict verdict = Verdict::kGood;
  std::string detail;  // what was found
  std::string remedy;  // what to do, if it is not good
};

// The parts of the daemon's configuration that the probes need; its defaults where the file says nothing.
struct CheckedConfig {
  std::string hypervisor_path;  // empty: searched in PATH
  std::string kernel = "/usr/lib/podvisor/vmlinux";
  std::string initrd = "/usr/lib/podvisor/initrd.img";
  std::string state_dir = "/var/lib/podvisor";
  std::string cni_conf_dir = "/etc/cni/net.d";
  std::vector<std::string> cni_bin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
};

// `path` may be missing if it is the default one. Keys that are not of interest here are the daemon's to judge.
absl::StatusOr<CheckedConfig> ReadCheckedConfig(const std::string& path);

std::vector<Finding> ProbeMachine(const CheckedConfig& config);  // virtualisation, QEMU, guest, cgroups, tun, disk
std::vector<Finding> ProbeNetwork(const CheckedConfig& config);  // CNI configuration and plugins
std::vector<Finding> ProbeDaemon(const Client& client);

}  // namespace podvisor::cli

#endif  // PODVISOR_CLI_PROBES_H_
