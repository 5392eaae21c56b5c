// Which versions of CNI the plugins speak.
#ifndef PODVISOR_NETNS_CNI_VERSIONS_H_
#define PODVISOR_NETNS_CNI_VERSIONS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "netns/cni_config.h"

namespace podvisor {

// Asks each plugin once, and again when its program has changed. Thread-safe.
class CniVersions {
 public:
  // Whether all plugins of the network are there and speak its version. kFailedPrecondition names the first that does
  // not, and the versions it speaks. A plugin that doesn't answer the question sensibly passes: its ADD will tell.
  absl::Status Check(const CniNetworkConfig& network, const std::vector<std::string>& bin_dirs);

 private:
  // A program as it was when asked: inode, size, change time in nanoseconds.
  struct Program {
    uint64_t inode = 0;
    int64_t size = 0;
    int64_t changed_ns = 0;
    friend bool operator==(const Program&, const Program&) = default;
  };

  // Empty where it did not answer.
  std::vector<std::string> Versions(const std::string& type, const std::string& path,
                                    const std::vector<std::string>& bin_dirs);

  absl::Mutex mu_;
  std::map<std::string, std::pair<Program, std::vector<std::string>>> known_ ABSL_GUARDED_BY(mu_);  // by path
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_CNI_VERSIONS_H_
