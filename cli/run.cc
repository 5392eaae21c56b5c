// podvisor run: one container in a pod, and so a VM, of its own.

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/pod_files.h"
#include "cli/pull.h"
#include "cli/run_config.h"

namespace podvisor::cli {
namespace {

using runtime::v1::ImageService;
using runtime::v1::RuntimeService;

absl::Status EnsureImage(const Client& client, const std::string& image) {
  runtime::v1::ImageStatusRequest request;
  request.mutable_image()->set_image(image);
  ASSIGN_OR_RETURN(const auto answer, Call(client, *client.images, &ImageService::Stub::ImageStatus, request));
  if (answer.has_image()) return absl::OkStatus();
  return PullWithProgress(client, image).status();
}

void StopPod(const Client& client, const std::string& pod_id) {
  runtime::v1::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(pod_id);
  const auto done = Call(client, *client.runtime, &RuntimeService::Stub::StopPodSandbox, request);
  if (!done.ok()) std::cerr << "podvisor: stop the pod: " << done.status().message() << "\n";
}

void RemovePod(const Client& client, const std::string& pod_id, const std::string& pod_name) {
  runtime::v1::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(pod_id);
  const auto done = Call(client, *client.runtime, &RuntimeService::Stub::RemovePodSandbox, request);
  absl::Status status = done.status();
  if (status.ok()) status = RemoveLogFolder(pod_name);
  if (!status.ok()) std::cerr << "podvisor: remove the pod: " << status.message() << "\n";
}

// Ctrl-C and SIGTERM stop the container as `docker run` does it; the second one kills it.
class Interrupts {
 public:
  Interrupts() {
    sigset_t mask;
    ::sigemptyset(&mask);
    ::sigaddset(&mask, SIGINT);
    ::sigaddset(&mask, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &mask, nullptr);
    fd_.reset(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  int fd() const { return fd_.get(); }

  absl::Status StopIfInterrupted(const Client& client, const std::string& container_id) {
    signalfd_siginfo info;
    if (::read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return absl::OkStatus();
    runtime::v1::StopContainerRequest request;
    request.set_container_id(container_id);
    request.set_timeout(seen_++ == 0 ? 10 : 0);
    return Call(client, *client.runtime, &RuntimeService::Stub::StopContainer, request).status();
  }

 private:
  UniqueFd fd_;
  int seen_ = 0;
};

int CodeOfStartError(const absl::Status& status) {
  if (absl::StrContains(status.message(), "not found in $PATH") ||
      absl::StrContains(status.message(), "no such file or directory"))
    return kExitNotFound;
  return absl::StrContains(status.message(), "permission denied") ? kExitNotExecutable : kExitOwnError;
}

struct StartedPod {
  std::string pod_id;
  std::string container_id;
  std::string log_path;
};

// Runs the pod and starts its container; after an error nothing is left of it. `code` is what to exit with then.
absl::StatusOr<StartedPod> StartPod(const Client& client, const RunArguments& arguments, int& code) {
  code = kExitOwnError;
  RETURN_IF_ERROR(EnsureImage(client, arguments.image));
  ASSIGN_OR_RETURN(const std::string log_folder, MakeLogFolder(arguments.name));
  ASSIGN_OR_RETURN(const auto sandbox_config, SandboxConfigOf(arguments, log_folder));
  ASSIGN_OR_RETURN(const auto container_config, ContainerConfigOf(arguments));

  StartedPod started;
  runtime::v1::RunPodSandboxRequest run;
  *run.mutable_config() = sandbox_config;
  run.set_runtime_handler(arguments.runtime_handler);
  const auto pod = Call(client, *client.runtime, &RuntimeService::Stub::RunPodSandbox, run, absl::Minutes(5));
  if (!pod.ok()) {
    RemoveLogFolder(arguments.name).IgnoreError();
    return pod.status();
  }
  started.pod_id = pod->pod_sandbox_id();
  started.log_path = absl::StrCat(log_folder, "/", container_config.log_path());

  runtime::v1::CreateContainerRequest create;
  create.set_pod_sandbox_id(started.pod_id);
  *create.mutable_config() = container_config;
  *create.mutable_sandbox_config() = sandbox_config;
  const auto container = Call(client, *client.runtime, &RuntimeService::Stub::CreateContainer, create);
  absl::Status status = container.status();
  if (status.ok()) {
    started.container_id = container->container_id();
    runtime::v1::StartContainerRequest start;
    start.set_container_id(started.container_id);
    status = Call(client, *client.runtime, &RuntimeService::Stub::StartContainer, start).status();
    if (!status.ok()) code = CodeOfStartError(status);
  }
  if (!status.ok()) {
    RemovePod(client, started.pod_id, arguments.name);
    return status;
  }
  return started;
}

absl::Status Run(Context& context, const RunArguments& arguments) {
  Interrupts interrupts;  // before gRPC makes threads, which would take the signals
  const Client client = context.Connect();
  ASSIGN_OR_RETURN(const StartedPod started, StartPod(client, arguments, context.exit_code));
  context.exit_code = 0;
  if (arguments.detach) {
    std::cout << started.container_id << "\n";
    return absl::OkStatus();
  }
  const absl::StatusOr<runtime::v1::ContainerStatus> ended =
      FollowUntilExit(client, started.container_id, started.log_path, interrupts.fd(),
                      [&] { return interrupts.StopIfInterrupted(client, started.container_id); });
  if (arguments.remove)
    RemovePod(client, started.pod_id, arguments.name);
  else
    StopPod(client, started.pod_id);  // no VM without a program in it; the log and the status stay
  RETURN_IF_ERROR(ended.status());
  if (!ended->message().empty() && ended->exit_code() != 0) std::cerr << "podvisor: " << ended->message() << "\n";
  context.exit_code = ended->exit_code();
  return absl::OkStatus();
}

}  // namespace

void AddRun(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("run", "Run a container in a virtual machine of its own");
  auto arguments = std::make_shared<RunArguments>();
  command->add_flag("--rm", arguments->remove, "Remove container and pod when it has exited");
  command->add_flag("-d,--detach", arguments->detach, "Print the container's id and leave it running");
  command->add_option("--name", arguments->name, "Name of the pod");
  command->add_option("-e,--env", arguments->env, "KEY=VALUE")->allow_extra_args(false);
  command->add_option("-v,--volume", arguments->volumes, "HOST-PATH:CONTAINER-PATH[:ro]")->allow_extra_args(false);
  command->add_option("-p,--publish", arguments->ports, "[IP:]HOST-PORT:CONTAINER-PORT[/PROTOCOL]")
      ->allow_extra_args(false);
  command->add_option("-w,--workdir", arguments->working_dir, "Working folder");
  command->add_option("-u,--user", arguments->user, "USER or UID, with :GID");
  command->add_option("-m,--memory", arguments->memory, "Limit: 64m, 1g");
  command->add_option("--runtime", arguments->runtime_handler, "Runtime handler");
  command->add_option("IMAGE", arguments->image, "Image; pulled if it is missing")->required();
  command->add_option("COMMAND", arguments->command, "Program and arguments instead of the image's");
  command->positionals_at_end();
  command->callback([&context, arguments] {
    if (arguments->name.empty()) {
      std::random_device random;
      arguments->name = absl::StrFormat("run-%08x", random());
    }
    const absl::Status status = Run(context, *arguments);
    const int code = context.exit_code == 0 ? kExitOwnError : context.exit_code;
    context.Finish(status, code);
  });
}

}  // namespace podvisor::cli
