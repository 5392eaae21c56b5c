// The secrets in the URLs that Exec, Attach and PortForward return.
#ifndef PODVISOR_CRI_STREAMING_TOKENS_H_
#define PODVISOR_CRI_STREAMING_TOKENS_H_

#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cri/streaming/stream_request.h"

namespace podvisor::cri {

// Each stands for one request, once, for a minute. Thread-safe.
class Tokens {
 public:
  static constexpr size_t kMaxTokens = 1000;  // not yet used
  static constexpr absl::Duration kLifetime = absl::Minutes(1);

  // 32 hexadecimal digits from the kernel's random numbers. kResourceExhausted with kMaxTokens unused ones.
  absl::StatusOr<std::string> Issue(StreamRequest request, absl::Time now);
  // The request, the first time; nothing for a token that is unknown, used, too old, or of another kind (which leaves
  // it unused).
  std::optional<StreamRequest> Redeem(const std::string& token, StreamKind kind, absl::Time now);

 private:
  struct Entry {
    StreamRequest request;
    absl::Time expires;
  };

  absl::Mutex mu_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_TOKENS_H_
