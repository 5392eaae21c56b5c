#include "cri/streaming/exit_status.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace podvisor::cri {
namespace {

constexpr int kInternalServerError = 500;

}  // namespace

std::string ExitStatusText(const absl::StatusOr<int>& exit, absl::string_view what) {
  if (!exit.ok()) return absl::StrCat("error ", what, ": ", exit.status().message());
  if (*exit == 0) return "";
  return absl::StrCat("command terminated with non-zero exit code: exit status ", *exit);
}

std::string ExitStatusJson(const absl::StatusOr<int>& exit, absl::string_view what) {
  const std::string text = ExitStatusText(exit, what);
  nlohmann::json status = {{"metadata", nlohmann::json::object()}, {"status", text.empty() ? "Success" : "Failure"}};
  if (!exit.ok()) {
    status["message"] = absl::StrCat("Internal error occurred: ", text);
    status["reason"] = "InternalError";
    status["details"] = {{"causes", {{{"message", text}}}}};
    status["code"] = kInternalServerError;
  } else if (*exit != 0) {
    status["message"] = text;
    status["reason"] = "NonZeroExitCode";
    status["details"] = {{"causes", {{{"reason", "ExitCode"}, {"message", absl::StrCat(*exit)}}}}};
  }
  // A guest's message may be any bytes.
  return status.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace podvisor::cri
