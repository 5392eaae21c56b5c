#include "podmanager/spec/process_spec.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "podmanager/spec/capabilities.h"
#include "podmanager/spec/user.h"

namespace podvisor {
namespace {

constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// An environment as containerd builds it: a later value takes the place of the earlier one of the same name.
class Environment {
 public:
  void Set(absl::string_view name, absl::string_view value) {
    std::string entry = absl::StrCat(name, "=", value);
    if (std::string* old = Find(name)) {
      *old = std::move(entry);
    } else {
      entries_.push_back(std::move(entry));
    }
  }

  // "NAME=value"; an entry without '=' takes NAME away.
  void Apply(absl::string_view entry) {
    const size_t equals = entry.find('=');
    if (equals != absl::string_view::npos) return Set(entry.substr(0, equals), entry.substr(equals + 1));
    Unset(entry);
  }

  void Unset(absl::string_view name) {
    if (std::string* old = Find(name)) entries_.erase(entries_.begin() + (old - entries_.data()));
  }

  bool Has(absl::string_view name) { return Find(name) != nullptr; }
  const std::vector<std::string>& entries() const { return entries_; }

 private:
  std::string* Find(absl::string_view name) {
    for (std::string& entry : entries_)
      if (entry.size() > name.size() && entry[name.size()] == '=' && absl::StartsWith(entry, name)) return &entry;
    return nullptr;
  }

  std::vector<std::string> entries_;
};

bool HasNul(absl::string_view text) { return text.find('\0') != absl::string_view::npos; }

absl::StatusOr<std::vector<std::string>> Arguments(const ContainerConfig& config, const ImageConfig& image) {
  std::vector<std::string> args(config.command().begin(), config.command().end());
  std::vector<std::string> rest(config.args().begin(), config.args().end());
  if (args.empty()) {
    // Arguments alone go to the image's entrypoint; a command alone does without the image's cmd.
    if (rest.empty()) rest = image.cmd;
    if (!(image.entrypoint.size() == 1 && image.entrypoint[0].empty())) args = image.entrypoint;
  }
  args.insert(args.end(), rest.begin(), rest.end());
  if (args.empty())
    return absl::InvalidArgumentError(
        "no command: neither the container's command and args nor the image's entrypoint and cmd name one");
  if (args[0].empty()) return absl::InvalidArgumentError("command: the program's name is empty");
  for (const std::string& arg : args)
    if (HasNul(arg)) return absl::InvalidArgumentError("command: an argument holds a NUL byte");
  return args;
}

absl::Status AddConfigEnv(const ContainerConfig& config, Environment* env) {
  auto add = [env](const std::string& key, const std::string& value) -> absl::Status {
    if (key.empty() || absl::StrContains(key, '=') || HasNul(key) || HasNul(value))
      return absl::InvalidArgumentError(absl::StrCat("env: \"", key, "\" is not a variable's name and value"));
    env->Set(key, value);
    return absl::OkStatus();
  };
  std::set<std::string> rest;  // what env_order does not name
  for (const auto& [key, value] : config.env()) rest.insert(key);
  for (const std::string& key : config.env_order()) {
    auto it = config.env().find(key);
    if (it != config.env().end()) RETURN_IF_ERROR(add(it->first, it->second));
    rest.erase(key);
  }
  for (const std::string& key : rest) RETURN_IF_ERROR(add(key, config.env().at(key)));
  return absl::OkStatus();
}

absl::StatusOr<std::string> WorkingDirectory(const ContainerConfig& config, const ImageConfig& image) {
  if (!config.working_dir().empty()) {
    if (!absl::StartsWith(config.working_dir(), "/"))
      return absl::InvalidArgumentError(absl::StrCat("working_dir \"", config.working_dir(), "\" is not absolute"));
    return config.working_dir();
  }
  // Old images have relative ones, counted from the root.
  if (absl::StartsWith(image.working_dir, "/")) return image.working_dir;
  return absl::StrCat("/", image.working_dir);
}

std::string ApparmorProfile(const ContainerConfig& config) {
  // The guest has no profile of its own loaded, so the runtime's default is none.
  if (config.privileged() || config.apparmor().type() != SecurityProfile::LOCALHOST) return "";
  absl::string_view name = config.apparmor().localhost_ref();
  absl::ConsumePrefix(&name, "localhost/");
  return std::string(name);
}

}  // namespace

absl::StatusOr<grpc::Process> BuildProcess(const ContainerSpecInput& input) {
  const ContainerConfig& config = *input.config;
  const ImageConfig& image = *input.image;
  ASSIGN_OR_RETURN(std::vector<std::string> args, Arguments(config, image));
  ASSIGN_OR_RETURN(std::string cwd, WorkingDirectory(config, image));
  const std::string& image_name =
      config.user_specified_image().empty() ? config.image() : config.user_specified_image();
  ASSIGN_OR_RETURN(ResolvedUser user,
                   ResolveUser(config.run_as(), image.user, UserDatabase{*input.passwd, *input.group, image_name}));
  ASSIGN_OR_RETURN(grpc::LinuxCapabilities capabilities, BuildCapabilities(config));

  Environment env;
  env.Set("PATH", kDefaultPath);
  if (config.tty()) env.Set("TERM", "xterm");
  env.Set("HOSTNAME", input.hostname);
  for (const std::string& entry : image.env) env.Apply(entry);
  for (const std::string& name : config.env_unset()) env.Unset(name);
  RETURN_IF_ERROR(AddConfigEnv(config, &env));
  if (!env.Has("HOME")) env.Set("HOME", user.home);  // runc sets it, so programs rely on it

  grpc::Process process;
  process.set_terminal(config.tty());
  process.mutable_user()->set_uid(user.uid);
  process.mutable_user()->set_gid(user.gid);
  process.mutable_user()->mutable_additionalgids()->Add(user.groups.begin(), user.groups.end());
  for (std::string& arg : args) process.add_args(std::move(arg));
  for (const std::string& entry : env.entries()) process.add_env(entry);
  process.set_cwd(cwd);
  *process.mutable_capabilities() = std::move(capabilities);
  process.set_nonewprivileges(config.no_new_privs());
  process.set_apparmorprofile(ApparmorProfile(config));
  process.set_oomscoreadj(config.resources().oom_score_adj());
  process.set_selinuxlabel(config.selinux_label());
  for (const Rlimit& limit : config.rlimits()) {
    grpc::POSIXRlimit& rlimit = *process.add_rlimits();
    rlimit.set_type(limit.type());
    rlimit.set_hard(limit.hard());
    rlimit.set_soft(limit.soft());
  }
  return process;
}

absl::StatusOr<grpc::Process> BuildExecProcess(const grpc::Process& container_process,
                                               const std::vector<std::string>& command, Terminal terminal) {
  if (command.empty() || command[0].empty()) return absl::InvalidArgumentError("exec: no command");
  for (const std::string& arg : command)
    if (HasNul(arg)) return absl::InvalidArgumentError("exec: an argument holds a NUL byte");
  grpc::Process process = container_process;
  process.clear_consolesize();
  process.set_terminal(terminal == Terminal::kYes);
  process.clear_args();
  for (const std::string& arg : command) process.add_args(arg);
  Environment env;
  for (const std::string& entry : container_process.env()) env.Apply(entry);
  if (terminal == Terminal::kYes && !env.Has("TERM")) process.add_env("TERM=xterm");
  return process;
}

}  // namespace podvisor
