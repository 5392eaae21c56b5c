// What pods and containers use, as CRI's statistics.
#ifndef PODVISOR_CRI_CONVERT_STATS_H_
#define PODVISOR_CRI_CONVERT_STATS_H_

#include "podmanager/stats/usage.h"
#include "third_party/wire/cri_messages.h"

namespace podvisor::cri {

// A container whose guest has not said anything yet has attributes only.
void ContainerUsageToCri(const ContainerUsage& usage, ::runtime::v1::ContainerStats* out);
void PodUsageToCri(const PodUsage& usage, ::runtime::v1::PodSandboxStats* out);

// Memory that can't be had back at once: what is used less the page cache that nobody has touched for long. As the
// kubelet and cAdvisor define it.
uint64_t WorkingSetBytes(const agent::v1::CgroupUsage& figures);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_CONVERT_STATS_H_
