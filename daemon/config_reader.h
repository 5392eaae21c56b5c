// Reads YAML into a configuration, by its schema.
#ifndef PODVISOR_DAEMON_CONFIG_READER_H_
#define PODVISOR_DAEMON_CONFIG_READER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "daemon/config_keys.h"

namespace podvisor {

// One parsed file. Every mistake is collected, each a line "FILE:LINE: KEY: what is allowed".
class ConfigDocument {
 public:
  // kNotFound, or kInvalidArgument with file and line for what is not YAML or no map.
  static absl::StatusOr<std::unique_ptr<ConfigDocument>> Parse(const std::string& file);
  virtual ~ConfigDocument() = default;

  // Lets `visit` read the document's keys; complains of those that it does not know.
  virtual void Read(absl::FunctionRef<void(ConfigVisitor&)> visit, std::vector<std::string>& errors) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_CONFIG_READER_H_
