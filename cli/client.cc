#include "cli/client.h"

#include <chrono>
#include <functional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor::cli {

using runtime::v1::Container;
using runtime::v1::ImageService;
using runtime::v1::PodSandbox;
using runtime::v1::RuntimeService;

namespace {

// An ExecSync may answer with 16 MiB of output on each stream.
constexpr int kMaxMessage = 40 << 20;

std::shared_ptr<grpc::Channel> Connect(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessage);
  return grpc::CreateCustomChannel("unix://" + socket, grpc::InsecureChannelCredentials(), arguments);
}

// The only element that `fits`; nothing if there is none.
template <typename T>
absl::StatusOr<const T*> Only(const std::vector<T>& all, const std::string& word,
                              const std::function<bool(const T&)>& fits) {
  const T* found = nullptr;
  for (const T& one : all) {
    if (!fits(one)) continue;
    if (found != nullptr)
      return absl::InvalidArgumentError(absl::StrCat("\"", word, "\" fits several: give more of the id"));
    found = &one;
  }
  return found;
}

}  // namespace

Client::Client(const std::string& socket_path)
    : socket(socket_path),
      channel(Connect(socket_path)),
      runtime(RuntimeService::NewStub(channel)),
      images(ImageService::NewStub(channel)),
      admin(v1::Admin::NewStub(channel)) {}

absl::Status FromGrpc(const grpc::Status& status, const std::string& socket) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && absl::StrContains(status.error_message(), "connect"))
    return absl::UnavailableError(
        absl::StrCat("no daemon answers on ", socket, " (", status.error_message(),
                     "): start it with `systemctl start podvisord` or `podvisord --config FILE`, or name its socket "
                     "with --socket or PODVISOR_SOCKET"));
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

void SetTimeout(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
}

absl::StatusOr<Named> Find(const Client& client, const std::string& word) {
  ASSIGN_OR_RETURN(const auto pods_answer, Call(client, *client.runtime, &RuntimeService::Stub::ListPodSandbox,
                                                runtime::v1::ListPodSandboxRequest()));
  ASSIGN_OR_RETURN(const auto containers_answer, Call(client, *client.runtime, &RuntimeService::Stub::ListContainers,
                                                      runtime::v1::ListContainersRequest()));
  const std::vector<PodSandbox> pods(pods_answer.items().begin(), pods_answer.items().end());
  const std::vector<Container> containers(containers_answer.containers().begin(), containers_answer.containers().end());
  const auto with_pod = [&](const Container& container) {
    Named named{container.pod_sandbox_id(), "", container.id()};
    for (const PodSandbox& pod : pods)
      if (pod.id() == named.pod_id) named.pod_name = pod.metadata().name();
    return named;
  };

  const auto first_of = [&](const PodSandbox& pod) {
    for (const Container& container : containers)
      if (container.pod_sandbox_id() == pod.id()) return with_pod(container);
    return Named{pod.id(), pod.metadata().name(), ""};
  };

  ASSIGN_OR_RETURN(const PodSandbox* pod_by_name,
                   Only<PodSandbox>(pods, word, [&](const PodSandbox& pod) { return pod.metadata().name() == word; }));
  if (pod_by_name != nullptr) return first_of(*pod_by_name);
  ASSIGN_OR_RETURN(const Container* by_id, Only<Container>(containers, word, [&](const Container& container) {
                     return !word.empty() && absl::StartsWith(container.id(), word);
                   }));
  if (by_id != nullptr) return with_pod(*by_id);
  ASSIGN_OR_RETURN(const PodSandbox* pod_by_id, Only<PodSandbox>(pods, word, [&](const PodSandbox& pod) {
                     return !word.empty() && absl::StartsWith(pod.id(), word);
                   }));
  if (pod_by_id != nullptr) return first_of(*pod_by_id);
  ASSIGN_OR_RETURN(const Container* by_name, Only<Container>(containers, word, [&](const Container& container) {
                     return container.metadata().name() == word;
                   }));
  if (by_name != nullptr) return with_pod(*by_name);
  return absl::NotFoundError(absl::StrCat("no container or pod \"", word, "\": podvisor ps -a lists them"));
}

}  // namespace podvisor::cli
