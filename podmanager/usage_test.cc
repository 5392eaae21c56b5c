// What pods use, events of their lives, and the size of their VMs.
#include <future>

#include "gmock/gmock.h"
#include "podmanager/testing/pods_test.h"

namespace podvisor {

namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::SizeIs;

class UsageTest : public PodsTest {
 protected:
  void SetUp() override { StartDaemon(); }
};

TEST_F(UsageTest, GuestsThatKnowNoGetStatsAreAskedPerContainer) {
  const std::string pod = ReadyPod("a");
  const std::string running = Running(pod, Program("c", {"sleep", "60"}));
  const std::string created = Created(pod, Program("d", {"sleep", "60"}));
  Agent(pod)->FailNext("GetStats", absl::UnimplementedError("unknown"));
  auto usage = pods_->GetUsage(pod, Detail::kBrief, Soon());
  ASSERT_OK(usage);
  EXPECT_EQ(usage->sandbox.id, pod);
  EXPECT_THAT(usage->containers, SizeIs(2));
  for (const ContainerUsage& container : usage->containers) {
    EXPECT_TRUE(container.status.id == running || container.status.id == created);
    EXPECT_GT(container.usage.at, absl::UnixEpoch());
  }
  EXPECT_EQ(Agent(pod)->calls("StatsContainer"), 2);
  EXPECT_FALSE(usage->vmm.has_value());
  ASSERT_OK(pods_->GetUsage(pod, Detail::kVerbose, Soon()));
}

TEST_F(UsageTest, AGuestThatHangsIsAskedOnceAndDelaysNobodyForLong) {
  const std::string good = ReadyPod("good");
  const std::string bad = ReadyPod("bad");
  Agent(good)->FailNext("GetStats", absl::UnimplementedError("unknown"), 100);
  Agent(bad)->HangNext("GetStats", 100);
  const absl::Time start = absl::Now();
  std::vector<PodUsage> pods = pods_->ListUsage({}, Detail::kBrief, absl::InfiniteFuture());
  EXPECT_GE(absl::Now() - start, kUsagePatience);
  EXPECT_LT(absl::Now() - start, absl::Minutes(1));
  ASSERT_THAT(pods, SizeIs(2));
  for (const PodUsage& pod : pods) EXPECT_EQ(pod.usage.at > absl::InfinitePast(), pod.sandbox.id == good);
  EXPECT_THAT(pods_->ListUsage({}, Detail::kBrief, absl::Now()), SizeIs(2));
  EXPECT_EQ(Agent(bad)->calls("GetStats"), 1) << "the call under way is waited for";
  EXPECT_THAT(pods_->GetUsage(bad, Detail::kBrief, absl::Now()), StatusIs(StatusCode::kUnavailable, bad));
  Agent(bad)->ReleaseHung(HangOutcome::kLost);
}

TEST_F(UsageTest, OnlyReadySandboxesHaveFigures) {
  const std::string pod = ReadyPod("a");
  ASSERT_OK(pods_->StopPodSandbox(pod, Soon()));
  EXPECT_THAT(pods_->GetUsage(pod, Detail::kBrief, Soon()), StatusIs(StatusCode::kFailedPrecondition, pod));
  EXPECT_THAT(pods_->ListUsage({}, Detail::kBrief, Soon()), SizeIs(0));
  EXPECT_THAT(pods_->GetUsage("nosuch", Detail::kBrief, Soon()), StatusIs(StatusCode::kNotFound, "nosuch"));
}

// "TYPE ID" of the next `count` events.
std::vector<std::string> Next(EventStream& events, size_t count) {
  static constexpr const char* kNames[] = {"created ", "started ", "stopped ", "deleted "};
  std::vector<std::string> got;
  while (got.size() < count) {
    auto event = events.Next(absl::Now() + absl::Minutes(1));
    EXPECT_OK(event);
    if (!event.ok()) break;
    got.push_back(kNames[static_cast<size_t>((*event)->type)] + (*event)->container_id);
  }
  return got;
}

TEST_F(UsageTest, EventsTellALifeInOrder) {
  auto events = *pods_->SubscribeEvents();
  const std::string pod = ReadyPod("a");
  EXPECT_THAT(Next(*events, 2), ElementsAre("created " + pod, "started " + pod));
  const std::string id = Running(pod, Program("c", {"sleep", "60"}));
  EXPECT_THAT(Next(*events, 2), ElementsAre("created " + id, "started " + id));
  ASSERT_OK(Agent(pod)->ExitProcess(id, "", 3));
  auto stopped = events->Next(absl::Now() + absl::Minutes(1));
  ASSERT_OK(stopped);
  EXPECT_EQ((*stopped)->type, PodEventType::kStopped);
  ASSERT_THAT((*stopped)->containers, SizeIs(1));
  EXPECT_EQ((*stopped)->containers[0].exit_code, 3);
  EXPECT_EQ((*stopped)->sandbox.id, pod);
  ASSERT_OK(pods_->RemoveContainer(id, Soon()));
  const std::string unused = Created(pod, Program("d", {"true"}));
  ASSERT_OK(pods_->RemovePodSandbox(pod, Soon()));
  EXPECT_THAT(Next(*events, 6), ElementsAre("deleted " + id, "created " + unused, "stopped " + unused, "stopped " + pod,
                                            "deleted " + unused, "deleted " + pod));
  EXPECT_THAT(events->Next(absl::Now()), StatusIs(StatusCode::kDeadlineExceeded, ""));
}

TEST_F(UsageTest, ANewDaemonDoesNotTellTheOldOnesEvents) {
  const std::string pod = ReadyPod("a");
  const std::string id = Running(pod, Program("c", {"sleep", "60"}));
  StartDaemon();
  auto events = *pods_->SubscribeEvents();
  ASSERT_OK(pods_->StopContainer(id, absl::ZeroDuration(), Soon()));
  EXPECT_THAT(Next(*events, 1), ElementsAre("stopped " + id));
}

class SizeTest : public PodsTest {
 protected:
  void SetUp() override {
    RuntimeHandler handler;
    handler.max_vcpus = 4;
    handler.max_memory_bytes = 1 << 30;
    options_.handlers[""] = handler;
    StartDaemon();
    pod_ = ReadyPod("a");
  }

