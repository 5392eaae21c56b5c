// One connection to a guest's agent: from connect(2) over the channel's handshake to ttrpc frames.
#ifndef PODVISOR_AGENT_CLIENT_CONNECTION_H_
#define PODVISOR_AGENT_CLIENT_CONNECTION_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/protocol/serial_link.h"
#include "base/guest_channel.h"
#include "base/ttrpc_frame.h"

namespace podvisor {

// Used in the event loop's thread only. Owns its socket; buffers are small while nothing is under way, since there is
// one per pod. A connection that ended is not used again: make a new one.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // Who is told. Has to live until Close() or OnEnd(); may close the connection from inside a call.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void OnReady() = 0;  // frames may be sent from now on, once idle()
    virtual void OnFrame(Frame frame) = 0;
    virtual void OnDrained() = 0;  // idle() again, after it was not
    // Once, last. kDeadlineExceeded if the handshake was not answered in time.
    virtual void OnEnd(absl::Status why) = 0;
  };

  struct Limits {
    absl::Duration handshake_timeout;   // hybrid vsock's; the serial link's has none: the guest may still have to boot
    absl::Duration half_frame_timeout;  // without a byte, when part of a frame has come
  };

  static std::shared_ptr<Connection> Make(boost::asio::io_context& context, const GuestChannel& channel,
                                          const Limits& limits, Owner* owner);

  // The owner is told from here on, but not before it returns.
  void Open();
  // The owner is told nothing any more.
  void Close();

  bool ready() const { return state_ == State::kReady; }
  // Nothing waits to be written.
  bool idle() const { return out_.empty(); }
  // `frames` are encoded ones. Only when ready() and idle().
  void Send(absl::string_view frames);

  // When the last byte came, or the connection was made.
  std::chrono::steady_clock::time_point last_heard() const { return last_heard_; }

 private:
  enum class State { kNew, kConnecting, kHandshake, kReady, kEnded };

  Connection(boost::asio::io_context& context, const GuestChannel& channel, const Limits& limits, Owner* owner);

  absl::Status Connect();
  void FinishConnect();
  void StartHandshake();
  void SendPreamble();
  void BecomeReady();
  void AwaitReadable();
  void Read();
  absl::Status TakeHandshake(absl::string_view bytes, std::string* rest);
  absl::Status TakeBytes(absl::string_view bytes);
  void WatchHalfFrame();
  void Write();
  void End(absl::Status why);

  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer timer_;
  const GuestChannel channel_;
  const Limits limits_;
  Owner* owner_;
  State state_ = State::kNew;

  std::string out_;
  size_t written_ = 0;  // of out_

  std::string greeting_;                // hybrid vsock: what came of the answer's line
  std::optional<SerialHostLink> link_;  // serial only
  size_t ignored_bytes_ = 0;            // serial: what came before the echo
  FrameDecoder decoder_;
  bool watching_half_frame_ = false;  // timer_ runs
  std::chrono::steady_clock::time_point last_heard_;
};

}  // namespace podvisor

#endif  // PODVISOR_AGENT_CLIENT_CONNECTION_H_
