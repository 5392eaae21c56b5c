#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/validate/request.h"

namespace podvisor::cri {
namespace {

// Kubernetes allows 256 KiB of annotations in all; clients other than the kubelet get some room.
constexpr size_t kMaxKeyBytes = 512;
constexpr size_t kMaxLabelBytes = 4096;
constexpr size_t kMaxAnnotationBytes = 256 << 10;
constexpr size_t kMaxMapBytes = 1 << 20;
constexpr int kMaxEntries = 4096;
// One argument of execve() has at most 128 KiB, all together 2 MiB with the default stack (execve(2), ARG_MAX).
constexpr size_t kMaxArgumentBytes = 128 << 10;
constexpr size_t kMaxCommandBytes = 2 << 20;

absl::Status ValidateMap(const Field& field, const StringMap& map, size_t max_value_bytes) {
  if (map.size() > kMaxEntries) return field.Error(absl::StrCat("must have at most ", kMaxEntries, " entries"));
  size_t total = 0;
  for (const auto& [key, value] : map) {
    const Field entry = field / key;
    if (key.empty()) return field.Error("must not have an empty key");
    if (key.size() > kMaxKeyBytes) {
      return field.Error(absl::StrCat("keys must have at most ", kMaxKeyBytes, " bytes: one has ", key.size()));
    }
    RETURN_IF_ERROR(Printable(field, key));
    RETURN_IF_ERROR(NoLongerThan(entry, value, max_value_bytes));
    total += key.size() + value.size();
  }
  if (total > kMaxMapBytes) {
    return field.Error(absl::StrCat("must have at most ", kMaxMapBytes, " bytes in all, has ", total));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateLabels(const Field& field, const StringMap& labels) {
  return ValidateMap(field, labels, kMaxLabelBytes);
}

absl::Status ValidateAnnotations(const Field& field, const StringMap& annotations) {
  return ValidateMap(field, annotations, kMaxAnnotationBytes);
}

absl::Status ValidateCommand(const Field& field, const ::google::protobuf::RepeatedPtrField<std::string>& command) {
  size_t total = 0;
  for (int i = 0; i < command.size(); ++i) {
    const Field argument = field[i];
    RETURN_IF_ERROR(NoNul(argument, command[i]));
    RETURN_IF_ERROR(NoLongerThan(argument, command[i], kMaxArgumentBytes - 1));
    total += command[i].size() + 1;
  }
  if (total > kMaxCommandBytes) {
    return field.Error(absl::StrCat("must have at most ", kMaxCommandBytes, " bytes in all, has ", total));
  }
  return absl::OkStatus();
}

}  // namespace podvisor::cri
