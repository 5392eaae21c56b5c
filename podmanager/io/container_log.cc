#include "podmanager/io/container_log.h"

#include <spdlog/spdlog.h>

#include <array>
#include <boost/asio/post.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "podmanager/io/log_position.h"
#include "podmanager/io/log_recovery.h"
#include "podmanager/io/log_writer.h"
#include "podmanager/io/output_pump.h"
#include "podmanager/io/run_in_loop.h"

namespace podvisor {
namespace {

class DiscardSink : public OutputSink {
 public:
  void Write(OutputStream, std::string data, Tail, std::function<void(size_t)> taken) override { taken(data.size()); }
  void End(OutputStream) override {}
};

// The position to go on from: a new log's, or what checkpoint and file say.
absl::StatusOr<LogPosition> FindPosition(StateDb& db, const ContainerLogOptions& options) {
  LogPosition fresh;
  fresh.path = options.log_path;
  absl::StatusOr<std::string> record = db.Get(kLogCheckpointTable, options.container_id);
  if (absl::IsNotFound(record.status())) return fresh;
  RETURN_IF_ERROR(record.status());
  absl::StatusOr<LogPosition> checkpoint = ParsePosition(*record);
  if (!checkpoint.ok()) {
    spdlog::error("container {} of sandbox {}: {}: its log goes on with what the guest still has", options.container_id,
                  options.sandbox_id, checkpoint.status().ToString());
    return fresh;
  }
  ASSIGN_OR_RETURN(RecoveredLog recovered, RecoverLog(*checkpoint));
  if (!recovered.doubt.empty())
    spdlog::warn("container {} of sandbox {}: log {}: {}: some output may be in it twice or missing",
                 options.container_id, options.sandbox_id, checkpoint->path, recovered.doubt);
  spdlog::info("container {} of sandbox {}: log {} goes on after {} bytes of stdout and {} of stderr",  //
               options.container_id, options.sandbox_id, options.log_path, recovered.position.offset[0],
               recovered.position.offset[1]);
  recovered.position.path = options.log_path;
  return recovered.position;
}

class ContainerLogImpl : public ContainerLog, public std::enable_shared_from_this<ContainerLogImpl> {
 public:
  ContainerLogImpl(EventLoop& loop, ContainerLogOptions options, std::function<void(absl::Status)> on_done)
      : loop_(loop), options_(std::move(options)), on_done_(std::move(on_done)) {}
  ~ContainerLogImpl() override { Stop(); }

  absl::Status Begin(std::shared_ptr<AgentClient> client, StateDb& db) {
    LogPosition position;
    std::shared_ptr<OutputSink> sink;
    if (options_.log_path.empty()) {
      sink = std::make_shared<DiscardSink>();
    } else {
      ASSIGN_OR_RETURN(position, FindPosition(db, options_));
      ASSIGN_OR_RETURN(
          writer_,
          LogWriter::Open(loop_,
                          {.sandbox_id = options_.sandbox_id, .container_id = options_.container_id, .start = position},
                          [&db, id = options_.container_id](const LogPosition& position) {
                            return db.Put(kLogCheckpointTable, id, SerializePosition(position));
                          }));
      sink = writer_;
    }
    pump_ = OutputPump::Start(loop_, std::move(client), std::move(sink),
                              {.sandbox_id = options_.sandbox_id,
                               .container_id = options_.container_id,
                               .tty = options_.tty,
                               .offset = position.offset,
                               .ended = position.ended},
                              [weak = weak_from_this()](absl::Status status) {
                                if (auto self = weak.lock()) self->OnDone(std::move(status));
                              });
    return absl::OkStatus();
  }

  absl::Status Reopen() override {
    if (writer_ == nullptr) return absl::OkStatus();
    absl::Status status;
    RunInLoop(loop_, [this, &status] {
      status = stopped_ ? absl::FailedPreconditionError(
                              absl::StrCat("log of container ", options_.container_id, " has been stopped"))
                        : writer_->Reopen();
    });
    return status;
  }

  void Stop() override {
    if (pump_ == nullptr) return;  // Begin() has failed
    RunInLoop(loop_, [this] {
      stopped_ = true;
      on_done_ = nullptr;
      pump_->Stop();
      if (writer_ != nullptr) writer_->Close();
    });
  }

  void AddTap(std::shared_ptr<OutputTap> tap) override { pump_->AddTap(std::move(tap)); }
  void RemoveTap(const std::shared_ptr<OutputTap>& tap) override { pump_->RemoveTap(tap); }

 private:
  void OnDone(absl::Status status) {
    if (!status.ok() && !absl::IsCancelled(status))
      spdlog::error("container {} of sandbox {}: its output can't be read any more: {}", options_.container_id,
                    options_.sandbox_id, status.ToString());
    std::function<void(absl::Status)> done = std::move(on_done_);
    on_done_ = nullptr;
    if (done != nullptr) done(std::move(status));
  }

  EventLoop& loop_;
  const ContainerLogOptions options_;
  // Set by Begin(), before anyone else knows this object.
  std::shared_ptr<LogWriter> writer_;
  std::shared_ptr<OutputPump> pump_;
  // In the event loop's thread.
  std::function<void(absl::Status)> on_done_;
  bool stopped_ = false;
};

}  // namespace

absl::StatusOr<std::shared_ptr<ContainerLog>> ContainerLog::Start(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                                                  StateDb& db, ContainerLogOptions options,
                                                                  std::function<void(absl::Status)> on_done) {
  if (!options.log_path.empty() && !absl::StartsWith(options.log_path, "/"))
    return absl::InvalidArgumentError(absl::StrCat("log path \"", options.log_path, "\" is not absolute"));
  const std::string id = options.container_id;
  auto log = std::make_shared<ContainerLogImpl>(loop, std::move(options), std::move(on_done));
  RETURN_IF_ERROR(log->Begin(std::move(client), db), "container ", id);
  return std::shared_ptr<ContainerLog>(std::move(log));
}

absl::Status ContainerLog::Forget(StateDb& db, const std::string& container_id) {
  return db.Delete(kLogCheckpointTable, container_id);
}

}  // namespace podvisor
