// Metrics over HTTP.
#ifndef PODVISOR_DAEMON_METRICS_SERVER_H_
#define PODVISOR_DAEMON_METRICS_SERVER_H_

#include <prometheus/collectable.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace podvisor {

// Serves what the collectables collect at http://ADDRESS/metrics until it is destroyed.
class MetricsServer {
 public:
  // `address` is HOST:PORT, "127.0.0.1:9745" or "[::1]:9745"; port 0 takes a free one. kInvalidArgument for another
  // form, else what bind(2) says.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const std::string& address, std::vector<std::shared_ptr<prometheus::Collectable>> collectables);
  virtual ~MetricsServer() = default;

  // HOST:PORT as bound.
  virtual std::string address() const = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_METRICS_SERVER_H_
