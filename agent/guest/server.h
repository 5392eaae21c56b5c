// Where the agent is reached: a Unix socket, vsock, a virtio-serial port.
#ifndef PODVISOR_AGENT_GUEST_SERVER_H_
#define PODVISOR_AGENT_GUEST_SERVER_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/guest/call.h"
#include "agent/guest/connection.h"
#include "agent/guest/loop.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

inline constexpr uint32_t kVsockPort = 1024;  // the Kata agent's

class Server {
 public:
  Server(Loop& loop, const Dispatcher& dispatcher) : loop_(loop), dispatcher_(dispatcher) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // Replaces a socket that lies there.
  absl::Status ListenUnix(const std::string& path);
  // kUnavailable where the kernel has no AF_VSOCK.
  absl::Status ListenVsock(uint32_t port);
  absl::Status ServePort(const std::string& device);

  // True when every answer has been handed to the kernel.
  bool idle() const;

 private:
  absl::Status Listen(UniqueFd fd);
  void Accept(int listener);

  Loop& loop_;
  const Dispatcher& dispatcher_;
  std::vector<UniqueFd> listeners_;
  std::set<std::shared_ptr<Connection>> connections_;
  std::string unix_path_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_SERVER_H_
