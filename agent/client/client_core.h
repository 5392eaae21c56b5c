// What an AgentClient does in the event loop: keeps a connection, sends calls, watches over their time.
#ifndef PODVISOR_AGENT_CLIENT_CLIENT_CORE_H_
#define PODVISOR_AGENT_CLIENT_CLIENT_CORE_H_

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "agent/client/agent_client.h"
#include "agent/client/call_table.h"
#include "agent/client/connection.h"

namespace podvisor {

// Shared with the handlers that are queued in the event loop, so it may outlive the client; it makes no callback after
// ShutDownAndWait().
class ClientCore : public Connection::Owner, public std::enable_shared_from_this<ClientCore> {
 public:
  ClientCore(EventLoop& loop, GuestChannel channel, AgentClient::Observer observer, AgentClientTuning tuning);

  // From any thread.
  void Start();
  void Submit(AgentCallPtr call);
  // Hands the call to the event loop; with an error in `why`, only for its callback to get that.
  void Enqueue(AgentCallPtr call, absl::Status why);
  void ShutDown();
  // In the event loop's thread it happens at once.
  void ShutDownAndWait();
  // True once shut down; false at `deadline`.
  bool WaitClosed(absl::Time deadline) { return closed_.WaitForNotificationWithDeadline(deadline); }

 private:
  using Clock = std::chrono::steady_clock;

  // Connection::Owner
  void OnReady() override;
  void OnFrame(Frame frame) override;
  void OnDrained() override;
  void OnEnd(absl::Status why) override;

  // From here on: in the event loop's thread.
  void Connect();
  void TakeInbox();
  absl::Status Admit(const AgentCallPtr& call);
  void Pump();
  void AppendRequest(AgentCall& call, std::string* frames);
  void Expire(const AgentCallPtr& call);
  void Break(absl::Status why);
  void ScheduleReconnect(absl::Status why);
  // Takes the call's callback away and makes it. The callback may destroy the client: what follows has to bear that.
  void Finish(AgentCall& call, absl::StatusOr<std::string> result);
  void FinishAll(std::deque<AgentCallPtr> calls, const absl::Status& why);
  void DoShutDown();

  // The stall watch: see AgentClientTuning::stall_check.
  bool CanStall() const;
  void ArmWatch();
  void Watch();
  void Probe();
  void ProbeAnswered(const absl::Status& outcome);

  EventLoop& loop_;
  const GuestChannel channel_;
  const AgentClient::Observer observer_;
  const AgentClientTuning tuning_;

  absl::Mutex mu_;
  // Calls on their way into the loop, with the error they are rejected with, if any.
  std::vector<std::pair<AgentCallPtr, absl::Status>> inbox_ ABSL_GUARDED_BY(mu_);
  std::atomic<size_t> queued_bytes_ = 0;
  std::atomic<size_t> call_count_ = 0;
  absl::Notification closed_;

  // The event loop's from here on.
  std::shared_ptr<Connection> connection_;
  CallTable calls_;
  std::deque<std::pair<AgentCallPtr, absl::Status>> finishing_;  // taken out of the table, not told yet
  boost::asio::steady_timer reconnect_timer_;
  Clock::time_point away_since_ = Clock::now();  // when the guest was last known to answer
  absl::Status last_error_;                      // why there is no connection
  bool has_answered_ = false;                    // on this connection
  int handshake_timeouts_ = 0;                   // in a row
  bool shut_down_ = false;

  boost::asio::steady_timer watch_timer_;
  bool watching_ = false;
  AgentCallPtr probe_;
  Clock::duration stall_check_;
};

}  // namespace podvisor

#endif  // PODVISOR_AGENT_CLIENT_CLIENT_CORE_H_
