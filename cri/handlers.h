// The answers to CRI's calls: one function per RPC, named for it, in one file per RPC or tight group. The generated
// service classes (services.cc) only call them.
//
// Each checks its request in full, then acts through PodManager and ImageStore, then fills the response. Errors come
// back as absl::Status; edge.h makes them gRPC's.
#ifndef PODVISOR_CRI_HANDLERS_H_
#define PODVISOR_CRI_HANDLERS_H_

#include "absl/status/status.h"
#include "cri/backend.h"
#include "cri/call.h"
#include "third_party/wire/cri_messages.h"

namespace podvisor::cri {

#define PODVISOR_HANDLER(Method)                                                                         \
  absl::Status Method(const Backend& backend, Call& call, const ::runtime::v1::Method##Request& request, \
                      ::runtime::v1::Method##Response* response)

// status.cc
PODVISOR_HANDLER(Version);
PODVISOR_HANDLER(Status);
PODVISOR_HANDLER(RuntimeConfig);
PODVISOR_HANDLER(UpdateRuntimeConfig);
// sandbox_run.cc
PODVISOR_HANDLER(RunPodSandbox);
// sandbox_stop.cc
PODVISOR_HANDLER(StopPodSandbox);
PODVISOR_HANDLER(RemovePodSandbox);
// sandbox_status.cc
PODVISOR_HANDLER(PodSandboxStatus);
PODVISOR_HANDLER(ListPodSandbox);
// container_create.cc
PODVISOR_HANDLER(CreateContainer);
// container_lifecycle.cc
PODVISOR_HANDLER(StartContainer);
PODVISOR_HANDLER(StopContainer);
PODVISOR_HANDLER(RemoveContainer);
// container_status.cc
PODVISOR_HANDLER(ContainerStatus);
PODVISOR_HANDLER(ListContainers);
// container_update.cc
PODVISOR_HANDLER(UpdateContainerResources);
PODVISOR_HANDLER(ReopenContainerLog);
// exec_sync.cc
PODVISOR_HANDLER(ExecSync);
// stream_urls.cc
PODVISOR_HANDLER(Exec);
PODVISOR_HANDLER(Attach);
PODVISOR_HANDLER(PortForward);
// image_pull.cc
PODVISOR_HANDLER(PullImage);
// image_status.cc
PODVISOR_HANDLER(ListImages);
PODVISOR_HANDLER(ImageStatus);
PODVISOR_HANDLER(RemoveImage);
PODVISOR_HANDLER(ImageFsInfo);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_HANDLERS_H_
