#include "podmanager/io/log_writer.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "podmanager/io/log_format.h"

namespace podvisor {
namespace {

struct OpenFile {
  UniqueFd fd;
  uint64_t inode = 0;
  uint64_t size = 0;
};

absl::StatusOr<OpenFile> OpenLog(const std::string& path) {
  OpenFile file;
  file.fd.reset(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  if (!file.fd.ok() && errno == ENOENT) {
    std::error_code error;  // what it would say, the second open says better
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    file.fd.reset(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  }
  if (!file.fd.ok()) return ErrnoStatus(errno, absl::StrCat("open log ", path));
  struct stat info {};
  if (fstat(file.fd.get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("fstat log ", path));
  if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError(absl::StrCat("log ", path, " is not a file"));
  file.inode = info.st_ino;
  file.size = static_cast<uint64_t>(info.st_size);
  return file;
}

// All of `data` or an errno value.
int WriteAll(int fd, absl::string_view data) {
  while (!data.empty()) {
    const ssize_t n = write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EIO;
    data.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

class LogWriterImpl : public LogWriter, public std::enable_shared_from_this<LogWriterImpl> {
 public:
  LogWriterImpl(EventLoop& loop, LogWriterOptions options, Checkpoint checkpoint, OpenFile file)
      : options_(std::move(options)),
        checkpoint_(std::move(checkpoint)),
        fd_(std::move(file.fd)),
        position_(options_.start),
        backoff_(options_.first_backoff),
        retry_(loop.context()) {
    position_.inode = file.inode;
    position_.size = file.size;
  }

  absl::Status SaveFirst() { return checkpoint_(position_); }

  void Write(OutputStream stream, std::string data, Tail tail, std::function<void(size_t)> taken) override {
    if (closed_) return;
    const size_t bytes = AppendLogLines(stream, data, tail, LogTimestamp(absl::Now()), &unwritten_);
    if (bytes == 0) return taken(0);
    waiting_.push_back({stream, bytes, std::move(taken)});
    if (!retrying_) Flush();
  }

  void End(OutputStream stream) override {
    if (closed_) return;
    position_.ended[Index(stream)] = true;
    SaveOrWarn();
  }

  absl::Status Reopen() override {
    ASSIGN_OR_RETURN(OpenFile file, OpenLog(position_.path), "container ", options_.container_id);
    if (file.inode == position_.inode) return absl::OkStatus();
    LogPosition next = position_;
    next.inode = file.inode;
    next.size = file.size;
    RETURN_IF_ERROR(checkpoint_(next), "container ", options_.container_id, ": reopen log ", position_.path);
    position_ = next;
    since_checkpoint_ = 0;
    fd_ = std::move(file.fd);
    return absl::OkStatus();
  }

  const LogPosition& position() const override { return position_; }

  void Close() override {
    closed_ = true;
    retry_.cancel();
    waiting_.clear();
    unwritten_.clear();
  }

 private:
  struct Waiting {
    OutputStream stream;
    size_t bytes;
    std::function<void(size_t)> taken;
  };

  void Flush() {
    if (const int error = TryWrite(); error != 0) return RetryLater(error);
    if (retrying_) {
      spdlog::info("container {} of sandbox {}: log {} can be written again", options_.container_id,
                   options_.sandbox_id, position_.path);
      retrying_ = false;
      backoff_ = options_.first_backoff;
    }
    since_checkpoint_ += unwritten_.size();
    unwritten_.clear();
    std::vector<Waiting> done;
    done.swap(waiting_);
    for (const Waiting& entry : done) position_.offset[Index(entry.stream)] += entry.bytes;
    if (since_checkpoint_ >= options_.checkpoint_bytes) SaveOrWarn();
    for (Waiting& entry : done) entry.taken(entry.bytes);
  }

  // The file ends where it did before if this fails: so the position holds at any time, and no line is torn.
  int TryWrite() {
    struct stat info {};
    if (fstat(fd_.get(), &info) != 0) return errno;
    const uint64_t size = static_cast<uint64_t>(info.st_size);
    if (torn_ && size > position_.size) {  // what an attempt left that could not take it back
      if (ftruncate(fd_.get(), static_cast<off_t>(position_.size)) != 0) return errno;
    } else {
      position_.size = size;  // cut or added to by someone else: let it be
    }
    torn_ = false;
    const int error = WriteAll(fd_.get(), unwritten_);
    if (error == 0) {
      position_.size += unwritten_.size();
    } else {
      torn_ = ftruncate(fd_.get(), static_cast<off_t>(position_.size)) != 0;
    }
    return error;
  }

  void RetryLater(int error) {
    if (!retrying_)
      spdlog::error("container {} of sandbox {}: log {}: {}: output waits until it can be written",
                    options_.container_id, options_.sandbox_id, position_.path, ErrnoStatus(error, "write").ToString());
    retrying_ = true;
    retry_.expires_after(absl::ToChronoNanoseconds(backoff_));
    backoff_ = std::min(2 * backoff_, options_.max_backoff);
    retry_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
      std::shared_ptr<LogWriterImpl> self = weak.lock();
      if (!cancelled && self != nullptr && !self->closed_) self->Flush();
    });
  }

  void SaveOrWarn() {
    since_checkpoint_ = 0;
    if (absl::Status status = checkpoint_(position_); !status.ok())
      spdlog::warn("container {} of sandbox {}: log checkpoint: {}", options_.container_id, options_.sandbox_id,
                   status.ToString());
  }

  const LogWriterOptions options_;
  const Checkpoint checkpoint_;
  UniqueFd fd_;
  LogPosition position_;          // of what is in the file for certain
  std::string unwritten_;         // whole lines: one batch, to be written by one call
  std::vector<Waiting> waiting_;  // whose data `unwritten_` is: at most one per stream
  uint64_t since_checkpoint_ = 0;
  absl::Duration backoff_;
  bool retrying_ = false;
  bool torn_ = false;  // the file may have a part of a batch after position_.size
  bool closed_ = false;
  boost::asio::steady_timer retry_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<LogWriter>> LogWriter::Open(EventLoop& loop, LogWriterOptions options,
                                                           Checkpoint checkpoint) {
  const std::string id = options.container_id;
  ASSIGN_OR_RETURN(OpenFile file, OpenLog(options.start.path), "container ", id);
  auto writer = std::make_shared<LogWriterImpl>(loop, std::move(options), std::move(checkpoint), std::move(file));
  RETURN_IF_ERROR(writer->SaveFirst(), "container ", id, ": log checkpoint");
  return std::shared_ptr<LogWriter>(std::move(writer));
}

}  // namespace podvisor
