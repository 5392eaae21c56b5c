#include "vmm/qemu/qmp_client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "vmm/qemu/qmp_message.h"
#include "vmm/qemu/unix_socket.h"

namespace podvisor {
namespace {

constexpr size_t kMaxMessage = 4 << 20;
constexpr absl::string_view kGreeting = "greeting";  // stands for a command in errors

// Where a caller waits for its answer. Shared, since the caller may give up first.
class Answer {
 public:
  void Set(absl::StatusOr<nlohmann::json> result) {
    absl::MutexLock lock(&mu_);
    if (!result_.has_value()) result_ = std::move(result);
  }
  std::optional<absl::StatusOr<nlohmann::json>> Wait(absl::Time deadline) {
    absl::MutexLock lock(&mu_);
    mu_.AwaitWithDeadline(
        absl::Condition(
            +[](Answer* self) ABSL_NO_THREAD_SAFETY_ANALYSIS { return self->result_.has_value(); }, this),
        deadline);
    return std::move(result_);
  }

 private:
  absl::Mutex mu_;
  std::optional<absl::StatusOr<nlohmann::json>> result_ ABSL_GUARDED_BY(mu_);
};

struct Command {
  uint64_t id = 0;
  std::string name;
  std::string line;
  UniqueFd fd;
  std::shared_ptr<Answer> answer;  // null: nobody waits
};

}  // namespace

// Lives in the event loop's thread, but for closed_ and the functions that post to it.
class QmpClient::Session : public std::enable_shared_from_this<QmpClient::Session> {
 public:
  Session(EventLoop& loop, OnEvent on_event)
      : loop_(loop), socket_(loop.context()), on_event_(std::move(on_event)), splitter_(kMaxMessage) {}

  // The greeting's answer is given to `ready`.
  void Start(UniqueFd fd, std::shared_ptr<Answer> ready) {
    boost::asio::post(loop_.context(), [self = shared_from_this(), fd = std::make_shared<UniqueFd>(std::move(fd)),
                                        ready = std::move(ready)]() mutable {
      boost::system::error_code error;
      self->in_flight_ = Command{0, std::string(kGreeting), "", UniqueFd(), std::move(ready)};
      self->socket_.assign(boost::asio::local::stream_protocol(), fd->release(), error);
      if (!error) self->socket_.native_non_blocking(true, error);
      if (error) return self->Close(absl::InternalError(absl::StrCat("QMP socket: ", error.message())));
      self->Read();
    });
  }

  void Send(std::string name, nlohmann::json arguments, UniqueFd fd, std::shared_ptr<Answer> answer) {
    auto command = std::make_shared<Command>(Command{0, std::move(name), "", std::move(fd), std::move(answer)});
    boost::asio::post(loop_.context(),
                      [self = shared_from_this(), command, arguments = std::move(arguments)]() mutable {
                        if (self->closed()) return self->Fail(*command, self->close_status_);
                        command->id = ++self->last_id_;
                        nlohmann::json line = {{"execute", command->name}, {"id", command->id}};
                        if (!arguments.is_null()) line["arguments"] = std::move(arguments);
                        // Text that is no UTF-8 (a path) is not worth an exception here: QEMU will refuse it.
                        command->line = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
                        self->queue_.push_back(std::move(*command));
                        self->SendNext();
                      });
  }

  void Shutdown() {
    boost::asio::post(loop_.context(), [self = shared_from_this()] {
      self->on_event_ = nullptr;
      self->Close(absl::CancelledError("QMP connection closed"));
    });
  }

  bool closed() const {
    absl::MutexLock lock(&mu_);
    return closed_;
  }

  EventLoop& loop() { return loop_; }

 private:
  static void Fail(const Command& command, const absl::Status& status) {
    if (command.answer != nullptr) command.answer->Set(Prefix(status, command.name));
  }

  void Close(absl::Status status) {
    {
      absl::MutexLock lock(&mu_);
      if (closed_) return;
      closed_ = true;
    }
    close_status_ = std::move(status);
    boost::system::error_code ignored;
    socket_.close(ignored);
    if (in_flight_.has_value()) Fail(*in_flight_, close_status_);
    in_flight_.reset();
    for (const Command& command : queue_) Fail(command, close_status_);
    queue_.clear();
  }

  void Read() {
    socket_.async_read_some(boost::asio::buffer(buffer_),
                            [self = shared_from_this()](const boost::system::error_code& error, size_t count) {
                              if (error == boost::asio::error::operation_aborted) return;
                              if (error) return self->Close(absl::UnavailableError("QEMU has hung up"));
                              self->Received(absl::string_view(self->buffer_.data(), count));
                            });
  }

