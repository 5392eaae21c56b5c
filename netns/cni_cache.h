// What has been done to a sandbox's network and how, so that DEL can be done the same way by a later daemon.
#ifndef PODVISOR_NETNS_CNI_CACHE_H_
#define PODVISOR_NETNS_CNI_CACHE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "netns/cni_network.h"

namespace podvisor {

// kPending: ADD may have begun, DEL is owed. kAdded: ADD succeeded.
enum class CniCacheState { kPending, kAdded };

struct CniCacheEntry {
  CniCacheState state = CniCacheState::kPending;
  CniAttachment attachment;  // environment.bin_dirs and builtins are the present daemon's, not kept
  bool builtin = false;      // ADD was done with built-in plugins
};

// One file per container and interface: DIR/<container id>-<interface>, JSON with libcni's names (kind "cniCacheV1")
// and one of ours, podvisorState. `attachment.environment` names the file.
absl::Status WriteCniCache(const std::string& dir, const CniCacheEntry& entry);

// kNotFound if there is none, kDataLoss if it can't be understood (a power cut: entries are not synced).
absl::StatusOr<CniCacheEntry> ReadCniCache(const std::string& dir, const std::string& container_id,
                                           const std::string& interface);

bool HasCniCache(const std::string& dir, const std::string& container_id, const std::string& interface);

// Success if there is none.
absl::Status RemoveCniCache(const std::string& dir, const std::string& container_id, const std::string& interface);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_CNI_CACHE_H_
