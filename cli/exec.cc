// podvisor exec: a command in a running container, to its end.

#include <CLI/CLI.hpp>
#include <iostream>

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "cli/commands.h"

namespace podvisor::cli {
namespace {

struct ExecArguments {
  std::string container;
  std::vector<std::string> command;
  int timeout_seconds = 0;
};

absl::Status Exec(Context& context, const ExecArguments& arguments) {
  const Client client = context.Connect();
  ASSIGN_OR_RETURN(const Named named, Find(client, arguments.container));
  if (named.container_id.empty())
    return absl::FailedPreconditionError("pod " + named.pod_name + " has no container to run a command in");
  runtime::v1::ExecSyncRequest request;
  request.set_container_id(named.container_id);
  for (const std::string& word : arguments.command) request.add_cmd(word);
  request.set_timeout(arguments.timeout_seconds);
  // The daemon keeps the time-out; without one the call lasts as long as the command.
  ASSIGN_OR_RETURN(const auto answer, Call(client, *client.runtime, &runtime::v1::RuntimeService::Stub::ExecSync,
                                           request, absl::Hours(24 * 365)));
  std::cout << answer.stdout() << std::flush;
  std::cerr << answer.stderr() << std::flush;
  context.exit_code = answer.exit_code();
  return absl::OkStatus();
}

}  // namespace

void AddExec(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("exec", "Run a command in a running container; its output is shown at its end");
  auto arguments = std::make_shared<ExecArguments>();
  command->add_option("CONTAINER", arguments->container, "Container or pod, by id or name")->required();
  command->add_option("COMMAND", arguments->command, "Program and arguments")->required();
  command->add_option("--timeout", arguments->timeout_seconds, "Seconds until it is killed; 0: none");
  command->prefix_command(false);
  command->positionals_at_end();
  command->callback([&context, arguments] {
    const absl::Status status = Exec(context, *arguments);
    context.Finish(status, absl::StrContains(status.message(), "not found in $PATH") ? kExitNotFound : kExitOwnError);
  });
}

}  // namespace podvisor::cli
