// podvisor stop, podvisor rm.

#include <CLI/CLI.hpp>
#include <iostream>
#include <vector>

#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/pod_files.h"

namespace podvisor::cli {
namespace {

using runtime::v1::RuntimeService;

absl::Status Stop(const Client& client, const std::string& word, int grace_seconds) {
  ASSIGN_OR_RETURN(const Named named, Find(client, word));
  if (!named.container_id.empty()) {
    runtime::v1::StopContainerRequest stop;
    stop.set_container_id(named.container_id);
    stop.set_timeout(grace_seconds);
    RETURN_IF_ERROR(Call(client, *client.runtime, &RuntimeService::Stub::StopContainer, stop,
                         absl::Seconds(grace_seconds) + absl::Minutes(1))
                        .status());
  }
  runtime::v1::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(named.pod_id);
  return Call(client, *client.runtime, &RuntimeService::Stub::StopPodSandbox, request).status();
}

enum class Force { kNo, kYes };

absl::Status Remove(const Client& client, const std::string& word, Force force) {
  ASSIGN_OR_RETURN(const Named named, Find(client, word));
  if (force == Force::kNo && !named.container_id.empty()) {
    runtime::v1::ContainerStatusRequest ask;
    ask.set_container_id(named.container_id);
    ASSIGN_OR_RETURN(const auto answer, Call(client, *client.runtime, &RuntimeService::Stub::ContainerStatus, ask));
    if (answer.status().state() == runtime::v1::CONTAINER_RUNNING)
      return absl::FailedPreconditionError("container " + word + " runs: stop it first, or use rm -f");
  }
  runtime::v1::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(named.pod_id);
  RETURN_IF_ERROR(Call(client, *client.runtime, &RuntimeService::Stub::RemovePodSandbox, request).status());
  return RemoveLogFolder(named.pod_name);
}

}  // namespace

void AddStop(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("stop", "Stop a container and its pod's VM");
  auto words = std::make_shared<std::vector<std::string>>();
  auto grace = std::make_shared<int>(10);
  command->add_option("CONTAINER", *words, "Containers or pods, by id or name")->required();
  command->add_option("-t,--time", *grace, "Seconds between the stop signal and SIGKILL")->capture_default_str();
  command->callback([&context, words, grace] {
    const Client client = context.Connect();
    for (const std::string& word : *words) context.Finish(Stop(client, word, *grace));
  });
}

void AddRm(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("rm", "Remove a container and its pod");
  auto words = std::make_shared<std::vector<std::string>>();
  auto force = std::make_shared<bool>(false);
  command->add_option("CONTAINER", *words, "Containers or pods, by id or name")->required();
  command->add_flag("-f,--force", *force, "Also if it runs");
  command->callback([&context, words, force] {
    const Client client = context.Connect();
    for (const std::string& word : *words) context.Finish(Remove(client, word, *force ? Force::kYes : Force::kNo));
  });
}

}  // namespace podvisor::cli
