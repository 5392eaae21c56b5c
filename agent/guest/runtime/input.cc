#include "agent/guest/runtime/input.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/guest/runtime/pipe_size.h"
#include "base/status_macros.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor::guest {
namespace {

constexpr size_t kMaxQueuedBytes = 1 << 20;

absl::Status Closed() { return absl::FailedPreconditionError("standard input is closed"); }

// Elsewhere a pipe would hold the pages of the file's cache, and its reader would find in them what the host has
// written there since. On 9p (without a cache, see the host's mount options) pages are filled for the pipe alone.
bool MaySplice(const UniqueFd& file) {
  struct statfs about;
  return file.ok() && ::fstatfs(file.get(), &about) == 0 && about.f_type == V9FS_MAGIC;
}

absl::Status ReadPiece(const UniqueFd& file, uint64_t offset, size_t size, std::string* data) {
  if (!file.ok()) return ErrnoStatus(errno, "open");
  data->resize(size);
  for (size_t have = 0; have < size;) {
    const ssize_t got = ::pread(file.get(), data->data() + have, size - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read");
    if (got == 0)
      return absl::OutOfRangeError(absl::StrCat("the file has ", have, " bytes from ", offset, " on, not ", size));
    have += static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace

Input::~Input() {
  if (watched_) loop_.Unwatch(fd_.get());
}

void Input::Write(std::string data, CallPtr call) {
  const size_t size = data.size();
  Enqueue({.data = std::move(data), .file = nullptr, .offset = 0, .size = size, .written = 0, .call = std::move(call)});
}

void Input::WriteFile(const std::string& path, uint64_t offset, size_t size, CallPtr call) {
  if (!fd_.ok() || closing_) return call->Fail(Closed());
  if (kind_ == Kind::kTerminal) return call->Fail(absl::UnimplementedError("a terminal takes no file"));
  if (size > kMaxQueuedBytes) {
    return call->Fail(absl::InvalidArgumentError(absl::StrCat(size, " bytes: at most ", kMaxQueuedBytes)));
  }
  if (file_ == nullptr || file_path_ != path) {
    file_ = std::make_shared<UniqueFd>(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    file_path_ = path;
    may_splice_ = MaySplice(*file_);  // once: on 9p it is a question to the host
  }
  Chunk chunk{.data = "", .file = file_, .offset = offset, .size = size, .written = 0, .call = std::move(call)};
  if (!may_splice_) {
    chunk.file = nullptr;
    if (const absl::Status read = ReadPiece(*file_, offset, size, &chunk.data); !read.ok()) {
      file_ = nullptr;
      return chunk.call->Fail(absl::UnimplementedError(absl::StrCat(path, ": ", read.message())));
    }
  }
  Enqueue(std::move(chunk));
}

void Input::Enqueue(Chunk chunk) {
  if (!fd_.ok() || closing_) return chunk.call->Fail(Closed());
  if (queued_ > 0 && queued_ + chunk.size > kMaxQueuedBytes) {
    return chunk.call->Fail(absl::ResourceExhaustedError("standard input: 1 MiB waits for the program to read it"));
  }
  queued_ += chunk.size;
  chunks_.push_back(std::move(chunk));
  if (!watched_) Drain();
}

ssize_t Input::WriteSome(const Chunk& chunk) const {
  const size_t rest = chunk.size - chunk.written;
  if (rest == 0) return 0;
  if (chunk.file == nullptr) return ::write(fd_.get(), chunk.data.data() + chunk.written, rest);
  auto offset = static_cast<loff_t>(chunk.offset + chunk.written);
  const ssize_t put = ::splice(chunk.file->get(), &offset, fd_.get(), nullptr, rest, SPLICE_F_NONBLOCK);
  if (put == 0) errno = ENODATA;  // the file is shorter than that
  return put == 0 ? -1 : put;
}

void Input::Close() {
  if (kind_ == Kind::kTerminal) return;
  closing_ = true;
  if (!watched_) Drain();
}

void Input::Abandon() { Shut(Closed()); }

void Input::Drain() {
  const auto self = shared_from_this();
  while (!chunks_.empty()) {
    Chunk& chunk = chunks_.front();
    const ssize_t put = WriteSome(chunk);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) {
      if (!std::exchange(pipe_grown_, true)) {
        GrowPipe(fd_.get());
        continue;
      }
      if (watched_) return;
      watched_ = loop_.Watch(fd_.get(), EPOLLOUT, [this](uint32_t) { Drain(); }).ok();
      return;
    }
    if (put < 0 && (chunk.file == nullptr || errno == EPIPE)) {
      return Shut(absl::FailedPreconditionError("standard input: the program has closed it"));
    }
    if (put < 0) {
      const std::string why = absl::StrCat("standard input, from a file: ", ::strerror(errno));
      // Nothing may be written twice, or after a gap.
      if (chunk.written > 0 || chunks_.size() > 1) return Shut(absl::DataLossError(why));
      queued_ -= chunk.size;
      const CallPtr call = std::move(chunk.call);
      chunks_.pop_front();
      call->Fail(absl::UnimplementedError(why));
      continue;
    }
    chunk.written += static_cast<size_t>(put);
    queued_ -= static_cast<size_t>(put);
    if (chunk.written < chunk.size) continue;
    grpc::WriteStreamResponse response;
    response.set_len(static_cast<uint32_t>(chunk.size));
    chunk.call->Reply(response);
    chunks_.pop_front();
  }
  if (watched_) loop_.Unwatch(fd_.get());
  watched_ = false;
  if (closing_) Shut(Closed());
}

void Input::Shut(const absl::Status& status) {
  if (watched_) loop_.Unwatch(fd_.get());
  watched_ = false;
  fd_.reset();
  file_ = nullptr;
  for (const Chunk& chunk : chunks_) chunk.call->Fail(status);
  chunks_.clear();
  queued_ = 0;
}

}  // namespace podvisor::guest
