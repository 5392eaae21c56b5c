// The lists of statistics that both the unary and the streaming calls answer with.
#ifndef PODVISOR_CRI_USAGE_LISTS_H_
#define PODVISOR_CRI_USAGE_LISTS_H_

#include <vector>

#include "cri/backend.h"
#include "cri/call.h"
#include "podmanager/stats/usage.h"
#include "third_party/wire/cri_messages.h"

namespace podvisor::cri {

std::vector<ContainerUsage> ContainerUsages(const Backend& backend, const Call& call,
                                            const ::runtime::v1::ContainerStatsFilter& filter);
std::vector<PodUsage> PodUsages(const Backend& backend, const Call& call,
                                const ::runtime::v1::PodSandboxStatsFilter& filter);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_USAGE_LISTS_H_
