#include "cri/server.h"

#include <grpc/grpc.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/admin_service.h"
#include "cri/services.h"
#include "cri/socket_file.h"

namespace podvisor::cri {
namespace {

// A request of the kubelet is far smaller; an ExecSync answer goes up to 16 MiB.
constexpr int kMaxMessageBytes = 32 << 20;

class GrpcServer final : public Server {
 public:
  GrpcServer(const ServerOptions& options, const Backend& backend, RpcObserver observer)
      : socket_(options.socket),
        edge_(std::move(observer)),
        runtime_(backend, edge_),
        images_(backend, edge_),
        admin_(backend, edge_) {
    quota_.SetMaxThreads(options.max_threads);
  }

  ~GrpcServer() override {
    if (server_ != nullptr) Shutdown(absl::ZeroDuration());
  }

  absl::Status Listen() {
    RETURN_IF_ERROR(ClearSocketPath(socket_));
    grpc::ServerBuilder builder;
    builder.SetResourceQuota(quota_);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.SetMaxSendMessageSize(kMaxMessageBytes);
    // Polling threads beyond one per completion queue only wake each other: handlers have threads of their own.
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 4);
    // A Unix socket's bandwidth need not be probed for: the pings would wake both sides up beside the calls.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    builder.AddListeningPort(absl::StrCat("unix:", socket_), grpc::InsecureServerCredentials());
    builder.RegisterService(&runtime_);
    builder.RegisterService(&images_);
    builder.RegisterService(&admin_);
    const mode_t mask = ::umask(0177);  // the socket is never open to others, not even before chmod
    server_ = builder.BuildAndStart();
    ::umask(mask);
    if (server_ == nullptr) return absl::UnavailableError(absl::StrCat("listen on ", socket_, ": gRPC could not bind"));
    if (::chmod(socket_.c_str(), 0600) != 0) return ErrnoStatus(errno, absl::StrCat("chmod ", socket_));
    return absl::OkStatus();
  }

  void Shutdown(absl::Duration drain) override {
    edge_.Close();
    server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(drain));
    server_->Wait();
    server_.reset();
    ::unlink(socket_.c_str());
  }

 private:
  const std::string socket_;
  Edge edge_;
  RuntimeService runtime_;
  ImageService images_;
  AdminService admin_;
  grpc::ResourceQuota quota_{"podvisor"};
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, const Backend& backend,
                                                      RpcObserver observer) {
  auto server = std::make_unique<GrpcServer>(options, backend, std::move(observer));
  RETURN_IF_ERROR(server->Listen());
  return server;
}

}  // namespace podvisor::cri
