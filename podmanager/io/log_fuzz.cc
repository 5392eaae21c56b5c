// Log files: what is written of a stream is read again, and a file of any bytes is recovered from once and for all.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/testing/fuzz_input.h"
#include "podmanager/io/log_format.h"
#include "podmanager/io/log_recovery.h"

namespace podvisor {
namespace {

constexpr absl::string_view kTime = "2026-01-01T00:00:00.000000000Z";

void CheckLines(absl::string_view data, Tail tail) {
  std::string log;
  const size_t taken = AppendLogLines(OutputStream::kStderr, data, tail, kTime, &log);
  Require(taken <= data.size(), "no more is logged than there is");
  Require(tail == Tail::kMayHold || taken == data.size(), "a flush leaves nothing");
  std::string read;
  for (absl::string_view line : absl::StrSplit(log, '\n', absl::SkipEmpty())) {
    const std::optional<LogLine> parsed = ParseLogLine(line);
    Require(parsed.has_value() && parsed->stream == OutputStream::kStderr, "our own lines are known");
    Require(parsed->content.size() <= kMaxLogLine, "no line is longer than is allowed");
    absl::StrAppend(&read, parsed->content, parsed->full ? "\n" : "");
  }
  Require(read == data.substr(0, taken), "what is logged is read again");
}

std::string MakeFolder() {
  const char* temporary = std::getenv("TEST_TMPDIR");
  std::string folder = absl::StrCat(temporary == nullptr ? "/tmp" : temporary, "/log-fuzz.XXXXXX");
  Require(::mkdtemp(folder.data()) != nullptr, "a folder can be made");
  return folder;
}

class File {
 public:
  File() : folder_(MakeFolder()), path_(folder_ + "/0.log") {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    Require(fd_ >= 0, "a file can be made");
  }
  ~File() {
    ::close(fd_);
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }
  void Fill(absl::string_view bytes) {
    Require(::ftruncate(fd_, 0) == 0, "the file can be emptied");
    Require(::pwrite(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), "it can be written");
  }
  struct stat Stat() const {
    struct stat info = {};
    Require(::fstat(fd_, &info) == 0, "stat");
    return info;
  }
  const std::string& path() const { return path_; }

 private:
  const std::string folder_, path_;
  int fd_;
};

void CheckRecovery(absl::string_view bytes, uint64_t checkpoint_size) {
  static File file;
  file.Fill(bytes);
  LogPosition checkpoint;
  checkpoint.path = file.path();
  checkpoint.inode = file.Stat().st_ino;
  checkpoint.size = checkpoint_size;
  const absl::StatusOr<RecoveredLog> once = RecoverLog(checkpoint);
  Require(once.ok(), "a file of any bytes can be recovered from");
  const uint64_t left = static_cast<uint64_t>(file.Stat().st_size);
  Require(once->position.size == left, "the position is the file's end");
  Require(once->position.offset[0] + once->position.offset[1] <= bytes.size(), "no more output than the file holds");
  const absl::StatusOr<RecoveredLog> twice = RecoverLog(once->position);
  Require(twice.ok() && twice->position == once->position, "recovering again changes nothing");
  Require(twice->bytes_after == 0 && twice->torn_bytes == 0, "nothing is found twice");
}

}  // namespace
}  // namespace podvisor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  FuzzInput input(data, size);
  const uint8_t choice = input.TakeByte();
  CheckLines(input.rest(), choice % 2 == 0 ? Tail::kMayHold : Tail::kFlush);
  CheckRecovery(input.rest(), choice / 2);
  return 0;
}
