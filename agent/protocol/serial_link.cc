#include "agent/protocol/serial_link.h"

#include <utility>

namespace podvisor {
namespace {

constexpr uint8_t kEscapeByte = 0xF5;
constexpr uint8_t kLiteral = 0x00;
constexpr uint8_t kPreambleMark = 0x01;
constexpr uint8_t kLost = 0x02;
constexpr int kSessionDigits = 16;
constexpr char kHexDigits[] = "0123456789abcdef";

int HexValue(uint8_t byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  return -1;
}

}  // namespace

void AppendStuffed(absl::string_view data, std::string* out) {
  while (!data.empty()) {
    const size_t escape = data.find(static_cast<char>(kEscapeByte));
    if (escape == absl::string_view::npos) {
      out->append(data.data(), data.size());
      return;
    }
    out->append(data.data(), escape + 1);
    out->push_back(static_cast<char>(kLiteral));
    data.remove_prefix(escape + 1);
  }
}

void AppendPreamble(uint64_t session, std::string* out) {
  out->push_back(static_cast<char>(kEscapeByte));
  out->push_back(static_cast<char>(kPreambleMark));
  for (int shift = 60; shift >= 0; shift -= 4) out->push_back(kHexDigits[(session >> shift) & 0xf]);
}

void AppendLost(std::string* out) {
  out->push_back(static_cast<char>(kEscapeByte));
  out->push_back(static_cast<char>(kLost));
}

std::vector<SerialEvent> SerialDecoder::Feed(absl::string_view bytes) {
  std::vector<SerialEvent> events;
  while (!bytes.empty()) {
    if (state_ == State::kPlain) {
      const size_t escape = bytes.find(static_cast<char>(kEscapeByte));
      // A literal's first byte is the data byte that it stands for.
      const bool literal = escape < bytes.size() - 1 && static_cast<uint8_t>(bytes[escape + 1]) == kLiteral;
      TakeData(bytes.substr(0, literal ? escape + 1 : escape), bytes.size(), &events);
      if (escape == absl::string_view::npos) break;
      if (!literal) state_ = State::kEscape;
      bytes.remove_prefix(escape + (literal ? 2 : 1));
      continue;
    }
    const auto byte = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    if (state_ == State::kEscape) {
      TakeEscaped(byte, &events);
    } else {
      TakeDigit(byte, &events);
    }
  }
  return events;
}

void SerialDecoder::TakeEscaped(uint8_t byte, std::vector<SerialEvent>* events) {
  if (byte == kLiteral) {
    state_ = State::kPlain;
    const char literal = static_cast<char>(kEscapeByte);
    TakeData(absl::string_view(&literal, 1), 1, events);
  } else if (byte == kPreambleMark) {
    state_ = State::kDigits;
    digits_ = 0;
    session_ = 0;
  } else {
    Fail(byte, events);
  }
}

void SerialDecoder::TakeDigit(uint8_t byte, std::vector<SerialEvent>* events) {
  const int value = HexValue(byte);
  if (value < 0) return Fail(byte, events);
  session_ = session_ << 4 | static_cast<uint64_t>(value);
  if (++digits_ < kSessionDigits) return;
  state_ = State::kPlain;
  lost_ = false;
  events->push_back({.kind = SerialEvent::Kind::kPreamble, .data = "", .session = session_});
}

void SerialDecoder::TakeData(absl::string_view data, size_t expected, std::vector<SerialEvent>* events) {
  if (lost_ || data.empty()) return;
  if (events->empty() || events->back().kind != SerialEvent::Kind::kData) {
    events->push_back({.kind = SerialEvent::Kind::kData, .data = ""});
    events->back().data.reserve(expected);
  }
  events->back().data.append(data.data(), data.size());
}

void SerialDecoder::Fail(uint8_t byte, std::vector<SerialEvent>* events) {
  // A stream cut inside an escape goes on with a preamble: its first byte must not be lost as well.
  state_ = byte == kEscapeByte ? State::kEscape : State::kPlain;
  if (lost_) return;
  lost_ = true;
  events->push_back({.kind = SerialEvent::Kind::kError, .data = ""});
}

std::string SerialHostLink::Preamble() const {
  std::string preamble;
  AppendPreamble(session_, &preamble);
  return preamble;
}

absl::Status SerialHostLink::Receive(absl::string_view bytes, std::string* data) {
  for (const SerialEvent& event : decoder_.Feed(bytes)) {
    switch (event.kind) {
      case SerialEvent::Kind::kPreamble:
        // An echo of another number is what an older connection asked for.
        if (event.session == session_) synchronized_ = true;
        break;
      case SerialEvent::Kind::kData:
        if (synchronized_) data->append(event.data);
        break;
      case SerialEvent::Kind::kError:
        if (synchronized_) return absl::DataLossError("serial link: bytes were lost in the middle of a session");
        break;
    }
  }
  return absl::OkStatus();
}

SerialGuestLink::Received SerialGuestLink::Receive(absl::string_view bytes) {
  Received received;
  for (SerialEvent& event : decoder_.Feed(bytes)) {
    switch (event.kind) {
      case SerialEvent::Kind::kPreamble:
        if (!in_session_ || event.session != session_) {
          in_session_ = true;
          session_ = event.session;
          received = Received();  // what came before belongs to nobody now
          received.new_session = true;
        }
        AppendPreamble(event.session, &received.reply);
        break;
      case SerialEvent::Kind::kData:
        if (!in_session_) break;
        if (received.data.empty())
          received.data = std::move(event.data);
        else
          received.data.append(event.data);
        break;
      case SerialEvent::Kind::kError:
        // Tells the host to start anew. The same session cannot go on: a request may have lost its middle.
        if (in_session_) AppendLost(&received.reply);
        in_session_ = false;
        received.data.clear();
        break;
    }
  }
  return received;
}

}  // namespace podvisor
