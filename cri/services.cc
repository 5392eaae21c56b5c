#include "cri/services.h"

#include <string>

#include "absl/status/status.h"

namespace podvisor::cri {

grpc::Status Refuse(const Edge& edge, absl::string_view method, grpc::ServerContext* context) {
  return edge.Serve(method, Chatter::kQuery, context,
                    [](Call&) { return absl::UnimplementedError("podvisor does not support this call yet"); });
}

grpc::Status RuntimeService::GetContainerEvents(grpc::ServerContext* context,
                                                const ::runtime::v1::GetEventsRequest* request,
                                                grpc::ServerWriter<::runtime::v1::ContainerEventResponse>* writer) {
  return edge_.Serve("GetContainerEvents", Chatter::kQuery, context, [&](Call& call) {
    const auto write = [writer](const ::runtime::v1::ContainerEventResponse& message) {
      return writer->Write(message);
    };
    // The client sees by the headers that it has subscribed.
    return cri::GetContainerEvents(
        backend_, call, *request, [writer] { writer->SendInitialMetadata(); }, write);
  });
}

}  // namespace podvisor::cri
