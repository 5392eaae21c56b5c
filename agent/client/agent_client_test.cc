// The client against a well-behaved agent: agent/fake.
#include "agent/client/agent_client.h"

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "agent/fake/fake_agent.h"
#include "base/status_matchers.h"
#include "third_party/wire/agent.pb.h"
#include "third_party/wire/health.pb.h"

namespace podvisor {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr absl::Duration kPatience = absl::Seconds(60);

class AgentClientTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = absl::StrCat(testing::TempDir(), "/client_test.sock");
    Boot();
  }

  void Boot() {
    agent_.reset();
    auto agent = FakeAgent::Create(agent_loop_, path_);
    ASSERT_OK(agent);
    agent_ = *std::move(agent);
  }

  std::unique_ptr<AgentClient> Connect(AgentClient::Observer observer = nullptr, AgentClientTuning tuning = {}) {
    return AgentClient::Create(loop_, {.kind = GuestChannel::Kind::kUnix, .path = path_}, std::move(observer), tuning);
  }

  static absl::Time Soon() { return absl::Now() + kPatience; }

  static grpc::CreateContainerRequest Container(const std::string& id, const std::vector<std::string>& args) {
    grpc::CreateContainerRequest request;
    request.set_container_id(id);
    for (const std::string& arg : args) request.mutable_oci()->mutable_process()->add_args(arg);
    return request;
  }

  // A call whose answer is google.protobuf.Empty.
  static absl::Status Do(AgentClient& client, absl::string_view method, const google::protobuf::MessageLite& request,
                         absl::Time deadline = Soon()) {
    grpc::CheckRequest nothing;
    return client.Call(kAgentService, method, request, &nothing, deadline);
  }

  static absl::Status Run(AgentClient& client, const std::string& id, const std::vector<std::string>& args) {
    absl::Status created = Do(client, "CreateContainer", Container(id, args));
    if (!created.ok()) return created;
    grpc::StartContainerRequest start;
    start.set_container_id(id);
    return Do(client, "StartContainer", start);
  }

  EventLoop agent_loop_{"fake-agent"};
  EventLoop loop_{"io"};
  std::string path_;
  std::unique_ptr<FakeAgent> agent_;
};

TEST_F(AgentClientTest, CallsAndErrorsOfTheAgent) {
  auto client = Connect();
  EXPECT_OK(client->WaitReady(Soon()));
  EXPECT_OK(Run(*client, "c1", {"sleep", "inf"}));
  EXPECT_THAT(agent_->Containers(), UnorderedElementsAre("c1"));
  EXPECT_THAT(Do(*client, "CreateContainer", Container("c1", {"true"})), StatusIs(absl::StatusCode::kAlreadyExists));
  grpc::StartContainerRequest start;
  start.set_container_id("c2");
  EXPECT_THAT(Do(*client, "StartContainer", start), StatusIs(absl::StatusCode::kNotFound, "no container c2"));
  EXPECT_THAT(Do(*client, "NoSuchMethod", start), StatusIs(absl::StatusCode::kUnimplemented, "NoSuchMethod"));
  EXPECT_THAT(Run(*client, "c3", {"notfound"}),
              StatusIs(absl::StatusCode::kInternal, "exec: \"notfound\": executable file not found in $PATH"));
}

TEST_F(AgentClientTest, MessagesOfTheGuestAreBoundedAndOneLine) {
  auto client = Connect();
  agent_->FailNext("GetMetrics", absl::InternalError("bad\nline\x1b[31m" + std::string(100000, 'x')));
  absl::Status status = Do(*client, "GetMetrics", grpc::GetMetricsRequest());
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal, "bad line [31mxxx"));
  EXPECT_LT(status.message().size(), 5000u);
}

TEST_F(AgentClientTest, ManyCallsAtOnceFromManyThreads) {
  auto client = Connect();
  ASSERT_OK(Run(*client, "c1", {"cat"}));
  constexpr int kThreads = 8, kCalls = 200;
  std::atomic<int> written = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kCalls; ++j) {
        grpc::WriteStreamRequest request;
        request.set_container_id("c1");
        request.set_data(std::string(j, 'x'));
        grpc::WriteStreamResponse response;
        EXPECT_OK(client->Call(kAgentService, "WriteStdin", request, &response, Soon()));
        EXPECT_EQ(response.len(), static_cast<uint32_t>(j));
        written += response.len();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(written, kThreads * kCalls * (kCalls - 1) / 2);
  EXPECT_EQ(agent_->calls("WriteStdin"), kThreads * kCalls);
}

TEST_F(AgentClientTest, AnswersMayComeInAnyOrder) {
  auto client = Connect();
  ASSERT_OK(Run(*client, "c1", {"sleep", "inf"}));
  grpc::WaitProcessRequest wait;
  wait.set_container_id("c1");
  absl::Notification exited;
  grpc::WaitProcessResponse response;
  client->CallAsync(kAgentService, "WaitProcess", wait, Soon(), [&](absl::StatusOr<std::string> answer) {
    EXPECT_OK(answer);
    response.ParseFromString(*answer);
    exited.Notify();
  });
  grpc::SignalProcessRequest signal;
  signal.set_container_id("c1");
  signal.set_signal(0);
  EXPECT_OK(Do(*client, "SignalProcess", signal));
  EXPECT_FALSE(exited.HasBeenNotified());
  signal.set_signal(15);
  EXPECT_OK(Do(*client, "SignalProcess", signal));
  exited.WaitForNotification();
  EXPECT_EQ(response.status(), 143);
}

