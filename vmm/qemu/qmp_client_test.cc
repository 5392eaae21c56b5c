#include "vmm/qemu/qmp_client.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "vmm/qemu/fake_qmp.h"

namespace podvisor {
namespace {

using nlohmann::json;

absl::Time Soon() { return absl::Now() + absl::Seconds(30); }
absl::Time AtOnce() { return absl::Now() + absl::Milliseconds(50); }

class QmpClientTest : public testing::Test {
 protected:
  void Connect(FakeQmp& server, QmpClient::OnEvent on_event = nullptr) {
    (void)server;
    auto client = QmpClient::Connect(loop_, path_, std::move(on_event), Soon());
    ASSERT_OK(client);
    client_ = *std::move(client);
  }
  static std::string Echo(const json& command, const std::string&) {
    return FakeQmp::Return(command, command.value("arguments", json("none")));
  }

  const std::string path_ = testing::TempDir() + "/qmp.sock";
  EventLoop loop_{"test"};
  std::unique_ptr<QmpClient> client_;
};

TEST_F(QmpClientTest, AnswersComeBackWithTheirCommands) {
  FakeQmp server(path_, &Echo);
  Connect(server);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([this, i] {
      for (int j = 0; j < 50; ++j) {
        const auto answer = client_->Execute("echo", {{"n", i * 1000 + j}}, Soon());
        ASSERT_OK(answer);
        EXPECT_EQ((*answer)["n"], i * 1000 + j);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(*client_->Execute("bare", nullptr, Soon()), "none");
}

TEST_F(QmpClientTest, DescriptorGoesWithItsCommand) {
  FakeQmp server(path_, [](const json& command, const std::string& file) { return FakeQmp::Return(command, file); });
  Connect(server);
  const std::string path = testing::TempDir() + "/passed";
  std::ofstream(path) << "content";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(*client_->Execute("add-fd", nullptr, Soon(), fd), "content");
  EXPECT_EQ(*client_->Execute("next", nullptr, Soon()), "");
  ::close(fd);
}

TEST_F(QmpClientTest, ErrorsOfQemuAreItsWords) {
  FakeQmp server(path_, [](const json& command, const std::string&) {
    return json({{"error", {{"class", "DeviceNotFound"}, {"desc", "Device 'x' not found"}}}, {"id", command["id"]}})
               .dump() +
           "\n";
  });
  Connect(server);
  EXPECT_THAT(client_->Execute("device_del", {{"id", "x"}}, Soon()),
              StatusIs(absl::StatusCode::kNotFound, "device_del: Device 'x' not found"));
  EXPECT_FALSE(client_->closed());
}

TEST_F(QmpClientTest, EventsBeforeAnAnswerAreDelivered) {
  FakeQmp server(path_, [](const json& command, const std::string&) {
    return "{\"event\": \"STOP\", \"timestamp\": {}}\r\n" + FakeQmp::Return(command, 1) +
           "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-reset\"}}\r\n";
  });
  absl::Notification both;
  std::vector<std::string> seen;
  Connect(server, [&](const std::string& name, const json& data) {
    seen.push_back(name + data.dump());
    if (seen.size() == 2) both.Notify();
  });
  EXPECT_EQ(*client_->Execute("x", nullptr, Soon()), 1);
  ASSERT_TRUE(both.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_THAT(seen, testing::ElementsAre("STOPnull", "SHUTDOWN{\"reason\":\"guest-reset\"}"));
  client_.reset();
}

TEST_F(QmpClientTest, LateAnswerIsNotTakenForAnother) {
  std::string first;
  FakeQmp server(path_, [&](const json& command, const std::string&) -> std::string {
    if (command["execute"] == "slow") {
      first = FakeQmp::Return(command, "slow one");
      return "";
    }
    return FakeQmp::Return(command, "quick one");
  });
  Connect(server);
  EXPECT_THAT(client_->Execute("slow", nullptr, AtOnce()),
              StatusIs(absl::StatusCode::kUnavailable, "slow: QEMU does not answer"));
  // Waits its turn: QEMU works on one command at a time.
  EXPECT_THAT(client_->Execute("quick", nullptr, AtOnce()), StatusIs(absl::StatusCode::kUnavailable));
  server.Send(first);
  EXPECT_EQ(*client_->Execute("quick", nullptr, Soon()), "quick one");
}

TEST_F(QmpClientTest, HangUpFailsWhatIsUnderWayAndWhatComes) {
  FakeQmp server(path_, [](const json&, const std::string&) { return ""; });
  Connect(server);
  std::thread caller([&] {
    EXPECT_THAT(client_->Execute("never", nullptr, Soon()),
                StatusIs(absl::StatusCode::kUnavailable, "never: QEMU has hung up"));
  });
  // Whether it comes before or after the command has been sent, the command fails.
  server.HangUp();
  caller.join();
  EXPECT_THAT(client_->Execute("later", nullptr, Soon()), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(client_->closed());
  client_.reset();
  Connect(server);  // and it can be had again
}

TEST_F(QmpClientTest, NotFromTheLoopItself) {
  FakeQmp server(path_, &Echo);
  absl::Notification done;
  absl::Status status;
  Connect(server, [&](const std::string&, const json&) {
    status = client_->Execute("x", nullptr, Soon()).status();
    done.Notify();
  });
  server.Send("{\"event\": \"E\"}\n");
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal, "event loop"));
}

TEST_F(QmpClientTest, NobodyListens) {
  ::unlink(path_.c_str());
  EXPECT_THAT(QmpClient::Connect(loop_, path_, nullptr, Soon()), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(QmpClientTest, SilentServer) {
  FakeQmp server(path_, &Echo, "");
  EXPECT_THAT(QmpClient::Connect(loop_, path_, nullptr, AtOnce()),
              StatusIs(absl::StatusCode::kUnavailable, "QEMU does not greet"));
}

struct Bad {
  const char* name;
  std::string (*answer)(const json& command);
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

class BadAnswerTest : public QmpClientTest, public testing::WithParamInterface<Bad> {};

TEST_P(BadAnswerTest, EndsTheConnection) {
  FakeQmp server(path_, [](const json& command, const std::string&) { return GetParam().answer(command); });
  Connect(server);
  EXPECT_THAT(client_->Execute("x", nullptr, Soon()), testing::Not(IsOk()));
  EXPECT_TRUE(client_->closed());
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadAnswerTest,
    testing::Values(Bad{"Garbage", [](const json&) { return std::string("garbage\n"); }},
                    Bad{"OtherId", [](const json&) { return std::string("{\"return\": {}, \"id\": 99}\n"); }},
                    Bad{"NoId", [](const json&) { return std::string("{\"return\": {}}\n"); }},
                    Bad{"SecondGreeting", [](const json&) { return std::string(FakeQmp::kGreeting); }},
                    Bad{"Oversize", [](const json&) { return std::string((4 << 20) + 1, 'x'); }},
                    Bad{"Twice",
                        [](const json& command) {
                          const json other = {{"id", command["id"].get<int>() + 1}};
                          return FakeQmp::Return(other, 1) + FakeQmp::Return(command, 2);
                        }}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace podvisor
