// A program in a fake guest: what it does is said by its arguments.
#ifndef PODVISOR_AGENT_FAKE_FAKE_PROCESS_H_
#define PODVISOR_AGENT_FAKE_FAKE_PROCESS_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace podvisor {

// The vocabulary (folders before the name are ignored):
//   true | false | exit N     ends at once
//   echo TEXT... | warn TEXT  writes a line to stdout | stderr, ends with 0
//   cat                       copies stdin to stdout, ends with 0 when stdin is closed
//   sleep N                   ends with 0 after N seconds; "inf": never
//   spam N BYTES              writes N lines of BYTES bytes (with the newline, numbered from 0) to stdout as its reader
//                             takes them, then ends with 0
//   rehearsal true | rehearse as in guest/rehearsal.c: ends with 0 at once | writes "rehearsed" and runs
//   notfound                  can't be started
//   stubborn                  ignores every signal but SIGKILL
//   anything else             runs until it is signalled
// A signal that would end a program by default ends it with 128 + signal.
//
// For the event loop's thread. Held by shared pointer.
class FakeProcess : public std::enable_shared_from_this<FakeProcess> {
 public:
  enum class Stream { kStdout, kStderr };
  enum class State { kCreated, kRunning, kExited };

  struct Output {
    std::string data;
    uint64_t offset = 0;
    bool eof = false;
  };
  using OutputDone = std::function<void(absl::StatusOr<Output>)>;
  using ExitDone = std::function<void(absl::Status)>;  // then look at state()

  FakeProcess(boost::asio::io_context& context, std::vector<std::string> args, uint32_t pid)
      : context_(context), args_(std::move(args)), pid_(pid) {}

  // kFailedPrecondition if it was started before; kInternal, in runc's words, if there is no such program.
  absl::Status Start();
  void Signal(int signal);
  // Ends it from outside with this code, as if it had called exit.
  void Exit(int code);
  // Kills it, answers all who wait, and drops the output.
  void Release();

  // Appends to its output from outside.
  void Write(Stream stream, absl::string_view data);
  absl::Status WriteStdin(absl::string_view data);
  void CloseStdin();

  // As Extension.ReadOutput.
  void ReadOutput(Stream stream, uint64_t offset, size_t max_bytes, absl::Duration wait, OutputDone done);
  // As AgentService.ReadStdout: waits for a byte, takes it, kInvalidArgument at the end of the stream.
  void TakeOutput(Stream stream, size_t max_bytes, OutputDone done);
  // Answers when it has exited, or after `wait`.
  void WaitExit(absl::Duration wait, ExitDone done);

  // Called once when it exits.
  void OnExit(std::function<void()> callback) { on_exit_ = std::move(callback); }

  // Written and not yet acknowledged.
  const std::string& Pending(Stream stream) { return buffer(stream).data; }
  // It writes as much as is taken from it, and ends no sooner.
  bool NeedsReader() const { return spam_lines_ > 0; }

  State state() const { return state_; }
  int exit_code() const { return exit_code_; }
  uint32_t pid() const { return pid_; }
  absl::Time started_at() const { return started_at_; }
  absl::Time finished_at() const { return finished_at_; }
  const std::vector<std::string>& args() const { return args_; }

 private:
  enum class Wakeup { kChange, kTimeout, kGone };
  struct Buffer {
    std::string data;  // not acknowledged
    uint64_t begin = 0;
  };
  struct Waiter {
    std::function<bool(Wakeup)> serve;  // true: answered
    std::optional<boost::asio::steady_timer> timer;
  };

  Buffer& buffer(Stream stream) { return stream == Stream::kStdout ? out_ : err_; }
  void Acknowledge(Buffer& buffer, uint64_t offset);
  void Spam();
  void Wait(absl::Duration wait, std::function<bool(Wakeup)> serve);
  void Wake(Wakeup wakeup);

  boost::asio::io_context& context_;
  const std::vector<std::string> args_;
  const uint32_t pid_;
  State state_ = State::kCreated;
  int exit_code_ = 0;
  absl::Time started_at_ = absl::InfinitePast();
  absl::Time finished_at_ = absl::InfinitePast();
  bool stubborn_ = false;
  bool echoes_stdin_ = false;
  bool stdin_closed_ = false;
  uint64_t spam_next_ = 0, spam_lines_ = 0;
  size_t spam_line_bytes_ = 0;
  Buffer out_, err_;
  std::list<std::shared_ptr<Waiter>> waiters_;
  std::optional<boost::asio::steady_timer> alarm_;
  std::function<void()> on_exit_;
};

}  // namespace podvisor

#endif  // PODVISOR_AGENT_FAKE_FAKE_PROCESS_H_
