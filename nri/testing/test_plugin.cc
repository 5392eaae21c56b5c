#include "nri/testing/test_plugin.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/ttrpc_frame.h"
#include "nri/mux_frame.h"
#include "third_party/wire/ttrpc.pb.h"

namespace podvisor {

namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);

}  // namespace

TestPlugin::~TestPlugin() {
  Disconnect();
  if (thread_.joinable()) thread_.join();
}

void TestPlugin::Want(std::vector<nri_api::Event> events) {
  absl::MutexLock lock(&mu_);
  for (nri_api::Event event : events) events_ |= 1 << (static_cast<int>(event) - 1);
}

UniqueFd TestPlugin::Connect(Register registers) {
  std::array<int, 2> ends = {};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return UniqueFd();
  fd_.reset(ends[0]);
  thread_ = std::thread([this] { Run(); });
  if (registers == Register::kYes) {
    nri_api::RegisterPluginRequest request;
    request.set_plugin_name(name_);
    request.set_plugin_idx(index_);
    ttrpc::Request envelope;
    envelope.set_service("nri.pkg.api.v1alpha1.Runtime");
    envelope.set_method("RegisterPlugin");
    envelope.set_payload(request.SerializeAsString());
    absl::MutexLock lock(&mu_);
    Write(kRuntimeServiceStream, std::exchange(next_id_, next_id_ + 2), true, envelope.SerializeAsString());
  }
  return UniqueFd(ends[1]);
}

void TestPlugin::Send(absl::string_view bytes) {
  absl::MutexLock lock(&write_mu_);
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void TestPlugin::Disconnect() { ::shutdown(fd_.get(), SHUT_RDWR); }

void TestPlugin::Write(uint32_t stream, uint32_t id, bool is_request, const std::string& payload) {
  std::string message, bytes;
  EncodeFrame({.stream_id = id, .type = is_request ? FrameType::kRequest : FrameType::kResponse, .payload = payload},
              &message)
      .IgnoreError();
  AppendMuxMessage(stream, message, &bytes);
  Send(bytes);
}

absl::StatusOr<std::string> TestPlugin::CallRuntime(const std::string& method, const std::string& request) {
  ttrpc::Request envelope;
  envelope.set_service("nri.pkg.api.v1alpha1.Runtime");
  envelope.set_method(method);
  envelope.set_payload(request);
  absl::MutexLock lock(&mu_);
  const uint32_t id = std::exchange(next_id_, next_id_ + 2);
  Write(kRuntimeServiceStream, id, true, envelope.SerializeAsString());
  const auto answered = [this, id]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return closed_ || answers_.count(id) > 0; };
  mu_.AwaitWithTimeout(absl::Condition(&answered), kPatience);
  const auto answer = answers_.find(id);
  return answer != answers_.end() ? answer->second : absl::UnavailableError("no answer");
}

std::vector<std::string> TestPlugin::calls() {
  absl::MutexLock lock(&mu_);
  return calls_;
}

bool TestPlugin::AwaitCall(const std::string& method) {
  absl::MutexLock lock(&mu_);
  const auto called = [this, &method]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return std::any_of(calls_.begin(), calls_.end(),
                       [&method](const std::string& call) { return absl::StartsWith(call, method); });
  };
  return mu_.AwaitWithTimeout(absl::Condition(&called), kPatience);
}

bool TestPlugin::AwaitClosed() {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&closed_), kPatience);
}

absl::StatusOr<std::string> TestPlugin::Answer(const std::string& method, const std::string& request) {
  Handler handler;
  {
    absl::MutexLock lock(&mu_);
    std::string call = method;
    if (method == "StateChange") {
      nri_api::StateChangeEvent change;
      change.ParseFromString(request);
      absl::StrAppend(&call, ":", nri_api::Event_Name(change.event()));
    }
    if (method == "Synchronize") {
      nri_api::SynchronizeRequest sync;
      sync.ParseFromString(request);
      for (const auto& pod : sync.pods()) absl::StrAppend(&call, " ", pod.id());
      for (const auto& container : sync.containers()) absl::StrAppend(&call, " ", container.id());
    }
    if (method != "Configure") calls_.push_back(call);
    if (const auto found = handlers_.find(method); found != handlers_.end()) handler = found->second;
  }
  if (handler) return handler(request);
  if (method == "Configure") {
    absl::MutexLock lock(&mu_);
    nri_api::ConfigureResponse response;
    response.set_events(events_);
    return response.SerializeAsString();
  }
  if (method == "Synchronize") {
    nri_api::SynchronizeRequest sync;
    sync.ParseFromString(request);
    nri_api::SynchronizeResponse response;
    response.set_more(sync.more());
    return response.SerializeAsString();
  }
  return std::string();
}

void TestPlugin::Run() {
  MuxDecoder mux;
  FrameDecoder requests, answers;
  std::vector<char> buffer(64 << 10);
  while (true) {
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    std::vector<MuxFrame> parts;
    if (!mux.Feed({buffer.data(), static_cast<size_t>(got)}, &parts).ok()) break;
    for (const MuxFrame& part : parts) {
      std::vector<Frame> frames;
      FrameDecoder& decoder = part.stream == kPluginServiceStream ? requests : answers;
      if (!decoder.Feed(part.payload, &frames).ok()) break;
      for (const Frame& frame : frames) {
        ttrpc::Response response;
        if (part.stream == kRuntimeServiceStream) {
          response.ParseFromString(frame.payload);
          const absl::Status status(static_cast<absl::StatusCode>(response.status().code()),
                                    response.status().message());
          absl::MutexLock lock(&mu_);
          answers_.insert_or_assign(frame.stream_id,
                                    status.ok() ? absl::StatusOr<std::string>(response.payload()) : status);
          continue;
        }
        ttrpc::Request request;
        request.ParseFromString(frame.payload);
        absl::StatusOr<std::string> answer = Answer(request.method(), request.payload());
        response.mutable_status()->set_code(static_cast<int>(answer.status().code()));
        response.mutable_status()->set_message(std::string(answer.status().message()));
        if (answer.ok()) response.set_payload(*std::move(answer));
        Write(kPluginServiceStream, frame.stream_id, false, response.SerializeAsString());
      }
    }
  }
  absl::MutexLock lock(&mu_);
  closed_ = true;
}

}  // namespace podvisor
