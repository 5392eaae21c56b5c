// podvisor trace: where the time of a pod's start went.

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/trace_view.h"

namespace podvisor::cli {
namespace {

constexpr int kBarWidth = 60;

absl::Status Trace(Context& context, const std::string& pod) {
  const Client client = context.Connect();
  ASSIGN_OR_RETURN(const Named named, Find(client, pod));
  runtime::v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(named.pod_id);
  request.set_verbose(true);
  ASSIGN_OR_RETURN(const auto status,
                   Call(client, *client.runtime, &runtime::v1::RuntimeService::Stub::PodSandboxStatus, request));
  const auto trace = status.info().find("trace");
  if (trace == status.info().end() || trace->second == "[]") {
    return absl::NotFoundError(absl::StrCat("pod ", named.pod_name, " (", named.pod_id.substr(0, 13),
                                            "): no trace: it was started by an earlier daemon"));
  }
  ASSIGN_OR_RETURN(const std::string view, TraceView(trace->second, kBarWidth), "pod ", named.pod_name);
  std::cout << view;
  if (const auto origin = status.info().find("vm_origin"); origin != status.info().end()) {
    std::cout << "VM: " << origin->second << "\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddTrace(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("trace", "Show where the time of a pod's start went");
  auto pod = std::make_shared<std::string>();
  command->add_option("POD", *pod, "Name or id of a pod, or of a container in it")->required();
  command->callback([&context, pod] { context.Finish(Trace(context, *pod)); });
}

}  // namespace podvisor::cli
