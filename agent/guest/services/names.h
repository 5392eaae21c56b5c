#ifndef PODVISOR_AGENT_GUEST_SERVICES_NAMES_H_
#define PODVISOR_AGENT_GUEST_SERVICES_NAMES_H_

#include "absl/strings/string_view.h"

namespace podvisor::guest {

inline constexpr absl::string_view kAgentService = "grpc.AgentService";
inline constexpr absl::string_view kExtensionService = "podvisor.agent.v1.Extension";

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_SERVICES_NAMES_H_
