// Which credentials a registry host gets.
#ifndef PODVISOR_STORAGE_REGISTRY_CREDENTIALS_H_
#define PODVISOR_STORAGE_REGISTRY_CREDENTIALS_H_

#include <string>

#include "absl/status/statusor.h"
#include "storage/image_store.h"

namespace podvisor {

// What a host is shown. All empty: nothing, anonymous.
struct Credentials {
  std::string username, password;
  std::string identity_token;  // OAuth2 refresh token, for the token server
  std::string registry_token;  // bearer token, for the registry itself

  bool empty() const { return username.empty() && identity_token.empty() && registry_token.empty(); }
};

// Credentials for `host` ("registry-1.docker.io", "localhost:5000"): `auth` if it holds any and its server address is
// empty or names the host, else the entry of the docker configuration file (`docker_config`, a path; may be empty or
// missing). docker.io has several names: all are the same here. Credential helpers are not called.
// kInvalidArgument if `auth` or the file can't be read.
absl::StatusOr<Credentials> FindCredentials(const RegistryAuth& auth, const std::string& docker_config,
                                            const std::string& host);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_REGISTRY_CREDENTIALS_H_
