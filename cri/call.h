// What a handler knows of the call that it answers.
#ifndef PODVISOR_CRI_CALL_H_
#define PODVISOR_CRI_CALL_H_

#include <functional>
#include <string>

#include "absl/time/time.h"

namespace podvisor::cri {

struct Call {
  absl::Time deadline = absl::InfiniteFuture();  // the client's
  // Whether the client has gone away or its deadline has passed. Thread-safe while the handler runs. Never empty.
  std::function<bool()> cancelled = [] { return false; };
  // Whether the server shuts down: a call that lasts until its client goes ends then. Likewise.
  std::function<bool()> closing = [] { return false; };
  // What the call is about, for the log: "sandbox 3f2a". Set by the handler as soon as it knows.
  std::string subject;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_CALL_H_
