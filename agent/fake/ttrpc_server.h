// The peer of agent/client for tests: ttrpc over a Unix socket in an event loop.
#ifndef PODVISOR_AGENT_FAKE_TTRPC_SERVER_H_
#define PODVISOR_AGENT_FAKE_TTRPC_SERVER_H_

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "third_party/wire/ttrpc.pb.h"

namespace podvisor {

// Used in the loop's thread only, but for Listen() and Start(). Connections that are idle hold no buffers.
class TtrpcServer {
 public:
  // To be called at most once, any time later: the serialized response. Nothing happens if the connection has gone.
  using Reply = std::function<void(absl::StatusOr<std::string> response)>;
  using Handler = std::function<void(ttrpc::Request request, Reply reply)>;

  // Binds `path`, replacing a socket that is there. Serves from Start() on.
  static absl::StatusOr<std::unique_ptr<TtrpcServer>> Listen(EventLoop& loop, const std::string& path, Handler handler);
  // Closes everything; leaves the socket's name to its owner.
  ~TtrpcServer();

  void Start() { Accept(); }
  // Takes no byte until Thaw(), as the agent of a paused VM. Answers under way are still sent.
  void Freeze() { frozen_ = true; }
  void Thaw();
  // Closes all connections; new ones are taken.
  void DropConnections();

 private:
  class Connection;
  friend class Connection;

  TtrpcServer(EventLoop& loop, Handler handler)
      : loop_(loop), listener_(loop.context()), handler_(std::move(handler)) {}

  void Accept();
  void Forget(const Connection* connection);

  EventLoop& loop_;
  boost::asio::posix::stream_descriptor listener_;
  const Handler handler_;
  bool frozen_ = false;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false once destroyed: for queued handlers
};

}  // namespace podvisor

#endif  // PODVISOR_AGENT_FAKE_TTRPC_SERVER_H_
