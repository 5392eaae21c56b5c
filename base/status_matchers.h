// gMock matchers for Status: Abseil has them only since LTS 20240722. For tests.
#ifndef PODVISOR_BASE_STATUS_MATCHERS_H_
#define PODVISOR_BASE_STATUS_MATCHERS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"

namespace podvisor {

inline const absl::Status& GetStatus(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, negation ? "is an error" : "is OK") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).ok();
}

MATCHER_P(StatusIs, code, "") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code;
}

// An error of this code whose message holds `text`.
MATCHER_P2(StatusIs, code, text, "") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code && GetStatus(arg).message().find(text) != absl::string_view::npos;
}

}  // namespace podvisor

#define ASSERT_OK(expression) ASSERT_THAT(expression, ::podvisor::IsOk())
#define EXPECT_OK(expression) EXPECT_THAT(expression, ::podvisor::IsOk())

#endif  // PODVISOR_BASE_STATUS_MATCHERS_H_
