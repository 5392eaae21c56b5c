// A program's standard input.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_INPUT_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_INPUT_H_

#include <deque>
#include <memory>
#include <string>

#include "agent/guest/call.h"
#include "agent/guest/loop.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

// Writes in the order of the calls; a call is answered when the program's pipe has taken all of its bytes.
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
  // End of file for the program, after what was written before. A terminal has no such thing: nothing happens.
  void Close();
  // The program is gone.
  void Abandon();

 private:
  struct Chunk {
    std::string data;
    size_t written;
    CallPtr call;
  };

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
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_INPUT_H_
