// Names of sandboxes, containers and execs.
#ifndef PODVISOR_PODMANAGER_IDS_H_
#define PODVISOR_PODMANAGER_IDS_H_

#include <string>

#include "absl/strings/string_view.h"

namespace podvisor {

// 64 hexadecimal digits from the kernel's random numbers: what kubelet and crictl expect of an id.
std::string RandomId();

// Whether `text` is one of RandomId()'s: folders and namespaces that are not ours are left alone.
bool IsId(absl::string_view text);

// A locally administered unicast MAC address, the same for the same id.
std::string MacOf(absl::string_view sandbox_id);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IDS_H_
