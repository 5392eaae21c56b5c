#include "vmm/qemu/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "vmm/qemu/command_line.h"
#include "vmm/qemu/launch.h"
#include "vmm/qemu/proc_stat.h"
#include "vmm/qemu/qemu_vm.h"
#include "vmm/qemu/template_key.h"

namespace podvisor {
namespace {

constexpr absl::Duration kProbeTimeout = absl::Seconds(30);
constexpr absl::Duration kKillTimeout = absl::Seconds(30);

class QemuHypervisor : public Hypervisor {
 public:
  QemuHypervisor(EventLoop& loop, QemuOptions options, DetectedAccelerator accelerator, std::string version)
      : loop_(loop), options_(std::move(options)), accelerator_(std::move(accelerator)), version_(std::move(version)) {
    capabilities_.pause = true;
    capabilities_.disk_swap = true;
    capabilities_.disk_hotplug = true;
    capabilities_.vcpu_hotplug = true;
    capabilities_.memory_resize = true;
    capabilities_.shared_folder = options_.shared_folder == QemuSharedFolder::k9p;
    if (capabilities_.shared_folder) capabilities_.shared_folder_fs = "9p";
    capabilities_.clone = true;
    capabilities_.clone_of_copy = true;
    capabilities_.max_vcpus = kMaxVcpus;
  }

  const Capabilities& capabilities() const override { return capabilities_; }

  std::string Describe() const override {
    return absl::StrCat("QEMU ", version_, " (", AcceleratorName(accelerator_.accelerator),
                        accelerator_.reason.empty() ? "" : ": ", accelerator_.reason, ")");
  }

  absl::StatusOr<std::unique_ptr<Vm>> Create(const VmSpec& asked) override {
    const VmSpec spec = RoundSpec(asked);
    RETURN_IF_ERROR(ValidateSpec(spec));
    if (!spec.shared_folder.empty() && !capabilities_.shared_folder)
      return absl::InvalidArgumentError(absl::StrCat("sandbox ", spec.id, ": shared folders are switched off"));
    ASSIGN_OR_RETURN(LaunchedQemu launched, LaunchQemu(options_, accelerator_.accelerator, spec), "sandbox ", spec.id);
    ASSIGN_OR_RETURN(std::unique_ptr<Vm> vm, QemuVm::TakeNew(loop_, spec, std::move(launched)), "sandbox ", spec.id);
    return vm;
  }

  absl::StatusOr<std::string> TemplateKey(const VmSpec& spec) const override {
    return QemuTemplateKey(options_, accelerator_.accelerator, version_, spec);
  }

  absl::StatusOr<std::unique_ptr<Vm>> Adopt(const std::string& bytes) override {
    ASSIGN_OR_RETURN(QemuRecord record, ParseRecord(bytes));
    const std::string id = record.id;
    ASSIGN_OR_RETURN(Process process, Process::Adopt(record.process), "sandbox ", id);
    // A zombie of ours is found, too: it has ended.
    UniqueFd stderr_file(::open(absl::StrCat("/proc/", record.process.pid, "/fd/2").c_str(), O_RDONLY | O_CLOEXEC));
    if (!stderr_file.ok())
      return absl::NotFoundError(absl::StrCat("sandbox ", id, ": process ", record.process.pid, " has ended"));
    ASSIGN_OR_RETURN(std::unique_ptr<Vm> vm,
                     QemuVm::Adopt(loop_, std::move(record), std::move(process), std::move(stderr_file)), "sandbox ",
                     id);
    return vm;
  }

  absl::Status CleanUp(const std::string& id, const std::string&) override {
    // Found by its name: Create() may have been cut off before there was anything to write down.
    for (const ProcessIdentity& identity : FindProcesses("-name", absl::StrCat(ProcessName(id), ",debug-threads=on"))) {
      absl::StatusOr<Process> process = Process::Adopt(identity);
      if (absl::IsNotFound(process.status())) continue;
      RETURN_IF_ERROR(process.status(), "sandbox ", id);
      RETURN_IF_ERROR(process->Signal(SIGKILL), "sandbox ", id);
      RETURN_IF_ERROR(process->Wait(absl::Now() + kKillTimeout).status(), "sandbox ", id);
    }
    return absl::OkStatus();
  }

 private:
  EventLoop& loop_;
  const QemuOptions options_;
  const DetectedAccelerator accelerator_;
  const std::string version_;
  Capabilities capabilities_;
};

// "QEMU emulator version 7.2.22 (Debian ...)" → "7.2.22".
absl::StatusOr<std::string> ProbeVersion(const std::string& qemu_path) {
  SpawnOptions options;
  options.argv = {qemu_path, "--version"};
  const auto hint = [&](absl::string_view why) {
    return absl::FailedPreconditionError(
        absl::StrCat("QEMU at ", qemu_path, ": ", why, ": install qemu-system-x86 or configure its path"));
  };
  const absl::StatusOr<CommandResult> result = RunCommand(std::move(options), "", absl::Now() + kProbeTimeout);
  if (!result.ok()) return hint(result.status().message());
  constexpr absl::string_view kBefore = "emulator version ";
  const size_t start = result->out.find(kBefore.data(), 0, kBefore.size());
  if (!result->exit.success() || start == std::string::npos) return hint("it does not tell its version");
  const std::vector<std::string> words =
      absl::StrSplit(result->out.substr(start + kBefore.size()), absl::ByAnyChar(" \n"));
  return words.front();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Hypervisor>> MakeQemu(EventLoop& loop, QemuOptions options) {
  ASSIGN_OR_RETURN(std::string version, ProbeVersion(options.qemu_path));
  ASSIGN_OR_RETURN(DetectedAccelerator accelerator, DetectAccelerator(options.accelerator));
  RETURN_IF_ERROR(ResolveUser(options.user, "").status());
  return std::make_unique<QemuHypervisor>(loop, std::move(options), std::move(accelerator), std::move(version));
}

}  // namespace podvisor
