// The words in which a request is refused: the field's path first, then what is wrong with it.
#ifndef PODVISOR_CRI_VALIDATE_FIELD_H_
#define PODVISOR_CRI_VALIDATE_FIELD_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace podvisor::cri {

// Where a value stands in a request: "config.metadata.name", "config.mounts[2].host_path". Cheap to make: nothing is
// joined before an error needs it. A child refers to its parent, which has to outlive it.
class Field {
 public:
  explicit Field(absl::string_view name) : name_(name) {}
  // The member `name` of this field. `name` is borrowed.
  Field operator/(absl::string_view name) const { return Field(this, name, -1); }
  // The element `index` of this repeated field.
  Field operator[](int index) const { return Field(this, {}, index); }

  std::string path() const;
  // kInvalidArgument "PATH: WHY".
  absl::Status Error(absl::string_view why) const;

 private:
  Field(const Field* parent, absl::string_view name, int index) : parent_(parent), name_(name), index_(index) {}

  const Field* parent_ = nullptr;
  absl::string_view name_;
  int index_ = -1;
};

// Each answers kInvalidArgument naming the field. Lengths are bytes.

absl::Status NotEmpty(const Field& field, absl::string_view value);
absl::Status NoLongerThan(const Field& field, absl::string_view value, size_t limit);
absl::Status NotNegative(const Field& field, int64_t value);
absl::Status AtMost(const Field& field, int64_t value, int64_t limit);
// No byte that ends a C string: what is passed on to a system call has to arrive whole.
absl::Status NoNul(const Field& field, absl::string_view value);
// One line of printable text: no control characters.
absl::Status Printable(const Field& field, absl::string_view value);
// The id (or a prefix of one) of a sandbox or container.
absl::Status ValidId(const Field& field, absl::string_view value);
// Absolute, no "..", no NUL, at most PATH_MAX.
absl::Status AbsolutePath(const Field& field, absl::string_view value);
// Stays below the folder it is relative to: not absolute, no "..".
absl::Status RelativePathInside(const Field& field, absl::string_view value);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_VALIDATE_FIELD_H_
