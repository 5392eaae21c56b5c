#include "agent/client/client_core.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "third_party/wire/health.pb.h"
#include "third_party/wire/ttrpc.pb.h"

namespace podvisor {
namespace {

using boost::system::error_code;

constexpr auto kMinPause = std::chrono::milliseconds(10);
constexpr auto kMaxPause = std::chrono::seconds(1);
// Requests are put together up to this size for one write.
constexpr size_t kBatchBytes = 64 << 10;
// What a queued call costs beside its bytes.
constexpr size_t kCallBytes = 256;
constexpr size_t kMaxMessageBytes = 4096;
// A longer time is no limit, and would overflow the clock's.
constexpr absl::Duration kLongestTimeout = absl::Hours(24 * 365);

std::string Where(const GuestChannel& channel) {
  if (channel.kind == GuestChannel::Kind::kVsock) return absl::StrCat("vsock ", channel.cid, ":", channel.port);
  return channel.path;
}

// The guest is not trusted: what it says ends up in logs and in the kubelet's events.
std::string Sanitize(std::string message) {
  if (message.size() > kMaxMessageBytes) message = absl::StrCat(message.substr(0, kMaxMessageBytes), " [...]");
  std::replace_if(
      message.begin(), message.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); }, ' ');
  return message;
}

absl::StatusOr<std::string> ToResult(ttrpc::Response response) {
  const int code = response.status().code();
  if (code == 0) return std::move(*response.mutable_payload());
  const bool known = code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  return absl::Status(known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
                      Sanitize(std::move(*response.mutable_status()->mutable_message())));
}

}  // namespace

ClientCore::ClientCore(EventLoop& loop, GuestChannel channel, AgentClient::Observer observer, AgentClientTuning tuning)
    : loop_(loop),
      channel_(std::move(channel)),
      observer_(std::move(observer)),
      tuning_(tuning),
      reconnect_timer_(loop.context()),
      last_error_(absl::UnavailableError("not connected yet")),
      watch_timer_(loop.context()),
      stall_check_(absl::ToChronoNanoseconds(tuning.stall_check)) {}

void ClientCore::Start() {
  boost::asio::post(loop_.context(), [self = shared_from_this()] {
    if (!self->shut_down_) self->Connect();
  });
}

void ClientCore::Submit(AgentCallPtr call) {
  call->queued_bytes = call->request.size() + kCallBytes;
  const size_t queued = queued_bytes_ += call->queued_bytes;
  const size_t calls = ++call_count_;
  absl::Status admitted;
  if (queued > tuning_.max_queued_bytes) {
    admitted = absl::ResourceExhaustedError(absl::StrCat(
        "agent at ", Where(channel_), " takes no more: ", queued - call->queued_bytes, " bytes of requests wait"));
  } else if (calls > tuning_.max_calls) {
    admitted = absl::ResourceExhaustedError(
        absl::StrCat("agent at ", Where(channel_), " takes no more: ", calls - 1, " calls are under way"));
  }
  call->admitted = true;
  Enqueue(std::move(call), std::move(admitted));
}

void ClientCore::Enqueue(AgentCallPtr call, absl::Status why) {
  bool first;
  {
    absl::MutexLock lock(&mu_);
    first = inbox_.empty();
    inbox_.emplace_back(std::move(call), std::move(why));
  }
  if (first) boost::asio::post(loop_.context(), [self = shared_from_this()] { self->TakeInbox(); });
}

void ClientCore::ShutDown() {
  boost::asio::post(loop_.context(), [self = shared_from_this()] { self->DoShutDown(); });
}

void ClientCore::ShutDownAndWait() {
  if (loop_.InLoop()) {
    // We may be inside a callback of this very object: it has to live until the stack is unwound.
    boost::asio::post(loop_.context(), [self = shared_from_this()] {});
    DoShutDown();
    return;
  }
  ShutDown();
  closed_.WaitForNotification();
}

void ClientCore::DoShutDown() {
  if (!shut_down_) {
    shut_down_ = true;
    last_error_ = absl::CancelledError("agent client closed");
    reconnect_timer_.cancel();
    watch_timer_.cancel();
    if (connection_ != nullptr) std::exchange(connection_, nullptr)->Close();
  }
  FinishAll(calls_.TakeAll(), last_error_);
  TakeInbox();
  if (!closed_.HasBeenNotified()) closed_.Notify();
}

