#include "nri/plugin_connection.h"

#include <errno.h>
#include <google/protobuf/message_lite.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/ttrpc_frame.h"
#include "nri/mux_frame.h"
#include "third_party/wire/ttrpc.pb.h"

namespace podvisor {
namespace {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

constexpr absl::string_view kPluginService = "nri.pkg.api.v1alpha1.Plugin";
constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMaxQueuedBytes = 32 << 20;
constexpr size_t kMaxMessageChars = 4096;
constexpr uint8_t kNoMoreFrames = 1;  // ttrpc's flag: the stream has this one request

struct PendingCall {
  absl::Notification done;
  absl::StatusOr<PluginConnection::Answer> result = absl::UnavailableError("");
};

// Words of a plugin, for messages and the log.
std::string Readable(absl::string_view text) {
  std::string readable(text.substr(0, kMaxMessageChars));
  for (char& c : readable) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return readable;
}

class Connection final : public PluginConnection, public std::enable_shared_from_this<Connection> {
 public:
  Connection(EventLoop& loop, UniqueFd socket, Owner owner)
      : loop_(loop), socket_(loop.context(), socket.release()), owner_(std::move(owner)) {}

  void Start() override {
    boost::asio::post(loop_.context(), [self = shared_from_this()] { self->AwaitReadable(); });
  }

  absl::StatusOr<Answer> Call(absl::string_view method, const google::protobuf::MessageLite& request,
                              absl::Time deadline) override {
    ttrpc::Request envelope;
    envelope.set_service(std::string(kPluginService));
    envelope.set_method(std::string(method));
    envelope.set_payload(request.SerializeAsString());
    envelope.set_timeout_nano(absl::ToInt64Nanoseconds(deadline - absl::Now()));
    Frame frame{.type = FrameType::kRequest, .flags = kNoMoreFrames, .payload = envelope.SerializeAsString()};
    if (frame.payload.size() > kMaxFramePayloadBytes) {
      return absl::OutOfRangeError(absl::StrCat(method, ": a request of ", frame.payload.size(), " bytes"));
    }
    auto call = std::make_shared<PendingCall>();
    {
      absl::MutexLock lock(&mu_);
      if (!closed_.ok()) return closed_;
      frame.stream_id = std::exchange(next_stream_, next_stream_ + 2);
      calls_[frame.stream_id] = call;
      RETURN_IF_ERROR(QueueLocked(kPluginServiceStream, frame));
    }
    if (call->done.WaitForNotificationWithDeadline(deadline)) return std::move(call->result);
    absl::MutexLock lock(&mu_);
    if (call->done.HasBeenNotified()) return std::move(call->result);
    calls_.erase(frame.stream_id);
    return absl::DeadlineExceededError(absl::StrCat(method, ": no answer in time"));
  }

  void Close(const absl::Status& why) override {
    std::map<uint32_t, std::shared_ptr<PendingCall>> calls;
    {
      absl::MutexLock lock(&mu_);
      if (!closed_.ok()) return;
      closed_ = absl::UnavailableError(why.message());
      calls.swap(calls_);
      out_.clear();
      for (const auto& [stream, call] : calls) {
        call->result = closed_;
        call->done.Notify();
      }
    }
    boost::asio::post(loop_.context(), [self = shared_from_this(), why] {
      error_code ignored;
      self->socket_.close(ignored);
      if (self->owner_.on_closed) self->owner_.on_closed(why);
      self->owner_ = {};  // what it holds may hold this
    });
  }

 private:
  absl::Status QueueLocked(uint32_t stream, const Frame& frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (out_.size() > kMaxQueuedBytes) return absl::UnavailableError("the plugin reads nothing");
    std::string message;
    RETURN_IF_ERROR(EncodeFrame(frame, &message));
    const bool writing = !out_.empty();
    AppendMuxMessage(stream, message, &out_);
    if (!writing) boost::asio::post(loop_.context(), [self = shared_from_this()] { self->Write(); });
    return absl::OkStatus();
  }

  // From here on: in the event loop.

  void AwaitReadable() {
    socket_.async_wait(stream_descriptor::wait_read, [self = shared_from_this()](const error_code& error) {
      if (!error) self->Read();
    });
  }

  void Read() {
    static thread_local std::vector<char> buffer(kReadBytes);
    const ssize_t got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return AwaitReadable();
    if (got < 0) return Close(ErrnoStatus(errno, "read"));
    if (got == 0) return Close(absl::UnavailableError("the plugin closed the connection"));
    absl::Status taken = Take({buffer.data(), static_cast<size_t>(got)});
    if (!taken.ok()) return Close(taken);
    AwaitReadable();
  }

