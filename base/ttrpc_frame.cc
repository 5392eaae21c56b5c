#include "base/ttrpc_frame.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

void AppendBigEndian(uint32_t value, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>((value >> shift) & 0xff));
}

uint32_t ReadBigEndian(const char* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

absl::Status AppendFrameHeader(uint32_t stream_id, FrameType type, size_t payload_bytes, std::string* out) {
  if (payload_bytes > kMaxFramePayloadBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("ttrpc message of ", payload_bytes, " bytes is larger than the limit of ", kMaxFramePayloadBytes));
  }
  AppendBigEndian(static_cast<uint32_t>(payload_bytes), out);
  AppendBigEndian(stream_id, out);
  out->push_back(static_cast<char>(type));
  out->push_back(0);  // flags
  return absl::OkStatus();
}

absl::Status EncodeFrame(const Frame& frame, std::string* out) {
  const size_t begin = out->size();
  out->reserve(begin + kFrameHeaderBytes + frame.payload.size());
  RETURN_IF_ERROR(AppendFrameHeader(frame.stream_id, frame.type, frame.payload.size(), out));
  out->back() = static_cast<char>(frame.flags);
  out->append(frame.payload);
  return absl::OkStatus();
}

absl::Status FrameDecoder::ParseHeader() {
  length_ = ReadBigEndian(header_.data());
  if (length_ > kMaxFramePayloadBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("ttrpc frame announces ", length_, " bytes, the limit is ", kMaxFramePayloadBytes));
  }
  const auto type = static_cast<uint8_t>(header_[8]);
  if (type < static_cast<uint8_t>(FrameType::kRequest) || type > static_cast<uint8_t>(FrameType::kData)) {
    return absl::InvalidArgumentError(absl::StrCat("ttrpc frame has the unknown type ", type));
  }
  frame_ = {.stream_id = ReadBigEndian(header_.data() + 4),
            .type = static_cast<FrameType>(type),
            .flags = static_cast<uint8_t>(header_[9]),
            .payload = ""};
  frame_.payload.reserve(length_);
  return absl::OkStatus();
}

absl::Status FrameDecoder::Feed(absl::string_view bytes, std::vector<Frame>* frames) {
  while (error_.ok()) {
    if (header_.size() < kFrameHeaderBytes) {
      const size_t taken = std::min(bytes.size(), kFrameHeaderBytes - header_.size());
      header_.append(bytes.data(), taken);
      bytes.remove_prefix(taken);
      if (header_.size() < kFrameHeaderBytes) return absl::OkStatus();
      error_ = ParseHeader();
      if (!error_.ok()) break;
    }
    const size_t taken = std::min(bytes.size(), length_ - frame_.payload.size());
    frame_.payload.append(bytes.data(), taken);
    bytes.remove_prefix(taken);
    if (frame_.payload.size() < length_) return absl::OkStatus();
    frames->push_back(std::exchange(frame_, {}));
    header_.clear();
  }
  return error_;
}

void FrameDecoder::Reset() {
  header_.clear();
  frame_ = {};
  error_ = absl::OkStatus();
}

}  // namespace podvisor