void ClientCore::TakeInbox() {
  std::vector<std::pair<AgentCallPtr, absl::Status>> inbox;
  {
    absl::MutexLock lock(&mu_);
    inbox.swap(inbox_);
  }
  for (auto& [call, why] : inbox) {
    if (why.ok()) why = Admit(call);
    if (!why.ok()) finishing_.emplace_back(std::move(call), std::move(why));
  }
  FinishAll({}, absl::OkStatus());
  Pump();
}

absl::Status ClientCore::Admit(const AgentCallPtr& call) {
  if (shut_down_) return last_error_;
  const absl::Duration left = call->deadline - absl::Now();
  if (left <= absl::ZeroDuration()) {
    return absl::DeadlineExceededError(absl::StrCat("agent call ", call->method, ": its deadline has passed before"));
  }
  calls_.Add(call);
  if (left > kLongestTimeout) return absl::OkStatus();
  call->timer.emplace(loop_.context(), absl::ToChronoNanoseconds(left));
  call->timer->async_wait([self = shared_from_this(), call](const error_code&) {
    if (call->done != nullptr) self->Expire(call);
  });
  return absl::OkStatus();
}

void ClientCore::Pump() {
  while (connection_ != nullptr && connection_->ready() && connection_->idle() && calls_.has_unsent()) {
    std::string frames;
    while (frames.size() < kBatchBytes && calls_.has_unsent()) {
      AgentCallPtr call = calls_.NextToSend();
      if (call != probe_) stall_check_ = absl::ToChronoNanoseconds(tuning_.stall_check);
      AppendRequest(*call, &frames);
    }
    connection_->Send(frames);
  }
  ArmWatch();
}

void ClientCore::AppendRequest(AgentCall& call, std::string* frames) {
  Frame frame{.stream_id = call.stream_id, .type = FrameType::kRequest, .payload = std::move(call.request)};
  call.request = std::string();
  queued_bytes_ -= std::exchange(call.queued_bytes, 0);
  if (call.timer) {
    // Counts from when the guest gets it. Serialized messages that stand behind each other are one message.
    ttrpc::Request timeout;
    timeout.set_timeout_nano(std::max<int64_t>(1, absl::ToInt64Nanoseconds(call.deadline - absl::Now())));
    timeout.AppendToString(&frame.payload);
  }
  EncodeFrame(frame, frames).IgnoreError();  // CallAsync() has seen to the size
}

void ClientCore::Expire(const AgentCallPtr& call) {
  const bool sent = call->stream_id != 0;
  absl::Status table = calls_.GiveUp(call);
  const bool connected = connection_ != nullptr && connection_->ready();
  Finish(*call, absl::DeadlineExceededError(absl::StrCat(
                    "agent at ", Where(channel_), sent ? " did not answer " : " could not be sent ", call->method,
                    " in time", sent || connected ? "" : absl::StrCat(": ", last_error_.message()))));
  if (!table.ok()) Break(table);
}

void ClientCore::Finish(AgentCall& call, absl::StatusOr<std::string> result) {
  auto done = std::exchange(call.done, nullptr);
  if (call.timer) call.timer->cancel();
  call.request = std::string();
  queued_bytes_ -= std::exchange(call.queued_bytes, 0);
  if (std::exchange(call.admitted, false)) --call_count_;
  if (observer_ != nullptr) observer_(call.method, result.status().code(), absl::Now() - call.started);
  done(std::move(result));
}

void ClientCore::FinishAll(std::deque<AgentCallPtr> calls, const absl::Status& why) {
  for (AgentCallPtr& call : calls) finishing_.emplace_back(std::move(call), why);
  while (!finishing_.empty()) {
    auto [call, status] = std::move(finishing_.front());
    finishing_.pop_front();
    Finish(*call, std::move(status));
  }
}

void ClientCore::Connect() {
  const absl::Duration handshake_timeout = tuning_.handshake_timeout * (1 << std::min(handshake_timeouts_, 4));
  has_answered_ = false;
  connection_ = Connection::Make(
      loop_.context(), channel_,
      {.handshake_timeout = handshake_timeout, .half_frame_timeout = tuning_.half_frame_timeout}, this);
  connection_->Open();
}

