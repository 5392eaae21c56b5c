#include "agent/guest/agent.h"
#include "agent/guest/services/names.h"

namespace podvisor::guest {

namespace v1 = podvisor::agent::v1;

void AddPortCalls(Agent& agent) {
  Ports& ports = agent.ports;
  Dispatcher& dispatcher = agent.dispatcher;
  dispatcher.On<v1::DialPortRequest>(
      kExtensionService, "DialPort",
      [&ports](const v1::DialPortRequest& request, CallPtr call) { ports.Dial(request, std::move(call)); });
  dispatcher.On<v1::ReadPortRequest>(
      kExtensionService, "ReadPort",
      [&ports](const v1::ReadPortRequest& request, CallPtr call) { ports.Read(request, std::move(call)); });
  dispatcher.On<v1::WritePortRequest>(
      kExtensionService, "WritePort",
      [&ports](v1::WritePortRequest&& request, CallPtr call) { ports.Write(std::move(request), std::move(call)); });
  dispatcher.OnSync<v1::ClosePortRequest, v1::Empty>(kExtensionService, "ClosePort",
                                                     [&ports](const v1::ClosePortRequest& request, v1::Empty*) {
                                                       ports.Close(request.id());
                                                       return absl::OkStatus();
                                                     });
}

}  // namespace podvisor::guest
