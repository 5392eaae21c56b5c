// Bytes between a client and something in a pod: an exec, an attach, a forwarded port. Neither side knows what the
// other is.
#ifndef PODVISOR_PODMANAGER_STREAM_SESSION_H_
#define PODVISOR_PODMANAGER_STREAM_SESSION_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace podvisor {

// Which of a program's streams a client wants to have. With a terminal there is no stderr.
struct StreamOptions {
  bool tty = false;
  bool want_stdin = false, want_stdout = false, want_stderr = false;
};

struct TerminalSize {
  uint16_t columns = 0, rows = 0;
};

enum class PeerOutput { kStdout, kStderr };  // a forwarded port has the first only

// The client. All calls come from the event loop and must not block.
class StreamPeer {
 public:
  virtual ~StreamPeer() = default;

  // Takes `data` (never empty), and calls `taken` once, from the event loop, maybe at once, when there is room for
  // more: until then no second Write() of this output comes. That is the back-pressure.
  virtual void Write(PeerOutput output, std::string data, std::function<void()> taken) = 0;
  // No more comes of this output. At most once for each.
  virtual void End(PeerOutput output) = 0;
  // It is over: the exit code of the program (0 for what has none), or what went wrong. Once, after all output has been
  // taken; nothing follows.
  virtual void Finish(absl::StatusOr<int> exit) = 0;
};

enum class Leave {
  kClientGone,  // a program is left to itself, without stdin; its terminal, if it has one, hangs up
  kShutdown,    // the daemon ends: a program that only this session has started is killed, for nobody would collect it
};

// What a client has started. All calls come from the event loop and return at once. Keeps itself alive until the
// peer's Finish() or Hangup(), after neither of which the peer is called again.
class StreamSession {
 public:
  virtual ~StreamSession() = default;

  // Bytes for the program's stdin, or the port. `taken` is called once, from the event loop, maybe at once, when there
  // is room for more: they have been written, or the last of them are on their way, or they have been dropped because
  // nobody reads them any more. Until then, no second Write().
  virtual void Write(std::string data, std::function<void()> taken) = 0;
  // No more will be written: the end of the file. Not while a Write() is under way.
  virtual void End() = 0;
  // Without effect if there is no terminal.
  virtual void Resize(TerminalSize size) = 0;
  // The peer wants nothing any more. Idempotent; without effect after Finish().
  virtual void Hangup(Leave leave) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_STREAM_SESSION_H_