void ClientCore::OnReady() {
  handshake_timeouts_ = 0;
  Pump();
}

void ClientCore::OnDrained() { Pump(); }

void ClientCore::OnFrame(Frame frame) {
  if (frame.type != FrameType::kResponse) {
    Break(absl::UnavailableError(absl::StrCat("it sent a frame of type ", static_cast<int>(frame.type))));
    return;
  }
  absl::StatusOr<AgentCallPtr> call = calls_.TakeAnswered(frame.stream_id);
  if (!call.ok()) {
    Break(call.status());
    return;
  }
  has_answered_ = true;
  if (*call == nullptr) return;  // its caller has given up
  ttrpc::Response response;
  if (!response.ParseFromString(frame.payload)) {
    finishing_.emplace_back(*call, absl::UnavailableError(absl::StrCat(
                                       "agent at ", Where(channel_), " sent a malformed answer to ", (*call)->method)));
    Break(absl::UnavailableError("it sent a malformed answer"));
    return;
  }
  frame.payload = std::string();
  Finish(**call, ToResult(std::move(response)));
}

void ClientCore::OnEnd(absl::Status why) {
  if (absl::IsDeadlineExceeded(why)) ++handshake_timeouts_;
  ScheduleReconnect(std::move(why));
}

void ClientCore::Break(absl::Status why) {
  if (connection_ == nullptr) return;
  connection_->Close();
  ScheduleReconnect(
      absl::UnavailableError(absl::StrCat("connection to agent at ", Where(channel_), " given up: ", why.message())));
}

void ClientCore::ScheduleReconnect(absl::Status why) {
  connection_ = nullptr;
  watch_timer_.cancel();
  watching_ = false;
  last_error_ = std::move(why);
  const Clock::time_point now = Clock::now();
  if (has_answered_) away_since_ = now;
  reconnect_timer_.expires_after(std::clamp<Clock::duration>((now - away_since_) / 8, kMinPause, kMaxPause));
  reconnect_timer_.async_wait([self = shared_from_this()](const error_code& error) {
    if (!error && !self->shut_down_) self->Connect();
  });
  FinishAll(calls_.TakeSent(), absl::UnavailableError(last_error_.message()));
}

bool ClientCore::CanStall() const {
  return channel_.kind == GuestChannel::Kind::kHybridVsock || channel_.kind == GuestChannel::Kind::kVsock;
}

void ClientCore::ArmWatch() {
  if (watching_ || probe_ != nullptr || !CanStall() || calls_.size() == 0) return;
  if (connection_ == nullptr || !connection_->ready()) return;
  watching_ = true;
  watch_timer_.expires_at(std::max(connection_->last_heard() + stall_check_, Clock::now() + kMinPause));
  watch_timer_.async_wait([self = shared_from_this()](const error_code& error) {
    if (!error && !self->shut_down_) self->Watch();
  });
}

void ClientCore::Watch() {
  watching_ = false;
  if (probe_ != nullptr || connection_ == nullptr || calls_.size() == 0) return;
  if (Clock::now() - connection_->last_heard() >= stall_check_) {
    Probe();
  } else {
    ArmWatch();
  }
}

void ClientCore::Probe() {
  ttrpc::Request request;
  request.set_service(std::string(kHealthService));
  request.set_method("Check");
  probe_ = std::make_shared<AgentCall>();
  probe_->service = request.service();
  probe_->method = request.method();
  request.SerializeToString(&probe_->request);
  probe_->started = absl::Now();
  probe_->deadline = probe_->started + tuning_.probe_timeout;
  // `this` lives: whoever finishes the call is ours, and holds us.
  probe_->done = [this](const absl::StatusOr<std::string>& answer) { ProbeAnswered(answer.status()); };
  Admit(probe_).IgnoreError();
  Pump();
}

void ClientCore::ProbeAnswered(const absl::Status& outcome) {
  probe_ = nullptr;
  if (shut_down_) return;
  if (absl::IsDeadlineExceeded(outcome)) {
    Break(absl::UnavailableError("the channel has stalled: no byte came and a health check was not answered"));
    return;
  }
  const Clock::duration longest = absl::ToChronoNanoseconds(tuning_.max_stall_check);
  stall_check_ = std::min(stall_check_ * 2, std::max(longest, stall_check_));
  ArmWatch();
}

}  // namespace podvisor
