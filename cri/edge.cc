#include "cri/edge.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"

namespace podvisor::cri {
namespace {

// Bytes of a message as gRPC sends it, where anything but printable ASCII takes three.
constexpr size_t kMaxEscapedBytes = 6 << 10;

size_t EscapedSize(char c) { return c >= 0x20 && c <= 0x7e && c != '%' ? 1 : 3; }

std::string Shorten(std::string text) {
  size_t total = 0;
  for (char c : text) total += EscapedSize(c);
  if (total <= kMaxEscapedBytes) return text;
  size_t head = 0;
  for (size_t used = 0; used < kMaxEscapedBytes / 3; ++head) used += EscapedSize(text[head]);
  size_t tail = text.size();
  for (size_t used = 0; used < kMaxEscapedBytes / 2; --tail) used += EscapedSize(text[tail - 1]);
  return absl::StrCat(absl::string_view(text).substr(0, head), " [", tail - head, " bytes left out] ",
                      absl::string_view(text).substr(tail));
}

absl::Time Deadline(const grpc::ServerContext& context) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return absl::FromChrono(deadline);
}

bool ClientsFault(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kCancelled:
      return true;
    default:
      return false;
  }
}

void Log(absl::string_view method, Chatter chatter, const Call& call, const absl::Status& status, absl::Duration took) {
  const spdlog::level::level_enum quiet = chatter == Chatter::kEvent ? spdlog::level::info : spdlog::level::debug;
  const spdlog::level::level_enum level = status.ok() || ClientsFault(status.code()) ? quiet : spdlog::level::err;
  spdlog::logger* logger = spdlog::default_logger_raw();
  if (!logger->should_log(level)) return;
  const std::string subject = call.subject.empty() ? "" : absl::StrCat(call.subject, ": ");
  if (status.ok()) {
    logger->log(level, "{}{} in {:.1f} ms", subject, std::string(method), absl::ToDoubleMilliseconds(took));
  } else {
    logger->log(level, "{}{} failed after {:.1f} ms: {}", subject, std::string(method),
                absl::ToDoubleMilliseconds(took), status.ToString());
  }
}

}  // namespace

grpc::Status ToGrpcStatus(absl::string_view method, const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // Abseil's codes have gRPC's numbers.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      Shorten(absl::StrCat(method, ": ", status.message())));
}

grpc::Status Edge::Serve(absl::string_view method, Chatter chatter, grpc::ServerContext* context,
                         absl::FunctionRef<absl::Status(Call&)> handler) const {
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  Call call;
  call.deadline = Deadline(*context);
  call.closing = [this] { return closing_.load(); };
  call.cancelled = [context] { return context->IsCancelled(); };
  const absl::Status status = handler(call);
  const absl::Duration took = absl::FromChrono(std::chrono::steady_clock::now() - start);
  if (observer_) observer_(method, status.code(), took);
  Log(method, chatter, call, status, took);
  return ToGrpcStatus(method, status);
}

}  // namespace podvisor::cri
