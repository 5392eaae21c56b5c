#include "daemon/config.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "daemon/config_keys.h"
#include "daemon/config_reader.h"

namespace podvisor {
namespace {

// What no key can say alone.
void CheckSection(const std::string& name, const HypervisorSection& section, std::vector<std::string>& errors) {
  if (section.default_max_vcpus != 0 && section.default_max_vcpus < section.default_vcpus) {
    errors.push_back(
        absl::StrCat(name, ".default_max_vcpus: must be 0 or at least default_vcpus, ", section.default_vcpus));
  }
  constexpr uint64_t kLeastMemory = 64 << 20;
  if (section.default_memory_bytes < kLeastMemory) {
    errors.push_back(absl::StrCat(name, ".default_memory: must be at least 64MiB: a guest does not start with less"));
  }
  if (section.default_max_memory_bytes != 0 && section.default_max_memory_bytes < section.default_memory_bytes) {
    errors.push_back(absl::StrCat(name, ".default_max_memory: must be 0 or at least default_memory"));
  }
}

void CheckPool(const Config& config, std::vector<std::string>& errors) {
  if (config.pool.max < config.pool.min) {
    errors.push_back(absl::StrCat("pool.max: must be at least pool.min, ", config.pool.min));
  }
}

void CheckPaths(const Config& config, std::vector<std::string>& errors) {
  for (const auto& [key, value] : {std::pair<const char*, const std::string&>{"socket", config.socket},
                                   {"state_dir", config.state_dir},
                                   {"run_dir", config.run_dir},
                                   {"network.cni_conf_dir", config.network.cni_conf_dir},
                                   {"network.netns_dir", config.network.netns_dir},
                                   {"cgroup.parent", config.cgroup.parent}}) {
    if (value.empty()) errors.push_back(absl::StrCat(key, ": must not be empty"));
  }
}

void ReadAll(const std::vector<std::unique_ptr<ConfigDocument>>& documents, Config& config,
             absl::FunctionRef<void(const std::string&, ConfigVisitor&)> runtime, std::vector<std::string>& errors) {
  for (const auto& document : documents) {
    document->Read(
        [&](ConfigVisitor& visitor) {
          VisitConfig(visitor, config);
          visitor.Sections("runtimes", "", runtime);
        },
        errors);
  }
}

}  // namespace

absl::StatusOr<Config> LoadConfig(const std::vector<std::string>& files) {
  std::vector<std::unique_ptr<ConfigDocument>> documents;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(documents.emplace_back(), ConfigDocument::Parse(file));
  }
  // Twice: a runtime stands on the section `hypervisor` that all files together make, so that section comes first. The
  // second time finds the same mistakes, and those in the runtimes.
  Config config;
  std::vector<std::string> ignored;
  ReadAll(
      documents, config, [](const std::string&, ConfigVisitor&) {}, ignored);
  std::vector<std::string> errors;
  const auto runtime = [&](const std::string& name, ConfigVisitor& keys) {
    VisitHypervisor(keys, config.runtimes.try_emplace(name, config.hypervisor).first->second);
  };
  Config same;
  ReadAll(documents, same, runtime, errors);
  CheckPaths(config, errors);
  CheckPool(config, errors);
  if (config.streaming.tls_certificate.empty() != config.streaming.tls_key.empty())
    errors.push_back("streaming.tls_key: must be given with streaming.tls_certificate, and not without it");
  if (!config.streaming.tls_client_ca.empty() && config.streaming.tls_certificate.empty())
    errors.push_back("streaming.tls_client_ca: needs streaming.tls_certificate and streaming.tls_key");
  CheckSection("hypervisor", config.hypervisor, errors);
  for (const auto& [name, section] : config.runtimes) CheckSection(absl::StrCat("runtimes.", name), section, errors);
  if (!errors.empty()) return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
  if (config.network.cni_cache_dir.empty()) config.network.cni_cache_dir = absl::StrCat(config.state_dir, "/cni");
  if (config.nri.socket.empty()) config.nri.socket = absl::StrCat(config.run_dir, "/nri.sock");
  if (config.metrics.address_file.empty()) config.metrics.address_file = absl::StrCat(config.run_dir, "/metrics.addr");
  return config;
}

}  // namespace podvisor
