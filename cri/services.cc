#include "cri/services.h"

#include <string>

#include "absl/status/status.h"

namespace podvisor::cri {

grpc::Status Refuse(const Edge& edge, absl::string_view method, grpc::ServerContext* context) {
  return edge.Serve(method, Chatter::kQuery, context,
                    [](Call&) { return absl::UnimplementedError("podvisor does not support this call yet"); });
}

}  // namespace podvisor::cri
