#include "cri/streaming/spdy/connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor::spdy {
namespace {

constexpr size_t kHeadBytes = 8;
constexpr uint16_t kVersion = 3;
constexpr uint8_t kFlagFin = 1, kFlagUnidirectional = 2;
constexpr uint32_t kMaxFrame = (1 << 24) - 1;
enum Type : uint16_t { kSynStream = 1, kSynReply = 2, kRstStream = 3, kPing = 6, kGoAway = 7, kHeaders = 8 };

uint32_t Number(absl::string_view bytes, size_t at, size_t size) {
  uint32_t number = 0;
  for (size_t i = at; i < at + size; ++i) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  return number;
}

void Put(std::string& out, uint32_t number, int size) {
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

absl::Status Malformed(absl::string_view what) { return absl::InvalidArgumentError(absl::StrCat("SPDY: ", what)); }

}  // namespace

absl::Status Connection::Feed(absl::string_view bytes) {
  while (!bytes.empty()) {
    if (!have_head_) {
      const size_t taken = std::min(kHeadBytes - partial_.size(), bytes.size());
      partial_.append(bytes.data(), taken);
      bytes.remove_prefix(taken);
      if (partial_.size() < kHeadBytes) return absl::OkStatus();
      RETURN_IF_ERROR(OnHead());
    }
    if (head_.control) {
      const size_t taken = std::min(head_.length - partial_.size(), bytes.size());
      partial_.append(bytes.data(), taken);
      bytes.remove_prefix(taken);
      if (partial_.size() < head_.length) return absl::OkStatus();
      const std::string body = std::exchange(partial_, {});
      have_head_ = false;
      RETURN_IF_ERROR(OnControl(body));
      continue;
    }
    const absl::string_view piece = bytes.substr(0, std::min<size_t>(rest_, bytes.size()));
    bytes.remove_prefix(piece.size());
    rest_ -= static_cast<uint32_t>(piece.size());
    if (rest_ == 0) have_head_ = false;
    OnDataPiece(piece);
  }
  return absl::OkStatus();
}

absl::Status Connection::OnHead() {
  const std::string head = std::exchange(partial_, {});
  head_ = {};
  have_head_ = true;
  head_.control = (static_cast<uint8_t>(head[0]) & 0x80) != 0;
  head_.flags = static_cast<uint8_t>(head[4]);
  head_.length = Number(head, 5, 3);
  if (head_.control) {
    const uint32_t version = Number(head, 0, 2) & 0x7fff;
    if (version != kVersion) return Malformed(absl::StrCat("a frame of version ", version));
    head_.type = static_cast<uint16_t>(Number(head, 2, 2));
    if (head_.length > kMaxControlBytes)
      return Malformed(absl::StrCat("a control frame of ", head_.length, " bytes, ", kMaxControlBytes, " at most"));
    if (head_.length > 0) return absl::OkStatus();
    have_head_ = false;
    return OnControl("");
  }
  head_.stream_id = Number(head, 0, 4);
  if (head_.stream_id == 0) return Malformed("data for stream 0");
  rest_ = head_.length;
  if (streams_.count(head_.stream_id) == 0) {
    if (head_.stream_id > last_id_) return Malformed(absl::StrCat("data for stream ", head_.stream_id, ", not opened"));
  } else if (streams_[head_.stream_id].client_ended) {
    return Malformed(absl::StrCat("data for stream ", head_.stream_id, " after its end"));
  }
  if (rest_ > 0) return absl::OkStatus();
  have_head_ = false;
  OnDataPiece("");
  return absl::OkStatus();
}

void Connection::OnDataPiece(absl::string_view piece) {
  const uint32_t id = head_.stream_id;
  const bool fin = (head_.flags & kFlagFin) != 0 && rest_ == 0;
  // Not there: reset by us, its last frames were on their way.
  if (!piece.empty() && streams_.count(id) != 0) events_.OnData(id, piece);
  if (fin) EndOfClient(id);
}

absl::Status Connection::OnControl(absl::string_view body) {
  const auto need = [&](size_t size, const char* name) {
    return body.size() == size ? absl::OkStatus() : Malformed(absl::StrCat(name, " of ", body.size(), " bytes"));
  };
  switch (head_.type) {
    case kSynStream:
      return OnSynStream(body);
    case kRstStream: {
      RETURN_IF_ERROR(need(8, "RST_STREAM"));
      const uint32_t id = Number(body, 0, 4) & 0x7fffffff;
      if (streams_.erase(id) > 0) events_.OnReset(id);
      return absl::OkStatus();
    }
    case kPing:
      RETURN_IF_ERROR(need(4, "PING"));
      if (Number(body, 0, 4) % 2 == 0) return absl::OkStatus();  // an answer, to nothing that we asked
      PutHead(kPing, 0, body.size());
      output_.append(body.data(), body.size());
      return absl::OkStatus();
    case kGoAway:
      RETURN_IF_ERROR(need(8, "GOAWAY"));
      events_.OnGoAway();
      return absl::OkStatus();
    case kHeaders: {
      // Nobody sends any; their block belongs to the zlib stream all the same.
      if (body.size() < 4) return Malformed("HEADERS too short");
      const uint32_t id = Number(body, 0, 4) & 0x7fffffff;
      RETURN_IF_ERROR(reader_.Read(body.substr(4)).status(), "SPDY: HEADERS");
      if ((head_.flags & kFlagFin) != 0) EndOfClient(id);
      return absl::OkStatus();
    }
    case kSynReply:
      return Malformed("SYN_REPLY for a stream of ours: there is none");
    default:  // SETTINGS, WINDOW_UPDATE, CREDENTIAL and what is yet unknown
      return absl::OkStatus();
  }
}

absl::Status Connection::OnSynStream(absl::string_view body) {
  if (body.size() < 10) return Malformed(absl::StrCat("SYN_STREAM of ", body.size(), " bytes"));
  const uint32_t id = Number(body, 0, 4) & 0x7fffffff;
  absl::StatusOr<Headers> headers = reader_.Read(body.substr(10));
  RETURN_IF_ERROR(headers.status(), "SPDY: SYN_STREAM ", id);
  if (id % 2 == 0 || id <= last_id_) return Malformed(absl::StrCat("SYN_STREAM with id ", id, " after ", last_id_));
  last_id_ = id;
  if (streams_.size() >= kMaxStreams) {
    PutReset(id, ResetReason::kRefusedStream);
    return absl::OkStatus();
  }
  Stream& stream = streams_[id];
  const uint8_t flags = head_.flags;
  stream.server_ended = (flags & kFlagUnidirectional) != 0;
  events_.OnStream(id, *headers);
  if ((flags & kFlagFin) != 0) EndOfClient(id);
  return absl::OkStatus();
}

void Connection::EndOfClient(uint32_t id) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.client_ended) return;
  found->second.client_ended = true;
  ForgetIfEnded(id);
  events_.OnEnd(id);
}

