// The resize channel: JSON objects one after the other, cut anywhere.
#ifndef PODVISOR_CRI_STREAMING_TERMINAL_SIZES_H_
#define PODVISOR_CRI_STREAMING_TERMINAL_SIZES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "podmanager/stream_session.h"

namespace podvisor::cri {

// Reads {"Width":80,"Height":24} again and again. Not thread-safe.
class TerminalSizes {
 public:
  // The sizes that are complete with `data`. kInvalidArgument for what is no size.
  absl::StatusOr<std::vector<TerminalSize>> Feed(absl::string_view data);

 private:
  std::string rest_;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_TERMINAL_SIZES_H_
