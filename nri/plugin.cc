#include "nri/plugin.h"

#include <google/protobuf/message_lite.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace podvisor {

namespace {

constexpr int32_t kAllEvents = (1 << (static_cast<int>(nri_api::LAST) - 1)) - 1;
// Below ttrpc's 4 MiB, with room for the envelope.
constexpr size_t kSyncBytes = (4 << 20) - (64 << 10);
constexpr size_t kPerObjectBytes = 16;  // tag and length in the message around it

// The status by which a plugin is given up, which none of its own answers has.
bool IsGone(const absl::Status& status) { return status.GetPayload("podvisor/plugin-gone").has_value(); }

}  // namespace

absl::Status CheckPluginIdentity(const std::string& name, const std::string& index) {
  if (index.size() != 2 || !std::isdigit(static_cast<unsigned char>(index[0])) ||
      !std::isdigit(static_cast<unsigned char>(index[1]))) {
    return absl::InvalidArgumentError(absl::StrCat("plugin_idx \"", index, "\" is not two digits"));
  }
  constexpr size_t kMaxName = 128;
  const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (name.empty() || name.size() > kMaxName || !printable) {
    return absl::InvalidArgumentError("plugin_name is empty, longer than 128 characters or not printable");
  }
  return absl::OkStatus();
}

absl::Status Plugin::Call(absl::string_view method, const google::protobuf::MessageLite& request,
                          google::protobuf::MessageLite* response) {
  absl::StatusOr<PluginConnection::Answer> answer = connection_->Call(method, request, absl::Now() + timeout_);
  absl::Status status = answer.ok() ? answer->error : answer.status();
  if (answer.ok() && status.ok() && response != nullptr && !response->ParseFromString(answer->response)) {
    status = absl::DataLossError(absl::StrCat(method, ": its answer is malformed"));
    answer = status;
  }
  if (status.ok()) return status;
  if (answer.ok()) return Prefix(status, absl::StrCat("NRI plugin ", name_));
  spdlog::error("NRI plugin {}: closed: {}", name_, status.ToString());
  connection_->Close(status);
  absl::Status gone = absl::UnavailableError(absl::StrCat("NRI plugin ", name_, ": ", status.message()));
  gone.SetPayload("podvisor/plugin-gone", absl::Cord());
  return gone;
}

absl::Status Plugin::Forgive(absl::Status status) { return IsGone(status) ? absl::OkStatus() : status; }

absl::Status Plugin::Configure(nri_api::ConfigureRequest request) {
  request.set_request_timeout(absl::ToInt64Milliseconds(timeout_));
  nri_api::ConfigureResponse response;
  RETURN_IF_ERROR(Call("Configure", request, &response));
  if ((response.events() & ~kAllEvents) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("NRI plugin ", name_, ": asks for unknown events, mask ", response.events()));
  }
  events_ = response.events() == 0 ? kAllEvents : response.events();
  return absl::OkStatus();
}

absl::Status Plugin::Synchronize(const std::vector<nri_api::PodSandbox>& pods,
                                 const std::vector<nri_api::Container>& containers,
                                 std::vector<nri_api::ContainerUpdate>* updates) {
  size_t pod = 0, container = 0;
  while (true) {
    nri_api::SynchronizeRequest request;
    size_t bytes = 0;
    // At least one object each time, however large: a request that is too long fails by itself.
    const auto fits = [&bytes](size_t more) {
      const bool fits = bytes == 0 || bytes + more + kPerObjectBytes <= kSyncBytes;
      if (fits) bytes += more + kPerObjectBytes;
      return fits;
    };
    while (pod < pods.size() && fits(pods[pod].ByteSizeLong())) *request.add_pods() = pods[pod++];
    while (pod == pods.size() && container < containers.size() && fits(containers[container].ByteSizeLong())) {
      *request.add_containers() = containers[container++];
    }
    request.set_more(pod < pods.size() || container < containers.size());
    nri_api::SynchronizeResponse response;
    RETURN_IF_ERROR(Call("Synchronize", request, &response));
    if (!request.more()) {
      updates->assign(response.update().begin(), response.update().end());
      return absl::OkStatus();
    }
    if (!response.more() || response.update_size() > 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("NRI plugin ", name_, ": can't take its pods and containers in several messages"));
    }
  }
}

absl::Status Plugin::Ask(nri_api::Event event, absl::string_view method, const google::protobuf::MessageLite& request,
                         google::protobuf::MessageLite* response, IfGone if_gone) {
  if (!Wants(event)) return absl::OkStatus();
  absl::Status status = Call(method, request, response);
  return if_gone == IfGone::kIsForgiven ? Forgive(std::move(status)) : status;
}

absl::Status Plugin::Tell(absl::string_view method, const google::protobuf::MessageLite& request,
                          const nri_api::StateChangeEvent& change) {
  if (!Wants(change.event())) return absl::OkStatus();
  absl::Status status = Call(method, request, nullptr);
  if (absl::IsUnimplemented(status)) status = Call("StateChange", change, nullptr);
  return Forgive(std::move(status));
}

void Plugin::Shutdown(absl::Duration timeout) {
  // Most plugins have nothing to do then, and end with the connection.
  (void)connection_->Call("Shutdown", nri_api::Empty(), absl::Now() + timeout);
  connection_->Close(absl::CancelledError("podvisord is shutting down"));
}

}  // namespace podvisor
