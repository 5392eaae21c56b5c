#include "agent/guest/bytes_field.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

namespace podvisor::guest {
namespace {

using google::protobuf::io::CodedInputStream;

// https://protobuf.dev/programming-guides/encoding/#structure
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };
constexpr int kTypeBits = 3;

bool SkipValue(uint32_t type, CodedInputStream* input) {
  uint64_t ignored = 0;
  switch (type) {
    case kVarint:
      return input->ReadVarint64(&ignored);
    case kFixed64:
      return input->Skip(8);
    case kFixed32:
      return input->Skip(4);
    default:
      return false;
  }
}

}  // namespace

void AppendBytesFieldHead(int number, size_t bytes, std::string* message) {
  google::protobuf::io::StringOutputStream stream(message);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.WriteTag(static_cast<uint32_t>(number) << kTypeBits | kLengthDelimited);
  coded.WriteVarint32(static_cast<uint32_t>(bytes));
}

bool SplitBytesField(absl::string_view message, int number, SplitMessage* split) {
  CodedInputStream input(reinterpret_cast<const uint8_t*>(message.data()), static_cast<int>(message.size()));
  const auto position = [&] { return static_cast<size_t>(input.CurrentPosition()); };
  *split = {};
  while (position() < message.size()) {
    const size_t begin = position();
    const uint32_t tag = input.ReadTag();
    if (tag >> kTypeBits == 0) return false;
    if ((tag & ((1u << kTypeBits) - 1)) == kLengthDelimited) {
      uint32_t size = 0;
      if (!input.ReadVarint32(&size) || size > message.size() - position()) return false;
      const absl::string_view content = message.substr(position(), size);
      if (!input.Skip(static_cast<int>(size))) return false;
      if (tag >> kTypeBits == static_cast<uint32_t>(number)) {
        split->bytes = content;
        continue;
      }
    } else if (!SkipValue(tag & ((1u << kTypeBits) - 1), &input)) {
      return false;
    }
    split->rest.append(message.data() + begin, position() - begin);
  }
  return true;
}

}  // namespace podvisor::guest
