#include "daemon/daemon.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/event_loop.h"
#include "base/state_db.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "cri/server.h"
#include "cri/streaming/streaming_server.h"
#include "daemon/hypervisors.h"
#include "daemon/machine_facts.h"
#include "daemon/metrics.h"
#include "daemon/metrics_server.h"
#include "daemon/nri_hooks.h"
#include "daemon/pod_metrics.h"
#include "daemon/run_lock.h"
#include "daemon/version.h"
#include "netns/pod_network.h"
#include "podmanager/pod_manager_impl.h"
#include "storage/image_store.h"

namespace podvisor {
namespace {

// Others may pass through (a VMM runs as a user of its own), not list.
constexpr mode_t kFolderMode = 0711;

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  const bool created = std::filesystem::create_directories(path, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("make folder ", path));
  if (created && ::chmod(path.c_str(), kFolderMode) != 0) return ErrnoStatus(errno, absl::StrCat("chmod ", path));
  return absl::OkStatus();
}

ImageStoreOptions ImageOptions(const Config& config) {
  ImageStoreOptions options;
  options.root = absl::StrCat(config.state_dir, "/images");
  options.registry_certs_dir = config.images.registry_certs_dir;
  options.docker_config = config.images.docker_config;
  options.parallel_layers = config.images.parallel_layers;
  options.stall_timeout = config.images.stall_timeout;
  options.pinned_images = config.images.pinned;
  return options;
}

PodNetworkOptions NetworkOptions(const Config& config, StateDb& db) {
  PodNetworkOptions options;
  options.cni_conf_dir = config.network.cni_conf_dir;
  options.cni_bin_dirs = config.network.cni_bin_dirs;
  options.cni_cache_dir = config.network.cni_cache_dir;
  options.netns_dir = config.network.netns_dir;
  options.cni_timeout = config.network.cni_timeout;
  options.interworking = config.network.interworking;
  options.cni_builtin = config.cni.builtin;
  options.state_db = &db;
  return options;
}

class DaemonImpl final : public Daemon {
 public:
  explicit DaemonImpl(const Config& config) : config_(config) {}

  ~DaemonImpl() override {
    if (server_ != nullptr) Stop();
    if (nri_ != nullptr) nri_->Stop();  // its plugins act on pods_
  }

  absl::Status Start() {
    RETURN_IF_ERROR(OpenState());
    RETURN_IF_ERROR(MakePodManager());
    RETURN_IF_ERROR(ServePlugins());
    RETURN_IF_ERROR(ServeMetrics());
    RETURN_IF_ERROR(ServeStreams());
    RETURN_IF_ERROR(ServeCri());
    pods_->StartFactories();
    if (config_.pid_file.empty()) return absl::OkStatus();
    return Prefix(WriteFileAtomically(config_.pid_file, absl::StrCat(::getpid(), "\n"), 0644), "pid_file");
  }

  void Stop() override {
    metrics_server_.reset();
    server_->Shutdown(config_.drain_timeout);
    server_.reset();
    if (streaming_ != nullptr) streaming_->Shutdown(config_.drain_timeout);
    pods_->Drain(absl::Now() + config_.drain_timeout);
    if (nri_ != nullptr) nri_->Stop();
    if (!config_.pid_file.empty()) ::unlink(config_.pid_file.c_str());
    ::unlink(config_.metrics.address_file.c_str());
  }

 private:
  absl::Status OpenState() {
    const std::string socket_folder = std::filesystem::path(config_.socket).parent_path();
    for (const std::string& folder : {config_.state_dir, config_.run_dir, socket_folder}) {
      RETURN_IF_ERROR(MakeFolder(folder));
    }
    ASSIGN_OR_RETURN(lock_, LockFolder(config_.run_dir));
    ASSIGN_OR_RETURN(db_, StateDb::Open(absl::StrCat(config_.state_dir, "/state.db")), "state_dir ", config_.state_dir);
    loop_ = std::make_unique<EventLoop>("podvisor-io");
    return absl::OkStatus();
  }

