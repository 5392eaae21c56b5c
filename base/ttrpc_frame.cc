#include "base/ttrpc_frame.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

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

absl::Status EncodeFrame(const Frame& frame, std::string* out) {
  if (frame.payload.size() > kMaxFramePayloadBytes) {
    return absl::InvalidArgumentError(absl::StrCat("ttrpc message of ", frame.payload.size(),
                                                   " bytes is larger than the limit of ", kMaxFramePayloadBytes));
  }
  out->reserve(out->size() + kFrameHeaderBytes + frame.payload.size());
  AppendBigEndian(static_cast<uint32_t>(frame.payload.size()), out);
  AppendBigEndian(frame.stream_id, out);
  out->push_back(static_cast<char>(frame.type));
  out->push_back(static_cast<char>(frame.flags));
  out->append(frame.payload);
  return absl::OkStatus();
}

absl::Status FrameDecoder::ParseHeader(Frame* frame, size_t* length) const {
  *length = ReadBigEndian(buffer_.data());
  if (*length > kMaxFramePayloadBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("ttrpc frame announces ", *length, " bytes, the limit is ", kMaxFramePayloadBytes));
  }
  const auto type = static_cast<uint8_t>(buffer_[8]);
  if (type < static_cast<uint8_t>(FrameType::kRequest) || type > static_cast<uint8_t>(FrameType::kData)) {
    return absl::InvalidArgumentError(absl::StrCat("ttrpc frame has the unknown type ", type));
  }
  frame->stream_id = ReadBigEndian(buffer_.data() + 4);
  frame->type = static_cast<FrameType>(type);
  frame->flags = static_cast<uint8_t>(buffer_[9]);
  return absl::OkStatus();
}

absl::Status FrameDecoder::Feed(absl::string_view bytes, std::vector<Frame>* frames) {
  while (error_.ok()) {
    if (buffer_.size() < kFrameHeaderBytes) {
      const size_t taken = std::min(bytes.size(), kFrameHeaderBytes - buffer_.size());
      buffer_.append(bytes.data(), taken);
      bytes.remove_prefix(taken);
      if (buffer_.size() < kFrameHeaderBytes) return absl::OkStatus();
    }
    Frame frame;
    size_t length = 0;
    error_ = ParseHeader(&frame, &length);
    if (!error_.ok()) break;
    const size_t taken = std::min(bytes.size(), kFrameHeaderBytes + length - buffer_.size());
    buffer_.append(bytes.data(), taken);
    bytes.remove_prefix(taken);
    if (buffer_.size() < kFrameHeaderBytes + length) return absl::OkStatus();
    frame.payload = buffer_.substr(kFrameHeaderBytes);
    frames->push_back(std::move(frame));
    buffer_.clear();
  }
  return error_;
}

void FrameDecoder::Reset() {
  buffer_.clear();
  buffer_.shrink_to_fit();
  error_ = absl::OkStatus();
}

}  // namespace podvisor
