// A connection to one QEMU's QMP socket.
#ifndef PODVISOR_VMM_QEMU_QMP_CLIENT_H_
#define PODVISOR_VMM_QEMU_QMP_CLIENT_H_

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event_loop.h"

namespace podvisor {

// Thread-safe. All I/O runs on the event loop, which never blocks; callers of Execute() do, so they are never the
// loop's own thread. The destructor hangs up; QEMU goes on.
//
// Commands go out one at a time: a descriptor that is passed belongs to the command that QEMU reads next.
// An answer of more than 4 MiB or one that is not QMP ends the connection.
class QmpClient {
 public:
  // An event of QEMU, called from the event loop: must not block.
  using OnEvent = std::function<void(const std::string& name, const nlohmann::json& data)>;

  // Connects and negotiates. kUnavailable if nothing answers at `socket_path` until `deadline`, or QEMU hangs up.
  static absl::StatusOr<std::unique_ptr<QmpClient>> Connect(EventLoop& loop, const std::string& socket_path,
                                                            OnEvent on_event, absl::Time deadline);
  ~QmpClient();
  QmpClient(const QmpClient&) = delete;
  QmpClient& operator=(const QmpClient&) = delete;

  // The "return" member of the answer. `fd` (borrowed, -1 for none) is passed along with the command.
  // kUnavailable if the connection is gone or `deadline` passes: whether QEMU has carried it out is not known then.
  // QEMU's own errors: see QmpErrorStatus().
  absl::StatusOr<nlohmann::json> Execute(const std::string& command, nlohmann::json arguments, absl::Time deadline,
                                         int fd = -1);

  // Sends a command and does not wait for the answer.
  void Post(const std::string& command);

  bool closed() const;

 private:
  class Session;
  explicit QmpClient(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  std::shared_ptr<Session> session_;
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_QMP_CLIENT_H_
