// One client after the upgrade: what every protocol does with its wire.
#ifndef PODVISOR_CRI_STREAMING_CONVERSATION_H_
#define PODVISOR_CRI_STREAMING_CONVERSATION_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cri/streaming/wire.h"
#include "podmanager/stream_session.h"

namespace podvisor::cri {

struct ConversationOptions {
  boost::asio::io_context* context = nullptr;
  absl::Duration idle_timeout;      // with nothing read or written for so long it is over
  absl::Duration creation_timeout;  // for streams that the client has to open first
  absl::Duration linger;            // how long a client may take to read the last bytes
  std::string subject;              // for the log: "exec in container 3f2a"
};

// Reads while there is room for what comes, writes what is to be sent in order, and ends when it is over or the client
// is idle or gone. In the event loop's thread. Kept alive by whoever calls Begin() and by its own calls under way.
//
// Bounds: what has been read and not been taken by the other end stops the reading at kMaxHeld; so does what is to be
// sent at kMaxUnsent. Data to send are bounded by their sources, each of which waits for its last piece to be sent.
class Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  // Two of StdinWriter's pieces, less a little: one on its way, and one that comes together meanwhile.
  static constexpr size_t kMaxHeld = 480 << 10;
  static constexpr size_t kMaxUnsent = 1 << 20;

  Conversation(ConversationOptions options, std::unique_ptr<Wire> wire);
  virtual ~Conversation() = default;

  // `ended` is called once, when the connection is closed.
  void Begin(std::function<void()> ended);
  // The daemon ends: the client is told, if its protocol can.
  void Shutdown();
  // Closes the connection at once.
  void Abort();

 protected:
  virtual void OnBegin() = 0;
  // What came: some bytes, or one message. An error ends the connection.
  virtual absl::Status OnInput(std::string data) = 0;
  // The connection is over, or about to be: everything that it has started hangs up. Once.
  virtual void OnGone(Leave leave) = 0;
  // To be answered by what tells the client, then Finish().
  virtual void OnShutdown() = 0;

  // `sent` may be null. It is not called any more once the connection is over.
  void Send(std::string data, std::function<void()> sent);
  // Bytes of input that are kept, and then are not any more.
  void Hold(size_t bytes) { held_ += bytes; }
  void Release(size_t bytes);
  // Nothing more will be sent; ends when the client has read everything, or does not within `linger`.
  void Finish();

  const ConversationOptions& options() const { return options_; }

 private:
  void MaybeRead();
  void WriteNext();
  void WatchIdleness();
  // All ends, now.
  void End(const absl::Status& why);
  void LeaveOnce(Leave leave);

  const ConversationOptions options_;
  std::unique_ptr<Wire> wire_;  // null at the end
  std::function<void()> ended_;

  struct Piece {
    std::string data;
    std::function<void()> sent;
  };
  std::deque<Piece> unsent_;
  size_t unsent_bytes_ = 0;
  bool writing_ = false, reading_ = false;
  size_t held_ = 0;
  bool finishing_ = false;  // input is read and dropped
  bool left_ = false;       // OnGone() has been called
  absl::Time active_at_;
  boost::asio::steady_timer idle_timer_, linger_timer_;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_CONVERSATION_H_
