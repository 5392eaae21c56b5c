// A TCP connection to a port in a pod, for a client outside: CRI's PortForward.
#ifndef PODVISOR_PODMANAGER_IO_PORT_STREAM_H_
#define PODVISOR_PODMANAGER_IO_PORT_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>

#include "agent/client/agent_client.h"
#include "podmanager/stream_session.h"

namespace podvisor {

// Does not block: the port is dialled by the guest's agent, on 127.0.0.1 and ::1. Each direction has one call of at
// most 64 KiB under way, so both ends are slowed down by their opposite. Ends by Finish(0) when both directions have
// ended, with the agent's error if nobody listens (kUnavailable) or the connection broke, kUnimplemented for an agent
// that can't dial.
std::shared_ptr<StreamSession> StartPortStream(std::shared_ptr<AgentClient> client, std::string sandbox_id,
                                               uint16_t port, std::shared_ptr<StreamPeer> peer);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_PORT_STREAM_H_
