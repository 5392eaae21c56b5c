// podvisor: pods in virtual machines, for a person at the machine. A client of podvisord's CRI socket.

#include <signal.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "cli/commands.h"

namespace podvisor::cli {

void Context::Finish(const absl::Status& status, int code_on_error) {
  if (status.ok()) return;
  std::cerr << "podvisor: " << status.message() << "\n";
  exit_code = code_on_error;
}

namespace {

int Main(int argc, char** argv) {
  Context context;
  CLI::App app("Pods in virtual machines: a client of podvisord.", "podvisor");
  app.add_option("--socket", context.socket, "The daemon's CRI socket")
      ->envname("PODVISOR_SOCKET")
      ->capture_default_str();
  app.require_subcommand(1);
  AddCheck(app, context);
  AddRun(app, context);
  AddPs(app, context);
  AddExec(app, context);
  AddLogs(app, context);
  AddStop(app, context);
  AddRm(app, context);
  AddTrace(app, context);
  AddImage(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kExitOwnError;
  }
  return context.exit_code;
}

}  // namespace
}  // namespace podvisor::cli

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  return podvisor::cli::Main(argc, argv);
}
