// A pod manager on a machine in memory: mock VMs with fake agents, a fake network, a fake image store.
#ifndef PODVISOR_PODMANAGER_TESTING_PODS_TEST_H_
#define PODVISOR_PODMANAGER_TESTING_PODS_TEST_H_

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/state_db.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "podmanager/pod_manager_impl.h"
#include "podmanager/testing/fake_image_store.h"
#include "podmanager/testing/fake_pod_network.h"
#include "vmm/mock/mock_hypervisor.h"

namespace podvisor {

// The machine (VMs, network, images, database, files) outlives the pod manager, so that a test can start another one.
class PodsTest : public testing::Test {
 protected:
  PodsTest();
  ~PodsTest() override;

  // A daemon starts. Ends the one before.
  void StartDaemon();
  void StopDaemon() { pods_.reset(); }

  static SandboxConfig Pod(const std::string& name, uint32_t attempt = 0);
  // Runs `command` in the image "busybox", which is there; with a log if the pod has a log directory.
  static ContainerConfig Program(const std::string& name, std::vector<std::string> command);

  absl::StatusOr<std::string> Run(const SandboxConfig& config) { return pods_->RunPodSandbox(config, "", Soon()); }
  // A sandbox that is ready; a container that is created, or running. Empty after a failure, which is reported.
  std::string ReadyPod(const std::string& name);
  std::string Created(const std::string& sandbox_id, const ContainerConfig& config);
  std::string Running(const std::string& sandbox_id, const ContainerConfig& config);

  // Wait until it is so, for a minute at most; the status then. The pod manager tells of changes, so nothing is polled.
  ContainerStatus AwaitState(const std::string& container_id, ContainerState state);
  SandboxStatus AwaitState(const std::string& sandbox_id, SandboxState state);

  // Waits until the first pool has so many VMs and makes none.
  PoolView AwaitPool(int waiting);
  // Where the sandbox's VM came from: {"origin": "pool"}, and perhaps "reason".
  nlohmann::json Origin(const std::string& sandbox_id);

  std::shared_ptr<FakeAgent> Agent(const std::string& sandbox_id) { return host_->Agent(sandbox_id); }

  // Nothing of any pod is on the machine or in the database.
  void ExpectNothingLeft();
  std::vector<std::string> Cgroups();
  std::vector<std::string> RuntimeFolders();

  static absl::Time Soon();  // a deadline that no test reaches

  const std::string dir_;  // short: sockets are below it
  EventLoop loop_{"pods_test"};
  std::unique_ptr<MockHost> host_ = std::make_unique<MockHost>(loop_);
  std::unique_ptr<StateDb> db_;
  FakePodNetwork network_;
  FakeImageStore images_{dir_};
  Capabilities capabilities_;  // of the hypervisor at StartDaemon(); the mock's without shared folder
  PodManagerOptions options_;  // handlers are added by StartDaemon() if there are none

  std::unique_ptr<Hypervisor> hypervisor_;
  std::unique_ptr<PodManagerImpl> pods_;

 private:
  bool Await(const std::function<bool()>& condition);

  absl::Mutex mu_;
  int changes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_TESTING_PODS_TEST_H_
