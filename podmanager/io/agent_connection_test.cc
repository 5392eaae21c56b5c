// Log and exec over a real connection to agent/fake, which breaks.
#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "agent/client/agent_client.h"
#include "agent/fake/fake_agent.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "podmanager/io/container_log.h"
#include "podmanager/io/exec_session.h"
#include "podmanager/io/log_format.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr int kLines = 20000;
constexpr int kLineBytes = 60;

class AgentConnectionTest : public testing::TestWithParam<ExtensionService> {
 protected:
  AgentConnectionTest() : socket_(testing::TempDir() + "/agent.sock"), log_path_(testing::TempDir() + "/agent.log") {
    std::remove(log_path_.c_str());
    auto agent = FakeAgent::Create(agent_loop_, socket_);
    EXPECT_OK(agent);
    agent_ = *std::move(agent);
    agent_->SetExtension(GetParam());
    auto db = StateDb::Open(":memory:");
    EXPECT_OK(db);
    db_ = *std::move(db);
    Connect();
  }
  ~AgentConnectionTest() override {
    log_ = nullptr;
    client_->Close();
    std::remove(log_path_.c_str());
  }

  void Connect() { client_ = AgentClient::Create(loop_, {.kind = GuestChannel::Kind::kUnix, .path = socket_}); }

  void Call(absl::string_view method, const google::protobuf::MessageLite& request) {
    agent::v1::Empty empty;
    ASSERT_OK(client_->Call(kAgentService, method, request, &empty, absl::Now() + kPatience)) << method;
  }

  void Create(const std::vector<std::string>& args) {
    grpc::CreateContainerRequest request;
    request.set_container_id("c1");
    for (const std::string& arg : args) request.mutable_oci()->mutable_process()->add_args(arg);
    Call("CreateContainer", request);
  }

  void StartContainer() {
    grpc::StartContainerRequest request;
    request.set_container_id("c1");
    Call("StartContainer", request);
  }

  void StartLog() {
    done_ = std::make_shared<absl::Notification>();
    auto log =
        ContainerLog::Start(loop_, client_, *db_, {.sandbox_id = "s1", .container_id = "c1", .log_path = log_path_},
                            [this, done = done_](absl::Status status) {
                              status_ = std::move(status);
                              done->Notify();
                            });
    ASSERT_OK(log);
    log_ = *log;
  }

  EventLoop agent_loop_{"fake-agent"};
  EventLoop loop_{"io"};
  const std::string socket_, log_path_;
  std::unique_ptr<FakeAgent> agent_;
  std::unique_ptr<StateDb> db_;
  std::shared_ptr<AgentClient> client_;
  std::shared_ptr<ContainerLog> log_;
  std::shared_ptr<absl::Notification> done_;
  absl::Status status_;
};

TEST_P(AgentConnectionTest, EachLineIsInTheLogOnce) {
  Create({"spam", std::to_string(kLines), std::to_string(kLineBytes)});
  StartLog();
  StartContainer();
  if (GetParam() == ExtensionService::kPresent) {  // what a stock agent sent into a broken connection is lost
    for (int i = 1; i < 12 && !done_->HasBeenNotified(); ++i) {
      agent_->AwaitCalls("ReadOutput", agent_->calls("ReadOutput") + 1, absl::Milliseconds(200));
      agent_->DropConnections();
      if (i % 4 != 0) continue;
      log_->Stop();  // the daemon goes, and comes back
      log_ = nullptr;
      client_->Close();
      Connect();
      StartLog();
    }
  }
  ASSERT_TRUE(done_->WaitForNotificationWithTimeout(kPatience));
  EXPECT_OK(status_);
  std::ifstream file(log_path_);
  int count = 0;
  std::string pending;
  for (std::string line; std::getline(file, line);) {
    auto parsed = ParseLogLine(line);
    ASSERT_TRUE(parsed.has_value()) << line;
    absl::StrAppend(&pending, parsed->content);
    if (!parsed->full) continue;
    ASSERT_EQ(pending.substr(0, pending.find(' ')), std::to_string(count));
    ASSERT_EQ(pending.size(), static_cast<size_t>(kLineBytes) - 1);
    pending.clear();
    ++count;
  }
  EXPECT_EQ(count, kLines);
  EXPECT_EQ(pending, "");
}

TEST_P(AgentConnectionTest, Exec) {
  Create({"sleep", "inf"});
  StartContainer();
  ExecSyncOptions options;
  options.sandbox_id = "s1";
  options.container_id = "c1";
  options.deadline = absl::Now() + kPatience;
  const auto run = [&](const std::vector<std::string>& args) {
    static int number = 0;
    options.exec_id = absl::StrCat("e", ++number);
    options.process.clear_args();
    for (const std::string& arg : args) options.process.add_args(arg);
    return RunExecSync(loop_, client_, options);
  };
  auto result = run({"echo", "hello", "world"});
  ASSERT_OK(result);
  EXPECT_EQ(result->out, "hello world\n");
  EXPECT_EQ(result->exit_code, 0);
  result = run({"warn", "careful"});
  ASSERT_OK(result);
  EXPECT_EQ(result->err, "careful\n");
  result = run({"exit", "42"});
  ASSERT_OK(result);
  EXPECT_EQ(result->exit_code, 42);
  result = run({"cat"});
  ASSERT_OK(result);
  EXPECT_EQ(result->out, "") << "ends because its stdin does";
  EXPECT_THAT(run({"notfound"}), StatusIs(absl::StatusCode::kInternal, "notfound"));
  options.timeout = absl::Milliseconds(50);
  EXPECT_THAT(run({"stubborn"}), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

INSTANTIATE_TEST_SUITE_P(Agents, AgentConnectionTest,
                         testing::Values(ExtensionService::kPresent, ExtensionService::kAbsent), [](const auto& info) {
                           return info.param == ExtensionService::kPresent ? "Podvisor" : "PlainKata";
                         });

}  // namespace
}  // namespace podvisor
