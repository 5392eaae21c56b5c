// A guest's agent in memory, as far as podmanager/io calls it: streams with acknowledged offsets, execs, exits.
#ifndef PODVISOR_PODMANAGER_IO_TESTING_MEMORY_GUEST_H_
#define PODVISOR_PODMANAGER_IO_TESTING_MEMORY_GUEST_H_

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/client/agent_client.h"
#include "agent/protocol/extension.pb.h"
#include "base/event_loop.h"
#include "podmanager/io/output_sink.h"

namespace podvisor {

// Calls are served in the event loop; what tests do to it may come from any thread and is done when it returns. A
// process is made by its first use. Outlives the pumps of "several daemons".
class MemoryGuest : public AgentClient {
 public:
  // kOlderPodvisor has no RunExec: VMs outlive an upgrade of the daemon. kPlainKata has no extension at all.
  enum class Kind { kPodvisor, kOlderPodvisor, kPlainKata };
  enum class Loss { kRequest, kAnswer };  // what a broken connection takes with it

  MemoryGuest(EventLoop& loop, Kind kind) : loop_(loop), kind_(kind) {}

  // What the process writes. `exec_id` is empty for the container's own.
  void Print(const std::string& exec_id, OutputStream stream, const std::string& text);
  void EndStream(const std::string& exec_id, OutputStream stream);
  // Ends both streams as well.
  void Exit(const std::string& exec_id, int code);
  // A child of it keeps them open.
  void ExitLeavingChild(const std::string& exec_id, int code);

  // Failpoints. The next `count` calls of `method` fail with `status`; calls under way stay.
  void FailNext(const std::string& method, absl::Status status, int count = 1);
  // The next call of `method` is lost with the connection.
  void BreakNext(const std::string& method, Loss loss);
  // Replaces the answers to ReadOutput: a guest that lies. An empty function ends it.
  using Lie = std::function<agent::v1::ReadOutputResponse(const agent::v1::ReadOutputRequest&)>;
  void LieAboutOutput(Lie lie);
  // Called in the loop when an exec is started: the program.
  void OnExec(std::function<void(const std::string& exec_id)> program);

  uint64_t acknowledged(const std::string& exec_id, OutputStream stream);
  int calls(const std::string& method);
  int signal(const std::string& exec_id);  // the last one sent; 0: none
  bool stdin_closed(const std::string& exec_id);
  bool released(const std::string& exec_id);
  // Blocks until `method` has been called `count` times; false after a long time.
  bool AwaitCalls(const std::string& method, int count);

  absl::Status WaitReady(absl::Time) override { return absl::OkStatus(); }
  void CallAsync(absl::string_view service, absl::string_view method, const google::protobuf::MessageLite& request,
                 absl::Time deadline, Done done) override;
  // Fails what is under way; later calls too.
  void Close() override;

 private:
  struct Stream {
    std::string data;           // from the start
    uint64_t acknowledged = 0;  // plain reads: taken
    bool ended = false;
  };
  struct Process {
    Stream stream[2];
    bool stdin_closed = false, released = false;
    int signal = 0;
    std::optional<int> exit_code;
  };
  // A call that waits: `serve` answers it and returns true when it can, or must.
  struct Waiter {
    std::function<bool(bool time_is_up)> serve;
    Done done;
  };

  void Do(const std::function<void()>& step);
  void Serve(const std::string& method, const std::string& request, Done done);
  void ServeReadOutput(const std::string& request, Done done);
  void ServePlainRead(OutputStream which, const std::string& request, Done done);
  void ServeWaitExit(const std::string& request, Done done);
  void ServeWaitProcess(const std::string& request, Done done);
  void ServeExec(const std::string& request, Done done);
  void ServeRunExec(const std::string& request, Done done);
  void Wait(absl::Duration time, Done done, std::function<bool(bool)> serve);
  void Wake();

  EventLoop& loop_;
  const Kind kind_;
  // All in the event loop's thread.
  std::map<std::string, Process> processes_;
  std::list<std::shared_ptr<Waiter>> waiters_;
  std::map<std::string, std::list<absl::Status>> failures_;
  std::map<std::string, Loss> broken_;
  std::map<std::string, int> calls_;
  std::list<std::pair<std::pair<std::string, int>, std::function<void()>>> awaited_;
  Lie lie_;
  std::function<void(const std::string&)> program_;
  bool closed_ = false;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_TESTING_MEMORY_GUEST_H_
