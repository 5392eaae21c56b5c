#include "cri/validate/field.h"

#include <climits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace podvisor::cri {
namespace {

bool HasDotDot(absl::string_view path) {
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    if (part == "..") return true;
  }
  return false;
}

absl::Status PathText(const Field& field, absl::string_view value) {
  RETURN_IF_ERROR(NoNul(field, value));
  RETURN_IF_ERROR(NoLongerThan(field, value, PATH_MAX - 1));
  if (HasDotDot(value)) return field.Error(absl::StrCat("must not contain \"..\": ", value));
  return absl::OkStatus();
}

}  // namespace

std::string Field::path() const {
  std::string own = index_ >= 0 ? absl::StrCat("[", index_, "]") : std::string(name_);
  if (parent_ == nullptr) return own;
  return absl::StrCat(parent_->path(), index_ >= 0 ? "" : ".", own);
}

absl::Status Field::Error(absl::string_view why) const {
  return absl::InvalidArgumentError(absl::StrCat(path(), ": ", why));
}

absl::Status NotEmpty(const Field& field, absl::string_view value) {
  return value.empty() ? field.Error("must not be empty") : absl::OkStatus();
}

absl::Status NoLongerThan(const Field& field, absl::string_view value, size_t limit) {
  if (value.size() <= limit) return absl::OkStatus();
  return field.Error(absl::StrCat("must have at most ", limit, " bytes, has ", value.size()));
}

absl::Status NotNegative(const Field& field, int64_t value) {
  return value < 0 ? field.Error(absl::StrCat("must not be negative: ", value)) : absl::OkStatus();
}

absl::Status AtMost(const Field& field, int64_t value, int64_t limit) {
  return value > limit ? field.Error(absl::StrCat("must be at most ", limit, ": ", value)) : absl::OkStatus();
}

absl::Status NoNul(const Field& field, absl::string_view value) {
  if (value.find('\0') == absl::string_view::npos) return absl::OkStatus();
  return field.Error("must not contain a NUL byte");
}

absl::Status Printable(const Field& field, absl::string_view value) {
  for (unsigned char c : value) {
    if (absl::ascii_iscntrl(c)) return field.Error("must not contain control characters");
  }
  return absl::OkStatus();
}

absl::Status ValidId(const Field& field, absl::string_view value) {
  RETURN_IF_ERROR(NotEmpty(field, value));
  RETURN_IF_ERROR(NoLongerThan(field, value, 128));
  for (unsigned char c : value) {
    if (!absl::ascii_isalnum(c) && c != '-' && c != '_' && c != '.') {
      return field.Error("must consist of letters, digits, '-', '_' and '.'");
    }
  }
  return absl::OkStatus();
}

absl::Status AbsolutePath(const Field& field, absl::string_view value) {
  RETURN_IF_ERROR(NotEmpty(field, value));
  RETURN_IF_ERROR(PathText(field, value));
  if (value.front() != '/') return field.Error(absl::StrCat("must be an absolute path: ", value));
  return absl::OkStatus();
}

absl::Status RelativePathInside(const Field& field, absl::string_view value) {
  RETURN_IF_ERROR(PathText(field, value));
  if (!value.empty() && value.front() == '/') return field.Error(absl::StrCat("must be a relative path: ", value));
  return absl::OkStatus();
}

}  // namespace podvisor::cri
