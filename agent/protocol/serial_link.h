// The link layer on a virtio-serial port: one byte stream that outlives both of its users.
//
// A quick reconnect of the host shows the guest no hang-up, bytes in flight are lost, and what the guest had not read
// is still delivered to it: so the start of a connection is marked in the stream itself, by something that data can
// never be. Measured facts: a reconnect can cut the stream at any byte.
//
//   0xF5 0x00                  the data byte 0xF5
//   0xF5 0x01 <16 hex digits>  preamble: a session starts (lower case, most significant digit first)
//   0xF5 <anything else>       error: bytes were lost; data is ignored until the next preamble
//
// The host picks a random session number for each connection that it makes, and sends its preamble at once and then
// every kPreambleInterval, until the guest has echoed it; what arrives before the echo belongs to an older session and
// is dropped. The guest that sees a new number drops half a request and the answers that it still owes, echoes the
// preamble, and goes on; the number that it has already: it only echoes. Processes in the guest are not touched by
// this.
//
// Standard library only: the guest's agent links it statically. Nothing here does I/O. Not thread-safe.
#ifndef PODVISOR_AGENT_PROTOCOL_SERIAL_LINK_H_
#define PODVISOR_AGENT_PROTOCOL_SERIAL_LINK_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace podvisor {

inline constexpr int kPreambleIntervalMs = 1000;

// Appends `data` to `out` such that it holds no preamble: at most twice as long.
void AppendStuffed(absl::string_view data, std::string* out);
void AppendPreamble(uint64_t session, std::string* out);
// An escape that is always an error to the receiver: "I have lost bytes, start a new session".
void AppendLost(std::string* out);

struct SerialEvent {
  enum class Kind { kData, kPreamble, kError };
  Kind kind;
  std::string data;      // of kData, never empty
  uint64_t session = 0;  // of kPreamble

  friend bool operator==(const SerialEvent&, const SerialEvent&) = default;
};

// Undoes the stuffing of a stream that is cut anywhere. After an error (told once) data is dropped up to the next
// preamble. Never holds more than one escape.
class SerialDecoder {
 public:
  // In the order of the stream; neighbouring data is one event.
  std::vector<SerialEvent> Feed(absl::string_view bytes);

 private:
  enum class State { kPlain, kEscape, kDigits };

  void TakeEscaped(uint8_t byte, std::vector<SerialEvent>* events);
  void TakeDigit(uint8_t byte, std::vector<SerialEvent>* events);
  // `expected`: how much data there may be until the end of what is fed.
  void TakeData(absl::string_view data, size_t expected, std::vector<SerialEvent>* events);
  void Fail(uint8_t byte, std::vector<SerialEvent>* events);

  State state_ = State::kPlain;
  bool lost_ = false;
  int digits_ = 0;
  uint64_t session_ = 0;
};

// The host's end, for one connection: a reconnect takes a new object with a new number.
class SerialHostLink {
 public:
  // `session` has to be random: one that was used before would not make the guest drop what it owes.
  explicit SerialHostLink(uint64_t session) : session_(session) {}

  // To be sent at once, and every kPreambleIntervalMs until synchronized().
  std::string Preamble() const;
  bool synchronized() const { return synchronized_; }

  // Appends to `data` what the guest has sent in this session. kDataLoss if bytes were lost after the echo: reconnect.
  absl::Status Receive(absl::string_view bytes, std::string* data);
  // Appends `data` as it has to go over the wire. Only once synchronized().
  void Send(absl::string_view data, std::string* out) const { AppendStuffed(data, out); }

 private:
  const uint64_t session_;
  bool synchronized_ = false;
  SerialDecoder decoder_;
};

// The guest's end, for the life of the port.
class SerialGuestLink {
 public:
  struct Received {
    bool new_session = false;  // first drop half a request, running calls' answers, and bytes not yet sent
    std::string reply;         // then send this, as it is, before any answer: echoes, "lost"
    std::string data;          // then this is what the host has sent in the session
  };
  Received Receive(absl::string_view bytes);
  // Appends `data` as it has to go over the wire. Nothing may be sent before the first session.
  void Send(absl::string_view data, std::string* out) const { AppendStuffed(data, out); }
  bool in_session() const { return in_session_; }

 private:
  bool in_session_ = false;
  uint64_t session_ = 0;
  SerialDecoder decoder_;
};

}  // namespace podvisor

#endif  // PODVISOR_AGENT_PROTOCOL_SERIAL_LINK_H_
