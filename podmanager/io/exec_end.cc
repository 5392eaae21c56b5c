#include "podmanager/io/exec_end.h"

#include <spdlog/spdlog.h>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "agent/protocol/extension.pb.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

constexpr absl::Duration kWaitInGuest = absl::Seconds(30);
constexpr absl::Duration kAnswerGrace = absl::Seconds(30);
constexpr absl::Duration kPause = absl::Milliseconds(100);  // between questions that failed

class ExecEndImpl final : public ExecEnd, public std::enable_shared_from_this<ExecEndImpl> {
 public:
  ExecEndImpl(EventLoop& loop, std::shared_ptr<AgentClient> client, ExecName name)
      : loop_(loop), client_(std::move(client)), name_(std::move(name)), timer_(loop.context()) {}

  void Ask(std::function<void(absl::StatusOr<int>)> on_exit) override {
    boost::asio::dispatch(loop_.context(), [self = shared_from_this(), on_exit = std::move(on_exit)]() mutable {
      if (self->stopped_) return;
      self->on_exit_ = std::move(on_exit);
      self->AskAgain();
    });
  }

  void StopAsking() override {
    boost::asio::dispatch(loop_.context(), [self = shared_from_this()] {
      self->stopped_ = true;
      self->on_exit_ = nullptr;
      self->timer_.cancel();
    });
  }

  void Signal(int signal) override {
    Send(signal, [](const absl::StatusOr<std::string>&) {});
  }

  void KillAndRelease() override {
    Send(SIGKILL, [self = shared_from_this()](const absl::StatusOr<std::string>& answer) {
      self->LogFailure("kill", answer.status());
      // ReleaseExec wants an exec that has exited.
      self->client_->CallAsync(kExtensionService, "WaitExit", self->WaitRequest(),
                               absl::Now() + kWaitInGuest + kAnswerGrace,
                               [self](const absl::StatusOr<std::string>&) { self->Release(); });
    });
  }

  void Release() override {
    agent::v1::ReleaseExecRequest request;
    request.set_container_id(name_.container_id);
    request.set_exec_id(name_.exec_id);
    client_->CallAsync(kExtensionService, "ReleaseExec", request, absl::Now() + kAnswerGrace,
                       [self = shared_from_this()](const absl::StatusOr<std::string>& answer) {
                         if (!absl::IsUnimplemented(answer.status())) self->LogFailure("release", answer.status());
                       });
  }

 private:
  agent::v1::WaitExitRequest WaitRequest() const {
    agent::v1::WaitExitRequest request;
    request.set_container_id(name_.container_id);
    request.set_exec_id(name_.exec_id);
    request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(kWaitInGuest)));
    return request;
  }

  void Send(int signal, std::function<void(const absl::StatusOr<std::string>&)> answered) {
    grpc::SignalProcessRequest request;
    request.set_container_id(name_.container_id);
    request.set_exec_id(name_.exec_id);
    request.set_signal(static_cast<uint32_t>(signal));
    client_->CallAsync(kAgentService, "SignalProcess", request, absl::Now() + kAnswerGrace, std::move(answered));
  }

  void LogFailure(const char* what, const absl::Status& status) const {
    if (status.ok()) return;
    spdlog::debug("exec {} in container {} of sandbox {}: {}: {}", name_.exec_id, name_.container_id, name_.sandbox_id,
                  what, status.ToString());
  }

  // Everything below runs in the event loop.

  void AskAgain() {
    if (stopped_) return;
    asked_at_ = absl::Now();
    if (plain_) return AskPlain();
    client_->CallAsync(
        kExtensionService, "WaitExit", WaitRequest(), asked_at_ + kWaitInGuest + kAnswerGrace,
        [self = shared_from_this()](const absl::StatusOr<std::string>& answer) { self->Answered(answer); });
  }

  void Answered(const absl::StatusOr<std::string>& answer) {
    if (absl::IsUnimplemented(answer.status())) {
      plain_ = true;
      return AskAgain();
    }
    if (!answer.ok()) return Failed(answer.status());
    agent::v1::ProcessState state;
    if (!state.ParseFromString(*answer))
      return Report(absl::DataLossError("WaitExit: the agent's answer is no message"));
    if (state.exited()) return Report(state.exit_code());
    // A guest that does not wait as it was asked to is asked less often.
    absl::Now() - asked_at_ >= kWaitInGuest / 2 ? AskAgain() : AskLater();
  }

  // Asked once: a stock agent forgets the process when it has answered.
  void AskPlain() {
    grpc::WaitProcessRequest request;
    request.set_container_id(name_.container_id);
    request.set_exec_id(name_.exec_id);
    client_->CallAsync(kAgentService, "WaitProcess", request, absl::InfiniteFuture(),
                       [self = shared_from_this()](const absl::StatusOr<std::string>& answer) {
                         if (!answer.ok()) return self->Failed(answer.status());
                         grpc::WaitProcessResponse response;
                         if (!response.ParseFromString(*answer))
                           return self->Report(absl::DataLossError("WaitProcess: the agent's answer is no message"));
                         self->Report(response.status());
                       });
  }

  void Failed(const absl::Status& status) {
    if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) return AskLater();
    Report(status);
  }

  void AskLater() {
    timer_.expires_after(absl::ToChronoNanoseconds(kPause));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
      if (!cancelled) self->AskAgain();
    });
  }

  void Report(absl::StatusOr<int> exit) {
    if (const auto on_exit = std::exchange(on_exit_, nullptr)) on_exit(std::move(exit));
  }

  EventLoop& loop_;
  const std::shared_ptr<AgentClient> client_;
  const ExecName name_;
  std::function<void(absl::StatusOr<int>)> on_exit_;  // empty: told, or not wanted
  bool stopped_ = false;
  bool plain_ = false;  // the agent has no WaitExit
  absl::Time asked_at_;
  boost::asio::steady_timer timer_;
};

}  // namespace

std::shared_ptr<ExecEnd> ExecEnd::Create(EventLoop& loop, std::shared_ptr<AgentClient> client, ExecName name) {
  return std::make_shared<ExecEndImpl>(loop, std::move(client), std::move(name));
}

}  // namespace podvisor
