#include "podmanager/factory/vm_factory.h"

#include <algorithm>

#include "podmanager/ids.h"

namespace podvisor {

absl::string_view Name(VmOrigin origin) {
  switch (origin) {
    case VmOrigin::kCold:
      return "cold";
    case VmOrigin::kTemplate:
      return "template";
    case VmOrigin::kPool:
      return "pool";
  }
  return "?";
}

VmOrigin OriginOf(FactoryKind kind) {
  switch (kind) {
    case FactoryKind::kCold:
      return VmOrigin::kCold;
    case FactoryKind::kTemplate:
      return VmOrigin::kTemplate;
    case FactoryKind::kPool:
      return VmOrigin::kPool;
  }
  return VmOrigin::kCold;
}

VmSpec HandlerSpec(const RuntimeHandler& handler) {
  VmSpec spec;
  spec.kernel_path = handler.kernel_path;
  spec.initrd_path = handler.initrd_path;
  spec.kernel_params = handler.kernel_params;
  spec.vcpus = handler.vcpus;
  spec.max_vcpus = std::max(handler.vcpus, handler.max_vcpus);
  spec.memory_bytes = handler.memory_bytes;
  spec.max_memory_bytes = std::max(handler.memory_bytes, handler.max_memory_bytes);
  spec.disk_slots = handler.disk_slots;
  return spec;
}

VmSpec SiteSpec(const RuntimeHandler& handler, const VmSite& site, const UniqueFd& tap) {
  VmSpec spec = HandlerSpec(handler);
  spec.id = site.id;
  spec.runtime_dir = site.runtime_dir;
  if (tap.ok()) spec.nic = NicSpec{.tap_fd = tap.get(), .mac = MacOf(site.id)};
  spec.shared_folder = site.shared_dir;
  spec.cgroup_procs = site.cgroup_procs;
  spec.netns_path = site.netns_path;
  return spec;
}

}  // namespace podvisor