  absl::Status MakePodManager() {
    ASSIGN_OR_RETURN(network_, PodNetwork::Create(NetworkOptions(config_, *db_)), "network");
    ASSIGN_OR_RETURN(images_, ImageStore::Create(ImageOptions(config_), *db_), "images");
    ASSIGN_OR_RETURN(hypervisors_, Hypervisors::Make(*loop_, config_));
    PodManagerOptions options;
    options.run_dir = config_.run_dir;
    options.cgroup_root = config_.cgroup.root;
    options.default_cgroup_parent = config_.cgroup.parent;
    options.handlers = hypervisors_->handlers();
    options.factory.pool = {.size = config_.pool.size,
                            .min = config_.pool.min,
                            .max = config_.pool.max,
                            .memory_bytes = config_.pool.memory_bytes};
    options.factory.template_dir = config_.templates.dir;
    options.on_stage = [this](absl::string_view stage, absl::StatusCode code, absl::Duration took) {
      metrics_.OnStage(stage, code, took);
    };
    options.on_agent_call = [this](absl::string_view method, absl::StatusCode code, absl::Duration took) {
      metrics_.OnAgentCall(method, code, took);
    };
    if (config_.nri.enabled) {
      nri_ = NriHooks::Create(*loop_, {.runtime_version = kVersion,
                                       .registration_timeout = config_.nri.registration_timeout,
                                       .request_timeout = config_.nri.request_timeout});
    }
    PodManagerParts parts;
    parts.hooks = nri_.get();
    parts.loop = loop_.get();
    parts.db = db_.get();
    parts.network = network_.get();
    parts.images = images_.get();
    ASSIGN_OR_RETURN(pods_, PodManagerImpl::Create(std::move(options), parts), "pods");
    return absl::OkStatus();
  }

  absl::Status ServePlugins() {
    if (nri_ == nullptr) return absl::OkStatus();
    RETURN_IF_ERROR(MakeFolder(std::filesystem::path(config_.nri.socket).parent_path()));
    return Prefix(nri_->Serve(config_.nri.socket, *pods_), "nri.socket");
  }

  absl::Status ServeMetrics() {
    if (config_.metrics.address.empty()) return absl::OkStatus();
    pod_metrics_ = std::make_shared<PodMetrics>([this] { return pods_->Snapshot(); });
    ASSIGN_OR_RETURN(metrics_server_,
                     MetricsServer::Start(config_.metrics.address, {metrics_.registry(), pod_metrics_}));
    spdlog::info("metrics at http://{}/metrics", metrics_server_->address());
    return Prefix(WriteFileAtomically(config_.metrics.address_file, metrics_server_->address() + "\n", 0644),
                  "metrics.address_file");
  }

  absl::Status ServeStreams() {
    if (config_.streaming.address.empty()) return absl::OkStatus();
    cri::StreamingOptions options;
    options.address = config_.streaming.address;
    options.tls = {.certificate = config_.streaming.tls_certificate,
                   .key = config_.streaming.tls_key,
                   .client_ca = config_.streaming.tls_client_ca};
    options.idle_timeout = config_.streaming.idle_timeout;
    options.max_connections = static_cast<size_t>(config_.streaming.max_connections);
    ASSIGN_OR_RETURN(streaming_, cri::StreamingServer::Start(*loop_, *pods_, std::move(options)));
    return absl::OkStatus();
  }

  absl::Status ServeCri() {
    cri::Backend backend;
    backend.pods = pods_.get();
    backend.images = images_.get();
    backend.streaming = streaming_.get();
    backend.cgroup_driver =
        config_.cgroup.driver == "systemd" ? cri::CgroupDriver::kSystemd : cri::CgroupDriver::kCgroupfs;
    backend.version = kVersion;
    backend.verbose_status = [this] {
      return std::map<std::string, std::string>{{"config", ConfigJson(config_)},
                                                {"machine", MachineFactsJson(hypervisors_->handlers())}};
    };
    cri::ServerOptions options;
    options.socket = config_.socket;
    options.max_threads = config_.max_rpc_threads;
    ASSIGN_OR_RETURN(server_, cri::Server::Start(options, backend,
                                                 [this](absl::string_view method, absl::StatusCode code,
                                                        absl::Duration took) { metrics_.OnRpc(method, code, took); }));
    spdlog::info("listening on {}", config_.socket);
    return absl::OkStatus();
  }

  // Destroyed from the last to the first: each uses what stands above it.
  const Config config_;
  Metrics metrics_{kVersion};
  UniqueFd lock_;
  std::unique_ptr<StateDb> db_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<PodNetwork> network_;
  std::unique_ptr<ImageStore> images_;
  std::unique_ptr<Hypervisors> hypervisors_;
  std::unique_ptr<NriHooks> nri_;
  std::unique_ptr<PodManagerImpl> pods_;
  std::shared_ptr<PodMetrics> pod_metrics_;
  std::unique_ptr<MetricsServer> metrics_server_;
  std::unique_ptr<cri::StreamingServer> streaming_;
  std::unique_ptr<cri::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const Config& config) {
  auto daemon = std::make_unique<DaemonImpl>(config);
  RETURN_IF_ERROR(daemon->Start());
  return daemon;
}

}  // namespace podvisor
