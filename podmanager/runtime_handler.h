// What the daemon's configuration says of one runtime handler (a RuntimeClass): which driver runs its VMs and how they
// are made.
#ifndef PODVISOR_PODMANAGER_RUNTIME_HANDLER_H_
#define PODVISOR_PODMANAGER_RUNTIME_HANDLER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// How long each part may take: budgets of the work, whatever the deadline of the RPC that asked for it.
struct RuntimeTimeouts {
  absl::Duration agent_ready = absl::Seconds(60);       // from the start of the VM until its agent answers
  absl::Duration agent_call = absl::Seconds(30);        // one call that does not wait for a program
  absl::Duration network = absl::Seconds(90);           // CNI ADD or DEL of all plugins
  absl::Duration vm_stop_grace = absl::ZeroDuration();  // the containers have been stopped: nothing to wait for
  absl::Duration kill = absl::Seconds(10);              // from SIGKILL until a container's exit is known
  absl::Duration rollback = absl::Seconds(120);
};

// How its VMs come about: see factory/vm_factory.h.
enum class FactoryKind { kCold, kTemplate, kPool };
// Whether clones share the template's pages until they write to them, or each has a copy (CVE-2015-2877).
enum class TemplatePages { kShared, kCopied };

struct RuntimeHandler {
  std::string name;                  // "" is the default
  Hypervisor* hypervisor = nullptr;  // borrowed; outlives the pod manager

  // Of a VM at boot, if the pod asks for no more.
  int vcpus = 1;
  uint64_t memory_bytes = 256 << 20;
  // Upper bounds. 0: what the driver can, and for memory no more than at boot.
  int max_vcpus = 0;
  uint64_t max_memory_bytes = 0;
  // What guest kernel and agent need beside the containers: added to the pod's memory limit.
  uint64_t guest_overhead_bytes = 96 << 20;

  std::string kernel_path;
  std::string initrd_path;
  std::vector<std::string> kernel_params;
  int disk_slots = 4;

  FactoryKind factory = FactoryKind::kCold;
  TemplatePages template_pages = TemplatePages::kShared;
  std::string rehearsal_image;  // EROFS; see factory/rehearsal.h. Empty: nothing is run

  RuntimeTimeouts timeouts;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_RUNTIME_HANDLER_H_