  void Received(absl::string_view bytes) {
    if (absl::Status fed = splitter_.Feed(bytes); !fed.ok()) return Close(std::move(fed));
    while (const std::optional<std::string> line = splitter_.Next()) {
      absl::StatusOr<QmpMessage> message = ParseQmpMessage(*line);
      if (!message.ok()) return Close(message.status());
      Handle(*std::move(message));
      if (closed()) return;
    }
    Read();
  }

  void Handle(QmpMessage message) {
    if (message.kind == QmpMessage::Kind::kEvent) {
      if (on_event_) on_event_(message.name, message.payload);
      return;
    }
    const bool expects_greeting = in_flight_.has_value() && in_flight_->id == 0;
    if (message.kind == QmpMessage::Kind::kGreeting) {
      if (!expects_greeting) return Close(absl::InternalError("QMP: a second greeting"));
    } else if (!in_flight_.has_value() || expects_greeting || message.id != in_flight_->id) {
      // Every command of ours has an id and waits for its own answer: there can't be another.
      return Close(absl::InternalError("QMP: an answer to no command"));
    }
    const Command done = *std::exchange(in_flight_, std::nullopt);
    if (done.answer != nullptr) {
      if (message.kind == QmpMessage::Kind::kError)
        done.answer->Set(QmpErrorStatus(done.name, message));
      else
        done.answer->Set(std::move(message.payload));
    }
    SendNext();
  }

  void SendNext() {
    if (in_flight_.has_value() || queue_.empty()) return;
    in_flight_ = std::move(queue_.front());
    queue_.pop_front();
    sent_ = 0;
    Write();
  }

  void Write() {
    while (in_flight_.has_value() && sent_ < in_flight_->line.size()) {
      const ssize_t count = SendSome();
      if (count >= 0) {
        sent_ += static_cast<size_t>(count);
        in_flight_->fd.reset();
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        socket_.async_wait(boost::asio::socket_base::wait_write,
                           [self = shared_from_this()](const boost::system::error_code& error) {
                             if (!error) self->Write();
                           });
        return;
      } else if (errno != EINTR) {
        return Close(absl::UnavailableError(absl::StrCat("QEMU has hung up: ", ::strerror(errno))));
      }
    }
  }

  // A descriptor goes with the first byte.
  ssize_t SendSome() {
    const std::string& line = in_flight_->line;
    iovec data = {const_cast<char*>(line.data()) + sent_, line.size() - sent_};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (in_flight_->fd.ok()) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      const int fd = in_flight_->fd.get();
      ::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    return ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  EventLoop& loop_;
  boost::asio::local::stream_protocol::socket socket_;
  OnEvent on_event_;
  LineSplitter splitter_;
  std::array<char, 16384> buffer_;
  std::deque<Command> queue_;
  std::optional<Command> in_flight_;
  size_t sent_ = 0;
  uint64_t last_id_ = 0;
  absl::Status close_status_;

  mutable absl::Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

absl::StatusOr<std::unique_ptr<QmpClient>> QmpClient::Connect(EventLoop& loop, const std::string& socket_path,
                                                              OnEvent on_event, absl::Time deadline) {
  ASSIGN_OR_RETURN(UniqueFd fd, ConnectUnix(socket_path));
  auto session = std::make_shared<Session>(loop, std::move(on_event));
  // From here on its destructor hangs up.
  std::unique_ptr<QmpClient> client(new QmpClient(session));
  auto greeting = std::make_shared<Answer>();
  session->Start(std::move(fd), greeting);
  const auto greeted = greeting->Wait(deadline);
  if (!greeted.has_value()) return absl::UnavailableError(absl::StrCat("QEMU does not greet at ", socket_path));
  RETURN_IF_ERROR(greeted->status());
  RETURN_IF_ERROR(client->Execute("qmp_capabilities", nullptr, deadline).status());
  return client;
}

QmpClient::~QmpClient() { session_->Shutdown(); }

absl::StatusOr<nlohmann::json> QmpClient::Execute(const std::string& command, nlohmann::json arguments,
                                                  absl::Time deadline, int fd) {
  if (session_->loop().InLoop())
    return absl::InternalError(absl::StrCat(command, ": called from the event loop, which would wait for itself"));
  UniqueFd passed;
  if (fd >= 0) {
    passed = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!passed.ok()) return ErrnoStatus(errno, "duplicate a descriptor");
  }
  auto answer = std::make_shared<Answer>();
  session_->Send(command, std::move(arguments), std::move(passed), answer);
  std::optional<absl::StatusOr<nlohmann::json>> result = answer->Wait(deadline);
  if (!result.has_value()) return absl::UnavailableError(absl::StrCat(command, ": QEMU does not answer"));
  return *std::move(result);
}

void QmpClient::Post(const std::string& command) { session_->Send(command, nullptr, UniqueFd(), nullptr); }

bool QmpClient::closed() const { return session_->closed(); }

}  // namespace podvisor