TEST_F(AgentClientTest, LargeRequestsAndAnswers) {
  auto client = Connect();
  grpc::CopyFileRequest copy;
  copy.set_path("/f");
  copy.set_data(std::string(4000000, 'x'));
  EXPECT_OK(Do(*client, "CopyFile", copy));
  copy.set_offset(4000000);
  EXPECT_OK(Do(*client, "CopyFile", copy));
  EXPECT_THAT(agent_->File("/f"), IsOk());
  EXPECT_EQ(agent_->File("/f")->size(), 8000000u);
  copy.set_data(std::string(5 << 20, 'x'));
  EXPECT_THAT(Do(*client, "CopyFile", copy), StatusIs(absl::StatusCode::kOutOfRange, "CopyFile"));
}

TEST_F(AgentClientTest, CallsWaitForTheConnection) {
  agent_.reset();
  auto client = Connect();
  absl::BlockingCounter answered(10);
  for (int i = 0; i < 10; ++i) {
    client->CallAsync(kAgentService, "CreateContainer", Container(absl::StrCat("c", i), {"true"}), Soon(),
                      [&](const absl::StatusOr<std::string>& answer) {
                        EXPECT_OK(answer);
                        answered.DecrementCount();
                      });
  }
  Boot();
  answered.Wait();
  EXPECT_EQ(agent_->Containers().size(), 10u);
}

