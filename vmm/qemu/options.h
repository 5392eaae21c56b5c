// How the QEMU driver is configured.
#ifndef PODVISOR_VMM_QEMU_OPTIONS_H_
#define PODVISOR_VMM_QEMU_OPTIONS_H_

#include <string>
#include <vector>

#include "vmm/qemu/accelerator.h"

namespace podvisor {

enum class QemuSeccomp { kOn, kOff };          // -sandbox on with everything denied that can be
enum class QemuSharedFolder { k9p, kNone };    // how VmSpec::shared_folder reaches the guest
enum class QemuConfinement { kFull, kNone };   // own mount namespace with a minimal tree, own user, no capabilities
enum class GuestConsole { kQuiet, kVerbose };  // kernel messages from KERN_ERR up, or all

struct QemuOptions {
  std::string qemu_path = "/usr/bin/qemu-system-x86_64";
  std::string machine = "q35";
  AcceleratorChoice accelerator = AcceleratorChoice::kAuto;
  // Empty: "host" with KVM, "max" less what only costs time with TCG.
  std::string cpu_model;

  QemuSeccomp seccomp = QemuSeccomp::kOn;
  QemuSharedFolder shared_folder = QemuSharedFolder::k9p;
  // Needs root. A daemon that is not root runs QEMU as itself, unconfined but for seccomp.
  QemuConfinement confinement = QemuConfinement::kFull;
  // Whom QEMU runs as. "auto": a user of its own for each VM, without a name, in [kFirstUid, kFirstUid + kUids), chosen
  // by the sandbox's id, so that one QEMU can't touch another. Else a name or "UID:GID"; "root" keeps uid 0, but no
  // capability that is not needed.
  std::string user = "auto";
  // Of the QEMU process, -1000 to 1000.
  int oom_score_adj = 0;

  GuestConsole console = GuestConsole::kQuiet;
  std::vector<std::string> extra_args;  // at the end of the command line
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_OPTIONS_H_
