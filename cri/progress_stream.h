// The progress of a pull, on its way to a client that may read slowly.
#ifndef PODVISOR_CRI_PROGRESS_STREAM_H_
#define PODVISOR_CRI_PROGRESS_STREAM_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "storage/image_store.h"

namespace podvisor::cri {

// Hands on the newest progress, and leaves out what came in between, from a thread of its own: a client that does not
// read never holds up the pull. Thread-safe.
class ProgressStream {
 public:
  // `write` is called from one thread, and not after Finish() has returned.
  explicit ProgressStream(std::function<void(const PullProgress&)> write);
  ProgressStream(const ProgressStream&) = delete;
  ProgressStream& operator=(const ProgressStream&) = delete;
  ~ProgressStream() { Finish(); }

  void Update(const PullProgress& progress);
  // Writes what is left. Idempotent.
  void Finish();

 private:
  void Run();

  const std::function<void(const PullProgress&)> write_;
  absl::Mutex mu_;
  PullProgress latest_ ABSL_GUARDED_BY(mu_);
  bool fresh_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_PROGRESS_STREAM_H_
