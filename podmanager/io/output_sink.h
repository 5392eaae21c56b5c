// Where the bytes go that a process in a guest writes.
#ifndef PODVISOR_PODMANAGER_IO_OUTPUT_SINK_H_
#define PODVISOR_PODMANAGER_IO_OUTPUT_SINK_H_

#include <cstddef>
#include <functional>
#include <string>

#include "absl/strings/string_view.h"

namespace podvisor {

enum class OutputStream { kStdout, kStderr };

// What becomes of a line without its newline at the end of the data.
enum class Tail {
  kMayHold,  // may be left to be given again, with what follows it
  kFlush,    // must be taken
};

// Takes the output of one process and keeps it. All calls come from the event loop, and never a second for a stream
// before the first has answered: that is the back-pressure.
class OutputSink {
 public:
  virtual ~OutputSink() = default;

  // Takes the beginning of `data`, all of it with Tail::kFlush. Calls `taken` once, from the event loop, now or later,
  // with the number of bytes that are safe: those the guest may forget. The bytes after them come again.
  virtual void Write(OutputStream stream, std::string data, Tail tail, std::function<void(size_t)> taken) = 0;

  // No more comes of this stream; all before has been taken. Once per stream.
  virtual void End(OutputStream stream) = 0;
};

// Sees each byte once, as soon as it comes, besides the sink: attach. Must not block.
class OutputTap {
 public:
  virtual ~OutputTap() = default;
  virtual void Data(OutputStream stream, absl::string_view data) = 0;
  virtual void End(OutputStream stream) = 0;
  // Whether it has room for more. If not, nothing more is read of the stream, by nobody, until it calls `resume` (once,
  // from the event loop) or is removed.
  virtual bool Ready(OutputStream, std::function<void()> /*resume*/) { return true; }
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_OUTPUT_SINK_H_
