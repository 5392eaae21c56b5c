// podvisor logs: what a container has written.

#include <CLI/CLI.hpp>
#include <iostream>

#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/log_reader.h"
#include "cli/output.h"

namespace podvisor::cli {
namespace {

using runtime::v1::RuntimeService;

absl::StatusOr<runtime::v1::ContainerStatus> StatusOf(const Client& client, const std::string& container_id) {
  runtime::v1::ContainerStatusRequest request;
  request.set_container_id(container_id);
  ASSIGN_OR_RETURN(const auto answer, Call(client, *client.runtime, &RuntimeService::Stub::ContainerStatus, request));
  return answer.status();
}

}  // namespace

absl::StatusOr<runtime::v1::ContainerStatus> FollowUntilExit(const Client& client, const std::string& container_id,
                                                             const std::string& log_path, int wake_fd,
                                                             const std::function<absl::Status()>& on_wake) {
  ASSIGN_OR_RETURN(LogFollower follower, LogFollower::Open(log_path, PrintLog));
  for (;;) {
    ASSIGN_OR_RETURN(const runtime::v1::ContainerStatus status, StatusOf(client, container_id));
    // The log is complete once the state is EXITED, so the state is read first.
    RETURN_IF_ERROR(follower.Drain());
    if (status.state() == runtime::v1::CONTAINER_EXITED) return status;
    // Output wakes us at once; an exit without output within this time.
    follower.Wait(absl::Milliseconds(250), wake_fd);
    if (on_wake) RETURN_IF_ERROR(on_wake());
  }
}

namespace {

absl::Status Logs(Context& context, const std::string& word, bool follow) {
  const Client client = context.Connect();
  ASSIGN_OR_RETURN(const Named named, Find(client, word));
  if (named.container_id.empty()) return absl::NotFoundError("pod " + named.pod_name + " has no container");
  ASSIGN_OR_RETURN(const auto status, StatusOf(client, named.container_id));
  if (status.log_path().empty()) return absl::NotFoundError("container " + word + " was created without a log");
  if (follow) return FollowUntilExit(client, named.container_id, status.log_path(), -1, nullptr).status();
  ASSIGN_OR_RETURN(LogFollower follower, LogFollower::Open(status.log_path(), PrintLog));
  return follower.Drain();
}

}  // namespace

void AddLogs(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("logs", "Show what a container has written");
  auto word = std::make_shared<std::string>();
  auto follow = std::make_shared<bool>(false);
  command->add_option("CONTAINER", *word, "Container or pod, by id or name")->required();
  command->add_flag("-f,--follow", *follow, "Go on until the container exits");
  command->callback([&context, word, follow] { context.Finish(Logs(context, *word, *follow)); });
}

}  // namespace podvisor::cli
