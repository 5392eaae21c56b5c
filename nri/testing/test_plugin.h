// A plugin for tests: speaks NRI's wire over a socket pair, from a thread of its own.
#ifndef PODVISOR_NRI_TESTING_TEST_PLUGIN_H_
#define PODVISOR_NRI_TESTING_TEST_PLUGIN_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/unique_fd.h"
#include "nri/api.h"

namespace podvisor {

// Thread-safe. Calls are answered one at a time; its destructor waits for the one under way.
class TestPlugin {
 public:
  // The serialized response to one call. Without a handler, and for calls that it does not know: an empty one.
  using Handler = std::function<absl::StatusOr<std::string>(const std::string& request)>;

  TestPlugin(const std::string& name, const std::string& index) : name_(name), index_(index) {}
  ~TestPlugin();

  void Handle(const std::string& method, Handler handler) {
    absl::MutexLock lock(&mu_);
    handlers_[method] = std::move(handler);
  }
  void Want(std::vector<nri_api::Event> events);

  // Both ends; the caller gives the returned one to who serves plugins. Registers unless told not to.
  enum class Register { kYes, kNo };
  UniqueFd Connect(Register registers = Register::kYes);
  void Send(absl::string_view bytes);
  void Disconnect();

  // Calls the runtime; blocks for the answer.
  absl::StatusOr<std::string> CallRuntime(const std::string& method, const std::string& request);

  // Methods it was called with, in order, without Configure; "StateChange:EVENT" for those. With ids of Synchronize.
  std::vector<std::string> calls();
  // Wait a minute at most.
  bool AwaitCall(const std::string& method);
  bool AwaitClosed();

 private:
  void Run();
  absl::StatusOr<std::string> Answer(const std::string& method, const std::string& request);
  void Write(uint32_t stream, uint32_t id, bool is_request, const std::string& payload);

  const std::string name_, index_;
  UniqueFd fd_;
  std::thread thread_;
  absl::Mutex write_mu_;

  absl::Mutex mu_;
  std::map<std::string, Handler> handlers_ ABSL_GUARDED_BY(mu_);
  int32_t events_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t next_id_ ABSL_GUARDED_BY(mu_) = 1;
  std::map<uint32_t, absl::StatusOr<std::string>> answers_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace podvisor

#endif  // PODVISOR_NRI_TESTING_TEST_PLUGIN_H_
