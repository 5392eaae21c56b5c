// A program's standard input.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_INPUT_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_INPUT_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "agent/guest/call.h"
#include "agent/guest/loop.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

// Writes in the order of the calls; a call is answered when the program's pipe has taken all of its bytes. Those of a
// file on 9p are not copied here: the kernel reads them right into the pipe.
class Input : public std::enable_shared_from_this<Input> {
 public:
  enum class Kind { kPipe, kTerminal };

  // `fd` is non-blocking.
  Input(Loop& loop, UniqueFd fd, Kind kind) : loop_(loop), fd_(std::move(fd)), kind_(kind) {}
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input();

  // kFailedPrecondition once it is closed or the program has closed its end; kResourceExhausted with 1 MiB waiting.
  void Write(std::string data, CallPtr call);
  // agent/protocol/extension.proto: WriteStdinFile.
  void WriteFile(const std::string& path, uint64_t offset, size_t size, CallPtr call);
  // End of file for the program, after what was written before. A terminal has no such thing: nothing happens.
  void Close();
  // The program is gone.
  void Abandon();

 private:
  struct Chunk {
    std::string data;                // the bytes, or the file that they are in
    std::shared_ptr<UniqueFd> file;  // null: data
    uint64_t offset;                 // in it
    size_t size;
    size_t written;
    CallPtr call;
  };

  void Enqueue(Chunk chunk);
  // As ::write(), of what is left of the chunk.
  ssize_t WriteSome(const Chunk& chunk) const;
  void Drain();
  void Shut(const absl::Status& status);

  Loop& loop_;
  UniqueFd fd_;
  const Kind kind_;
  bool closing_ = false;
  bool watched_ = false;
  bool pipe_grown_ = false;
  size_t queued_ = 0;
  std::deque<Chunk> chunks_;
  std::string file_path_;  // of WriteFile()
  std::shared_ptr<UniqueFd> file_;
  bool may_splice_ = false;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_INPUT_H_
