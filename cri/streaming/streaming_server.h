// The HTTP server behind the URLs that Exec, Attach and PortForward return.
#ifndef PODVISOR_CRI_STREAMING_STREAMING_SERVER_H_
#define PODVISOR_CRI_STREAMING_STREAMING_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "cri/streaming/stream_request.h"
#include "cri/streaming/tls.h"
#include "podmanager/pod_manager.h"

namespace podvisor::cri {

struct StreamingOptions {
  std::string address = "127.0.0.1:0";  // ADDRESS:PORT, IPv6 in brackets; port 0: any free one
  TlsFiles tls;                         // with a certificate the server speaks TLS only
  absl::Duration idle_timeout = absl::Hours(4);
  absl::Duration request_timeout = absl::Seconds(30);   // until the request has been read
  absl::Duration creation_timeout = absl::Seconds(30);  // until the client has opened its streams
  absl::Duration linger = absl::Seconds(5);             // for the last bytes
  size_t max_connections = 4096;                        // more are closed at once
};

// All connections are served by the event loop; no thread waits for a client. Thread-safe.
class StreamingServer {
 public:
  // Listens when this returns. kInvalidArgument for an address that is none; MakeTlsContext()'s errors; kUnavailable if
  // the address can't be bound. `loop` and `pods` outlive it.
  static absl::StatusOr<std::unique_ptr<StreamingServer>> Start(EventLoop& loop, PodManager& pods,
                                                                StreamingOptions options);
  // Closes what is still open. Not from the event loop's thread.
  virtual ~StreamingServer() = default;

  // "https://127.0.0.1:34567/exec/TOKEN": good once, for a minute. kResourceExhausted with too many unused ones.
  virtual absl::StatusOr<std::string> MakeUrl(StreamRequest request) = 0;

  // Takes no new connections, tells the clients, and returns when all have gone, or after `drain`. Idempotent.
  virtual void Shutdown(absl::Duration drain) = 0;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_STREAMING_SERVER_H_
