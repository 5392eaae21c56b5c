#include "nri/plugin_session.h"

#include <spdlog/spdlog.h>

#include <deque>
#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "nri/plugin_connection.h"
#include "nri/vm_policy.h"

namespace podvisor {

namespace {

constexpr char kRuntimeService[] = "nri.pkg.api.v1alpha1.Runtime";
constexpr char kHostService[] = "nri.pkg.api.v1alpha1.HostFunctions";
// Requests of one plugin that wait.
constexpr size_t kMaxRequests = 64;

class Session final : public PluginSession, public std::enable_shared_from_this<Session> {
 public:
  Session(const PluginRegistryOptions& options, Home& home) : options_(options), home_(home) {}

  void Begin(EventLoop& loop, UniqueFd socket) {
    PluginConnection::Owner owner;
    owner.on_request = [self = shared_from_this()](const std::string& service, const std::string& method,
                                                   const std::string& request, PluginConnection::Reply reply) {
      self->OnRequest(service, method, request, std::move(reply));
    };
    owner.on_closed = [self = shared_from_this()](const absl::Status& why) { self->OnClosed(why); };
    connection_ = PluginConnection::Create(loop, std::move(socket), std::move(owner));
    connection_->Start();
    thread_ = std::thread([self = shared_from_this()] {
      self->Run();
      self->home_.Ended(self.get());
    });
  }

  void Stop() override {
    connection_->Close(absl::CancelledError("podvisord is shutting down"));
    absl::MutexLock lock(&join_mu_);
    if (thread_.joinable()) thread_.join();
  }

 private:
  struct Request {
    nri_api::UpdateContainersRequest message;
    PluginConnection::Reply reply;
  };

  // --- in the event loop ---

  void OnRequest(const std::string& service, const std::string& method, const std::string& request,
                 PluginConnection::Reply reply) {
    if (service == kRuntimeService && method == "RegisterPlugin") return OnRegister(request, std::move(reply));
    if (service == kRuntimeService && method == "UpdateContainers") return OnUpdate(request, std::move(reply));
    if (service == kHostService && method == "Log") return OnLog(request, std::move(reply));
    reply(absl::UnimplementedError(absl::StrCat("service ", service, " has no method ", method)));
  }

  void OnRegister(const std::string& request, PluginConnection::Reply reply) {
    nri_api::RegisterPluginRequest message;
    absl::Status status = message.ParseFromString(request) ? absl::OkStatus() : Malformed();
    if (status.ok()) status = CheckPluginIdentity(message.plugin_name(), message.plugin_idx());
    {
      absl::MutexLock lock(&mu_);
      if (status.ok() && registered_) status = absl::AlreadyExistsError("the plugin is registered already");
      if (status.ok()) {
        identity_ = std::move(message);
        registered_ = true;
      }
    }
    reply(status.ok() ? absl::StatusOr<std::string>(std::string()) : status);
    if (!status.ok()) connection_->Close(status);
  }

  void OnUpdate(const std::string& request, PluginConnection::Reply reply) {
    Request queued;
    if (!queued.message.ParseFromString(request)) return reply(Malformed());
    absl::MutexLock lock(&mu_);
    if (!joined_) return reply(absl::FailedPreconditionError("the plugin is not synchronized yet"));
    if (requests_.size() >= kMaxRequests) return reply(absl::ResourceExhaustedError("too many requests wait"));
    queued.reply = std::move(reply);
    requests_.push_back(std::move(queued));
  }

  void OnLog(const std::string& request, PluginConnection::Reply reply) {
    nri_api::LogRequest message;
    if (!message.ParseFromString(request)) return reply(Malformed());
    const bool warning =
        message.level() == nri_api::LogRequest::LEVEL_WARN || message.level() == nri_api::LogRequest::LEVEL_ERROR;
    spdlog::log(warning ? spdlog::level::warn : spdlog::level::info, "NRI plugin: {}", message.msg().substr(0, 4096));
    reply(std::string());
  }

  void OnClosed(const absl::Status& why) {
    absl::MutexLock lock(&mu_);
    closed_ = true;
    why_ = why;
  }

  static absl::Status Malformed() { return absl::InvalidArgumentError("the request is malformed"); }

  // --- in the session's thread ---

