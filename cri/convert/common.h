// The parts that sandboxes and containers share in their conversion between CRI's messages and podmanager's.
//
// Everything in cri/convert is pure and total: it takes what cri/validate has let through, and whatever podmanager has
// stored. Strings that a guest may have written are made valid UTF-8, since clients refuse a whole answer otherwise.
#ifndef PODVISOR_CRI_CONVERT_COMMON_H_
#define PODVISOR_CRI_CONVERT_COMMON_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "podmanager/config.pb.h"
#include "third_party/wire/cri_messages.h"

namespace podvisor::cri {

Resources ResourcesFromCri(const ::runtime::v1::LinuxContainerResources& resources);
void ResourcesToCri(const Resources& resources, ::runtime::v1::LinuxContainerResources* out);

Namespaces NamespacesFromCri(const ::runtime::v1::NamespaceOption& options);
void NamespacesToCri(const Namespaces& namespaces, ::runtime::v1::NamespaceOption* out);

// `old` is the deprecated form, used where the client did not send the new one. Both absent: UNCONFINED for seccomp, as
// CRI has it.
SecurityProfile ProfileFromCri(const ::runtime::v1::SecurityProfile& profile);
SecurityProfile ProfileFromOldForm(absl::string_view old);

// "SIGTERM", "SIGRTMIN+3"; empty for CRI's RUNTIME_DEFAULT. The other way round an unknown name is RUNTIME_DEFAULT.
std::string SignalFromCri(::runtime::v1::Signal signal);
::runtime::v1::Signal SignalToCri(const std::string& name);

// Nanoseconds since the epoch; 0 for InfinitePast(), which is "not yet".
int64_t ToCriTime(absl::Time time);

// `text` with every byte that is not part of UTF-8 replaced by '?'.
std::string ToValidUtf8(absl::string_view text);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_CONVERT_COMMON_H_
