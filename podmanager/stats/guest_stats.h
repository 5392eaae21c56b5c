// Asks one guest for its figures.
#ifndef PODVISOR_PODMANAGER_STATS_GUEST_STATS_H_
#define PODVISOR_PODMANAGER_STATS_GUEST_STATS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/client/agent_client.h"
#include "agent/protocol/extension.pb.h"

namespace podvisor {

using GuestStatsDone = std::function<void(absl::StatusOr<agent::v1::GetStatsResponse>)>;

// One GetStats of the extension. A guest that does not know it (a stock Kata agent) is asked for each of
// `container_ids` by StatsContainer: the pod's figures are then their sum, limits and the guest's own are absent, and
// containers that the guest does not know are left out.
//
// Does not block. `done` is called once, from the event loop or, if nothing can be asked, from here.
void AskGuestStats(std::shared_ptr<AgentClient> agent, std::vector<std::string> container_ids, absl::Time deadline,
                   GuestStatsDone done);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_STATS_GUEST_STATS_H_
