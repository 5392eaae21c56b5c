// Moves the output of one process in a guest to a sink.
#ifndef PODVISOR_PODMANAGER_IO_OUTPUT_PUMP_H_
#define PODVISOR_PODMANAGER_IO_OUTPUT_PUMP_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/client/agent_client.h"
#include "base/event_loop.h"
#include "podmanager/io/output_sink.h"

namespace podvisor {

struct OutputPumpOptions {
  std::string sandbox_id;  // for the daemon's log
  std::string container_id;
  std::string exec_id;  // empty: the container's own process
  bool tty = false;     // there is only stdout
  // Where to begin, by OutputStream: bytes before have been kept by an earlier daemon.
  std::array<uint64_t, 2> offset{};
  std::array<bool, 2> ended{};
  uint32_t max_bytes = 64 << 10;                          // of one answer
  absl::Duration guest_wait = absl::Seconds(30);          // how long one call waits in the guest for output
  absl::Duration answer_grace = absl::Seconds(30);        // how much later the answer may come
  absl::Duration hold_time = absl::Milliseconds(20);      // how long the rest of a line is waited for
  absl::Duration first_backoff = absl::Milliseconds(50);  // doubled up to max_backoff while calls fail
  absl::Duration max_backoff = absl::Seconds(2);
};

// One call per stream is under way at a time: Extension.ReadOutput, or ReadStdout and ReadStderr where the agent
// answers UNIMPLEMENTED (then what has been read but not kept is lost if the daemon dies). With ReadOutput nothing is
// lost or doubled over broken connections: bytes are acknowledged when the sink has taken them.
//
// The guest is not trusted: an offset that goes backwards or past what was asked for (but for the first answer, when an
// earlier daemon may have acknowledged more), more data than asked for, or a row of empty answers that come before
// their time end the pump with an error.
//
// Thread-safe. Runs on the event loop and keeps itself alive until `on_done` or Stop().
class OutputPump {
 public:
  // `on_done` is called once from the event loop: OK when all streams have ended; kNotFound if the guest does not know
  // the process; kCancelled when the client was closed; kDataLoss if the guest broke the rules above; another error
  // that the guest gave several times in a row. What only keeps the guest from answering is waited out.
  static std::shared_ptr<OutputPump> Start(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                           std::shared_ptr<OutputSink> sink, OutputPumpOptions options,
                                           std::function<void(absl::Status)> on_done);
  virtual ~OutputPump() = default;

  // Ends reading: at once in the event loop's thread, else as soon as the loop gets to it. After that neither the sink
  // nor `on_done` is called. Idempotent.
  virtual void Stop() = 0;

  // A tap sees what is read from now on, until it is removed or the stream has ended.
  virtual void AddTap(std::shared_ptr<OutputTap> tap) = 0;
  virtual void RemoveTap(const std::shared_ptr<OutputTap>& tap) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_OUTPUT_PUMP_H_