  absl::Status Take(absl::string_view bytes) {
    std::vector<MuxFrame> parts;
    absl::Status status = mux_.Feed(bytes, &parts);
    for (const MuxFrame& part : parts) {
      std::vector<Frame> frames;
      if (part.stream == kPluginServiceStream) {
        status.Update(answers_.Feed(part.payload, &frames));
        for (const Frame& frame : frames) status.Update(TakeAnswer(frame));
      } else if (part.stream == kRuntimeServiceStream) {
        status.Update(requests_.Feed(part.payload, &frames));
        for (const Frame& frame : frames) status.Update(TakeRequest(frame));
      }  // others are nobody's, as with containerd
    }
    return status;
  }

  absl::Status TakeAnswer(const Frame& frame) {
    ttrpc::Response response;
    if (frame.type != FrameType::kResponse || !response.ParseFromString(frame.payload)) {
      return absl::InvalidArgumentError("a frame that is no answer came where only answers are");
    }
    absl::MutexLock lock(&mu_);
    const auto call = calls_.find(frame.stream_id);
    if (call == calls_.end()) {
      if (frame.stream_id % 2 == 1 && frame.stream_id < next_stream_) return absl::OkStatus();  // too late
      return absl::InvalidArgumentError(absl::StrCat("an answer to no call, number ", frame.stream_id));
    }
    if (response.status().code() != 0) {
      call->second->result = Answer{.error = absl::Status(static_cast<absl::StatusCode>(response.status().code()),
                                                          Readable(response.status().message()))};
    } else {
      call->second->result = Answer{.response = std::move(*response.mutable_payload())};
    }
    call->second->done.Notify();
    calls_.erase(call);
    return absl::OkStatus();
  }

  absl::Status TakeRequest(const Frame& frame) {
    ttrpc::Request request;
    if (frame.type != FrameType::kRequest || frame.stream_id % 2 == 0 || !request.ParseFromString(frame.payload)) {
      return absl::InvalidArgumentError("a frame that is no request came where only requests are");
    }
    if (!owner_.on_request) return absl::OkStatus();
    owner_.on_request(request.service(), request.method(), request.payload(),
                      [weak = weak_from_this(), stream = frame.stream_id](absl::StatusOr<std::string> response) {
                        if (const auto self = weak.lock()) self->Respond(stream, std::move(response));
                      });
    return absl::OkStatus();
  }

  void Respond(uint32_t stream, absl::StatusOr<std::string> response) {
    ttrpc::Response envelope;
    envelope.mutable_status()->set_code(static_cast<int>(response.status().code()));
    envelope.mutable_status()->set_message(std::string(response.status().message()));
    if (response.ok()) envelope.set_payload(*std::move(response));
    const Frame frame{.stream_id = stream, .type = FrameType::kResponse, .payload = envelope.SerializeAsString()};
    absl::Status status;
    {
      absl::MutexLock lock(&mu_);
      if (!closed_.ok()) return;
      status = QueueLocked(kRuntimeServiceStream, frame);
    }
    if (!status.ok()) Close(status);
  }

  void Write() {
    absl::Status failed;
    {
      absl::MutexLock lock(&mu_);
      if (!closed_.ok()) return;
      size_t written = 0;
      while (written < out_.size()) {
        const ssize_t sent =
            ::send(socket_.native_handle(), out_.data() + written, out_.size() - written, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) failed = ErrnoStatus(errno, "write");
        if (sent < 0) break;
        written += static_cast<size_t>(sent);
      }
      out_.erase(0, written);
      if (out_.empty()) out_ = std::string();
      if (failed.ok() && out_.empty()) return;
    }
    if (!failed.ok()) return Close(failed);
    socket_.async_wait(stream_descriptor::wait_write, [self = shared_from_this()](const error_code& error) {
      if (!error) self->Write();
    });
  }

  EventLoop& loop_;
  absl::Mutex mu_;  // a leaf
  absl::Status closed_ ABSL_GUARDED_BY(mu_);
  uint32_t next_stream_ ABSL_GUARDED_BY(mu_) = 1;
  std::map<uint32_t, std::shared_ptr<PendingCall>> calls_ ABSL_GUARDED_BY(mu_);
  std::string out_ ABSL_GUARDED_BY(mu_);  // not empty: Write() is under way

  // The event loop's.
  stream_descriptor socket_;
  Owner owner_;
  MuxDecoder mux_;
  FrameDecoder answers_, requests_;
};

}  // namespace

std::shared_ptr<PluginConnection> PluginConnection::Create(EventLoop& loop, UniqueFd socket, Owner owner) {
  return std::make_shared<Connection>(loop, std::move(socket), std::move(owner));
}

}  // namespace podvisor
