// Bytes on a virtio-serial port, for the host's end and the guest's: wherever they are cut, the same comes out; and
// what is sent after any noise arrives.
#include "agent/protocol/serial_link.h"
#include "base/testing/fuzz_input.h"

namespace podvisor {
namespace {

constexpr uint64_t kSession = 0x0123456789abcdef;

std::vector<SerialEvent> Decode(absl::string_view bytes, size_t piece_size) {
  SerialDecoder decoder;
  std::vector<SerialEvent> all;
  InPieces(bytes, piece_size, [&](absl::string_view piece) {
    for (SerialEvent& event : decoder.Feed(piece)) {
      const bool more_data = event.kind == SerialEvent::Kind::kData && !all.empty() && all.back().kind == event.kind;
      if (more_data)
        all.back().data += event.data;
      else
        all.push_back(std::move(event));
    }
    return true;
  });
  return all;
}

// The guest has heard `noise`; a host connects and says `message`.
void CheckGuest(absl::string_view noise, absl::string_view message) {
  SerialGuestLink guest;
  guest.Receive(noise);
  const SerialHostLink host(kSession + 1);
  std::string wire = host.Preamble();
  host.Send(message, &wire);
  const SerialGuestLink::Received received = guest.Receive(wire);
  Require(guest.in_session(), "a preamble starts a session");
  Require(received.data == message, "what the host sends after noise arrives");
}

// The host has heard `noise`; then the guest echoes its preamble and says `message`.
void CheckHost(absl::string_view noise, absl::string_view message) {
  SerialHostLink host(kSession);
  std::string data;
  if (!host.Receive(noise, &data).ok() || host.synchronized()) return;
  Require(data.empty(), "nothing counts before the echo");
  SerialGuestLink guest;
  std::string wire = guest.Receive(host.Preamble()).reply;
  guest.Send(message, &wire);
  Require(host.Receive(wire, &data).ok() && host.synchronized(), "the echo is heard after noise");
  Require(data == message, "what the guest sends after noise arrives");
}

}  // namespace
}  // namespace podvisor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  FuzzInput input(data, size);
  const size_t piece_size = input.TakeByte();
  const absl::string_view bytes = input.rest();
  Require(Decode(bytes, 0) == Decode(bytes, piece_size), "cuts change nothing");
  std::string stuffed;
  AppendStuffed(bytes, &stuffed);
  const std::vector<SerialEvent> events = Decode(stuffed, piece_size);
  Require(bytes.empty() ? events.empty() : events.size() == 1 && events[0].data == bytes, "stuffing can be undone");
  CheckGuest(bytes.substr(0, size / 2), bytes);
  CheckHost(bytes, bytes.substr(size / 2 > bytes.size() ? 0 : size / 2));
  return 0;
}
