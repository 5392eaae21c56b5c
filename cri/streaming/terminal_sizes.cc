#include "cri/streaming/terminal_sizes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/status/status.h"

namespace podvisor::cri {
namespace {

constexpr size_t kMaxObject = 256;

uint16_t Clamp(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return 0;
  return static_cast<uint16_t>(std::min<uint64_t>(found->get<uint64_t>(), 0xffff));
}

}  // namespace

absl::StatusOr<std::vector<TerminalSize>> TerminalSizes::Feed(absl::string_view data) {
  std::vector<TerminalSize> sizes;
  for (const char c : data) {
    rest_.push_back(c);
    if (rest_.size() > kMaxObject) return absl::InvalidArgumentError("resize: no terminal size");
    if (c != '}') continue;
    const nlohmann::json object = nlohmann::json::parse(rest_, nullptr, /*allow_exceptions=*/false);
    rest_.clear();
    if (!object.is_object()) return absl::InvalidArgumentError("resize: no terminal size");
    const TerminalSize size{.columns = Clamp(object, "Width"), .rows = Clamp(object, "Height")};
    if (size.columns > 0 && size.rows > 0) sizes.push_back(size);
  }
  return sizes;
}

}  // namespace podvisor::cri
