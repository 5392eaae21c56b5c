// The socket that plugins connect to.
#ifndef PODVISOR_NRI_PLUGIN_LISTENER_H_
#define PODVISOR_NRI_PLUGIN_LISTENER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace podvisor {

// Its destructor closes the socket and removes its name; `on_connection` is not called after that.
class PluginListener {
 public:
  // Binds `path`, for root only; the place of a daemon that was killed is taken. `on_connection` is called from the
  // event loop, which outlives the listener.
  static absl::StatusOr<std::unique_ptr<PluginListener>> Listen(EventLoop& loop, const std::string& path,
                                                                std::function<void(UniqueFd)> on_connection);
  virtual ~PluginListener() = default;
};

}  // namespace podvisor

#endif  // PODVISOR_NRI_PLUGIN_LISTENER_H_
