#include "base/rollback.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

namespace podvisor {

Rollback::~Rollback() { Run().IgnoreError(); }

void Rollback::Add(std::string name, Step step) { entries_.push_back({std::move(name), std::move(step)}); }

void Rollback::Barrier() { entries_.push_back({}); }

void Rollback::Commit() { entries_.clear(); }

absl::Status Rollback::Run() {
  // Taken first, so that a step that destroys this object's owner, or a second call, finds nothing to do.
  std::vector<Entry> entries = std::exchange(entries_, {});
  const absl::Time deadline = absl::Now() + budget_;
  std::vector<std::string> failures;
  absl::StatusCode code = absl::StatusCode::kOk;
  bool blocked = false;
  for (; !entries.empty(); entries.pop_back()) {
    Entry& entry = entries.back();
    if (!entry.step) {
      blocked = !failures.empty();
      continue;
    }
    if (blocked) {
      failures.push_back(absl::StrCat(entry.name, ": left, because a later step failed"));
      continue;
    }
    if (absl::Status status = entry.step(deadline); !status.ok()) {
      failures.push_back(absl::StrCat(entry.name, ": ", status.message()));
      code = status.code();
    }
  }
  if (failures.empty()) return absl::OkStatus();
  return absl::Status(code, absl::StrCat("roll-back: ", absl::StrJoin(failures, "; ")));
}

}  // namespace podvisor
