// What a program has written to one of its outputs.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_OUTPUT_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_OUTPUT_H_

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "agent/guest/call.h"
#include "agent/guest/loop.h"
#include "agent/guest/runtime/byte_ring.h"
#include "agent/protocol/extension.pb.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

inline constexpr size_t kOutputBufferBytes = 512 << 10;

// Reads a pipe or a terminal's master side into a buffer; while that is full, the program has to wait. Callers see
// either absolute offsets (ReadOutput: bytes stay until they are acknowledged) or a plain stream (Take: bytes are gone
// when read); the first is fit for a client that restarts.
class Output : public std::enable_shared_from_this<Output> {
 public:
  // `fd` is non-blocking, and may be shared with the terminal's input; -1: at its end from the beginning.
  Output(Loop& loop, std::shared_ptr<UniqueFd> fd);
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output();

  void Start();

  // agent/protocol/extension.proto: ReadOutput. kOutOfRange for an offset that has not been written yet.
  void ReadOutput(const podvisor::agent::v1::ReadOutputRequest& request, CallPtr call);
  // The Kata agent's ReadStdout: waits for the first byte; at the end an error, "read meet eof".
  void Take(uint32_t max_bytes, CallPtr call);

  // Nobody who counts is left to write: takes what is there and ends the stream, though some descriptor of the pipe
  // may be open still.
  void End();

  // All that was ever written, if the stream has ended and no byte of it has been dropped yet; what is in the pipe now
  // is read first.
  std::optional<std::string> Whole();
  // `told` is called once, when the buffer is full and so the program has to wait. An empty function takes it back.
  void WhenFull(std::function<void()> told) { on_full_ = std::move(told); }

  bool at_end() const { return eof_ && ring_.size() == 0; }

 private:
  struct Waiter {
    CallPtr call;
    bool take;
    uint64_t offset;
    size_t max;
    Loop::TimerId timer = 0;
  };

  void Fill();
  void Finish();
  void SetWatched(bool watched);
  void ServeWaiters();
  // False if there is nothing to say yet.
  bool Serve(const Waiter& waiter);

  Loop& loop_;
  std::shared_ptr<UniqueFd> fd_;
  ByteRing ring_{kOutputBufferBytes};
  bool eof_ = false;
  bool ending_ = false;  // what is not there now will not come
  bool watched_ = false;
  bool pipe_grown_ = false;
  std::list<Waiter> waiters_;
  std::function<void()> on_full_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_OUTPUT_H_
