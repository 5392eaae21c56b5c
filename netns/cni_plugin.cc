#include "netns/cni_plugin.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "netns/cni_result.h"

namespace podvisor {
namespace {

constexpr size_t kMaxOutputBytes = 1 << 20;
constexpr size_t kMaxQuotedBytes = 1000;
constexpr uint64_t kContainerUnknown = 3;
// Plugins call iptables, sysctl and the like, which a daemon that a user started may not have in its path.
constexpr char kSystemPath[] = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

std::vector<std::string> Environment(const std::string& command, const CniEnvironment& environment) {
  std::vector<std::string> variables = {
      absl::StrCat("CNI_COMMAND=", command),
      absl::StrCat("CNI_CONTAINERID=", environment.container_id),
      absl::StrCat("CNI_NETNS=", environment.netns),
      absl::StrCat("CNI_IFNAME=", environment.interface),
      absl::StrCat("CNI_ARGS=", environment.args),
      absl::StrCat("CNI_PATH=", absl::StrJoin(environment.bin_dirs, ":")),
  };
  std::string path = "PATH=";
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    // Ours alone: what the service manager gave this daemon.
    if (absl::StartsWith(*variable, "CNI_") || absl::StartsWith(*variable, "NOTIFY_SOCKET=") ||
        absl::StartsWith(*variable, "LISTEN_"))
      continue;
    if (absl::StartsWith(*variable, "PATH="))
      path = absl::StrCat(*variable, ":");
    else
      variables.push_back(*variable);
  }
  variables.push_back(absl::StrCat(path, kSystemPath));
  return variables;
}

// Fit for one line of an error: the end of it, which is where programs say why they stop.
std::string Quote(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (text.empty()) return "(nothing)";
  if (text.size() > kMaxQuotedBytes)
    return absl::StrCat("...", absl::CHexEscape(text.substr(text.size() - kMaxQuotedBytes)));
  return absl::CHexEscape(text);
}

absl::Status Failure(const CommandResult& result, const std::optional<CniError>& error) {
  if (!error.has_value())
    return absl::InternalError(
        absl::StrCat(result.exit.ToString(), "; stderr: ", Quote(result.err), "; stdout: ", Quote(result.out)));
  std::string message = absl::StrCat(Quote(error->message), " (CNI error ", error->code);
  if (!error->details.empty()) absl::StrAppend(&message, "; ", Quote(error->details));
  absl::StrAppend(&message, ")");
  return absl::Status(CodeOfCniError(error->code), message);
}

}  // namespace

absl::StatusOr<std::string> FindCniPlugin(const std::string& type, const std::vector<std::string>& bin_dirs) {
  for (const std::string& dir : bin_dirs) {
    const std::string path = absl::StrCat(dir, "/", type);
    struct stat info;
    if (::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0) return path;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("CNI plugin ", type, " is not in ", absl::StrJoin(bin_dirs, ", "),
                   ": install it (Debian package containernetworking-plugins has the standard ones)"));
}

absl::StatusOr<std::string> RunCniPlugin(const std::string& type, const std::string& command,
                                         const CniEnvironment& environment, const std::string& config,
                                         absl::Time deadline) {
  ASSIGN_OR_RETURN(const std::string path, FindCniPlugin(type, environment.bin_dirs));
  SpawnOptions options;
  options.argv = {path};
  options.env = Environment(command, environment);
  // A daemon that is killed takes its plugins along: the next one's DEL must not meet an ADD that is still running.
  options.steps.push_back(
      {"ask to die with the daemon", [] { return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 ? 0 : errno; }});
  ASSIGN_OR_RETURN(CommandResult result, RunCommand(std::move(options), config, deadline, kMaxOutputBytes),
                   "CNI plugin ", type, " ", command);
  if (result.exit.success()) {
    if (result.out.size() < kMaxOutputBytes) return std::move(result.out);
    return absl::InternalError(
        absl::StrCat("CNI plugin ", type, " ", command, ": printed more than ", kMaxOutputBytes, " bytes"));
  }
  const std::optional<CniError> error = ParseCniError(result.out);
  if (command == "DEL" && error.has_value() && error->code == kContainerUnknown) return std::string();
  return Prefix(Failure(result, error), absl::StrCat("CNI plugin ", type, " ", command));
}

}  // namespace podvisor
