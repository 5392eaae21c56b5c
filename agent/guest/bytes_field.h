// The one large field of bytes in a protobuf message, beside the rest: protobuf itself would copy it each time that a
// message is parsed or serialized.
#ifndef PODVISOR_AGENT_GUEST_BYTES_FIELD_H_
#define PODVISOR_AGENT_GUEST_BYTES_FIELD_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace podvisor::guest {

// Appends what stands before the content of field `number` in a serialized message. Fields may come in any order:
// after a whole message, and with the content after it, this completes one.
void AppendBytesFieldHead(int number, size_t bytes, std::string* message);

struct SplitMessage {
  std::string rest;         // the serialized message without the field
  absl::string_view bytes;  // the field's content: a part of what was split; empty where it does not occur
};
// False if `message` is no sequence of fields, or has a group, which no message of ours has. Where the field occurs
// several times, the last one counts, as in protobuf.
bool SplitBytesField(absl::string_view message, int number, SplitMessage* split);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_BYTES_FIELD_H_
