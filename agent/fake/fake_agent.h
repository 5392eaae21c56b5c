// An agent in memory, for tests and for the mock hypervisor's VMs.
#ifndef PODVISOR_AGENT_FAKE_FAKE_AGENT_H_
#define PODVISOR_AGENT_FAKE_FAKE_AGENT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "agent/fake/fake_guest.h"
#include "agent/fake/ttrpc_server.h"
#include "base/event_loop.h"

namespace podvisor {

enum class ExtensionService { kPresent, kAbsent };  // absent: as a stock Kata agent
enum class HangOutcome { kAnswered, kLost };        // of hung calls that are released: carried out then, or never

// Serves the Kata agent's services, health and the extension on a Unix socket, with state: containers, processes as
// FakeProcess describes them, output by offsets. Thread-safe; runs in the given event loop, with no thread of its own
// and a few KiB of memory, so there may be thousands. Methods block until the loop has done it (they may be called in
// the loop, too). The loop outlives the agent.
class FakeAgent {
 public:
  // Listens at `socket_path` (of any length), replacing a socket that is there.
  static absl::StatusOr<std::unique_ptr<FakeAgent>> Create(EventLoop& loop, const std::string& socket_path);
  FakeAgent(const FakeAgent&) = delete;
  FakeAgent& operator=(const FakeAgent&) = delete;
  // Closes the connections and removes the socket.
  ~FakeAgent();

  // Failpoints: the next calls of a method, in order ("StartContainer"; "Check" is the health check).
  void FailNext(const std::string& method, absl::Status status, int times = 1);
  // Not answered until ReleaseHung().
  void HangNext(const std::string& method, int times = 1);
  void ReleaseHung(HangOutcome outcome);
  // The call is carried out and then all connections are closed instead of an answer.
  void DropConnectionAtNext(const std::string& method);
  void DropConnections();
  void SetExtension(ExtensionService extension);
  // Reads nothing until Thaw(): the VM is paused, or hangs.
  void Freeze();
  void Thaw();

  // What happens inside the guest.
  absl::Status ExitProcess(const std::string& container_id, const std::string& exec_id, int code);
  absl::Status WriteOutput(const std::string& container_id, const std::string& exec_id, FakeProcess::Stream stream,
                           const std::string& data);
  absl::Status OomKill(const std::string& container_id);
  // The agent or its kernel starts anew: connections break, containers are gone, the boot id is another.
  void Reboot();

  // Looking in.
  std::vector<std::string> Containers();
  absl::StatusOr<grpc::CreateContainerRequest> ContainerRequest(const std::string& container_id);
  absl::StatusOr<grpc::LinuxResources> ContainerResources(const std::string& container_id);
  grpc::CreateSandboxRequest Sandbox();
  grpc::Interfaces Interfaces();
  grpc::Routes Routes();
  // What CopyFile has written; kNotFound.
  absl::StatusOr<std::string> File(const std::string& path);
  // How often a method was called, failpoints included.
  int calls(const std::string& method);
  // Blocks until a method has been called `count` times; false after `patience`. Not in the loop.
  bool AwaitCalls(const std::string& method, int count, absl::Duration patience);

 private:
  enum class Failpoint { kFail, kHang, kDrop };
  struct Hung {
    ttrpc::Request request;
    TtrpcServer::Reply reply;
  };

  FakeAgent(EventLoop& loop, std::string socket_path);

  void InLoop(const std::function<void()>& task);
  void OnCall(ttrpc::Request request, TtrpcServer::Reply reply);
  void Serve(const ttrpc::Request& request, TtrpcServer::Reply reply);
  void AddFailpoints(const std::string& method, Failpoint kind, absl::Status status, int times);

  EventLoop& loop_;
  const std::string socket_path_;

  // The loop's.
  FakeGuest guest_;
  std::unique_ptr<TtrpcServer> server_;
  ExtensionService extension_ = ExtensionService::kPresent;
  std::map<std::string, std::vector<std::pair<Failpoint, absl::Status>>> failpoints_;
  std::vector<Hung> hung_;

  absl::Mutex mu_;
  std::map<std::string, int> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_AGENT_FAKE_FAKE_AGENT_H_
