#include "cli/trace_view.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace podvisor::cli {
namespace {

struct Stage {
  std::string name;
  double offset_ms = 0, duration_ms = 0;
};

absl::StatusOr<std::vector<Stage>> Parse(absl::string_view text) {
  const nlohmann::json trace = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const absl::Status bad = absl::InvalidArgumentError(absl::StrCat("not a trace: ", text.substr(0, 100)));
  if (!trace.is_array()) return bad;
  std::vector<Stage> stages;
  for (const nlohmann::json& entry : trace) {
    if (!entry.is_object() || !entry.contains("stage") || !entry["stage"].is_string() || !entry.contains("offset_ms") ||
        !entry["offset_ms"].is_number() || !entry.contains("duration_ms") || !entry["duration_ms"].is_number()) {
      return bad;
    }
    stages.push_back({entry["stage"], entry["offset_ms"], entry["duration_ms"]});
  }
  return stages;
}

}  // namespace

absl::StatusOr<std::string> TraceView(absl::string_view trace_json, int width) {
  absl::StatusOr<std::vector<Stage>> stages = Parse(trace_json);
  if (!stages.ok()) return stages.status();
  std::stable_sort(stages->begin(), stages->end(),
                   [](const Stage& a, const Stage& b) { return a.offset_ms < b.offset_ms; });
  double end_ms = 0.001;
  for (const Stage& stage : *stages) end_ms = std::max(end_ms, stage.offset_ms + stage.duration_ms);
  std::string view = absl::StrFormat("%-16s %9s %9s\n", "STAGE", "AT ms", "TOOK ms");
  for (const Stage& stage : *stages) {
    const int from = std::clamp(static_cast<int>(stage.offset_ms / end_ms * width), 0, width - 1);
    const int length = std::clamp(static_cast<int>(std::lround(stage.duration_ms / end_ms * width)), 1, width - from);
    absl::StrAppend(&view, absl::StrFormat("%-16s %9.1f %9.1f  ", stage.name, stage.offset_ms, stage.duration_ms),
                    std::string(static_cast<size_t>(from), ' '), std::string(static_cast<size_t>(length), '#'), "\n");
  }
  return view;
}

}  // namespace podvisor::cli
