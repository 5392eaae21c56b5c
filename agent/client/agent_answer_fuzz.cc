// What a guest says to its agent's client: greetings, serial noise, frames, answers. Every call gets its answer once.
#include <atomic>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "agent/client/agent_client.h"
#include "agent/client/raw_peer.h"
#include "agent/protocol/serial_link.h"
#include "base/event_loop.h"
#include "base/testing/fuzz_input.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

constexpr int kCalls = 3;

std::string SocketPath() {
  const char* temporary = std::getenv("TEST_TMPDIR");
  return absl::StrCat(temporary == nullptr ? "/tmp" : temporary, "/agent-fuzz.sock");
}

// The guest's side up to where the input takes over: it has read the requests, or is still being greeted.
class Guest {
 public:
  enum class Begin { kUnix, kSerial, kHybrid, kHybridGreeting };

  explicit Guest(Begin begin) : begin_(begin), peer_(path()) {}

  static const std::string& path() {
    static const std::string path = SocketPath();
    return path;
  }

  GuestChannel channel() const {
    GuestChannel channel{.kind = GuestChannel::Kind::kUnix, .path = path()};
    if (begin_ == Begin::kSerial) channel.kind = GuestChannel::Kind::kSerial;
    if (begin_ == Begin::kHybrid || begin_ == Begin::kHybridGreeting) channel.kind = GuestChannel::Kind::kHybridVsock;
    channel.port = 1024;
    return channel;
  }

  void Meet() {
    Require(peer_.Accept().ok(), "the client connects");
    if (begin_ == Begin::kHybridGreeting) return;
    if (begin_ == Begin::kHybrid)
      Require(peer_.ReadLine().ok() && peer_.Write("OK 1073741824\n").ok(), "the client greets");
    FrameDecoder decoder;
    SerialGuestLink link;
    for (std::vector<Frame> requests; requests.size() < kCalls;) {
      const absl::StatusOr<std::string> bytes = peer_.ReadSome();
      Require(bytes.ok(), "the client sends its requests");
      if (begin_ == Begin::kSerial) {
        const SerialGuestLink::Received received = link.Receive(*bytes);
        Require(peer_.Write(received.reply).ok(), "the echo is taken");
        Require(decoder.Feed(received.data, &requests).ok(), "requests are frames");
      } else {
        Require(decoder.Feed(*bytes, &requests).ok(), "requests are frames");
      }
    }
  }

  // The client may well hang up in the middle.
  void Say(absl::string_view bytes, size_t piece_size) {
    InPieces(bytes, piece_size, [&](absl::string_view piece) { return peer_.Write(piece).ok(); });
    peer_.EndWrite();
    Require(peer_.AwaitClose().ok(), "the client hangs up when the guest has");
  }

 private:
  const Begin begin_;
  RawPeer peer_;
};

template <typename Response>
void Parse(const std::string& bytes) {
  Response response;
  (void)response.ParseFromString(bytes);
}

}  // namespace
}  // namespace podvisor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  static EventLoop loop("fuzz");
  FuzzInput input(data, size);
  const uint8_t choice = input.TakeByte();
  const size_t piece_size = choice / 4 * 16;
  Guest guest(static_cast<Guest::Begin>(choice % 4));
  std::unique_ptr<AgentClient> client = AgentClient::Create(loop, guest.channel());
  std::atomic<int> told[kCalls] = {};
  absl::BlockingCounter left(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    client->CallAsync(kAgentService, "StatsContainer", grpc::StatsContainerRequest(), absl::Now() + absl::Minutes(5),
                      [&, i](const absl::StatusOr<std::string>& answer) {
                        Require(++told[i] == 1, "each call is told once");
                        if (answer.ok()) {
                          Parse<grpc::StatsContainerResponse>(*answer);
                          Parse<grpc::ReadStreamResponse>(*answer);
                          Parse<grpc::GuestDetailsResponse>(*answer);
                        } else {
                          Require(answer.status().message().size() < 8192, "the message is bounded");
                          Require(answer.status().message().find('\n') == std::string::npos, "it is one line");
                        }
                        left.DecrementCount();
                      });
  }
  guest.Meet();
  guest.Say(input.rest(), piece_size);
  client->Close();
  left.Wait();
  client.reset();
  return 0;
}
