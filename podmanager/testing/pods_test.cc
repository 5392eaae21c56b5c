#include "podmanager/testing/pods_test.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "podmanager/paths.h"

namespace podvisor {

namespace fs = std::filesystem;

namespace {

std::string MakeShortDir() {
  char path[] = "/tmp/pods.XXXXXX";
  if (::mkdtemp(path) == nullptr) abort();
  return path;
}

}  // namespace

PodsTest::PodsTest() : dir_(MakeShortDir()), capabilities_(MockCapabilities()) {
  capabilities_.shared_folder = false;  // real mounts: only where a test is about them
  capabilities_.shared_folder_fs.clear();
  // What looks like two v1 hierarchies.
  for (const char* hierarchy : {"cpu", "memory"}) {
    fs::create_directories(dir_ + "/cgroup/" + hierarchy);
    std::ofstream(dir_ + "/cgroup/" + hierarchy + "/cgroup.procs");
  }
  options_.run_dir = dir_ + "/run";
  options_.cgroup_root = dir_ + "/cgroup";
  options_.factory.template_dir = dir_ + "/templates";
  options_.factory.check_template_room = [](const std::string&, uint64_t) { return absl::OkStatus(); };
  options_.on_change = [this](const std::string&, const std::string&) {
    absl::MutexLock lock(&mu_);
    ++changes_;
  };
  db_ = *StateDb::Open(":memory:");
  images_.Add("busybox", {.cmd = {"sh"}, .env = {"PATH=/bin"}});
}

PodsTest::~PodsTest() {
  pods_.reset();
  host_.reset();
  std::error_code error;
  fs::remove_all(dir_, error);
}

void PodsTest::StartDaemon() {
  pods_.reset();
  hypervisor_ = MakeMockHypervisor(*host_, capabilities_);
  PodManagerOptions options = options_;
  if (options.handlers.empty()) options.handlers[""] = RuntimeHandler();
  for (auto& [name, handler] : options.handlers) {
    handler.name = name;
    handler.hypervisor = hypervisor_.get();
  }
  auto pods = PodManagerImpl::Create(std::move(options),
                                     {.loop = &loop_, .db = db_.get(), .network = &network_, .images = &images_});
  ASSERT_OK(pods);
  pods_ = *std::move(pods);
  pods_->StartFactories();
}

PoolView PodsTest::AwaitPool(int waiting) {
  PoolView seen;
  const absl::Time deadline = absl::Now() + absl::Minutes(1);
  while (absl::Now() < deadline) {
    const std::vector<PoolView> pools = pods_->Snapshot().pools;
    if (!pools.empty()) seen = pools.front();
    if (!pools.empty() && seen.waiting == waiting && seen.filling == 0) return seen;
    absl::SleepFor(absl::Milliseconds(2));  // the pool tells nobody
  }
  ADD_FAILURE() << "the pool has " << seen.waiting << " VMs waiting, not " << waiting << "; " << seen.error;
  return seen;
}

nlohmann::json PodsTest::Origin(const std::string& sandbox_id) {
  absl::StatusOr<SandboxStatus> status = pods_->GetSandbox(sandbox_id, Detail::kVerbose);
  EXPECT_OK(status);
  return status.ok() ? nlohmann::json::parse(status->info.at("vm_origin")) : nlohmann::json();
}

SandboxConfig PodsTest::Pod(const std::string& name, uint32_t attempt) {
  SandboxConfig config;
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid("uid-" + name);
  config.mutable_metadata()->set_attempt(attempt);
  (*config.mutable_labels())["app"] = name;
  return config;
}

ContainerConfig PodsTest::Program(const std::string& name, std::vector<std::string> command) {
  ContainerConfig config;
  config.mutable_metadata()->set_name(name);
  config.set_image("busybox");
  for (std::string& word : command) config.add_command(std::move(word));
  config.set_log_path(name + ".log");
  return config;
}

std::string PodsTest::ReadyPod(const std::string& name) {
  absl::StatusOr<std::string> id = Run(Pod(name));
  EXPECT_OK(id);
  return id.value_or("");
}

std::string PodsTest::Created(const std::string& sandbox_id, const ContainerConfig& config) {
  absl::StatusOr<std::string> id = pods_->CreateContainer(sandbox_id, config, Soon());
  EXPECT_OK(id);
  return id.value_or("");
}

std::string PodsTest::Running(const std::string& sandbox_id, const ContainerConfig& config) {
  const std::string id = Created(sandbox_id, config);
  EXPECT_OK(pods_->StartContainer(id, Soon()));
  return id;
}

bool PodsTest::Await(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Minutes(1);
  while (true) {
    int seen;
    {
      absl::MutexLock lock(&mu_);
      seen = changes_;
    }
    if (condition()) return true;
    absl::MutexLock lock(&mu_);
    const auto changed = [this, seen]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return changes_ != seen; };
    if (!mu_.AwaitWithDeadline(absl::Condition(&changed), deadline)) return false;
  }
}

ContainerStatus PodsTest::AwaitState(const std::string& container_id, ContainerState state) {
  ContainerStatus status;
  EXPECT_TRUE(Await([&] {
    status = pods_->GetContainer(container_id, Detail::kBrief).value_or(ContainerStatus());
    return status.state == state;
  })) << "container "
      << container_id;
  return status;
}

SandboxStatus PodsTest::AwaitState(const std::string& sandbox_id, SandboxState state) {
  SandboxStatus status;
  EXPECT_TRUE(Await([&] {
    auto got = pods_->GetSandbox(sandbox_id, Detail::kBrief);
    if (got.ok()) status = *got;
    return got.ok() && status.state == state;
  })) << "sandbox "
      << sandbox_id;
  return status;
}

std::vector<std::string> PodsTest::Cgroups() {
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(dir_ + "/cgroup")) {
    if (absl::StartsWith(entry.path().filename().string(), "podvisor")) found.push_back(entry.path().string());
  }
  return found;
}

std::vector<std::string> PodsTest::RuntimeFolders() {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(SandboxesDir(options_.run_dir))) {
    found.push_back(entry.path().filename().string());
  }
  return found;
}

void PodsTest::ExpectNothingLeft() {
  using testing::IsEmpty;
  EXPECT_THAT(host_->LiveVms(), IsEmpty());
  EXPECT_THAT(network_.Networks(), IsEmpty());
  EXPECT_THAT(network_.Namespaces(), IsEmpty());
  EXPECT_THAT(images_.LeaseHolders(), IsEmpty());
  EXPECT_THAT(Cgroups(), IsEmpty());
  EXPECT_THAT(RuntimeFolders(), IsEmpty());
  for (const char* table : {"sandboxes", "containers", "log_checkpoints", "pool_vms"}) {
    EXPECT_THAT(db_->Scan(table).value(), IsEmpty()) << table;
  }
}

absl::Time PodsTest::Soon() { return absl::Now() + absl::Minutes(2); }

}  // namespace podvisor
