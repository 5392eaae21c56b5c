// podvisord as a program: what it refuses, what it announces, what it leaves. With mock VMs: no root, no hypervisor.
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/process.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using ::testing::HasSubstr;

constexpr char kProgram[] = "daemon/podvisord";
constexpr absl::Duration kPatience = absl::Seconds(60);

class PodvisordTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/podvisord-XXXXXX";  // short enough for a socket's path
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    // Where systemd would listen for READY=1.
    notify_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = Address(Path("notify"));
    ASSERT_EQ(::bind(notify_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    const timeval limit{.tv_sec = absl::ToInt64Seconds(kPatience), .tv_usec = 0};
    ::setsockopt(notify_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    std::filesystem::create_directories(Path("net.d"));
    Write("base.yaml",
          absl::StrCat("socket: ", Path("s/podvisor.sock"), "\nstate_dir: ", Path("state"), "\nrun_dir: ", Path("run"),
                       "\npid_file: ", Path("pid"), "\nmetrics: {address: \"127.0.0.1:0\", address_file: ",
                       Path("metrics"), "}\nnetwork: {cni_conf_dir: ", Path("net.d"), ", netns_dir: ", Path("netns"),
                       "}\ncgroup: {root: \"\"}\nhypervisor: {type: mock, factory: cold}\ndrain_timeout: 1s\n"));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return absl::StrCat(folder_, "/", name); }
  void Write(const std::string& name, const std::string& text) { std::ofstream(Path(name)) << text; }

  static sockaddr_un Address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return address;
  }

  SpawnOptions Options(std::vector<std::string> arguments) {
    SpawnOptions options;
    options.argv = std::move(arguments);
    options.argv.insert(options.argv.begin(), kProgram);
    options.env = {{absl::StrCat("NOTIFY_SOCKET=", Path("notify")), "PATH=/usr/bin:/bin"}};
    return options;
  }

  // To its end.
  CommandResult Command(std::vector<std::string> arguments) {
    auto result = RunCommand(Options(std::move(arguments)), "", absl::Now() + kPatience);
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : CommandResult();
  }

  Process Start(std::vector<std::string> arguments) {
    log_.reset(::open(Path("log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    SpawnOptions options = Options(std::move(arguments));
    options.stderr_fd = log_.get();
    auto process = Spawn(options);
    EXPECT_OK(process);
    return *std::move(process);
  }

  std::string NextNotification() {
    char buffer[256] = {};
    return ::recv(notify_.get(), buffer, sizeof(buffer) - 1, 0) > 0 ? buffer : "";
  }
  std::string Log() { return ReadFile(Path("log"), 1 << 20).value_or(""); }

  bool Connects(const std::string& path) {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = Address(path);
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }

  std::string folder_;
  UniqueFd notify_;
  UniqueFd log_;
};

TEST_F(PodvisordTest, SaysItsVersionAndItsDefaults) {
  EXPECT_THAT(Command({"--version"}).out, HasSubstr("podvisord 0."));
  const CommandResult defaults = Command({"--print-default-config"});
  EXPECT_TRUE(defaults.exit.success());
  EXPECT_THAT(defaults.out, HasSubstr("socket: /run/podvisor/podvisor.sock\n"));
}

TEST_F(PodvisordTest, ChecksItsConfiguration) {
  const CommandResult good = Command({"--check-config", "--config", Path("base.yaml")});
  EXPECT_TRUE(good.exit.success());
  EXPECT_THAT(good.out, HasSubstr("the configuration is valid"));
  Write("bad.yaml", "log_level: loud\n");
  const CommandResult bad = Command({"--check-config", "--config", Path("base.yaml"), "--config", Path("bad.yaml")});
  EXPECT_EQ(bad.exit.code, 1);
  EXPECT_THAT(bad.err, HasSubstr("bad.yaml:1: log_level: must be one of"));
  const CommandResult started = Command({"--config", Path("bad.yaml")});
  EXPECT_EQ(started.exit.code, 1);
  EXPECT_THAT(started.err, HasSubstr("bad.yaml:1: log_level"));
}

TEST_F(PodvisordTest, SaysWhichCertificateItCannotUse) {
  Write("text", "no certificate\n");
  for (const char* file : {"nowhere", "text"}) {
    Write("tls.yaml", absl::StrCat("streaming: {tls_certificate: ", Path(file), ", tls_key: ", Path(file), "}\n"));
    const std::vector<std::string> config = {"--config", Path("base.yaml"), "--config", Path("tls.yaml")};
    std::vector<std::string> check = config;
    check.emplace_back("--check-config");
    for (const std::vector<std::string>& arguments : {config, check}) {
      const CommandResult refused = Command(arguments);
      EXPECT_EQ(refused.exit.code, 1);
      EXPECT_THAT(refused.err, HasSubstr("streaming.tls_certificate: "));
      EXPECT_THAT(refused.err, HasSubstr(Path(file)));
      EXPECT_FALSE(std::filesystem::exists(Path("state")));
    }
  }
}

TEST_F(PodvisordTest, ServesUntilSigterm) {
  Process daemon = Start({"--config", Path("base.yaml")});
  ASSERT_EQ(NextNotification(), "READY=1") << Log();
  EXPECT_TRUE(Connects(Path("s/podvisor.sock")));
  EXPECT_EQ(ReadFile(Path("pid"), 100).value_or(""), absl::StrCat(daemon.identity().pid, "\n"));
  EXPECT_THAT(ReadFile(Path("metrics"), 100).value_or(""), HasSubstr("127.0.0.1:"));

  // The same folders again.
  const CommandResult second = Command({"--config", Path("base.yaml")});
  EXPECT_EQ(second.exit.code, 1);
  EXPECT_THAT(second.err, HasSubstr(absl::StrCat("another podvisord runs on it, process ", daemon.identity().pid)));
  // Another run_dir and socket, the same state.
  Write("other.yaml",
        absl::StrCat("run_dir: ", Path("run2"), "\nsocket: ", Path("s/other.sock"), "\npid_file: \"\"\n"));
  const CommandResult same_state = Command({"--config", Path("base.yaml"), "--config", Path("other.yaml")});
  EXPECT_EQ(same_state.exit.code, 1);
  EXPECT_THAT(same_state.err, HasSubstr(absl::StrCat("state_dir ", Path("state"))));
  EXPECT_TRUE(Connects(Path("s/podvisor.sock")));

  ASSERT_OK(daemon.Signal(SIGTERM));
  EXPECT_EQ(NextNotification(), "STOPPING=1");
  const auto exit = daemon.Wait(absl::Now() + kPatience);
  ASSERT_OK(exit);
  EXPECT_TRUE(exit->success()) << exit->ToString() << Log();
  for (const char* name : {"s/podvisor.sock", "pid", "metrics"})
    EXPECT_FALSE(std::filesystem::exists(Path(name))) << name;
}

TEST_F(PodvisordTest, StartsAgainAfterKill) {
  Process first = Start({"--config", Path("base.yaml")});
  ASSERT_EQ(NextNotification(), "READY=1") << Log();
  ASSERT_OK(first.Signal(SIGKILL));
  ASSERT_OK(first.Wait(absl::Now() + kPatience));
  EXPECT_TRUE(std::filesystem::exists(Path("s/podvisor.sock")));  // stale

  Process second = Start({"--config", Path("base.yaml")});
  ASSERT_EQ(NextNotification(), "READY=1") << Log();
  EXPECT_TRUE(Connects(Path("s/podvisor.sock")));
  ASSERT_OK(second.Signal(SIGINT));
  const auto exit = second.Wait(absl::Now() + kPatience);
  ASSERT_OK(exit);
  EXPECT_TRUE(exit->success()) << Log();
}

TEST_F(PodvisordTest, RefusesAPlainFileAsItsSocket) {
  std::filesystem::create_directories(Path("s"));
  Write("s/podvisor.sock", "precious");
  const CommandResult result = Command({"--config", Path("base.yaml")});
  EXPECT_EQ(result.exit.code, 1);
  EXPECT_THAT(result.err, HasSubstr("there is something else than a socket"));
  EXPECT_EQ(ReadFile(Path("s/podvisor.sock"), 100).value_or(""), "precious");
}

TEST_F(PodvisordTest, RefusesAMetricsPortInUse) {
  const UniqueFd taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(taken.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  socklen_t length = sizeof(address);
  ASSERT_EQ(::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  Write("port.yaml", absl::StrCat("metrics: {address: \"127.0.0.1:", ntohs(address.sin_port), "\"}\n"));
  const CommandResult result = Command({"--config", Path("base.yaml"), "--config", Path("port.yaml")});
  EXPECT_EQ(result.exit.code, 1);
  EXPECT_THAT(result.err, HasSubstr("Address already in use: choose another metrics.address"));
}

}  // namespace
}  // namespace podvisor
