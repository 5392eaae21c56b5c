// Returning errors with what was being done in front: Abseil ships such macros only since LTS 20260526.
#ifndef PODVISOR_BASE_STATUS_MACROS_H_
#define PODVISOR_BASE_STATUS_MACROS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace podvisor {

// `status` with "PREFIX: " before its message; the code stays. Payloads are kept.
absl::Status Prefix(const absl::Status& status, const std::string& prefix);

inline absl::Status Annotate(absl::Status status) { return status; }
template <typename... Parts>
absl::Status Annotate(absl::Status status, const Parts&... parts) {
  return Prefix(status, absl::StrCat(parts...));
}

// errno as a status: "CALL: No such file or directory". Read errno before anything else can change it.
absl::Status ErrnoStatus(int error_number, const std::string& call);

}  // namespace podvisor

#define PODVISOR_CONCAT_INNER(a, b) a##b
#define PODVISOR_CONCAT(a, b) PODVISOR_CONCAT_INNER(a, b)

// RETURN_IF_ERROR(Mount(path), "sandbox ", id) returns "sandbox 3f2a: <error>" from a function of Status or StatusOr.
#define RETURN_IF_ERROR(expression, ...)                                                  \
  do {                                                                                    \
    if (absl::Status podvisor_status = (expression); !podvisor_status.ok())               \
      return ::podvisor::Annotate(std::move(podvisor_status) __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)

// ASSIGN_OR_RETURN(UniqueFd fd, Open(path), "sandbox ", id). The type must hold no bare comma.
#define ASSIGN_OR_RETURN(target, expression, ...) \
  PODVISOR_ASSIGN_OR_RETURN(PODVISOR_CONCAT(podvisor_result_, __LINE__), target, expression __VA_OPT__(, ) __VA_ARGS__)
#define PODVISOR_ASSIGN_OR_RETURN(result, target, expression, ...)                                      \
  auto result = (expression);                                                                           \
  if (!result.ok()) return ::podvisor::Annotate(std::move(result).status() __VA_OPT__(, ) __VA_ARGS__); \
  target = *std::move(result)

#endif  // PODVISOR_BASE_STATUS_MACROS_H_
