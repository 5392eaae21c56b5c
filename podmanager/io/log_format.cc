#include "podmanager/io/log_format.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace podvisor {
namespace {

// Of the shortest timestamp that anyone writes ("2026-01-01T00:00:00Z"): a guard against taking other text for a line.
constexpr size_t kMinTimestamp = 20;

}  // namespace

std::string LogTimestamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E9SZ", time, absl::UTCTimeZone());
}

size_t AppendLogLines(OutputStream stream, absl::string_view data, Tail tail, absl::string_view timestamp,
                      std::string* out) {
  const absl::string_view name = stream == OutputStream::kStdout ? " stdout " : " stderr ";
  size_t taken = 0;
  while (taken < data.size()) {
    absl::string_view rest = data.substr(taken, kMaxLogLine + 1);
    const size_t newline = rest.find('\n');
    if (newline != absl::string_view::npos) {
      absl::StrAppend(out, timestamp, name, "F ", rest.substr(0, newline + 1));
      taken += newline + 1;
      continue;
    }
    if (rest.size() <= kMaxLogLine && tail == Tail::kMayHold) break;
    rest = rest.substr(0, kMaxLogLine);
    absl::StrAppend(out, timestamp, name, "P ", rest, "\n");
    taken += rest.size();
  }
  return taken;
}

std::optional<LogLine> ParseLogLine(absl::string_view line) {
  const size_t space = line.find(' ');
  if (space == absl::string_view::npos || space < kMinTimestamp) return std::nullopt;
  line.remove_prefix(space);
  LogLine result;
  if (absl::ConsumePrefix(&line, " stderr ")) {
    result.stream = OutputStream::kStderr;
  } else if (!absl::ConsumePrefix(&line, " stdout ")) {
    return std::nullopt;
  }
  if (absl::ConsumePrefix(&line, "F ")) {
    result.full = true;
  } else if (!absl::ConsumePrefix(&line, "P ")) {
    return std::nullopt;
  }
  result.content = line;
  return result;
}

}  // namespace podvisor
