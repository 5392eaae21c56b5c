#include "podmanager/events/event_hub.h"

#include <thread>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

std::shared_ptr<const PodEvent> Event(const std::string& id) {
  auto event = std::make_shared<PodEvent>();
  event->container_id = id;
  return event;
}

absl::Time Now() { return absl::InfinitePast(); }  // a deadline: do not wait

TEST(EventHubTest, EveryListenerGetsEveryEventInOrder) {
  EventHub hub;
  EXPECT_FALSE(hub.HasListeners());
  hub.Publish(Event("before"));
  auto first = *hub.Subscribe();
  auto second = *hub.Subscribe();
  EXPECT_TRUE(hub.HasListeners());
  hub.Publish(Event("a"));
  hub.Publish(Event("b"));
  for (EventStream* stream : {first.get(), second.get()}) {
    EXPECT_EQ((*stream->Next(Now()))->container_id, "a");
    EXPECT_EQ((*stream->Next(Now()))->container_id, "b");
    EXPECT_THAT(stream->Next(Now()), StatusIs(absl::StatusCode::kDeadlineExceeded, "no event"));
  }
  first.reset();
  second.reset();
  EXPECT_FALSE(hub.HasListeners());
}

TEST(EventHubTest, NextWaitsForAnEvent) {
  EventHub hub;
  auto stream = *hub.Subscribe();
  std::thread publisher([&hub] { hub.Publish(Event("a")); });
  EXPECT_EQ((*stream->Next(absl::InfiniteFuture()))->container_id, "a");
  publisher.join();
}

TEST(EventHubTest, ASlowListenerIsCutOffAndTheOthersAreNot) {
  EventHub hub(2);
  auto slow = *hub.Subscribe();
  auto quick = *hub.Subscribe();
  for (const char* id : {"a", "b", "c", "d"}) {
    hub.Publish(Event(id));
    EXPECT_EQ((*quick->Next(Now()))->container_id, id);
  }
  EXPECT_THAT(slow->Next(Now()), StatusIs(absl::StatusCode::kResourceExhausted, "more than 2 events"));
  EXPECT_THAT(slow->Next(Now()), StatusIs(absl::StatusCode::kResourceExhausted, "subscribe again"));
}

TEST(EventHubTest, ThereAreOnlySoManyListeners) {
  EventHub hub(2, 1);
  auto first = hub.Subscribe();
  EXPECT_THAT(hub.Subscribe(), StatusIs(absl::StatusCode::kResourceExhausted, "1 listeners"));
  first->reset();
  EXPECT_OK(hub.Subscribe());
}

}  // namespace
}  // namespace podvisor
