// What a QEMU says that a guest has broken into: lines, messages, and the answers that a VM's disks, vCPUs and state
// are read from.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/testing/fuzz_input.h"
#include "vmm/qemu/disks.h"
#include "vmm/qemu/migration.h"
#include "vmm/qemu/qmp_message.h"
#include "vmm/qemu/vcpu_places.h"

namespace podvisor {
namespace {

constexpr size_t kLongestLine = 2048;
constexpr int kMostCommands = 1000;

std::vector<std::string> Lines(absl::string_view bytes, size_t piece_size, absl::Status& status) {
  LineSplitter splitter(kLongestLine);
  std::vector<std::string> lines;
  InPieces(bytes, piece_size, [&](absl::string_view piece) {
    status = splitter.Feed(piece);
    while (const auto line = status.ok() ? splitter.Next() : std::nullopt) lines.push_back(*line);
    return status.ok();
  });
  return lines;
}

// Gives the messages as answers, one after the other and from the front again.
class Qemu {
 public:
  explicit Qemu(std::vector<QmpMessage> messages) : messages_(std::move(messages)) {}

  absl::StatusOr<nlohmann::json> Answer(const std::string& command) {
    Require(++commands_ < kMostCommands, "commands are bounded");
    if (messages_.empty()) return absl::UnavailableError("QEMU has hung up");
    const QmpMessage& message = messages_[next_++ % messages_.size()];
    if (message.kind == QmpMessage::Kind::kError) return QmpErrorStatus(command, message);
    return message.payload;
  }

 private:
  std::vector<QmpMessage> messages_;
  size_t next_ = 0;
  int commands_ = 0;
};

void UseDisks(const std::vector<QmpMessage>& messages) {
  Qemu qemu(messages);
  DiskTable table(
      2, [&](const std::string& command, const nlohmann::json&, int) { return qemu.Answer(command); },
      [](const std::string&) { return absl::OkStatus(); });
  (void)table.Load();
  const absl::StatusOr<GuestDisk> disk = table.Attach({.path = "/proc/self/exe", .read_only = true});
  if (disk.ok()) (void)table.Detach(disk->id);
}

void UseMigration(const std::vector<QmpMessage>& messages) {
  Qemu qemu(messages);
  Migration migration;
  for (const QmpMessage& message : messages)
    if (message.kind == QmpMessage::Kind::kEvent) migration.Event(message.payload);
  const auto execute = [&](const std::string& command, const nlohmann::json&, int) { return qemu.Answer(command); };
  (void)migration.Save(execute, 0, absl::InfinitePast());
  (void)migration.Load(execute, 0, absl::InfinitePast());
}

}  // namespace
}  // namespace podvisor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  FuzzInput input(data, size);
  const size_t piece_size = input.TakeByte();
  absl::Status status, ignored;
  const std::vector<std::string> lines = Lines(input.rest(), piece_size, status);
  // The limit is looked at piece by piece, so it depends on the cuts.
  if (status.ok() && input.rest().size() <= kLongestLine)
    Require(lines == Lines(input.rest(), 0, ignored), "cuts change no line");
  std::vector<QmpMessage> messages;
  for (const std::string& line : lines) {
    absl::StatusOr<QmpMessage> message = ParseQmpMessage(line);
    if (message.ok()) messages.push_back(*std::move(message));
  }
  UseDisks(messages);
  UseMigration(messages);
  for (const QmpMessage& message : messages)
    for (const nlohmann::json& free : ReadVcpuPlaces(message.payload).free)
      Require(free.is_object() && free.contains("id"), "a vCPU is made of an object");
  return 0;
}
