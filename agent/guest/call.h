// One ttrpc call under way, and the table of the calls that there are.
#ifndef PODVISOR_AGENT_GUEST_CALL_H_
#define PODVISOR_AGENT_GUEST_CALL_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"

namespace podvisor::guest {

// Where an answer goes: a connection that may be gone by then.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  // False once nobody waits for answers to calls of `session`.
  virtual bool IsOpen(uint64_t session) const = 0;
  // The payload is `payload` and after it `tail`.
  virtual void Answer(uint64_t session, uint32_t stream_id, const absl::Status& status, absl::string_view payload,
                      absl::string_view tail) = 0;
};

// Who has made a call: one connection, or one session of a serial port.
class CallOwner {
 public:
  CallOwner() = default;
  CallOwner(std::weak_ptr<AnswerSink> sink, uint64_t session) : sink_(std::move(sink)), session_(session) {}

  // False once it is gone: it will never make another call.
  bool IsOpen() const {
    const std::shared_ptr<AnswerSink> sink = sink_.lock();
    return sink != nullptr && sink->IsOpen(session_);
  }

 private:
  std::weak_ptr<AnswerSink> sink_;
  uint64_t session_ = 0;
};

// Answered exactly once: if all references go away without an answer, the caller gets an error. May be kept for as long
// as an answer takes.
class Call {
 public:
  Call(std::weak_ptr<AnswerSink> sink, uint64_t session, uint32_t stream_id, int64_t deadline_ms)
      : sink_(std::move(sink)), session_(session), stream_id_(stream_id), deadline_ms_(deadline_ms) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call();

  // False if the caller is gone or has given up: then nothing may be consumed on its behalf.
  bool IsAlive() const;
  CallOwner owner() const { return CallOwner(sink_, session_); }
  void Reply(const google::protobuf::MessageLite& response);
  // `response`, and in its field of that number, which it has left out, large `bytes`: they are not copied on the way.
  void ReplyWithBytes(const google::protobuf::MessageLite& response, int field, absl::string_view bytes);
  void ReplyEmpty() { Send(absl::OkStatus(), {}); }
  void Fail(const absl::Status& status);
  // Fail, or an empty reply.
  void Finish(const absl::Status& status);

 private:
  void Send(const absl::Status& status, absl::string_view payload, absl::string_view tail = {});

  std::weak_ptr<AnswerSink> sink_;
  const uint64_t session_;
  const uint32_t stream_id_;
  const int64_t deadline_ms_;  // of NowMs(); 0: none
  bool answered_ = false;
};
using CallPtr = std::shared_ptr<Call>;

// Calls by service and method.
class Dispatcher {
 public:
  using Handler = std::function<void(absl::string_view payload, CallPtr call)>;

  // A method that answers when it likes. The request is its own: what is large in it may be moved away.
  template <typename Request>
  void On(absl::string_view service, absl::string_view method, std::function<void(Request&&, CallPtr)> handler) {
    Add(service, method, [handler = std::move(handler)](absl::string_view payload, CallPtr call) {
      Request request;
      if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return FailParse(*call);
      handler(std::move(request), std::move(call));
    });
  }

  // A method that answers at once.
  template <typename Request, typename Response>
  void OnSync(absl::string_view service, absl::string_view method,
              std::function<absl::Status(const Request&, Response*)> handler) {
    Add(service, method, [handler = std::move(handler)](absl::string_view payload, CallPtr call) {
      Request request;
      if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return FailParse(*call);
      Response response;
      const absl::Status status = handler(request, &response);
      if (status.ok()) {
        call->Reply(response);
      } else {
        call->Fail(status);
      }
    });
  }

  void Dispatch(absl::string_view service, absl::string_view method, absl::string_view payload, CallPtr call) const;
  // `listener` is called when a CallOwner has gone.
  void OnOwnerGone(std::function<void()> listener) { owner_gone_ = std::move(listener); }
  void OwnerGone() const {
    if (owner_gone_) owner_gone_();
  }
  // Names of the methods of one service.
  std::vector<std::string> Methods(absl::string_view service) const;

 private:
  void Add(absl::string_view service, absl::string_view method, Handler handler) {
    handlers_[absl::StrCat(service, "/", method)] = std::move(handler);
  }
  static void FailParse(Call& call);

  std::map<std::string, Handler> handlers_;
  std::function<void()> owner_gone_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_CALL_H_
