#include "agent/guest/call.h"

#include "agent/guest/bytes_field.h"
#include "agent/guest/loop.h"

namespace podvisor::guest {

Call::~Call() { Send(absl::AbortedError("the agent dropped the call: what it waited for is gone"), {}); }

bool Call::IsAlive() const {
  if (answered_ || (deadline_ms_ != 0 && NowMs() >= deadline_ms_)) return false;
  const std::shared_ptr<AnswerSink> sink = sink_.lock();
  return sink != nullptr && sink->IsOpen(session_);
}

void Call::Reply(const google::protobuf::MessageLite& response) {
  Send(absl::OkStatus(), response.SerializeAsString());
}

void Call::ReplyWithBytes(const google::protobuf::MessageLite& response, int field, absl::string_view bytes) {
  std::string head = response.SerializeAsString();
  if (!bytes.empty()) AppendBytesFieldHead(field, bytes.size(), &head);
  Send(absl::OkStatus(), head, bytes);
}

void Call::Fail(const absl::Status& status) { Send(status, {}); }

void Call::Finish(const absl::Status& status) {
  if (status.ok()) {
    ReplyEmpty();
  } else {
    Fail(status);
  }
}

void Call::Send(const absl::Status& status, absl::string_view payload, absl::string_view tail) {
  if (answered_) return;
  answered_ = true;
  const std::shared_ptr<AnswerSink> sink = sink_.lock();
  if (sink != nullptr && sink->IsOpen(session_)) sink->Answer(session_, stream_id_, status, payload, tail);
}

void Dispatcher::Dispatch(absl::string_view service, absl::string_view method, absl::string_view payload,
                          CallPtr call) const {
  const auto found = handlers_.find(absl::StrCat(service, "/", method));
  if (found == handlers_.end()) {
    call->Fail(absl::UnimplementedError(absl::StrCat("/", service, "/", method, " is not supported")));
    return;
  }
  found->second(payload, std::move(call));
}

std::vector<std::string> Dispatcher::Methods(absl::string_view service) const {
  const std::string prefix = absl::StrCat(service, "/");
  std::vector<std::string> methods;
  for (auto it = handlers_.lower_bound(prefix); it != handlers_.end() && it->first.starts_with(prefix); ++it) {
    methods.push_back(it->first.substr(prefix.size()));
  }
  return methods;
}

void Dispatcher::FailParse(Call& call) {
  call.Fail(absl::InvalidArgumentError("the request's payload is not a message of its type"));
}

}  // namespace podvisor::guest
