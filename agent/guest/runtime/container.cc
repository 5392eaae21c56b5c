#include "agent/guest/runtime/container.h"

#include <algorithm>

#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

constexpr size_t kMaxIdBytes = 128;

bool IsIdCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

bool HasHooks(const grpc::Hooks& hooks) {
  return hooks.prestart_size() + hooks.poststart_size() + hooks.poststop_size() + hooks.createruntime_size() +
             hooks.createcontainer_size() + hooks.startcontainer_size() >
         0;
}

}  // namespace

absl::StatusOr<std::shared_ptr<Process>> Container::Find(const std::string& exec_id) const {
  if (exec_id.empty() || exec_id == id) {
    if (process != nullptr) return process;
    return absl::FailedPreconditionError(absl::StrCat("container ", id, " is still being created"));
  }
  const auto found = execs.find(exec_id);
  if (found == execs.end()) return absl::NotFoundError(absl::StrCat("container ", id, " has no exec ", exec_id));
  return found->second;
}

const char* Name(Container::State state) {
  switch (state) {
    case Container::State::kCreating:
      return "being created";
    case Container::State::kCreated:
      return "created";
    case Container::State::kStarting:
      return "being started";
    case Container::State::kRunning:
      return "running";
    case Container::State::kExited:
      return "exited";
  }
  return "?";
}

absl::Status CheckId(const std::string& id, const char* what) {
  if (id.empty() || id.size() > kMaxIdBytes || id == "." || id == ".." ||
      !std::all_of(id.begin(), id.end(), IsIdCharacter)) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " \"", id.substr(0, kMaxIdBytes), "\" is not 1 to 128 of A-Z a-z 0-9 _ . -"));
  }
  return absl::OkStatus();
}

absl::Status CheckProcess(const grpc::Process& process) {
  if (process.args().empty() || process.args(0).empty()) {
    return absl::InvalidArgumentError("the process has no arguments: nothing to execute");
  }
  for (const auto* list : {&process.args(), &process.env()}) {
    for (const std::string& word : *list) {
      if (word.find('\0') != std::string::npos) {
        return absl::InvalidArgumentError("an argument or environment variable holds a NUL");
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSpec(const grpc::CreateContainerRequest& request) {
  RETURN_IF_ERROR(CheckId(request.container_id(), "container id"));
  const grpc::Spec& spec = request.oci();
  const std::string where = absl::StrCat("container ", request.container_id());
  if (!spec.has_process()) return absl::InvalidArgumentError(absl::StrCat(where, ": the spec has no process"));
  RETURN_IF_ERROR(CheckProcess(spec.process()), where);
  if (spec.root().path().empty() || spec.root().path()[0] != '/') {
    return absl::InvalidArgumentError(absl::StrCat(where, ": root path \"", spec.root().path(), "\" is not absolute"));
  }
  if (HasHooks(spec.hooks())) return absl::UnimplementedError(absl::StrCat(where, ": hooks are not supported"));
  return absl::OkStatus();
}

}  // namespace podvisor::guest
