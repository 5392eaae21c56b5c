#include "agent/guest/launch/oom_score.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "agent/guest/text_file.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

std::optional<int64_t> taken;  // by this process, or by the one that forked it

}  // namespace

absl::Status TakeOomScore(int64_t score) {
  if (taken == score) return absl::OkStatus();
  RETURN_IF_ERROR(WriteTextFile("/proc/self/oom_score_adj", absl::StrCat(score)));
  taken = score;
  return absl::OkStatus();
}

}  // namespace podvisor::guest
