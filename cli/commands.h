// The subcommands of podvisor. Each Add function declares one with its options on `app`; when it is chosen, it runs
// from CLI11's callback and leaves its exit code in `context`.
#ifndef PODVISOR_CLI_COMMANDS_H_
#define PODVISOR_CLI_COMMANDS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "cli/client.h"

namespace CLI {
class App;
}

namespace podvisor::cli {

// podvisor's own failures exit as docker's do, so that they can't be taken for the container's code.
inline constexpr int kExitOwnError = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

struct Context {
  std::string socket = kDefaultSocket;
  int exit_code = 0;

  // Prints "podvisor: MESSAGE" and sets the code, if it is an error.
  void Finish(const absl::Status& status, int code_on_error = 1);
  Client Connect() const { return Client(socket); }
};

void AddCheck(CLI::App& app, Context& context);
void AddRun(CLI::App& app, Context& context);
void AddPs(CLI::App& app, Context& context);
void AddExec(CLI::App& app, Context& context);
void AddLogs(CLI::App& app, Context& context);
void AddStop(CLI::App& app, Context& context);
void AddRm(CLI::App& app, Context& context);
void AddTrace(CLI::App& app, Context& context);
void AddImage(CLI::App& app, Context& context);

}  // namespace podvisor::cli

#endif  // PODVISOR_CLI_COMMANDS_H_
