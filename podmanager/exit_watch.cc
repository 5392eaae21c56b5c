#include "podmanager/exit_watch.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "agent/protocol/extension.pb.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

namespace {

// What the guest's long wait may be late by before the call is given up and made anew.
constexpr absl::Duration kAnswerSlack = absl::Seconds(15);
constexpr int kUnknownExitCode = 255;

class ContainerExitWatchImpl final : public ContainerExitWatch,
                                     public std::enable_shared_from_this<ContainerExitWatchImpl> {
 public:
  ContainerExitWatchImpl(EventLoop& loop, std::shared_ptr<AgentClient> client, ContainerExitWatchOptions options,
                         std::function<void(ProcessExit)> on_exit)
      : loop_(loop),
        client_(std::move(client)),
        options_(std::move(options)),
        on_exit_(std::move(on_exit)),
        pause_(options_.first_pause),
        timer_(loop.context()) {}

  void Arm() override {
    boost::asio::post(loop_.context(), [self = shared_from_this()] { self->Ask(); });
  }

  void LogEnded() override {
    boost::asio::post(loop_.context(), [self = shared_from_this()] {
      self->log_ended_ = true;
      self->Report();
    });
  }

  void Stop() override {
    std::promise<void> stopped;
    boost::asio::post(loop_.context(), [this, &stopped] {
      End();
      stopped.set_value();
    });
    stopped.get_future().wait();
  }

 private:
  // Everything below runs in the event loop.

  void End() {
    on_exit_ = nullptr;
    client_ = nullptr;
    timer_.cancel();
  }

  void Ask() {
    if (!on_exit_) return;
    asked_at_ = absl::Now();
    if (options_.agent == AGENT_PLAIN_KATA) return AskPlain();
    agent::v1::WaitExitRequest request;
    request.set_container_id(options_.container_id);
    request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(options_.guest_wait)));
    client_->CallAsync(
        kExtensionService, "WaitExit", request, asked_at_ + options_.guest_wait + kAnswerSlack,
        [self = shared_from_this()](absl::StatusOr<std::string> response) { self->Answered(std::move(response)); });
  }

  void AskPlain() {
    grpc::WaitProcessRequest request;
    request.set_container_id(options_.container_id);
    client_->CallAsync(kAgentService, "WaitProcess", request, absl::InfiniteFuture(),
                       [self = shared_from_this()](absl::StatusOr<std::string> response) {
                         self->AnsweredPlain(std::move(response));
                       });
  }

  void Answered(absl::StatusOr<std::string> response) {
    if (!on_exit_) return;
    if (!response.ok()) return Failed(response.status());
    agent::v1::ProcessState state;
    if (!state.ParseFromString(*response)) return Failed(absl::DataLossError("malformed answer"));
    if (!state.exited()) return AskAgain(absl::Now() - asked_at_ < options_.guest_wait / 2);
    Exited({.exit_code = state.exit_code(),
            .oom_killed = state.oom_killed(),
            .finished_at =
                state.finished_at_ns() > 0 ? absl::FromUnixNanos(state.finished_at_ns()) : absl::InfinitePast()});
  }

  void AnsweredPlain(absl::StatusOr<std::string> response) {
    if (!on_exit_) return;
    if (!response.ok()) return Failed(response.status());
    grpc::WaitProcessResponse state;
    if (!state.ParseFromString(*response)) return Failed(absl::DataLossError("malformed answer"));
    Exited({.exit_code = state.status(), .finished_at = absl::InfinitePast()});
  }

  void Failed(const absl::Status& status) {
    if (absl::IsCancelled(status)) return End();  // the client was closed: no more answers come
    if (absl::IsUnimplemented(status) && options_.agent == AGENT_PODVISOR) {
      options_.agent = AGENT_PLAIN_KATA;
      return Ask();
    }
    if (absl::IsNotFound(status)) {
      return Exited({.exit_code = kUnknownExitCode, .known = false, .finished_at = absl::InfinitePast()});
    }
    // A guest that is slow to answer the long wait is asked again; one that refuses is, too, but less and less often.
    AskAgain(!absl::IsDeadlineExceeded(status));
  }

  void AskAgain(bool pause) {
    if (!pause) {
      pause_ = options_.first_pause;
      return Ask();
    }
    timer_.expires_after(absl::ToChronoMilliseconds(pause_));
    pause_ = std::min(pause_ * 2, options_.max_pause);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) self->Ask();
    });
  }

  void Exited(ProcessExit exit) {
    exit_ = exit;
    if (log_ended_) return Report();
    timer_.expires_after(absl::ToChronoMilliseconds(options_.log_drain));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || !self->on_exit_) return;
      spdlog::warn("container {}: its output goes on {} after its exit; no longer waited for",
                   self->options_.container_id, absl::FormatDuration(self->options_.log_drain));
      self->log_ended_ = true;
      self->Report();
    });
  }

  void Report() {
    if (!on_exit_ || !exit_ || !log_ended_) return;
    auto on_exit = std::move(on_exit_);
    End();
    on_exit(*exit_);
  }

  EventLoop& loop_;
  std::shared_ptr<AgentClient> client_;
  ContainerExitWatchOptions options_;
  std::function<void(ProcessExit)> on_exit_;  // empty: reported or stopped
  absl::Duration pause_;
  absl::Time asked_at_;
  bool log_ended_ = false;
  std::optional<ProcessExit> exit_;
  boost::asio::steady_timer timer_;
};

}  // namespace

std::shared_ptr<ContainerExitWatch> ContainerExitWatch::Create(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                                               ContainerExitWatchOptions options,
                                                               std::function<void(ProcessExit)> on_exit) {
  return std::make_shared<ContainerExitWatchImpl>(loop, std::move(client), std::move(options), std::move(on_exit));
}

}  // namespace podvisor
