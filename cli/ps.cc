// podvisor ps: containers with their pods.

#include <CLI/CLI.hpp>
#include <iomanip>
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/commands.h"

namespace podvisor::cli {
namespace {

using runtime::v1::RuntimeService;

std::string Ago(int64_t created_at_ns) {
  const absl::Duration age = absl::Now() - absl::FromUnixNanos(created_at_ns);
  if (age < absl::Minutes(2)) return absl::StrCat(absl::ToInt64Seconds(age), " s ago");
  if (age < absl::Hours(2)) return absl::StrCat(absl::ToInt64Minutes(age), " min ago");
  if (age < absl::Hours(48)) return absl::StrCat(absl::ToInt64Hours(age), " h ago");
  return absl::StrCat(absl::ToInt64Hours(age) / 24, " d ago");
}

std::string State(runtime::v1::ContainerState state) {
  switch (state) {
    case runtime::v1::CONTAINER_CREATED:
      return "created";
    case runtime::v1::CONTAINER_RUNNING:
      return "running";
    case runtime::v1::CONTAINER_EXITED:
      return "exited";
    default:
      return "unknown";
  }
}

void Row(const std::string& id, const std::string& image, const std::string& created, const std::string& state,
         const std::string& name, const std::string& pod) {
  std::cout << std::left << std::setw(15) << id << std::setw(42) << image << std::setw(14) << created << std::setw(10)
            << state << std::setw(20) << name << pod << "\n";
}

absl::Status Ps(Context& context, bool all) {
  const Client client = context.Connect();
  ASSIGN_OR_RETURN(const auto pods, Call(client, *client.runtime, &RuntimeService::Stub::ListPodSandbox,
                                         runtime::v1::ListPodSandboxRequest()));
  std::map<std::string, std::string> pod_names;
  for (const auto& pod : pods.items()) pod_names[pod.id()] = pod.metadata().name();
  ASSIGN_OR_RETURN(const auto answer, Call(client, *client.runtime, &RuntimeService::Stub::ListContainers,
                                           runtime::v1::ListContainersRequest()));
  Row("CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "POD");
  for (const auto& container : answer.containers()) {
    if (!all && container.state() != runtime::v1::CONTAINER_RUNNING) continue;
    const std::string& image = container.image().user_specified_image().empty()
                                   ? container.image().image()
                                   : container.image().user_specified_image();
    Row(container.id().substr(0, 13), image.substr(0, 40), Ago(container.created_at()), State(container.state()),
        container.metadata().name(), pod_names[container.pod_sandbox_id()]);
  }
  return absl::OkStatus();
}

}  // namespace

void AddPs(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("ps", "List containers");
  auto all = std::make_shared<bool>(false);
  command->add_flag("-a,--all", *all, "Also those that do not run");
  command->callback([&context, all] { context.Finish(Ps(context, *all)); });
}

}  // namespace podvisor::cli