  static Resources Limits(int64_t mib, int64_t cpus) {
    Resources resources;
    resources.set_memory_limit_bytes(mib << 20);
    resources.set_cpu_period(100000);
    resources.set_cpu_quota(cpus * 100000);
    return resources;
  }
  std::string Info() { return pods_->GetSandbox(pod_, Detail::kVerbose)->info.at("info"); }

  std::string pod_;
};

TEST_F(SizeTest, TheVmFollowsTheSumOfItsContainers) {
  ContainerConfig config = Program("c", {"sleep", "60"});
  *config.mutable_resources() = Limits(200, 1);
  const std::string first = Running(pod_, config);
  EXPECT_THAT(Info(), testing::HasSubstr("\"memoryBytes\":310378496"));  // 200 MiB and 96 of the guest
  config.mutable_metadata()->set_name("d");
  config.set_log_path("d.log");
  const std::string second = Running(pod_, config);
  EXPECT_THAT(Info(), testing::HasSubstr("\"memoryBytes\":520093696"));  // 496 MiB
  EXPECT_THAT(Info(), testing::HasSubstr("\"vcpus\":2"));
  EXPECT_GE(Agent(pod_)->calls("OnlineCPUMem"), 2);

  ASSERT_OK(pods_->UpdateContainerResources(second, Limits(300, 2), Soon()));
  EXPECT_THAT(Info(), testing::HasSubstr("\"memoryBytes\":624951296"));  // 596 MiB
  EXPECT_THAT(Info(), testing::HasSubstr("\"vcpus\":3"));
  ASSERT_OK(pods_->UpdateContainerResources(second, Limits(100, 1), Soon()));
  EXPECT_THAT(Info(), testing::HasSubstr("\"memoryBytes\":415236096"));  // 396 MiB
  EXPECT_THAT(Info(), testing::HasSubstr("\"vcpus\":3")) << "vCPUs stay";
  ASSERT_OK(pods_->RemoveContainer(second, Soon()));
  EXPECT_THAT(Info(), testing::HasSubstr("\"memoryBytes\":310378496"));
}

TEST_F(SizeTest, MoreThanTheVmWasMadeForIsRefused) {
  const std::string id = Running(pod_, Program("c", {"sleep", "60"}));
  EXPECT_THAT(pods_->UpdateContainerResources(id, Limits(2048, 1), Soon()),
              StatusIs(StatusCode::kOutOfRange, "default_max_memory"));
  EXPECT_EQ(pods_->GetContainer(id, Detail::kBrief)->resources.memory_limit_bytes(), 0);
  EXPECT_THAT(pods_->UpdateSandboxResources(pod_, {}, Limits(2048, 1), Soon()),
              StatusIs(StatusCode::kOutOfRange, "default_max_memory"));
}

TEST_F(SizeTest, ThePodsOwnLimitsCount) {
  ASSERT_OK(pods_->UpdateSandboxResources(pod_, {}, Limits(600, 2), Soon()));
  EXPECT_THAT(Info(), testing::HasSubstr("\"memoryBytes\":729808896"));  // 696 MiB
  EXPECT_THAT(Info(), testing::HasSubstr("\"vcpus\":2"));
  ASSERT_OK(pods_->UpdateSandboxResources(pod_, {}, Limits(1, 1), Soon()));
  EXPECT_THAT(Info(), testing::HasSubstr("\"memoryBytes\":268435456")) << "not below what it had at boot";
}

TEST_F(SizeTest, ImageVolumesAreLeasedAttachedAndLetGo) {
  images_.Add("data", {});
  ContainerConfig config = Program("c", {"sleep", "60"});
  for (const char* path : {"/a", "/b"}) {
    MountConfig& mount = *config.add_mounts();
    mount.set_container_path(path);
    mount.set_image("data");
    mount.set_readonly(true);
  }
  config.mutable_mounts(1)->set_image_sub_path("x/y");
  const std::string id = Running(pod_, config);
  EXPECT_THAT(images_.LeaseHolders(), testing::UnorderedElementsAre(id, id + "/volume/0", id + "/volume/1"));
  auto request = Agent(pod_)->ContainerRequest(id);
  ASSERT_OK(request);
  EXPECT_EQ(request->storages_size(), 4);
  const std::string folder = "/run/kata-containers/" + id + "/volumes/";
  EXPECT_EQ(request->storages(2).mount_point(), folder + "0");
  EXPECT_EQ(request->storages(3).fstype(), "erofs");
  std::map<std::string, std::string> sources;
  for (const auto& mount : request->oci().mounts()) sources[mount.destination()] = mount.source();
  EXPECT_EQ(sources["/a"], folder + "0");
  EXPECT_EQ(sources["/b"], folder + "1/x/y");
  EXPECT_EQ(pods_->GetContainer(id, Detail::kBrief)->volume_image_ids.size(), 2u);
  StartDaemon();
  ASSERT_OK(pods_->RemoveContainer(id, Soon()));
  EXPECT_THAT(images_.LeaseHolders(), SizeIs(0));

  config.mutable_mounts(0)->set_image("nosuch");
  EXPECT_THAT(pods_->CreateContainer(pod_, config, Soon()), StatusIs(StatusCode::kNotFound, "nosuch"));
  EXPECT_THAT(images_.LeaseHolders(), SizeIs(0));
}

}  // namespace

}  // namespace podvisor
