// SPDY/3's compressed header blocks. Source: SPDY protocol, draft 3, section 2.6.10.
#ifndef PODVISOR_CRI_STREAMING_SPDY_HEADER_BLOCK_H_
#define PODVISOR_CRI_STREAMING_SPDY_HEADER_BLOCK_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor::spdy {

// Names in lower case; several values of one name are joined by NUL.
using Headers = std::vector<std::pair<std::string, std::string>>;

// The value of `name`, empty if there is none. Cases are not told apart.
absl::string_view Find(const Headers& headers, absl::string_view name);

// What a block may be at most, before compression. A bomb ends there, not in memory.
inline constexpr size_t kMaxHeaderBytes = 16 << 10;
inline constexpr size_t kMaxHeaders = 64;

// Blocks before compression: pure functions. kInvalidArgument for what is no block.
absl::StatusOr<Headers> ParseHeaders(absl::string_view block);
std::string SerializeHeaders(const Headers& headers);

// One direction of one connection: all its blocks are one zlib stream. Memory is taken with the first block: some
// 40 KiB to read, 12 KiB to write. Not thread-safe.
class HeaderReader {
 public:
  HeaderReader();
  ~HeaderReader();
  // kInvalidArgument for a malformed, kResourceExhausted for a huge block: the stream is of no use after either.
  absl::StatusOr<Headers> Read(absl::string_view compressed);

 private:
  struct Zlib;
  std::unique_ptr<Zlib> zlib_;
};

class HeaderWriter {
 public:
  HeaderWriter();
  ~HeaderWriter();
  // `headers` are ours and small.
  std::string Write(const Headers& headers);

 private:
  struct Zlib;
  std::unique_ptr<Zlib> zlib_;
};

}  // namespace podvisor::spdy

#endif  // PODVISOR_CRI_STREAMING_SPDY_HEADER_BLOCK_H_
