#include "cri/streaming/spdy/header_block.h"

#include <zlib.h>

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cri/streaming/spdy/dictionary.h"

namespace podvisor::spdy {
namespace {

Bytef* Bytes(absl::string_view text) { return reinterpret_cast<Bytef*>(const_cast<char*>(text.data())); }

// Takes a number of four bytes off the front; false if there are fewer.
bool TakeNumber(absl::string_view& rest, uint32_t& number) {
  if (rest.size() < 4) return false;
  number = 0;
  for (int i = 0; i < 4; ++i) number = number << 8 | static_cast<uint8_t>(rest[i]);
  rest.remove_prefix(4);
  return true;
}

bool TakeText(absl::string_view& rest, std::string& text) {
  uint32_t size = 0;
  if (!TakeNumber(rest, size) || rest.size() < size) return false;
  text = std::string(rest.substr(0, size));
  rest.remove_prefix(size);
  return true;
}

void PutNumber(std::string& out, size_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

}  // namespace

absl::string_view Find(const Headers& headers, absl::string_view name) {
  for (const auto& [key, value] : headers)
    if (absl::EqualsIgnoreCase(key, name)) return value;
  return "";
}

absl::StatusOr<Headers> ParseHeaders(absl::string_view block) {
  uint32_t count = 0;
  if (!TakeNumber(block, count)) return absl::InvalidArgumentError("header block: no count");
  if (count > kMaxHeaders) return absl::InvalidArgumentError(absl::StrCat("header block: ", count, " headers"));
  Headers headers;
  for (uint32_t i = 0; i < count; ++i) {
    std::string name, value;
    if (!TakeText(block, name) || !TakeText(block, value))
      return absl::InvalidArgumentError("header block: shorter than its lengths say");
    if (name.empty()) return absl::InvalidArgumentError("header block: a header without a name");
    headers.emplace_back(std::move(name), std::move(value));
  }
  if (!block.empty()) return absl::InvalidArgumentError("header block: longer than its headers");
  return headers;
}

std::string SerializeHeaders(const Headers& headers) {
  std::string block;
  PutNumber(block, headers.size());
  for (const auto& [name, value] : headers) {
    PutNumber(block, name.size());
    block += name;
    PutNumber(block, value.size());
    block += value;
  }
  return block;
}

struct HeaderReader::Zlib {
  z_stream stream{};
  bool good = ::inflateInit(&stream) == Z_OK;
  ~Zlib() { ::inflateEnd(&stream); }
};

HeaderReader::HeaderReader() = default;
HeaderReader::~HeaderReader() = default;

absl::StatusOr<Headers> HeaderReader::Read(absl::string_view compressed) {
  if (zlib_ == nullptr) zlib_ = std::make_unique<Zlib>();
  if (!zlib_->good) return absl::ResourceExhaustedError("header block: zlib has no memory");
  z_stream& stream = zlib_->stream;
  std::string block(kMaxHeaderBytes, '\0');
  stream.next_in = Bytes(compressed);
  stream.avail_in = static_cast<uInt>(compressed.size());
  stream.next_out = Bytes(block);
  stream.avail_out = static_cast<uInt>(block.size());
  int result = ::inflate(&stream, Z_SYNC_FLUSH);
  if (result == Z_NEED_DICT) {
    const std::string& dictionary = HeaderDictionary();
    result = ::inflateSetDictionary(&stream, Bytes(dictionary), static_cast<uInt>(dictionary.size()));
    if (result == Z_OK) result = ::inflate(&stream, Z_SYNC_FLUSH);
  }
  // Z_BUF_ERROR: nothing to do, which an empty block says. A stream that ends (Z_STREAM_END) has no next block.
  if (result != Z_OK && result != Z_BUF_ERROR)
    return absl::InvalidArgumentError(absl::StrCat("header block: zlib error ", result));
  if (stream.avail_out == 0 || stream.avail_in > 0) {
    zlib_->good = false;
    return absl::ResourceExhaustedError(absl::StrCat("header block: more than ", kMaxHeaderBytes, " bytes"));
  }
  block.resize(block.size() - stream.avail_out);
  return ParseHeaders(block);
}

struct HeaderWriter::Zlib {
  z_stream stream{};
  // Small windows: what we send is tiny, and there are many connections.
  bool good =
      ::deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, /*windowBits=*/11, /*memLevel=*/1, Z_DEFAULT_STRATEGY) ==
          Z_OK &&
      ::deflateSetDictionary(&stream, Bytes(HeaderDictionary()), static_cast<uInt>(HeaderDictionary().size())) == Z_OK;
  ~Zlib() { ::deflateEnd(&stream); }
};

HeaderWriter::HeaderWriter() = default;
HeaderWriter::~HeaderWriter() = default;

std::string HeaderWriter::Write(const Headers& headers) {
  if (zlib_ == nullptr) zlib_ = std::make_unique<Zlib>();
  const std::string block = SerializeHeaders(headers);
  z_stream& stream = zlib_->stream;
  std::string out;
  char chunk[512];
  stream.next_in = Bytes(block);
  stream.avail_in = static_cast<uInt>(block.size());
  do {
    stream.next_out = reinterpret_cast<Bytef*>(chunk);
    stream.avail_out = sizeof(chunk);
    if (!zlib_->good || ::deflate(&stream, Z_SYNC_FLUSH) == Z_STREAM_ERROR) break;
    out.append(chunk, sizeof(chunk) - stream.avail_out);
  } while (stream.avail_out == 0);
  return out;
}

}  // namespace podvisor::spdy