void Connection::ForgetIfEnded(uint32_t id) {
  const auto found = streams_.find(id);
  if (found != streams_.end() && found->second.client_ended && found->second.server_ended) streams_.erase(found);
}

void Connection::PutHead(uint16_t type, uint8_t flags, size_t length) {
  Put(output_, 0x8000 | kVersion, 2);
  Put(output_, type, 2);
  Put(output_, flags, 1);
  Put(output_, static_cast<uint32_t>(length), 3);
}

void Connection::Reply(uint32_t id) {
  if (streams_.count(id) == 0) return;
  const std::string block = writer_.Write({});
  PutHead(kSynReply, 0, 4 + block.size());
  Put(output_, id, 4);
  output_ += block;
}

void Connection::Data(uint32_t id, absl::string_view data, Fin fin) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.server_ended) return;
  do {
    const absl::string_view piece = data.substr(0, kMaxFrame);
    data.remove_prefix(piece.size());
    Put(output_, id, 4);
    Put(output_, fin == Fin::kYes && data.empty() ? kFlagFin : 0, 1);
    Put(output_, static_cast<uint32_t>(piece.size()), 3);
    output_.append(piece.data(), piece.size());
  } while (!data.empty());
  if (fin == Fin::kNo) return;
  found->second.server_ended = true;
  ForgetIfEnded(id);
}

void Connection::PutReset(uint32_t id, ResetReason reason) {
  PutHead(kRstStream, 0, 8);
  Put(output_, id, 4);
  Put(output_, static_cast<uint32_t>(reason), 4);
}

void Connection::Reset(uint32_t id, ResetReason reason) {
  if (streams_.erase(id) > 0) PutReset(id, reason);
}

void Connection::GoAway() {
  PutHead(kGoAway, 0, 8);
  Put(output_, last_id_, 4);
  Put(output_, 0, 4);
}

}  // namespace podvisor::spdy
