// Containers between CRI's messages and podmanager's.
#ifndef PODVISOR_CRI_CONVERT_CONTAINER_H_
#define PODVISOR_CRI_CONVERT_CONTAINER_H_

#include "podmanager/config.pb.h"
#include "podmanager/pod_manager.h"
#include "third_party/wire/cri_messages.h"

namespace podvisor::cri {

// Of a validated configuration.
ContainerConfig ContainerFromCri(const ::runtime::v1::ContainerConfig& config);
ContainerFilter ContainerFilterFromCri(const ::runtime::v1::ContainerFilter& filter);

void ContainerToCri(const podvisor::ContainerStatus& status, ::runtime::v1::ContainerStatus* out);
// What ListContainers shows. Takes strings out of `status`.
void ContainerToCri(podvisor::ContainerStatus&& status, ::runtime::v1::Container* out);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_CONVERT_CONTAINER_H_
