// What QEMU's machine protocol (QMP) is made of: one JSON object a line.
// Source: QEMU, docs/interop/qmp-spec.txt.
#ifndef PODVISOR_VMM_QEMU_QMP_MESSAGE_H_
#define PODVISOR_VMM_QEMU_QMP_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor {

struct QmpMessage {
  enum class Kind { kGreeting, kReturn, kError, kEvent };
  Kind kind = Kind::kReturn;
  std::optional<uint64_t> id;  // of the command that is answered; none in greetings and events
  nlohmann::json payload;      // "return", an event's "data" or the greeting
  std::string name;            // the event's name or the error's class
  std::string text;            // the error's description
};

// One line without its end. kInvalidArgument if it is no message of QMP.
absl::StatusOr<QmpMessage> ParseQmpMessage(absl::string_view line);

// An error answer as a status: "COMMAND: DESCRIPTION".
absl::Status QmpErrorStatus(const std::string& command, const QmpMessage& message);

// Cuts what arrives into lines, of at most `limit` bytes. Not thread-safe.
class LineSplitter {
 public:
  explicit LineSplitter(size_t limit) : limit_(limit) {}

  // kResourceExhausted when a line exceeds the limit: nothing after that is to be trusted.
  absl::Status Feed(absl::string_view bytes);
  // The next whole line without "\r\n" or "\n"; empty lines are skipped. None: feed more.
  std::optional<std::string> Next();

 private:
  const size_t limit_;
  std::string buffer_;
  size_t scanned_ = 0;  // no line end before this
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_QMP_MESSAGE_H_
