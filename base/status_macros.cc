#include "base/status_macros.h"

namespace podvisor {

absl::Status Prefix(const absl::Status& status, const std::string& prefix) {
  absl::Status prefixed(status.code(), absl::StrCat(prefix, ": ", status.message()));
  status.ForEachPayload(
      [&](absl::string_view type_url, const absl::Cord& payload) { prefixed.SetPayload(type_url, payload); });
  return prefixed;
}

absl::Status ErrnoStatus(int error_number, const std::string& call) { return absl::ErrnoToStatus(error_number, call); }

}  // namespace podvisor