TEST_F(AgentClientTest, DeadlineWithoutAConnectionSaysWhy) {
  agent_.reset();
  auto client = Connect();
  const absl::Time start = absl::Now();
  EXPECT_THAT(Do(*client, "GetMetrics", grpc::GetMetricsRequest(), start + absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, "No such file"));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(50));
  EXPECT_THAT(client->WaitReady(absl::Now() + absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, path_));
  EXPECT_THAT(Do(*client, "GetMetrics", grpc::GetMetricsRequest(), absl::InfinitePast()),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(AgentClientTest, DeadlineOfAHungCallLeavesTheConnection) {
  auto client = Connect();
  ASSERT_OK(client->WaitReady(Soon()));
  agent_->HangNext("GetMetrics");
  EXPECT_THAT(Do(*client, "GetMetrics", grpc::GetMetricsRequest(), absl::Now() + absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, "GetMetrics"));
  // A wait that goes on shows that the late answer does no harm.
  absl::Notification oom;
  client->CallAsync(kAgentService, "GetOOMEvent", grpc::GetOOMEventRequest(), Soon(),
                    [&](const absl::StatusOr<std::string>& answer) {
                      EXPECT_OK(answer);
                      oom.Notify();
                    });
  ASSERT_TRUE(agent_->AwaitCalls("GetOOMEvent", 1, kPatience));
  agent_->ReleaseHung(HangOutcome::kAnswered);
  EXPECT_OK(Run(*client, "c1", {"sleep", "inf"}));
  EXPECT_OK(agent_->OomKill("c1"));
  oom.WaitForNotification();
}

TEST_F(AgentClientTest, BrokenConnectionFailsSentCallsAndIsMadeAnew) {
  auto client = Connect();
  agent_->DropConnectionAtNext("CreateContainer");
  EXPECT_THAT(Do(*client, "CreateContainer", Container("c1", {"true"})),
              StatusIs(absl::StatusCode::kUnavailable, "closed the connection"));
  EXPECT_THAT(agent_->Containers(), UnorderedElementsAre("c1")) << "carried out, but the client could not know";
  EXPECT_OK(Do(*client, "CreateContainer", Container("c2", {"true"})));
  for (int i = 0; i < 5; ++i) {
    agent_->DropConnections();
    EXPECT_OK(client->WaitReady(Soon()));
  }
  Boot();
  EXPECT_OK(client->WaitReady(Soon()));
}

TEST_F(AgentClientTest, WaitReadyOutlastsErrorsOfTheAgent) {
  auto client = Connect();
  agent_->FailNext("Check", absl::InternalError("starting"), 2);
  agent_->DropConnectionAtNext("Check");
  EXPECT_OK(client->WaitReady(Soon()));
  EXPECT_EQ(agent_->calls("Check"), 4);
  agent_->HangNext("Check");
  EXPECT_THAT(client->WaitReady(absl::Now() + absl::Milliseconds(50)), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(AgentClientTest, FrozenGuestHitsTheDeadlineAndThawedGoesOn) {
  auto client = Connect();
  ASSERT_OK(client->WaitReady(Soon()));
  agent_->Freeze();
  EXPECT_THAT(Do(*client, "GetMetrics", grpc::GetMetricsRequest(), absl::Now() + absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  agent_->Thaw();
  EXPECT_OK(Do(*client, "GetMetrics", grpc::GetMetricsRequest()));
}

TEST_F(AgentClientTest, QueueIsBounded) {
  AgentClientTuning tuning;
  tuning.max_queued_bytes = 1 << 20;
  agent_.reset();
  auto client = Connect(nullptr, tuning);
  grpc::CopyFileRequest copy;
  copy.set_path("/f");
  copy.set_data(std::string(400000, 'x'));
  absl::Mutex mu;
  int ok = 0, refused = 0, other = 0;
  constexpr int kCalls = 5;
  for (int i = 0; i < kCalls; ++i) {
    client->CallAsync(kAgentService, "CopyFile", copy, Soon(), [&](const absl::StatusOr<std::string>& answer) {
      absl::MutexLock lock(&mu);
      ++(answer.ok() ? ok : absl::IsResourceExhausted(answer.status()) ? refused : other);
    });
  }
  Boot();
  auto all = [&] { return ok + refused + other == kCalls; };
  absl::MutexLock lock(&mu);
  ASSERT_TRUE(mu.AwaitWithTimeout(absl::Condition(&all), kPatience));
  EXPECT_EQ(ok, 2);
  EXPECT_EQ(refused, 3);
}

TEST_F(AgentClientTest, CallsUnderWayAreBounded) {
  AgentClientTuning tuning;
  tuning.max_calls = 2;
  auto client = Connect(nullptr, tuning);
  absl::BlockingCounter ended(2);
  for (int i = 0; i < 2; ++i) {
    client->CallAsync(kAgentService, "GetOOMEvent", grpc::GetOOMEventRequest(), Soon(),
                      [&](const absl::StatusOr<std::string>&) { ended.DecrementCount(); });
  }
  EXPECT_THAT(Do(*client, "GetMetrics", grpc::GetMetricsRequest()), StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_TRUE(agent_->AwaitCalls("GetOOMEvent", 2, kPatience));
  agent_->DropConnections();
  ended.Wait();
  EXPECT_OK(Do(*client, "GetMetrics", grpc::GetMetricsRequest()));
}

TEST_F(AgentClientTest, CloseCancelsWhatIsAndWhatComes) {
  auto client = Connect();
  agent_->HangNext("GetMetrics");
  absl::Notification cancelled;
  client->CallAsync(kAgentService, "GetMetrics", grpc::GetMetricsRequest(), absl::InfiniteFuture(),
                    [&](const absl::StatusOr<std::string>& answer) {
                      EXPECT_THAT(answer, StatusIs(absl::StatusCode::kCancelled));
                      cancelled.Notify();
                    });
  ASSERT_TRUE(agent_->AwaitCalls("GetMetrics", 1, kPatience));
  client->Close();
  cancelled.WaitForNotification();
  EXPECT_THAT(Do(*client, "GetMetrics", grpc::GetMetricsRequest()), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(client->WaitReady(Soon()), StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(AgentClientTest, DestructorCancelsAndNoCallbackFollows) {
  for (int round = 0; round < 20; ++round) {
    auto client = Connect();
    std::atomic<int> told = 0;
    constexpr int kCalls = 50;
    for (int i = 0; i < kCalls; ++i) {
      client->CallAsync(kAgentService, i % 2 == 0 ? "GetMetrics" : "GetOOMEvent", grpc::GetMetricsRequest(), Soon(),
                        [&](const absl::StatusOr<std::string>&) { ++told; });
    }
    client.reset();
    EXPECT_EQ(told, kCalls);
  }
}

TEST_F(AgentClientTest, MayBeDestroyedByItsOwnCallback) {
  auto client = Connect();
  std::atomic<int> told = 0;
  absl::Notification destroyed;
  for (int i = 0; i < 5; ++i) {
    client->CallAsync(kAgentService, "GetOOMEvent", grpc::GetOOMEventRequest(), Soon(),
                      [&](const absl::StatusOr<std::string>&) {
                        if (++told > 1) return;
                        client.reset();
                        EXPECT_EQ(told, 5);
                        destroyed.Notify();
                      });
  }
  ASSERT_TRUE(agent_->AwaitCalls("GetOOMEvent", 5, kPatience));
  agent_->DropConnections();
  destroyed.WaitForNotification();
}

TEST_F(AgentClientTest, ObserverSeesEveryCall) {
  absl::Mutex mu;
  std::vector<std::string> seen;
  auto client = Connect([&](absl::string_view method, absl::StatusCode code, absl::Duration took) {
    EXPECT_GE(took, absl::ZeroDuration());
    absl::MutexLock lock(&mu);
    seen.push_back(absl::StrCat(method, " ", absl::StatusCodeToString(code)));
  });
  EXPECT_OK(Do(*client, "GetMetrics", grpc::GetMetricsRequest()));
  agent_->FailNext("GetMetrics", absl::InternalError("no"));
  EXPECT_THAT(Do(*client, "GetMetrics", grpc::GetMetricsRequest()), StatusIs(absl::StatusCode::kInternal));
  absl::MutexLock lock(&mu);
  EXPECT_THAT(seen, testing::ElementsAre("GetMetrics OK", "GetMetrics INTERNAL"));
}

}  // namespace
}  // namespace podvisor
