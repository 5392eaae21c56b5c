#include <fcntl.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/process.h"
#include "cli/probes.h"

namespace podvisor::cli {
namespace {

std::optional<std::string> InPath(const std::string& program) {
  if (absl::StrContains(program, "/"))
    return ::access(program.c_str(), X_OK) == 0 ? std::optional(program) : std::nullopt;
  const char* path = ::getenv("PATH");
  for (absl::string_view folder : absl::StrSplit(path == nullptr ? "/usr/sbin:/usr/bin" : path, ':')) {
    std::string candidate = absl::StrCat(folder, "/", program);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

std::string FirstLine(const std::string& program, const std::string& option) {
  const auto result = RunCommand({.argv = {program, option}}, "", absl::Now() + absl::Seconds(10));
  if (!result.ok()) return std::string(result.status().message());
  const std::string text = result->out.empty() ? result->err : result->out;
  return text.substr(0, text.find('\n'));
}

bool Opens(const char* path, int flags) {
  UniqueFd fd(::open(path, flags | O_CLOEXEC));
  return fd.ok();
}

Finding Root() {
  if (::geteuid() == 0) return {"rights", Verdict::kGood, "root", ""};
  return {"rights", Verdict::kWorse, "not root: some findings may be wrong", "run it as root"};
}

// KVM needs the device and, on x86, the processor's extension: a machine without it may have a /dev/kvm on which no
// stock kernel boots.
Finding Accelerator() {
  const bool device = Opens("/dev/kvm", O_RDWR);
  bool extension = true;
#if defined(__x86_64__)
  const auto cpuinfo = ReadFile("/proc/cpuinfo", 4 << 20);
  extension = cpuinfo.ok() && (absl::StrContains(*cpuinfo, " vmx") || absl::StrContains(*cpuinfo, " svm"));
#endif
  if (device && extension) return {"accelerator", Verdict::kGood, "KVM", ""};
  return {
      "accelerator", Verdict::kWorse,
      absl::StrCat("TCG, emulation (", device ? "the processor shows neither vmx nor svm" : "/dev/kvm does not open",
                   ")"),
      "pods start and run several times faster with KVM: enable virtualisation in the firmware, or nested "
      "virtualisation on the machine below. Guests start with mitigations=off norandmaps, which an emulated processor "
      "pays for dearly; a runtime handler's kernel_params take them back"};
}

Finding Qemu(const CheckedConfig& config) {
  const std::string program = config.hypervisor_path.empty() ? "qemu-system-x86_64" : config.hypervisor_path;
  const auto path = InPath(program);
  if (!path.has_value())
    return {"QEMU", Verdict::kMissing, absl::StrCat(program, " not found"), "apt-get install qemu-system-x86"};
  return {"QEMU", Verdict::kGood, absl::StrCat(*path, ": ", FirstLine(*path, "--version")), ""};
}

Finding File(const std::string& what, const std::string& path, const std::string& remedy) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return {what, Verdict::kMissing, absl::StrCat(path, ": ", error.message()), remedy};
  return {what, Verdict::kGood, absl::StrFormat("%s, %.1f MiB", path, static_cast<double>(size) / (1 << 20)), ""};
}

Finding Erofs() {
  const auto path = InPath("mkfs.erofs");
  if (!path.has_value())
    return {"mkfs.erofs", Verdict::kMissing, "not found: images can't be unpacked", "apt-get install erofs-utils"};
  return {"mkfs.erofs", Verdict::kGood, FirstLine(*path, "--version"), ""};
}

Finding Tun() {
  if (Opens("/dev/net/tun", O_RDWR)) return {"/dev/net/tun", Verdict::kGood, "opens", ""};
  return {"/dev/net/tun", Verdict::kMissing, "does not open", "modprobe tun"};
}

Finding Cgroups() {
  std::error_code error;
  if (std::filesystem::exists("/sys/fs/cgroup/cgroup.controllers", error)) {
    const auto controllers = ReadFile("/sys/fs/cgroup/cgroup.controllers", 4096);
    return {"cgroups", Verdict::kGood,
            absl::StrCat("v2: ", controllers.ok() ? absl::StripSuffix(*controllers, "\n") : "unreadable"), ""};
  }
  if (std::filesystem::exists("/sys/fs/cgroup/memory", error)) return {"cgroups", Verdict::kGood, "v1 controllers", ""};
  return {"cgroups", Verdict::kWorse, "none mounted at /sys/fs/cgroup: VMs are not confined and not accounted",
          "mount -t cgroup2 none /sys/fs/cgroup"};
}

Finding Disk(const CheckedConfig& config) {
  std::filesystem::path folder = config.state_dir;
  std::error_code error;
  while (!std::filesystem::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  struct statvfs fs;
  if (::statvfs(folder.c_str(), &fs) != 0)
    return {"disk", Verdict::kMissing, absl::StrCat(config.state_dir, " can't be looked at"), "make the folder"};
  const double free_gib = static_cast<double>(fs.f_bavail) * static_cast<double>(fs.f_frsize) / (1 << 30);
  Finding finding{"disk", Verdict::kGood, absl::StrFormat("%.1f GiB free for %s", free_gib, config.state_dir), ""};
  if (free_gib < 2) {
    finding.verdict = Verdict::kWorse;
    finding.remedy = "images need room: free some, or set state_dir";
  }
  return finding;
}

}  // namespace

std::vector<Finding> ProbeMachine(const CheckedConfig& config) {
  const std::string build_guest = "build them with guest/build and set hypervisor.kernel and hypervisor.initrd";
  return {Root(),
          Accelerator(),
          Qemu(config),
          File("guest kernel", config.kernel, build_guest),
          File("guest initrd", config.initrd, build_guest),
          Erofs(),
          Tun(),
          Cgroups(),
          Disk(config)};
}

}  // namespace podvisor::cli
