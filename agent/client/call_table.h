// The calls of one agent client, from the caller's thread to their answer.
#ifndef PODVISOR_AGENT_CLIENT_CALL_TABLE_H_
#define PODVISOR_AGENT_CLIENT_CALL_TABLE_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace podvisor {

// One call. Written by its caller before it is handed to the event loop, by the loop's thread afterwards.
struct AgentCall {
  std::string service;
  std::string method;
  std::string request;  // serialized ttrpc.Request without its timeout; emptied when it has been sent
  absl::Time started;
  absl::Time deadline;
  std::function<void(absl::StatusOr<std::string>)> done;  // empty: has been told
  bool admitted = false;                                  // counted against AgentClientTuning::max_calls
  size_t queued_bytes = 0;                                // what it counts for in the bounded queue
  uint32_t stream_id = 0;                                 // 0: not sent yet
  std::optional<boost::asio::steady_timer> timer;
};
using AgentCallPtr = std::shared_ptr<AgentCall>;

// Which calls wait to be sent and which for an answer. For the event loop's thread only. Never calls anybody: who takes
// a call out of the table finishes it.
class CallTable {
 public:
  void Add(AgentCallPtr call);

  // The next call to be sent, with a stream id; nullptr if there is none.
  AgentCallPtr NextToSend();
  bool has_unsent() const { return !unsent_.empty(); }
  size_t size() const { return all_.size(); }

  // The call that an answer belongs to. nullptr and OK for an answer that came too late. kInvalidArgument if no such
  // call was made: the peer is out of step.
  absl::StatusOr<AgentCallPtr> TakeAnswered(uint32_t stream_id);

  // Its deadline has come. kResourceExhausted if so many sent calls of this connection were given up that the peer can
  // hardly be alive; the call has been taken out all the same.
  absl::Status GiveUp(const AgentCallPtr& call);

  // All sent calls, in no order; stream ids start anew. After this no answer of the old connection may be looked up.
  std::deque<AgentCallPtr> TakeSent();
  std::deque<AgentCallPtr> TakeAll();

 private:
  // A guest that answers nothing would make the set of ids grow for ever.
  static constexpr size_t kMaxGivenUp = 4096;

  uint32_t next_stream_id_ = 1;
  absl::flat_hash_set<AgentCallPtr> all_;
  std::deque<AgentCallPtr> unsent_;
  absl::flat_hash_map<uint32_t, AgentCallPtr> sent_;
  absl::flat_hash_set<uint32_t> given_up_;  // sent, deadline passed, answer may still come
};

}  // namespace podvisor

#endif  // PODVISOR_AGENT_CLIENT_CALL_TABLE_H_
