#include "nri/mux_frame.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/ttrpc_frame.h"

namespace podvisor {

namespace {

constexpr size_t kHeaderBytes = 8;
constexpr size_t kMaxPayloadBytes = kFrameHeaderBytes + kMaxFramePayloadBytes;
constexpr size_t kFirstFrameBytes = 4096;

void AppendNumber(uint32_t number, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(number >> shift));
}

uint32_t NumberAt(absl::string_view bytes) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  return number;
}

}  // namespace

void AppendMuxMessage(uint32_t stream, absl::string_view message, std::string* out) {
  const absl::string_view head = message.substr(0, kFirstFrameBytes);
  const absl::string_view tail = message.substr(head.size());
  for (absl::string_view part : {head, tail}) {
    if (part.empty()) continue;
    AppendNumber(stream, out);
    AppendNumber(static_cast<uint32_t>(part.size()), out);
    out->append(part.data(), part.size());
  }
}

absl::Status MuxDecoder::Feed(absl::string_view bytes, std::vector<MuxFrame>* frames) {
  while (error_.ok() && !bytes.empty()) {
    if (buffer_.size() < kHeaderBytes) {
      const size_t take = std::min(bytes.size(), kHeaderBytes - buffer_.size());
      buffer_.append(bytes.data(), take);
      bytes.remove_prefix(take);
      if (buffer_.size() < kHeaderBytes) break;
    }
    const size_t length = NumberAt(absl::string_view(buffer_).substr(4));
    if (length > kMaxPayloadBytes) {
      buffer_.clear();
      error_ = absl::InvalidArgumentError(absl::StrCat("a multiplexed frame of ", length, " bytes: more than ",
                                                       kMaxPayloadBytes, ", the longest ttrpc message"));
      break;
    }
    const size_t take = std::min(bytes.size(), kHeaderBytes + length - buffer_.size());
    buffer_.append(bytes.data(), take);
    bytes.remove_prefix(take);
    if (buffer_.size() < kHeaderBytes + length) break;
    frames->push_back({.stream = NumberAt(buffer_), .payload = buffer_.substr(kHeaderBytes)});
    buffer_ = std::string();  // gives the memory back
  }
  return error_;
}

}  // namespace podvisor
