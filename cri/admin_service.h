// podvisor's own service beside CRI's (admin.proto).
#ifndef PODVISOR_CRI_ADMIN_SERVICE_H_
#define PODVISOR_CRI_ADMIN_SERVICE_H_

#include "cri/admin.grpc.pb.h"
#include "cri/backend.h"
#include "cri/edge.h"

namespace podvisor::cri {

class AdminService final : public podvisor::v1::Admin::Service {
 public:
  // `edge` is borrowed.
  AdminService(const Backend& backend, const Edge& edge) : backend_(backend), edge_(edge) {}

  grpc::Status ImportImage(grpc::ServerContext* context, const podvisor::v1::ImportImageRequest* request,
                           podvisor::v1::ImportImageResponse* response) override;
  grpc::Status PullImage(grpc::ServerContext* context, const podvisor::v1::AdminPullRequest* request,
                         grpc::ServerWriter<podvisor::v1::PullProgress>* writer) override;

 private:
  const Backend backend_;
  const Edge& edge_;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_ADMIN_SERVICE_H_
