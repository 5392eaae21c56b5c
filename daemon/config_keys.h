// The configuration's schema, written once: read, printed with its comments, and turned into JSON by visitors.
#ifndef PODVISOR_DAEMON_CONFIG_KEYS_H_
#define PODVISOR_DAEMON_CONFIG_KEYS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "daemon/config.h"

namespace podvisor {

// Meets every key of a section once. `doc` is one sentence for people; it may have several lines.
class ConfigVisitor {
 public:
  virtual ~ConfigVisitor() = default;

  virtual void Text(const char* key, std::string& value, const char* doc) = 0;
  // An absolute path; empty where `doc` says what that means.
  virtual void Path(const char* key, std::string& value, const char* doc) = 0;
  virtual void OneOf(const char* key, std::string& value, const std::vector<const char*>& choices, const char* doc) = 0;
  virtual void Flag(const char* key, bool& value, const char* doc) = 0;
  virtual void Number(const char* key, int& value, int min, int max, const char* doc) = 0;
  // Bytes: "512MiB".
  virtual void Size(const char* key, uint64_t& value, const char* doc) = 0;
  // "30s", "1m30s"; more than zero.
  virtual void Time(const char* key, absl::Duration& value, const char* doc) = 0;
  virtual void TextList(const char* key, std::vector<std::string>& value, const char* doc) = 0;
  virtual void PathList(const char* key, std::vector<std::string>& value, const char* doc) = 0;
  virtual void Section(const char* key, const char* doc, absl::FunctionRef<void(ConfigVisitor&)> keys) = 0;
  // A map from names to sections. `entry` is called for each that there is.
  virtual void Sections(const char* key, const char* doc,
                        absl::FunctionRef<void(const std::string& name, ConfigVisitor&)> entry) = 0;
  // A key of virtcontainers' configuration that has no meaning here, or none yet: `why` says which.
  virtual void Unsupported(const char* key, const char* why) = 0;
};

// Visits all keys but `runtimes`.
void VisitConfig(ConfigVisitor& visitor, Config& config);
void VisitHypervisor(ConfigVisitor& visitor, HypervisorSection& section);

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_CONFIG_KEYS_H_
