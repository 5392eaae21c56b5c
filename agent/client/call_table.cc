#include "agent/client/call_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace podvisor {

void CallTable::Add(AgentCallPtr call) {
  all_.insert(call);
  unsent_.push_back(std::move(call));
}

AgentCallPtr CallTable::NextToSend() {
  if (unsent_.empty()) return nullptr;
  AgentCallPtr call = std::move(unsent_.front());
  unsent_.pop_front();
  call->stream_id = next_stream_id_;
  next_stream_id_ += 2;  // a client's are odd; one connection never lasts for 2^31 calls, but wrapping stays odd
  sent_[call->stream_id] = call;
  return call;
}

absl::StatusOr<AgentCallPtr> CallTable::TakeAnswered(uint32_t stream_id) {
  auto it = sent_.find(stream_id);
  if (it == sent_.end()) {
    if (given_up_.erase(stream_id) == 1) return AgentCallPtr();
    return absl::InvalidArgumentError(absl::StrCat("answer to stream ", stream_id, ", which has no call"));
  }
  AgentCallPtr call = std::move(it->second);
  sent_.erase(it);
  all_.erase(call);
  return call;
}

absl::Status CallTable::GiveUp(const AgentCallPtr& call) {
  all_.erase(call);
  if (call->stream_id == 0) {
    unsent_.erase(std::find(unsent_.begin(), unsent_.end(), call));
    return absl::OkStatus();
  }
  sent_.erase(call->stream_id);
  given_up_.insert(call->stream_id);
  if (given_up_.size() <= kMaxGivenUp) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("no answer to ", given_up_.size(), " calls"));
}

std::deque<AgentCallPtr> CallTable::TakeSent() {
  std::deque<AgentCallPtr> calls;
  for (auto& [id, call] : sent_) {
    all_.erase(call);
    calls.push_back(std::move(call));
  }
  sent_.clear();
  given_up_.clear();
  next_stream_id_ = 1;
  return calls;
}

std::deque<AgentCallPtr> CallTable::TakeAll() {
  std::deque<AgentCallPtr> calls(all_.begin(), all_.end());
  all_.clear();
  unsent_.clear();
  sent_.clear();
  given_up_.clear();
  return calls;
}

}  // namespace podvisor
