#include "vmm/qemu/migration.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "vmm/qemu/qmp_fields.h"

namespace podvisor {
namespace {

using nlohmann::json;

json Capabilities() {
  json wanted = json::array();
  for (const char* name : {"events", "x-ignore-shared"}) wanted.push_back({{"capability", name}, {"state", true}});
  return {{"capabilities", wanted}};
}

}  // namespace

void Migration::Event(const json& data) {
  absl::MutexLock lock(&mu_);
  status_ = QmpText(data, "status");
}

void Migration::Ended() {
  absl::MutexLock lock(&mu_);
  ended_ = true;
}

absl::Status Migration::Wait(absl::Time deadline) {
  absl::MutexLock lock(&mu_);
  const absl::Condition done(
      +[](Migration* self) ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return self->ended_ || self->status_ == "completed" || self->status_ == "failed";
      },
      this);
  if (!mu_.AwaitWithDeadline(done, deadline)) return absl::UnavailableError("QEMU is not done with it in time");
  if (status_ == "completed") return absl::OkStatus();
  return ended_ ? absl::UnavailableError("QEMU has ended") : absl::FailedPreconditionError("QEMU has failed");
}

absl::Status Migration::Save(const Execute& execute, int fd, absl::Time deadline) {
  RETURN_IF_ERROR(execute("migrate-set-capabilities", Capabilities(), -1).status());
  RETURN_IF_ERROR(execute("getfd", {{"fdname", "state"}}, fd).status());
  // A refusal (a mounted 9p folder) is the answer to the command itself.
  const auto started = execute("migrate", {{"uri", "fd:state"}}, -1);
  if (!started.ok() && !absl::IsUnavailable(started.status()))
    return absl::FailedPreconditionError(started.status().message());
  RETURN_IF_ERROR(started.status());
  absl::Status done = Wait(deadline);
  if (!absl::IsFailedPrecondition(done)) return done;
  ASSIGN_OR_RETURN(const json told, execute("query-migrate", nullptr, -1), done.message());
  const std::string why = QmpText(told, "error-desc");
  return absl::FailedPreconditionError(absl::StrCat(done.message(), ": ", why.empty() ? "no reason given" : why));
}

absl::Status Migration::Load(const Execute& execute, int number, absl::Time deadline) {
  RETURN_IF_ERROR(execute("migrate-set-capabilities", Capabilities(), -1).status());
  // No announcement: the card's address is the template's until the agent has set another.
  RETURN_IF_ERROR(execute("migrate-set-parameters", {{"announce-rounds", 0}}, -1).status());
  RETURN_IF_ERROR(execute("migrate-incoming", {{"uri", absl::StrCat("fd:", number)}}, -1).status());
  return Wait(deadline);
}

}  // namespace podvisor
