// One peer of the agent's ttrpc server.
#ifndef PODVISOR_AGENT_GUEST_CONNECTION_H_
#define PODVISOR_AGENT_GUEST_CONNECTION_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "agent/guest/call.h"
#include "agent/guest/loop.h"
#include "agent/protocol/serial_link.h"
#include "base/ttrpc_frame.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

// Reads requests, dispatches them, writes answers. A socket lives until its peer closes it or breaks the protocol; a
// virtio-serial port lives for ever: there each session of agent/protocol/serial_link.h is what a connection is
// elsewhere. Requests are not read while more than 8 MiB of answers wait.
class Connection : public AnswerSink, public std::enable_shared_from_this<Connection> {
 public:
  enum class Kind { kSocket, kSerial };

  // `fd` is non-blocking. `on_close` is called once, when a socket has ended, and may drop the last reference.
  Connection(Loop& loop, const Dispatcher& dispatcher, UniqueFd fd, Kind kind, std::function<void()> on_close);
  ~Connection() override;

  // Begins to read.
  absl::Status Start();

  bool IsOpen(uint64_t session) const override { return fd_.ok() && session == session_; }
  void Answer(uint64_t session, uint32_t stream_id, const absl::Status& status, absl::string_view payload,
              absl::string_view tail) override;

  // True when no answer waits to be written.
  bool idle() const { return out_.size() == written_; }

 private:
  void OnEvents();
  void ReadAll();
  // False if the connection has to end.
  bool Take(absl::string_view bytes);
  bool TakeFrames(absl::string_view bytes);
  void TakeRequest(const Frame& frame);
  void Flush();
  // Gives the memory of large messages back to the kernel, once there are none.
  void TrimLater();
  void UpdateInterest();
  void Close();

  Loop& loop_;
  const Dispatcher& dispatcher_;
  UniqueFd fd_;
  const Kind kind_;
  std::function<void()> on_close_;
  uint64_t session_ = 1;
  SerialGuestLink link_;
  FrameDecoder decoder_;
  std::string out_;
  size_t written_ = 0;  // of out_
  uint32_t interest_ = 0;
  Loop::TimerId trim_timer_ = 0;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_CONNECTION_H_
