// One line to stderr, which is the console when the agent is PID 1: the host keeps its tail for errors, so be sparing.
#ifndef PODVISOR_AGENT_GUEST_LOG_H_
#define PODVISOR_AGENT_GUEST_LOG_H_

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace podvisor::guest {

template <typename... Parts>
void Log(const Parts&... parts) {
  const std::string line = absl::StrCat("podvisor-agent: ", parts..., "\n");
  (void)!::write(2, line.data(), line.size());
}

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LOG_H_
