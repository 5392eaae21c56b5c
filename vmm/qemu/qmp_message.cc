#include "vmm/qemu/qmp_message.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace podvisor {
namespace {

absl::Status Malformed(absl::string_view why, absl::string_view line) {
  return absl::InvalidArgumentError(absl::StrCat("QMP: ", why, ": ", line.substr(0, 80)));
}

std::string TextOf(const nlohmann::json& object, const char* key) {
  const auto member = object.find(key);
  return member != object.end() && member->is_string() ? member->get<std::string>() : "";
}

}  // namespace

absl::StatusOr<QmpMessage> ParseQmpMessage(absl::string_view line) {
  nlohmann::json object = nlohmann::json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return Malformed("not a JSON object", line);
  QmpMessage message;
  if (const auto id = object.find("id"); id != object.end()) {
    if (!id->is_number_unsigned()) return Malformed("an id that is not ours", line);
    message.id = id->get<uint64_t>();
  }
  if (const auto greeting = object.find("QMP"); greeting != object.end()) {
    message.kind = QmpMessage::Kind::kGreeting;
    message.payload = std::move(*greeting);
  } else if (const auto result = object.find("return"); result != object.end()) {
    message.kind = QmpMessage::Kind::kReturn;
    message.payload = std::move(*result);
  } else if (const auto error = object.find("error"); error != object.end()) {
    if (!error->is_object()) return Malformed("an error that is no object", line);
    message.kind = QmpMessage::Kind::kError;
    message.name = TextOf(*error, "class");
    message.text = TextOf(*error, "desc");
  } else if (const auto event = object.find("event"); event != object.end()) {
    if (!event->is_string()) return Malformed("an event without a name", line);
    message.kind = QmpMessage::Kind::kEvent;
    message.name = event->get<std::string>();
    if (const auto data = object.find("data"); data != object.end()) message.payload = std::move(*data);
  } else {
    return Malformed("neither greeting, return, error nor event", line);
  }
  return message;
}

absl::Status QmpErrorStatus(const std::string& command, const QmpMessage& message) {
  const std::string text = absl::StrCat(command, ": ", message.text.empty() ? message.name : message.text);
  if (message.name == "CommandNotFound") return absl::UnimplementedError(text);
  if (message.name == "DeviceNotFound") return absl::NotFoundError(text);
  return absl::InternalError(text);
}

absl::Status LineSplitter::Feed(absl::string_view bytes) {
  // Counted before it is kept, so that memory stays bounded too.
  const size_t first_end = bytes.find('\n');
  const size_t first_line = first_end == absl::string_view::npos ? bytes.size() : first_end;
  if (buffer_.find('\n', scanned_) == std::string::npos && buffer_.size() + first_line > limit_)
    return absl::ResourceExhaustedError(absl::StrCat("QMP: a message of more than ", limit_, " bytes"));
  buffer_.append(bytes.data(), bytes.size());
  return absl::OkStatus();
}

std::optional<std::string> LineSplitter::Next() {
  for (;;) {
    const size_t end = buffer_.find('\n', scanned_);
    if (end == std::string::npos) {
      scanned_ = buffer_.size();
      return std::nullopt;
    }
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    scanned_ = 0;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) return line;
  }
}

}  // namespace podvisor
