// A QMP server for tests: it answers as it is told to, badly too.
#ifndef PODVISOR_VMM_QEMU_FAKE_QMP_H_
#define PODVISOR_VMM_QEMU_FAKE_QMP_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/unique_fd.h"

namespace podvisor {

// Serves one connection at a time on a thread of its own, until it is destroyed.
class FakeQmp {
 public:
  // What is sent for a command (whole lines, or any bytes), given it and the bytes of a file that came along.
  // An empty answer is silence.
  using Handler = std::function<std::string(const nlohmann::json& command, const std::string& passed_file)>;

  static constexpr char kGreeting[] = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";
  // {"return": RESULT, "id": the command's}
  static std::string Return(const nlohmann::json& command, nlohmann::json result);

  // qmp_capabilities is answered by itself if `greeting` is kGreeting.
  FakeQmp(const std::string& socket_path, Handler handler, std::string greeting = kGreeting);
  ~FakeQmp();

  // Says something unasked, or hangs up.
  void Send(const std::string& bytes);
  void HangUp();

 private:
  void Serve();
  void Talk(int fd);
  void Received(const std::string& bytes, const std::string& passed_file, std::string& buffer);

  const Handler handler_;
  const std::string greeting_;
  UniqueFd listening_;
  UniqueFd stop_read_, stop_write_;
  absl::Mutex mu_;
  UniqueFd connection_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_FAKE_QMP_H_
