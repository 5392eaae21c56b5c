// Where the images of a registry are asked for: containerd's certs.d/HOST/hosts.toml.
#ifndef PODVISOR_STORAGE_REGISTRY_REGISTRY_HOSTS_H_
#define PODVISOR_STORAGE_REGISTRY_REGISTRY_HOSTS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/registry/http_client.h"

namespace podvisor {

// One host to try. Copyable value.
struct RegistryHost {
  std::string base_url;            // "https://mirror.example/v2": what /NAME/manifests/TAG is appended to
  std::string host;                // "mirror.example:5000", for credentials
  bool can_resolve = true;         // tags may be asked for here
  bool can_pull = true;            // content by digest may be
  std::string namespace_argument;  // the registry's own name, sent as ?ns= to mirrors; empty for the registry itself
  std::vector<std::pair<std::string, std::string>> headers;
  TlsOptions tls;
};

// The hosts for images of `domain` ("docker.io", "localhost:5000") in the order to try: mirrors as they stand in
// `certs_dir`/DOMAIN/hosts.toml (a port as "host_5000_" or "host:5000"; else `certs_dir`/_default/hosts.toml), then the
// server. Without a file: the domain itself, by HTTPS, by HTTP for localhost and 127.0.0.0/8 and ::1.
// Read anew by each call. kInvalidArgument naming file and key for what is wrong in it; unknown keys are ignored, as
// containerd does.
absl::StatusOr<std::vector<RegistryHost>> LoadRegistryHosts(const std::string& certs_dir, const std::string& domain);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_REGISTRY_REGISTRY_HOSTS_H_
