#include "podmanager/io/stdin_writer.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

constexpr size_t kPiece = 256 << 10;
constexpr absl::Duration kCallTimeout = absl::Seconds(30);

}  // namespace

StdinWriter::StdinWriter(std::shared_ptr<AgentClient> client, std::string container_id, std::string exec_id)
    : client_(std::move(client)), container_id_(std::move(container_id)), exec_id_(std::move(exec_id)) {}

void StdinWriter::Write(std::string data, std::function<void()> taken) {
  data_ = std::move(data);
  written_ = 0;
  taken_ = std::move(taken);
  WriteNext();
}

void StdinWriter::WriteNext() {
  if (broken_ || written_ == data_.size()) return Taken();
  grpc::WriteStreamRequest request;
  request.set_container_id(container_id_);
  request.set_exec_id(exec_id_);
  const size_t size = std::min(kPiece, data_.size() - written_);
  request.set_data(data_.data() + written_, size);
  // No deadline: a program may read its stdin when it likes.
  client_->CallAsync(kAgentService, "WriteStdin", request, absl::InfiniteFuture(),
                     [self = shared_from_this(), size](const absl::StatusOr<std::string>& answer) {
                       if (!answer.ok()) {
                         spdlog::debug("stdin of exec {} in container {}: {}", self->exec_id_, self->container_id_,
                                       answer.status().ToString());
                         self->broken_ = true;
                       }
                       self->written_ += size;
                       self->WriteNext();
                     });
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
