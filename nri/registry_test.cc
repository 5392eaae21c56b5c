#include "nri/registry.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/event_loop.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nri/testing/test_plugin.h"

namespace podvisor {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

nri_api::PodSandbox Pod(const std::string& id) {
  nri_api::PodSandbox pod;
  pod.set_id(id);
  return pod;
}

nri_api::Container Ctr(const std::string& id) {
  nri_api::Container container;
  container.set_id(id);
  container.set_pod_sandbox_id("p1");
  return container;
}

class FakeRuntime : public PluginRuntime {
 public:
  Objects List() override {
    absl::MutexLock lock(&mu_);
    return objects;
  }
  std::vector<nri_api::ContainerUpdate> Update(const std::vector<nri_api::ContainerUpdate>& updates) override {
    absl::MutexLock lock(&mu_);
    std::vector<nri_api::ContainerUpdate> failed;
    for (const auto& update : updates) {
      updated.push_back(update.container_id());
      if (update.container_id() == "missing") failed.push_back(update);
    }
    return failed;
  }
  void Evict(const nri_api::ContainerEviction& eviction) override {
    absl::MutexLock lock(&mu_);
    evicted.push_back(eviction.container_id());
  }

  absl::Mutex mu_;
  Objects objects;
  std::vector<std::string> updated, evicted;
};

class RegistryTest : public testing::Test {
 protected:
  void Start(absl::Duration request_timeout = absl::Minutes(1), absl::Duration registration = absl::Minutes(1)) {
    registry_ = PluginRegistry::Create(
        loop_, {.registration_timeout = registration, .request_timeout = request_timeout}, runtime_);
  }
  // Until the plugin is in the list. No event tells; the bound is generous.
  void Join(TestPlugin& plugin, const std::string& name) {
    registry_->Connect(plugin.Connect());
    ASSERT_TRUE(Eventually([&] {
      const std::vector<std::string> names = registry_->Names();
      return std::find(names.begin(), names.end(), name) != names.end();
    })) << name;
  }
  template <typename Condition>
  static bool Eventually(const Condition& condition) {
    const absl::Time end = absl::Now() + absl::Minutes(1);
    while (!condition()) {
      if (absl::Now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }

  EventLoop loop_{"nri_test"};
  FakeRuntime runtime_;
  std::unique_ptr<PluginRegistry> registry_;
};

TEST_F(RegistryTest, PluginIsSynchronizedWithWhatThereIs) {
  Start();
  runtime_.objects.pods = {Pod("p1"), Pod("p2")};
  runtime_.objects.containers = {Ctr("c1")};
  TestPlugin plugin("logger", "10");
  Join(plugin, "10-logger");
  EXPECT_THAT(plugin.calls(), ElementsAre("Synchronize p1 p2 c1"));
}

TEST_F(RegistryTest, WrongIdentityIsTurnedAway) {
  Start();
  TestPlugin no_number("a", "x1"), no_name("", "10");
  registry_->Connect(no_number.Connect());
  registry_->Connect(no_name.Connect());
  EXPECT_TRUE(no_number.AwaitClosed());
  EXPECT_TRUE(no_name.AwaitClosed());
  EXPECT_THAT(registry_->Names(), IsEmpty());
}

TEST_F(RegistryTest, SilentConnectionIsClosed) {
  Start(absl::Minutes(1), absl::Milliseconds(10));
  TestPlugin plugin("a", "10");
  registry_->Connect(plugin.Connect(TestPlugin::Register::kNo));
  EXPECT_TRUE(plugin.AwaitClosed());
}

TEST_F(RegistryTest, EventsGoInTheOrderOfTheNumbers) {
  Start();
  absl::Mutex mu;
  std::vector<std::string> order;
  TestPlugin last("last", "90"), first("first", "05"), middle("middle", "50");
  for (auto [plugin, name] : {std::pair{&last, "last"}, {&first, "first"}, {&middle, "middle"}}) {
    plugin->Handle("RunPodSandbox", [&mu, &order, name = std::string(name)](const std::string&) {
      absl::MutexLock lock(&mu);
      order.push_back(name);
      return std::string();
    });
  }
  Join(last, "90-last");
  Join(first, "05-first");
  Join(middle, "50-middle");
  EXPECT_THAT(registry_->Names(), ElementsAre("05-first", "50-middle", "90-last"));
  ASSERT_OK(registry_->RunPodSandbox(Pod("p1")));
  EXPECT_THAT(order, ElementsAre("first", "middle", "last"));
}

TEST_F(RegistryTest, AllEventsOfAContainer) {
  Start();
  TestPlugin plugin("a", "10");
  Join(plugin, "10-a");
  ASSERT_OK(registry_->RunPodSandbox(Pod("p1")));
  ASSERT_OK(registry_->CreateContainer(Pod("p1"), Ctr("c1")));
  for (nri_api::Event event :
       {nri_api::POST_CREATE_CONTAINER, nri_api::START_CONTAINER, nri_api::POST_START_CONTAINER}) {
    ASSERT_OK(registry_->ContainerEvent(event, Pod("p1"), Ctr("c1")));
  }
  ASSERT_OK(registry_->UpdateContainer(Pod("p1"), Ctr("c1"), nri_api::LinuxResources()));
  ASSERT_OK(registry_->ContainerEvent(nri_api::POST_UPDATE_CONTAINER, Pod("p1"), Ctr("c1")));
  registry_->StopContainer(Pod("p1"), Ctr("c1"));
  ASSERT_OK(registry_->StopPodSandbox(Pod("p1")));
  ASSERT_OK(registry_->ContainerEvent(nri_api::REMOVE_CONTAINER, Pod("p1"), Ctr("c1")));
  ASSERT_OK(registry_->RemovePodSandbox(Pod("p1")));
  registry_.reset();
  EXPECT_THAT(plugin.calls(),
              ElementsAre("Synchronize", "RunPodSandbox", "CreateContainer", "ValidateContainerAdjustment",
                          "PostCreateContainer", "StartContainer", "PostStartContainer", "UpdateContainer",
                          "PostUpdateContainer", "StopContainer", "StopPodSandbox", "RemoveContainer",
                          "RemovePodSandbox", "Shutdown"));
}

TEST_F(RegistryTest, OnlyWhatAPluginAskedFor) {
  Start();
  TestPlugin plugin("a", "10");
  plugin.Want({nri_api::STOP_POD_SANDBOX});
  Join(plugin, "10-a");
  ASSERT_OK(registry_->RunPodSandbox(Pod("p1")));
  ASSERT_OK(registry_->StopPodSandbox(Pod("p1")));
  EXPECT_THAT(plugin.calls(), ElementsAre("Synchronize", "StopPodSandbox"));
}

TEST_F(RegistryTest, OlderPluginGetsStateChange) {
  Start();
  TestPlugin plugin("old", "10");
  plugin.Handle("RunPodSandbox", [](const std::string&) { return absl::UnimplementedError("no such method"); });
  Join(plugin, "10-old");
  ASSERT_OK(registry_->RunPodSandbox(Pod("p1")));
  EXPECT_THAT(plugin.calls(), ElementsAre("Synchronize", "RunPodSandbox", "StateChange:RUN_POD_SANDBOX"));
}

TEST_F(RegistryTest, ErrorNamesThePluginAndStopsThere) {
  Start();
  TestPlugin bad("bad", "10"), good("good", "20");
  bad.Handle("RunPodSandbox", [](const std::string&) { return absl::UnknownError("not today"); });
  Join(bad, "10-bad");
  Join(good, "20-good");
  EXPECT_THAT(std::string(registry_->RunPodSandbox(Pod("p1")).message()),
              AllOf(HasSubstr("10-bad"), HasSubstr("not today")));
  EXPECT_THAT(good.calls(), ElementsAre("Synchronize"));
  EXPECT_THAT(registry_->Names(), ElementsAre("10-bad", "20-good")) << "an error is no reason to close a plugin";
}

TEST_F(RegistryTest, HangingPluginIsClosedAndHoldsUpNobody) {
  Start(absl::Seconds(5));  // also for those who do answer, on a busy machine
  absl::Notification end;
  TestPlugin hanging("hangs", "10"), good("good", "20");
  hanging.Handle("RunPodSandbox", [&end](const std::string&) {
    end.WaitForNotification();
    return std::string();
  });
  Join(hanging, "10-hangs");
  Join(good, "20-good");
  EXPECT_OK(registry_->RunPodSandbox(Pod("p1")));
  EXPECT_TRUE(good.AwaitCall("RunPodSandbox"));
  EXPECT_TRUE(Eventually([&] { return registry_->Names() == std::vector<std::string>{"20-good"}; }));
  EXPECT_OK(registry_->StopPodSandbox(Pod("p1")));
  end.Notify();
  EXPECT_TRUE(hanging.AwaitClosed());
}

TEST_F(RegistryTest, MalformedBytesEndThatConnectionOnly) {
  Start();
  TestPlugin bad("bad", "10"), good("good", "20");
  Join(bad, "10-bad");
  Join(good, "20-good");
  bad.Send(std::string(64, '\xff'));
  EXPECT_TRUE(bad.AwaitClosed());
  EXPECT_TRUE(Eventually([&] { return registry_->Names() == std::vector<std::string>{"20-good"}; }));
  EXPECT_OK(registry_->RunPodSandbox(Pod("p1")));
  EXPECT_THAT(good.calls(), ElementsAre("Synchronize", "RunPodSandbox"));
}

TEST_F(RegistryTest, ManyObjectsComeInSeveralMessages) {
  Start();
  for (int i = 0; i < 5; ++i) {
    runtime_.objects.pods.push_back(Pod(absl::StrCat("p", i)));
    (*runtime_.objects.pods.back().mutable_annotations())["big"] = std::string(1 << 20, 'x');
  }
  runtime_.objects.containers = {Ctr("c1")};
  TestPlugin plugin("a", "10");
  Join(plugin, "10-a");
  EXPECT_THAT(plugin.calls(), ElementsAre("Synchronize p0 p1 p2", "Synchronize p3 p4 c1"));
}

TEST_F(RegistryTest, WhatIsMadeDuringSynchronizeIsNotLost) {
  Start();
  absl::Notification go;
  TestPlugin first("first", "05"), plugin("late", "10");
  Join(first, "05-first");
  ASSERT_OK(registry_->CreateContainer(Pod("p1"), Ctr("announced")));  // and not listed yet
  plugin.Handle("Synchronize", [&go](const std::string&) {
    go.WaitForNotification();
    return std::string();
  });
  registry_->Connect(plugin.Connect());
  ASSERT_TRUE(plugin.AwaitCall("Synchronize"));
  std::thread creation([this] { EXPECT_OK(registry_->CreateContainer(Pod("p1"), Ctr("meanwhile"))); });
  go.Notify();
  EXPECT_TRUE(plugin.AwaitCall("CreateContainer"));
  creation.join();
  EXPECT_EQ(plugin.calls()[0], "Synchronize announced");
}

TEST_F(RegistryTest, WishesAreMergedAndConflictsAreErrors) {
  Start();
  const auto sets = [](const std::string& key) {
    return [key](const std::string&) {
      nri_api::CreateContainerResponse response;
      nri_api::KeyValue& variable = *response.mutable_adjust()->add_env();
      variable.set_key(key);
      variable.set_value("1");
      return response.SerializeAsString();
    };
  };
  TestPlugin a("a", "10"), b("b", "20");
  a.Handle("CreateContainer", sets("ONE"));
  std::atomic<bool> saw_one = false;
  b.Handle("CreateContainer", [&saw_one, next = sets("TWO")](const std::string& request) {
    nri_api::CreateContainerRequest message;
    message.ParseFromString(request);
    saw_one = message.container().env_size() == 1 && message.container().env(0) == "ONE=1";
    return next(request);
  });
  Join(a, "10-a");
  Join(b, "20-b");
  auto wishes = registry_->CreateContainer(Pod("p1"), Ctr("c1"));
  ASSERT_OK(wishes);
  EXPECT_EQ(wishes->adjustment.env_size(), 2);
  EXPECT_TRUE(saw_one);
  b.Handle("CreateContainer", sets("ONE"));
  EXPECT_THAT(std::string(registry_->CreateContainer(Pod("p1"), Ctr("c2")).status().message()),
              AllOf(HasSubstr("10-a"), HasSubstr("20-b"), HasSubstr("ONE")));
}

TEST_F(RegistryTest, ValidatorRejects) {
  Start();
  TestPlugin validator("validator", "10");
  validator.Handle("ValidateContainerAdjustment", [](const std::string&) {
    nri_api::ValidateContainerAdjustmentResponse response;
    response.set_reject(true);
    response.set_reason("never");
    return response.SerializeAsString();
  });
  Join(validator, "10-validator");
  const absl::Status status = registry_->CreateContainer(Pod("p1"), Ctr("c1")).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("10-validator"), HasSubstr("never")));
}

TEST_F(RegistryTest, UnsolicitedUpdatesAndEvictions) {
  Start();
  TestPlugin plugin("a", "10");
  Join(plugin, "10-a");
  nri_api::UpdateContainersRequest request;
  request.add_update()->set_container_id("c1");
  request.add_update()->set_container_id("missing");
  nri_api::ContainerUpdate& impossible = *request.add_update();
  impossible.set_container_id("c2");
  impossible.mutable_linux()->mutable_resources()->mutable_rdt_class()->set_value("gold");
  request.add_evict()->set_container_id("c3");
  auto answer = plugin.CallRuntime("UpdateContainers", request.SerializeAsString());
  ASSERT_OK(answer);
  nri_api::UpdateContainersResponse response;
  ASSERT_TRUE(response.ParseFromString(*answer));
  ASSERT_EQ(response.failed_size(), 2);
  EXPECT_EQ(response.failed(0).container_id(), "c2");
  EXPECT_EQ(response.failed(1).container_id(), "missing");
  EXPECT_THAT(runtime_.updated, ElementsAre("c1", "missing"));
  EXPECT_THAT(runtime_.evicted, ElementsAre("c3"));
  EXPECT_THAT(plugin.CallRuntime("Nothing", "").status(), StatusIs(absl::StatusCode::kUnimplemented));
}

TEST_F(RegistryTest, GonePluginIsForgotten) {
  Start();
  TestPlugin plugin("a", "10");
  Join(plugin, "10-a");
  plugin.Disconnect();
  EXPECT_TRUE(Eventually([&] { return registry_->Names().empty(); }));
  EXPECT_OK(registry_->RunPodSandbox(Pod("p1")));
}

}  // namespace
}  // namespace podvisor
