#include "podmanager/io/stdin_writer.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/protocol/extension.pb.h"
#include "podmanager/ids.h"
#include "podmanager/spec/guest_paths.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

constexpr size_t kPiece = 256 << 10;
constexpr absl::Duration kCallTimeout = absl::Seconds(30);

}  // namespace

StdinWriter::StdinWriter(std::shared_ptr<AgentClient> client, std::string container_id, std::string exec_id,
                         std::string shared_folder)
    : client_(std::move(client)),
      container_id_(std::move(container_id)),
      exec_id_(std::move(exec_id)),
      shared_(std::move(shared_folder), absl::StrCat("stdin-", RandomId())),
      by_file_(shared_.usable()) {}

void StdinWriter::Write(std::string data, std::function<void()> taken) {
  data_ = std::move(data);
  written_ = 0;
  taken_ = std::move(taken);
  WriteNext();
}

void StdinWriter::WriteNext() {
  if (broken_ || written_ == data_.size()) return Taken();
  const absl::string_view rest = absl::string_view(data_).substr(written_);
  if (!WriteByFile(rest.substr(0, kSharedPieceBytes))) WriteByMessage(rest.substr(0, kPiece));
}

bool StdinWriter::WriteByFile(absl::string_view piece) {
  if (!by_file_ || piece.size() < kLeastSharedBytes) return false;
  if (const absl::Status put = shared_.Put(piece); !put.ok()) {
    spdlog::warn("stdin of exec {} in container {}: goes in messages, which takes longer: {}", exec_id_, container_id_,
                 std::string(put.message()));
    by_file_ = false;
    return false;
  }
  agent::v1::WriteStdinFileRequest request;
  request.set_container_id(container_id_);
  request.set_exec_id(exec_id_);
  request.set_path(GuestSharedPath(shared_.name()));
  request.set_size(static_cast<uint32_t>(piece.size()));
  client_->CallAsync(kExtensionService, "WriteStdinFile", request, absl::InfiniteFuture(),
                     [self = shared_from_this(), size = piece.size()](const absl::StatusOr<std::string>& answer) {
                       self->shared_.Opened();
                       // An older agent, or one that cannot read the file: nothing has been written.
                       self->by_file_ = !absl::IsUnimplemented(answer.status());
                       if (self->by_file_)
                         self->OnWritten(answer.status(), size);
                       else
                         self->WriteNext();
                     });
  return true;
}

void StdinWriter::WriteByMessage(absl::string_view piece) {
  grpc::WriteStreamRequest request;
  request.set_container_id(container_id_);
  request.set_exec_id(exec_id_);
  request.set_data(piece.data(), piece.size());
  // No deadline: a program may read its stdin when it likes.
  client_->CallAsync(kAgentService, "WriteStdin", request, absl::InfiniteFuture(),
                     [self = shared_from_this(), size = piece.size()](const absl::StatusOr<std::string>& answer) {
                       self->OnWritten(answer.status(), size);
                     });
}

void StdinWriter::OnWritten(const absl::Status& status, size_t size) {
  if (!status.ok()) {
    spdlog::debug("stdin of exec {} in container {}: {}", exec_id_, container_id_, status.ToString());
    broken_ = true;
  }
  written_ += size;
  WriteNext();
}

void StdinWriter::Taken() {
  data_ = {};
  written_ = 0;
  if (taken_ == nullptr) return;
  const std::function<void()> taken = std::exchange(taken_, nullptr);
  taken();
}

void StdinWriter::Close() {
  broken_ = true;
  grpc::CloseStdinRequest request;
  request.set_container_id(container_id_);
  request.set_exec_id(exec_id_);
  client_->CallAsync(kAgentService, "CloseStdin", request, absl::Now() + kCallTimeout,
                     [](const absl::StatusOr<std::string>&) {});
}

void StdinWriter::Resize(TerminalSize size) {
  grpc::TtyWinResizeRequest request;
  request.set_container_id(container_id_);
  request.set_exec_id(exec_id_);
  request.set_row(size.rows);
  request.set_column(size.columns);
  client_->CallAsync(kAgentService, "TtyWinResize", request, absl::Now() + kCallTimeout,
                     [](const absl::StatusOr<std::string>&) {});
}

void StdinWriter::Abandon() { taken_ = nullptr; }

}  // namespace podvisor