  void Run() {
    std::vector<nri_api::ContainerUpdate> updates;
    absl::StatusOr<std::shared_ptr<Plugin>> plugin = Introduce(&updates);
    if (!plugin.ok()) {
      spdlog::warn("NRI: a plugin is turned away: {}", plugin.status().ToString());
      connection_->Close(plugin.status());
      return;
    }
    spdlog::info("NRI plugin {}: registered", (*plugin)->name());
    if (!updates.empty()) Log((*plugin)->name(), home_.runtime().Update(updates));
    while (std::optional<Request> request = NextRequest()) Serve((*plugin)->name(), *request);
    home_.Leave(*plugin);
    absl::MutexLock lock(&mu_);
    spdlog::info("NRI plugin {}: gone: {}", (*plugin)->name(), std::string(why_.message()));
  }

  absl::StatusOr<std::shared_ptr<Plugin>> Introduce(std::vector<nri_api::ContainerUpdate>* updates) {
    nri_api::RegisterPluginRequest identity;
    {
      absl::MutexLock lock(&mu_);
      mu_.AwaitWithTimeout(absl::Condition(this, &Session::RegisteredOrClosed), options_.registration_timeout);
      if (closed_) return Prefix(why_, "closed before it registered");
      if (!registered_) {
        return absl::DeadlineExceededError(absl::StrCat(
            "it did not register within ", absl::FormatDuration(options_.registration_timeout), " of its connection"));
      }
      identity = identity_;
    }
    auto plugin =
        std::make_shared<Plugin>(identity.plugin_name(), identity.plugin_idx(), connection_, options_.request_timeout);
    nri_api::ConfigureRequest configure;
    configure.set_runtime_name(options_.runtime_name);
    configure.set_runtime_version(options_.runtime_version);
    configure.set_registration_timeout(absl::ToInt64Milliseconds(options_.registration_timeout));
    RETURN_IF_ERROR(plugin->Configure(std::move(configure)));
    {
      absl::MutexLock lock(&mu_);
      joined_ = true;  // it may ask for something as soon as it has its answer
    }
    RETURN_IF_ERROR(home_.Join(plugin, updates));
    return plugin;
  }

  std::optional<Request> NextRequest() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(this, &Session::RequestOrClosed));
    if (closed_) return std::nullopt;
    Request request = std::move(requests_.front());
    requests_.pop_front();
    return request;
  }

  void Serve(const std::string& plugin, const Request& request) {
    std::vector<nri_api::ContainerUpdate> updates;
    nri_api::UpdateContainersResponse response;
    for (const nri_api::ContainerUpdate& update : request.message.update()) {
      absl::Status status = CheckResources(update.linux().resources());
      if (status.ok()) {
        updates.push_back(update);
        continue;
      }
      spdlog::warn("NRI plugin {}: update of container {}: {}", plugin, update.container_id(), status.ToString());
      if (!update.ignore_failure()) *response.add_failed() = update;
    }
    if (!updates.empty()) {
      for (nri_api::ContainerUpdate& failed : home_.runtime().Update(updates)) {
        if (!failed.ignore_failure()) *response.add_failed() = std::move(failed);
      }
    }
    for (const nri_api::ContainerEviction& eviction : request.message.evict()) {
      spdlog::warn("NRI plugin {}: evicts container {}: {}", plugin, eviction.container_id(), eviction.reason());
      home_.runtime().Evict(eviction);
    }
    request.reply(response.SerializeAsString());
  }

  static void Log(const std::string& plugin, const std::vector<nri_api::ContainerUpdate>& failed) {
    for (const nri_api::ContainerUpdate& update : failed) {
      spdlog::warn("NRI plugin {}: its update of container {} failed", plugin, update.container_id());
    }
  }

  bool RegisteredOrClosed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return registered_ || closed_; }
  bool RequestOrClosed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !requests_.empty() || closed_; }

  const PluginRegistryOptions options_;
  Home& home_;
  std::shared_ptr<PluginConnection> connection_;
  absl::Mutex join_mu_;
  std::thread thread_;

  absl::Mutex mu_;
  bool registered_ ABSL_GUARDED_BY(mu_) = false;
  bool joined_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status why_ ABSL_GUARDED_BY(mu_);
  nri_api::RegisterPluginRequest identity_ ABSL_GUARDED_BY(mu_);
  std::deque<Request> requests_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::shared_ptr<PluginSession> PluginSession::Start(EventLoop& loop, UniqueFd socket,
                                                    const PluginRegistryOptions& options, Home& home) {
  auto session = std::make_shared<Session>(options, home);
  session->Begin(loop, std::move(socket));
  return session;
}

}  // namespace podvisor
