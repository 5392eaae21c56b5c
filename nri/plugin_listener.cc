#include "nri/plugin_listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/status_macros.h"
#include "base/unix_path.h"

namespace podvisor {
namespace {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

constexpr int kBacklog = 16;

// Shared with the handlers that are queued in the loop.
class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(EventLoop& loop, UniqueFd socket, std::function<void(UniqueFd)> on_connection)
      : socket_(loop.context(), socket.release()), on_connection_(std::move(on_connection)) {}

  void Await() {
    socket_.async_wait(stream_descriptor::wait_read, [self = shared_from_this()](const error_code& error) {
      if (error || !self->on_connection_) return;
      while (true) {
        UniqueFd fd(::accept4(self->socket_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd.ok()) break;
        self->on_connection_(std::move(fd));
      }
      self->Await();
    });
  }

  void Close() {
    on_connection_ = nullptr;
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  stream_descriptor socket_;
  std::function<void(UniqueFd)> on_connection_;
};

class Listener final : public PluginListener {
 public:
  Listener(EventLoop& loop, std::string path, std::shared_ptr<Acceptor> acceptor)
      : loop_(loop), path_(std::move(path)), acceptor_(std::move(acceptor)) {}

  ~Listener() override {
    absl::Notification closed;
    boost::asio::post(loop_.context(), [this, &closed] {
      acceptor_->Close();
      closed.Notify();
    });
    closed.WaitForNotification();
    ::unlink(path_.c_str());
  }

 private:
  EventLoop& loop_;
  const std::string path_;
  const std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PluginListener>> PluginListener::Listen(EventLoop& loop, const std::string& path,
                                                                       std::function<void(UniqueFd)> on_connection) {
  ASSIGN_OR_RETURN(UnixPath short_path, UnixPath::For(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "socket");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ::memcpy(address.sun_path, short_path.name().data(), short_path.name().size());
  ::unlink(short_path.name().c_str());
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("bind ", path));
  }
  constexpr mode_t kForRootOnly = 0600;
  if (::chmod(short_path.name().c_str(), kForRootOnly) != 0) return ErrnoStatus(errno, absl::StrCat("chmod ", path));
  if (::listen(fd.get(), kBacklog) != 0) return ErrnoStatus(errno, absl::StrCat("listen on ", path));
  auto acceptor = std::make_shared<Acceptor>(loop, std::move(fd), std::move(on_connection));
  boost::asio::post(loop.context(), [acceptor] { acceptor->Await(); });
  return std::make_unique<Listener>(loop, path, std::move(acceptor));
}

}  // namespace podvisor
