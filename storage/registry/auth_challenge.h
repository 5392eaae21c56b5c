// The WWW-Authenticate header (RFC 9110, 11.6.1), as registries send it.
#ifndef PODVISOR_STORAGE_REGISTRY_AUTH_CHALLENGE_H_
#define PODVISOR_STORAGE_REGISTRY_AUTH_CHALLENGE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace podvisor {

struct AuthChallenge {
  std::string scheme;                             // lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  // names in lower case: realm, service, scope, error
};

// The challenges of one header, in order. What is malformed ends the list: never an error, at worst no challenge.
std::vector<AuthChallenge> ParseAuthChallenges(absl::string_view header);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_REGISTRY_AUTH_CHALLENGE_H_
