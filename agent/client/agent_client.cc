#include "agent/client/agent_client.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "agent/client/client_core.h"
#include "google/protobuf/message_lite.h"
#include "third_party/wire/health.pb.h"
#include "third_party/wire/ttrpc.pb.h"

namespace podvisor {
namespace {

// Of a frame, left to the names of service and method and to the timeout.
constexpr size_t kEnvelopeBytes = 1024;
// Of one health check: what a guest lost while it booted is asked again.
constexpr absl::Duration kCheckTimeout = absl::Seconds(5);
// Between two health checks that the agent itself has answered with an error.
constexpr absl::Duration kNotServingPause = absl::Milliseconds(100);

class TtrpcClient : public AgentClient {
 public:
  TtrpcClient(EventLoop& loop, GuestChannel channel, Observer observer, AgentClientTuning tuning)
      : core_(std::make_shared<ClientCore>(loop, std::move(channel), std::move(observer), tuning)) {
    core_->Start();
  }
  ~TtrpcClient() override { core_->ShutDownAndWait(); }

  absl::Status WaitReady(absl::Time deadline) override {
    grpc::CheckRequest request;
    grpc::HealthCheckResponse response;
    while (true) {
      absl::Status checked =
          Call(kHealthService, "Check", request, &response, std::min(deadline, absl::Now() + kCheckTimeout));
      if (checked.ok() && response.status() == grpc::HealthCheckResponse::SERVING) return checked;
      if (absl::IsCancelled(checked)) return checked;
      if (absl::IsDeadlineExceeded(checked) && absl::Now() >= deadline) return checked;
      // The next call waits for the next connection.
      if (absl::IsUnavailable(checked) || absl::IsDeadlineExceeded(checked)) continue;
      if (core_->WaitClosed(std::min(deadline, absl::Now() + kNotServingPause))) {
        return absl::CancelledError("agent client closed");
      }
      if (absl::Now() >= deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat("agent is not serving: ", checked.ok() ? "health status " : checked.message(),
                         checked.ok() ? std::to_string(response.status()) : ""));
      }
    }
  }

  void CallAsync(absl::string_view service, absl::string_view method, const google::protobuf::MessageLite& request,
                 absl::Time deadline, Done done) override {
    auto call = std::make_shared<AgentCall>();
    call->service = std::string(service);
    call->method = std::string(method);
    call->started = absl::Now();
    call->deadline = deadline;
    call->done = std::move(done);
    const size_t size = request.ByteSizeLong();
    if (size > kMaxFramePayloadBytes - kEnvelopeBytes) {
      core_->Enqueue(std::move(call), absl::OutOfRangeError(absl::StrCat("request of ", size, " bytes to ", method,
                                                                         " is larger than a ttrpc frame may be")));
      return;
    }
    ttrpc::Request envelope;
    envelope.set_service(call->service);
    envelope.set_method(call->method);
    request.SerializeToString(envelope.mutable_payload());
    envelope.SerializeToString(&call->request);
    core_->Submit(std::move(call));
  }

  void Close() override { core_->ShutDown(); }

 private:
  const std::shared_ptr<ClientCore> core_;
};

}  // namespace

std::unique_ptr<AgentClient> AgentClient::Create(EventLoop& loop, GuestChannel channel, Observer observer,
                                                 AgentClientTuning tuning) {
  return std::make_unique<TtrpcClient>(loop, std::move(channel), std::move(observer), tuning);
}

absl::Status AgentClient::Call(absl::string_view service, absl::string_view method,
                               const google::protobuf::MessageLite& request, google::protobuf::MessageLite* response,
                               absl::Time deadline) {
  absl::Notification answered;
  absl::StatusOr<std::string> answer;
  CallAsync(service, method, request, deadline, [&](absl::StatusOr<std::string> result) {
    answer = std::move(result);
    answered.Notify();
  });
  answered.WaitForNotification();  // ends by the deadline: the event loop sees to it
  if (!answer.ok()) return answer.status();
  if (!response->ParseFromString(*answer)) {
    return absl::DataLossError(absl::StrCat("the agent's answer to ", method, " is malformed"));
  }
  return absl::OkStatus();
}

}  // namespace podvisor
