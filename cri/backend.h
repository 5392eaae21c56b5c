// What stands behind the RPCs.
#ifndef PODVISOR_CRI_BACKEND_H_
#define PODVISOR_CRI_BACKEND_H_

#include <functional>
#include <map>
#include <string>

#include "cri/streaming/streaming_server.h"
#include "podmanager/pod_manager.h"
#include "storage/image_store.h"

namespace podvisor::cri {

enum class CgroupDriver { kCgroupfs, kSystemd };

// Borrowed; outlives the server. Copyable.
struct Backend {
  PodManager* pods = nullptr;
  ImageStore* images = nullptr;
  StreamingServer* streaming = nullptr;  // null: Exec, Attach and PortForward are refused
  CgroupDriver cgroup_driver = CgroupDriver::kCgroupfs;
  std::string version;  // of podvisor: "0.1.0"
  // Details of a verbose Status: key to JSON text. May be empty.
  std::function<std::map<std::string, std::string>()> verbose_status;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_BACKEND_H_
