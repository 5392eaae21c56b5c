// Many sandboxes at once: nothing is lost, nothing is left, and no lock is held across a boot.
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "podmanager/testing/pods_test.h"

namespace podvisor {
namespace {

using testing::SizeIs;

class ScaleTest : public PodsTest {};

TEST_F(ScaleTest, TwoHundredSandboxesAtOnce) {
  constexpr int kSandboxes = 200;
  StartDaemon();
  std::vector<std::string> ids(kSandboxes);
  const auto each = [&](const std::function<void(int)>& work) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kSandboxes; ++i) threads.emplace_back([&work, i] { work(i); });
    for (std::thread& thread : threads) thread.join();
  };
  each([&](int i) {
    ids[i] = ReadyPod(absl::StrCat("pod-", i));
    Running(ids[i], Program("c", {"sleep", "inf"}));
  });
  EXPECT_THAT(host_->LiveVms(), SizeIs(kSandboxes));
  EXPECT_THAT(pods_->ListSandboxes({.state = SandboxState::kReady}), SizeIs(kSandboxes));
  EXPECT_THAT(pods_->ListContainers({.state = ContainerState::kRunning}), SizeIs(kSandboxes));
  StartDaemon();
  EXPECT_THAT(pods_->ListSandboxes({.state = SandboxState::kReady}), SizeIs(kSandboxes)) << "all are taken over";
  each([&](int i) {
    EXPECT_OK(pods_->StopPodSandbox(ids[i], Soon()));
    EXPECT_OK(pods_->RemovePodSandbox(ids[i], Soon()));
  });
  ExpectNothingLeft();
}

}  // namespace
}  // namespace podvisor
