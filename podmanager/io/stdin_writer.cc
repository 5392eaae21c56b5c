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
  sent_ = 0;
  taken_ = std::move(taken);
  SendMore();
}

void StdinWriter::SendMore() {
  const int at_once = by_file_ && file_works_ ? kSharedPieces : 1;
  while (!broken_ && sent_ < data_.size() && under_way_ < at_once) {
    const absl::string_view rest = absl::string_view(data_).substr(sent_);
    if (!SendByFile(rest.substr(0, kSharedPieceBytes))) SendByMessage(rest.substr(0, kPiece));
  }
  if (broken_ || (sent_ == data_.size() && under_way_ < at_once)) Taken();
}

bool StdinWriter::SendByFile(absl::string_view piece) {
  if (!by_file_ || piece.size() < kLeastSharedBytes) return false;
  const absl::StatusOr<uint64_t> offset = shared_.Put(piece);
  if (!offset.ok()) {
    spdlog::warn("stdin of exec {} in container {}: goes in messages, which takes longer: {}", exec_id_, container_id_,
                 std::string(offset.status().message()));
    by_file_ = false;
    return false;
  }
  agent::v1::WriteStdinFileRequest request;
  request.set_container_id(container_id_);
  request.set_exec_id(exec_id_);
  request.set_path(GuestSharedPath(shared_.name()));
  request.set_offset(*offset);
  request.set_size(static_cast<uint32_t>(piece.size()));
  Sending(piece.size());
  client_->CallAsync(kExtensionService, "WriteStdinFile", request, absl::InfiniteFuture(),
                     [self = shared_from_this(), size = piece.size()](const absl::StatusOr<std::string>& answer) {
                       self->OnFileWritten(answer.status(), size);
                     });
  return true;
}

void StdinWriter::OnFileWritten(const absl::Status& status, size_t size) {
  shared_.Opened();
  if (!absl::IsUnimplemented(status) || file_works_) {
    file_works_ = true;
    return OnWritten(status);
  }
  // An older agent, or one that cannot read the file. Nothing has been written, and nothing was sent after it.
  by_file_ = false;
  sent_ -= size;
  OnWritten(absl::OkStatus());
}

void StdinWriter::SendByMessage(absl::string_view piece) {
  grpc::WriteStreamRequest request;
  request.set_container_id(container_id_);
  request.set_exec_id(exec_id_);
  request.set_data(piece.data(), piece.size());
  Sending(piece.size());
  // No deadline: a program may read its stdin when it likes.
  client_->CallAsync(
      kAgentService, "WriteStdin", request, absl::InfiniteFuture(),
      [self = shared_from_this()](const absl::StatusOr<std::string>& answer) { self->OnWritten(answer.status()); });
}

void StdinWriter::Sending(size_t size) {
  sent_ += size;
  ++under_way_;
}

void StdinWriter::OnWritten(const absl::Status& status) {
  if (!status.ok()) {
    spdlog::debug("stdin of exec {} in container {}: {}", exec_id_, container_id_, status.ToString());
    broken_ = true;
  }
  --under_way_;
  SendMore();
}

void StdinWriter::Taken() {
  data_ = {};
  sent_ = 0;
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
