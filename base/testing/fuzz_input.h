// What fuzz targets have in common. A target defines
//
//   extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
//
// and returns 0 for every input: see tools/fuzz.
#ifndef PODVISOR_BASE_TESTING_FUZZ_INPUT_H_
#define PODVISOR_BASE_TESTING_FUZZ_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/string_view.h"

namespace podvisor {

// An input as the target sees it: some choices in its first bytes, the rest is what is parsed. Not thread-safe.
class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  // 0 where the input has ended.
  uint8_t TakeByte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return byte;
  }
  absl::string_view rest() const { return rest_; }

 private:
  absl::string_view rest_;
};

// Gives `bytes` in pieces of `size` bytes (0: all at once) until `take` returns false.
template <typename Take>
void InPieces(absl::string_view bytes, size_t size, Take take) {
  if (size == 0) size = std::max<size_t>(bytes.size(), 1);
  while (!bytes.empty()) {
    const absl::string_view piece = bytes.substr(0, size);
    bytes.remove_prefix(piece.size());
    if (!take(piece)) return;
  }
}

// Ends the process, and so names the input, where something does not hold.
inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

}  // namespace podvisor

#endif  // PODVISOR_BASE_TESTING_FUZZ_INPUT_H_
