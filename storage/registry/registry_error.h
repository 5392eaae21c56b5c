// What registries and their token servers answer, as statuses.
#ifndef PODVISOR_STORAGE_REGISTRY_REGISTRY_ERROR_H_
#define PODVISOR_STORAGE_REGISTRY_REGISTRY_ERROR_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/registry/auth_challenge.h"
#include "storage/registry/credentials.h"
#include "storage/registry/http_client.h"

namespace podvisor {

inline constexpr size_t kMaxToken = 1 << 20;

// A response that is no success: URL, status, the registry's own words (bounded), then `hint` if not empty.
// 401 kUnauthenticated, 403 kPermissionDenied, 404 kNotFound, all else kUnavailable.
absl::Status ErrorOf(const HttpResponse& response, const std::string& hint);

// "token" or "access_token" of a token server's answer. kUnauthenticated if there is none.
absl::StatusOr<std::string> TokenOf(const std::string& body);

std::string BasicAuthorization(const Credentials& credentials);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_REGISTRY_REGISTRY_ERROR_H_
