// What CNI plugins print: results (SPEC.md, section 5) and errors. Plugins are other people's programs: every field is
// checked before it is used.
#ifndef PODVISOR_NETNS_CNI_RESULT_H_
#define PODVISOR_NETNS_CNI_RESULT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor {

struct CniResult {
  std::vector<std::string> addresses;  // of the pod's interface, with prefix length: "10.1.0.5/16"
  std::vector<std::string> dns_servers, dns_searches, dns_options;
};

// `interface` is CNI_IFNAME: addresses that belong to other interfaces of the result are left out. kInvalidArgument
// says what is wrong.
absl::StatusOr<CniResult> ParseCniResult(absl::string_view text, const std::string& interface);

struct CniError {
  uint64_t code = 0;
  std::string message;
  std::string details;
};

// nullopt if `text` is no CNI error.
std::optional<CniError> ParseCniError(absl::string_view text);

// The code that tells the caller what to do: kUnavailable for "try again later" (11), kFailedPrecondition where
// configuration or environment are at fault, else kInternal.
absl::StatusCode CodeOfCniError(uint64_t code);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_CNI_RESULT_H_
