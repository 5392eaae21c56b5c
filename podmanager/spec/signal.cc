#include <csignal>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "podmanager/spec/container_spec.h"

namespace podvisor {
namespace {

// The guest's numbers: x86 and ARM have the same.
struct NamedSignal {
  absl::string_view name;
  int number;
};
constexpr NamedSignal kSignals[] = {
    {"HUP", 1},   {"INT", 2},    {"QUIT", 3},    {"ILL", 4},   {"TRAP", 5},  {"ABRT", 6},  {"IOT", 6},
    {"BUS", 7},   {"FPE", 8},    {"KILL", 9},    {"USR1", 10}, {"SEGV", 11}, {"USR2", 12}, {"PIPE", 13},
    {"ALRM", 14}, {"TERM", 15},  {"STKFLT", 16}, {"CHLD", 17}, {"CLD", 17},  {"CONT", 18}, {"STOP", 19},
    {"TSTP", 20}, {"TTIN", 21},  {"TTOU", 22},   {"URG", 23},  {"XCPU", 24}, {"XFSZ", 25}, {"VTALRM", 26},
    {"PROF", 27}, {"WINCH", 28}, {"IO", 29},     {"POLL", 29}, {"PWR", 30},  {"SYS", 31},
};
// As the C library counts them: it keeps 32 and 33 for itself.
constexpr int kRtMin = 34;
constexpr int kRtMax = 64;

}  // namespace

absl::StatusOr<int> ParseSignal(const std::string& text) {
  const auto bad = [&text] {
    return absl::InvalidArgumentError(absl::StrCat(
        "stop signal \"", text, "\" is neither a signal's name (SIGTERM, RTMIN+3) nor a number from 1 to 64"));
  };
  int number = 0;
  if (absl::SimpleAtoi(text, &number)) {
    if (number < 1 || number > kRtMax) return bad();
    return number;
  }
  std::string upper = absl::AsciiStrToUpper(text);
  absl::string_view name = upper;
  absl::ConsumePrefix(&name, "SIG");
  for (const NamedSignal& signal : kSignals)
    if (name == signal.name) return signal.number;
  if (name == "RTMIN") return kRtMin;
  if (name == "RTMAX") return kRtMax;
  absl::string_view rest = name;
  if (absl::ConsumePrefix(&rest, "RTMIN+") && absl::SimpleAtoi(rest, &number)) {
    number = kRtMin + number;
  } else if (absl::ConsumePrefix(&rest, "RTMAX-") && absl::SimpleAtoi(rest, &number)) {
    number = kRtMax - number;
  } else {
    return bad();
  }
  if (number < kRtMin || number > kRtMax || rest.front() < '0' || rest.front() > '9') return bad();
  return number;
}

absl::StatusOr<int> StopSignal(const ContainerConfig& config, const ImageConfig& image) {
  if (!config.stop_signal().empty()) return ParseSignal(config.stop_signal());
  if (!image.stop_signal.empty()) return ParseSignal(image.stop_signal);
  return SIGTERM;
}

}  // namespace podvisor
