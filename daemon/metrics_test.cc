#include "daemon/metrics.h"

#include <arpa/inet.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "daemon/metrics_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// GET of a path on 127.0.0.1:PORT.
std::string Get(const std::string& address, const std::string& path) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) return "";
  const std::string request = absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n");
  if (::write(fd.get(), request.data(), request.size()) < 0) return "";
  std::string all;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd.get(), buffer, sizeof(buffer))) > 0;) all.append(buffer, static_cast<size_t>(n));
  return all;
}

TEST(MetricsTest, CountsByMethodAndCode) {
  Metrics metrics("1.2.3");
  metrics.OnRpc("Version", absl::StatusCode::kOk, absl::Milliseconds(2));
  metrics.OnRpc("Version", absl::StatusCode::kOk, absl::Milliseconds(2));
  metrics.OnRpc("RunPodSandbox", absl::StatusCode::kInvalidArgument, absl::Seconds(1));
  metrics.OnRpc("PullImage", absl::StatusCode::kOk, absl::Seconds(3));
  metrics.OnRpc("PullImage", absl::StatusCode::kNotFound, absl::Seconds(1));
  metrics.OnStage("cni", absl::StatusCode::kOk, absl::Milliseconds(70));
  metrics.OnStage("cni", absl::StatusCode::kUnavailable, absl::Milliseconds(70));
  metrics.OnAgentCall("ExecProcess", absl::StatusCode::kDeadlineExceeded, absl::Seconds(30));
  const std::string text = prometheus::TextSerializer().Serialize(metrics.registry()->Collect());
  for (const char* line :
       {"podvisor_rpc_total{code=\"OK\",method=\"Version\"} 2",
        "podvisor_rpc_total{code=\"INVALID_ARGUMENT\",method=\"RunPodSandbox\"} 1",
        "podvisor_rpc_duration_seconds_count{method=\"Version\"} 2",
        "podvisor_rpc_duration_seconds_bucket{method=\"Version\",le=\"0.0025\"} 2",
        "podvisor_image_pulls_total{result=\"success\"} 1", "podvisor_image_pulls_total{result=\"failure\"} 1",
        "podvisor_image_pull_seconds_count 1", "podvisor_vm_start_stage_seconds_count{stage=\"cni\"} 1",
        "podvisor_vm_start_stage_failures_total{code=\"UNAVAILABLE\",stage=\"cni\"} 1",
        "podvisor_agent_calls_total{code=\"DEADLINE_EXCEEDED\",method=\"ExecProcess\"} 1",
        "podvisor_agent_call_seconds_count{method=\"ExecProcess\"} 1", "podvisor_build_info{version=\"1.2.3\"} 1"}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat(line, "\n")));
  }
}

TEST(MetricsTest, NamesEndInTheirUnit) {
  Metrics metrics("1");
  for (const prometheus::MetricFamily& family : metrics.registry()->Collect()) {
    EXPECT_TRUE(absl::StartsWith(family.name, "podvisor_")) << family.name;
    EXPECT_TRUE(absl::EndsWith(family.name, "_seconds") || absl::EndsWith(family.name, "_bytes") ||
                absl::EndsWith(family.name, "_total") || family.name == "podvisor_build_info")
        << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
  }
}

TEST(MetricsServerTest, ServesOnAFreePort) {
  Metrics metrics("1.2.3");
  auto server = MetricsServer::Start("127.0.0.1:0", {metrics.registry()});
  ASSERT_OK(server);
  EXPECT_THAT((*server)->address(), Not(HasSubstr(":0")));
  EXPECT_THAT(Get((*server)->address(), "/metrics"), HasSubstr("podvisor_build_info{version=\"1.2.3\"} 1"));
  EXPECT_THAT(MetricsServer::Start((*server)->address(), {}).status().message(),
              HasSubstr("Address already in use: choose another metrics.address"));
}

TEST(MetricsServerTest, BadAddresses) {
  EXPECT_THAT(MetricsServer::Start("9745", {}),
              StatusIs(absl::StatusCode::kInvalidArgument, "metrics.address: must be ADDRESS:PORT"));
  EXPECT_THAT(MetricsServer::Start("localhost:9745", {}),
              StatusIs(absl::StatusCode::kInvalidArgument, "must have an IP address before the port"));
  EXPECT_THAT(MetricsServer::Start("127.0.0.1:99999", {}),
              StatusIs(absl::StatusCode::kInvalidArgument, "ADDRESS:PORT"));
  // An address of documentation: no machine's own.
  EXPECT_THAT(MetricsServer::Start("192.0.2.1:0", {}).status().message(),
              HasSubstr("metrics.address 192.0.2.1:0: bind"));
}

}  // namespace
}  // namespace podvisor
