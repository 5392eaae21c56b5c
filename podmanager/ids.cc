#include "podmanager/ids.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace podvisor {

namespace {
constexpr size_t kIdBytes = 32;
}

std::string RandomId() {
  std::string bytes(kIdBytes, '\0');
  // Up to 256 bytes come whole once the kernel's pool is seeded, which it is when a daemon runs.
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
  return absl::BytesToHexString(bytes);
}

bool IsId(absl::string_view text) {
  return text.size() == 2 * kIdBytes && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

std::string MacOf(absl::string_view sandbox_id) {
  std::string mac = "02";
  for (size_t i = 0; i < 10; i += 2) absl::StrAppend(&mac, ":", sandbox_id.substr(i, 2));
  return mac;
}

}  // namespace podvisor
