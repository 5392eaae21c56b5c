// Calls that are not about containers, hostile peers; outside of a VM.

#include <filesystem>
#include <fstream>

#include "agent/guest/testing/agent_process.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "third_party/wire/health.pb.h"

namespace podvisor::guest {
namespace {

using absl::StatusCode;
using testing::Contains;
using testing::HasSubstr;

constexpr char kService[] = "grpc.AgentService";
constexpr char kExtension[] = "podvisor.agent.v1.Extension";

class ServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = AgentProcess::WhyNot(); !why.empty()) GTEST_SKIP() << why;
    agent_ = std::make_unique<AgentProcess>();
  }

  std::string Mounts() {
    std::ifstream file("/proc/" + std::to_string(agent_->pid()) + "/mountinfo");
    return std::string((std::istreambuf_iterator<char>(file)), {});
  }

  std::unique_ptr<AgentProcess> agent_;
};

TEST_F(ServiceTest, HealthDetailsAndHello) {
  grpc::HealthCheckResponse health;
  ASSERT_OK(agent_->client().Call("grpc.Health", "Check", grpc::CheckRequest(), &health));
  EXPECT_EQ(health.status(), grpc::HealthCheckResponse::SERVING);
  grpc::VersionCheckResponse version;
  ASSERT_OK(agent_->client().Call("grpc.Health", "Version", grpc::CheckRequest(), &version));
  EXPECT_NE(version.agent_version(), "");
  grpc::GuestDetailsResponse details;
  ASSERT_OK(agent_->client().Call(kService, "GetGuestDetails", grpc::GuestDetailsRequest(), &details));
  EXPECT_FALSE(details.agent_details().init_daemon());
  EXPECT_TRUE(details.agent_details().supports_seccomp());
  EXPECT_THAT(details.agent_details().storage_handlers(), Contains("overlayfs"));
  podvisor::agent::v1::HelloResponse hello;
  ASSERT_OK(agent_->client().Call(kExtension, "Hello", podvisor::agent::v1::HelloRequest(), &hello));
  EXPECT_THAT(hello.features(), Contains("ReadOutput"));
  EXPECT_EQ(hello.boot_id().size(), 36u);
}

TEST_F(ServiceTest, UnknownMethodIsNamed) {
  EXPECT_THAT(agent_->Do("SetPolicy", grpc::SetPolicyRequest()),
              StatusIs(StatusCode::kUnimplemented, "/grpc.AgentService/SetPolicy"));
  podvisor::agent::v1::Empty empty;
  EXPECT_THAT(agent_->client().Call("no.Service", "Method", empty, &empty),
              StatusIs(StatusCode::kUnimplemented, "/no.Service/Method"));
}

TEST_F(ServiceTest, BadPayloadIsRefused) {
  podvisor::agent::v1::HelloResponse junk;
  junk.set_boot_id("\xff\xff");
  grpc::SignalProcessRequest request;
  request.set_container_id("..");
  EXPECT_THAT(agent_->Do("SignalProcess", request), StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(ServiceTest, BrokenFramesEndOnlyTheirConnection) {
  const auto bad = agent_->Connect();
  bad->SendRaw(std::string(10, '\xff'));
  EXPECT_TRUE(bad->WaitClosed());
  const auto half = agent_->Connect();
  half->SendRaw(std::string("\0\0\0\x50\0", 5));
  grpc::HealthCheckResponse health;
  EXPECT_OK(agent_->client().Call("grpc.Health", "Check", grpc::CheckRequest(), &health));
}

TEST_F(ServiceTest, ManyConnections) {
  std::vector<std::unique_ptr<TtrpcTestClient>> clients;
  for (int i = 0; i < 30; ++i) clients.push_back(agent_->Connect());
  grpc::HealthCheckResponse health;
  for (const auto& client : clients) {
    ASSERT_OK(client->Call("grpc.Health", "Check", grpc::CheckRequest(), &health));
  }
}

TEST_F(ServiceTest, SandboxFilesReachContainers) {
  grpc::CreateSandboxRequest sandbox;
  sandbox.set_sandbox_id("sb1");
  sandbox.set_hostname("the-pod");
  sandbox.add_dns("nameserver 192.0.2.1");
  sandbox.add_dns("search example");
  ASSERT_OK(agent_->Do("CreateSandbox", sandbox));
  ASSERT_OK(agent_->Do("CreateSandbox", sandbox));  // again: the same
  sandbox.set_sandbox_id("sb2");
  EXPECT_THAT(agent_->Do("CreateSandbox", sandbox), StatusIs(StatusCode::kAlreadyExists, "sb1"));

  auto request = agent_->Request("c1", {"sh", "-c", "hostname; cat /etc/resolv.conf /etc/hosts; echo x > /dev/shm/x"});
  for (const char* name : {"resolv.conf", "hosts"}) {
    grpc::Mount* mount = request.mutable_oci()->add_mounts();
    mount->set_destination(std::string("/etc/") + name);
    mount->set_source(std::string("/run/kata-containers/sandbox/") + name);
    mount->add_options("bind");
  }
  grpc::Mount* shm = request.mutable_oci()->add_mounts();
  shm->set_destination("/dev/shm");
  shm->set_source("/run/kata-containers/sandbox/shm");
  shm->add_options("rbind");
  ASSERT_OK(agent_->Create(request));
  ASSERT_OK(agent_->Start("c1"));
  const std::string output = agent_->Output("c1");
  EXPECT_THAT(output, HasSubstr("the-pod\nnameserver 192.0.2.1\nsearch example\n127.0.0.1\tlocalhost"));
  EXPECT_EQ(agent_->WaitExit("c1").exit_code(), 0) << output;
  request.set_container_id("c2");
  request.mutable_oci()->mutable_process()->set_args(2, "cat /dev/shm/x");
  ASSERT_OK(agent_->Create(request));
  ASSERT_OK(agent_->Start("c2"));
  EXPECT_EQ(agent_->Output("c2"), "x\n");
  // The machine's own name is untouched.
  char name[65] = {};
  ::gethostname(name, sizeof(name) - 1);
  EXPECT_STRNE(name, "the-pod");
}

TEST_F(ServiceTest, CopyFileInParts) {
  grpc::CopyFileRequest part;
  part.set_path("/run/kata-containers/files/sub/file");
  part.set_file_size(6);
  part.set_file_mode(0640);
  part.set_uid(1000);
  part.set_gid(50);
  part.set_data("abc");
  ASSERT_OK(agent_->Do("CopyFile", part));
  part.set_offset(3);
  part.set_data("def");
  ASSERT_OK(agent_->Do("CopyFile", part));
  auto request = agent_->Request("c1", {"sh", "-c", "cat /f/sub/file; stat -c '%a %u %g' /f/sub/file; ls /f/sub"});
  grpc::Mount* mount = request.mutable_oci()->add_mounts();
  mount->set_destination("/f");
  mount->set_source("/run/kata-containers/files");
  mount->add_options("bind");
  ASSERT_OK(agent_->Create(request));
  ASSERT_OK(agent_->Start("c1"));
  EXPECT_EQ(agent_->Output("c1"), "abcdef640 1000 50\nfile\n");
  for (const char* path : {"/etc/passwd", "/run/kata-containers/../x", "/run/kata-containers/..", "relative"}) {
    part.set_path(path);
    EXPECT_THAT(agent_->Do("CopyFile", part), StatusIs(StatusCode::kInvalidArgument)) << path;
  }
}

TEST_F(ServiceTest, StatsAndMetrics) {
  ASSERT_OK(agent_->Create(agent_->Request("c1", {"sleep", "1000"})));
  ASSERT_OK(agent_->Start("c1"));
  grpc::StatsContainerRequest request;
  request.set_container_id("c1");
  grpc::StatsContainerResponse stats;
  ASSERT_OK(agent_->client().Call(kService, "StatsContainer", request, &stats));
  EXPECT_GT(stats.network_stats_size(), 0);
  grpc::Metrics metrics;
  ASSERT_OK(agent_->client().Call(kService, "GetMetrics", grpc::GetMetricsRequest(), &metrics));
  const std::string name = "\npodvisor_agent_resident_memory_bytes ";
  const size_t at = metrics.metrics().find(name);
  ASSERT_NE(at, std::string::npos);
  // SPECIFICATION: less than 4 MB when idle.
  EXPECT_LT(std::stoul(metrics.metrics().substr(at + name.size())), 4u << 20);
}

TEST_F(ServiceTest, StatsOfTheWholePodInOneCall) {
  for (const char* id : {"c1", "c2"}) {
    ASSERT_OK(agent_->Create(agent_->Request(id, {"sleep", "1000"})));
    ASSERT_OK(agent_->Start(id));
  }
  podvisor::agent::v1::GetStatsRequest request;
  podvisor::agent::v1::GetStatsResponse stats;
  ASSERT_OK(agent_->client().Call(kExtension, "GetStats", request, &stats));
  ASSERT_EQ(stats.containers_size(), 2);
  EXPECT_EQ(stats.containers(0).container_id(), "c1");
  EXPECT_GT(stats.unix_time_ns(), int64_t{1'700'000'000} * 1'000'000'000);
  EXPECT_GT(stats.guest().memory_total_bytes(), stats.guest().memory_available_bytes());
  EXPECT_GT(stats.guest().agent_memory_bytes(), 0u);
  EXPECT_GT(stats.guest().cpu_us(), 0u);
  EXPECT_GE(stats.guest().processors(), 1u);
  EXPECT_GT(stats.interfaces_size(), 0);
  request.add_container_ids("c2");
  request.add_container_ids("gone");
  ASSERT_OK(agent_->client().Call(kExtension, "GetStats", request, &stats));
  ASSERT_EQ(stats.containers_size(), 1);
  EXPECT_EQ(stats.containers(0).container_id(), "c2");
}

TEST_F(ServiceTest, ProcessesTheirDescriptorsAndLimitsAreCounted) {
  const std::string port = std::to_string(20000 + ::getpid() % 10000);
  auto request = agent_->Request(
      "c1", {"sh", "-c",
             "for fd in $(seq 3 9); do eval \"exec $fd</dev/null\"; done; sleep 99 & busybox nc -l -p " + port +
                 " & echo up; wait"});
  grpc::POSIXRlimit* limit = request.mutable_oci()->mutable_process()->add_rlimits();
  limit->set_type("RLIMIT_NOFILE");
  limit->set_soft(77);
  limit->set_hard(99);
  ASSERT_OK(agent_->Create(request));
  ASSERT_OK(agent_->Start("c1"));
  ASSERT_EQ(agent_->ReadOutput("c1", "", 0, 100, 60000).data(), "up\n");
  podvisor::agent::v1::GetStatsResponse stats;
  const auto usage = [&]() -> const podvisor::agent::v1::ContainerUsage& {
    EXPECT_OK(agent_->client().Call(kExtension, "GetStats", podvisor::agent::v1::GetStatsRequest(), &stats));
    return stats.containers(0);
  };
  // The children exec when they like.
  for (int i = 0; i < 10'000 && usage().sockets() == 0; ++i) ::usleep(1000);
  EXPECT_EQ(usage().process_count(), 3u);
  EXPECT_EQ(usage().sockets(), 1u);
  EXPECT_GE(usage().file_descriptors(), 3 * 10u);
  EXPECT_LT(usage().file_descriptors(), 3 * 10u + 10);
  EXPECT_EQ(usage().soft_limits().at("max_open_files"), 77u);
  EXPECT_FALSE(usage().soft_limits().contains("max_cpu_time")) << "unlimited";
  ASSERT_OK(agent_->Signal("c1", "", 9));
  agent_->WaitExit("c1");
  EXPECT_EQ(usage().process_count(), 0u);
  EXPECT_TRUE(usage().soft_limits().empty());
}

TEST_F(ServiceTest, TheWritableLayerIsMeasured) {
  auto request =
      agent_->Request("c1", {"sh", "-c", "dd if=/dev/zero of=/big bs=1024 count=300 2>/dev/null; echo full; sleep 99"});
  grpc::Storage* overlay = request.add_storages();
  overlay->set_driver("overlayfs");
  overlay->set_mount_point("/run/kata-containers/c1/rootfs");
  overlay->add_options("lowerdir=" + agent_->rootfs());
  overlay->add_options("upperdir=/run/kata-containers/c1/upper");
  overlay->add_options("workdir=/run/kata-containers/c1/work");
  request.mutable_oci()->mutable_root()->set_path("/run/kata-containers/c1/rootfs");
  ASSERT_OK(agent_->Create(request));
  podvisor::agent::v1::GetStatsResponse stats;
  const auto layer = [&]() -> const podvisor::agent::v1::ContainerUsage& {
    EXPECT_OK(agent_->client().Call(kExtension, "GetStats", podvisor::agent::v1::GetStatsRequest(), &stats));
    return stats.containers(0);
  };
  EXPECT_LT(layer().layer_bytes(), 100u << 10);
  ASSERT_OK(agent_->Start("c1"));
  EXPECT_EQ(agent_->ReadOutput("c1", "", 0, 100, 60000).data(), "full\n");
  EXPECT_GE(layer().layer_bytes(), 300u << 10);
  EXPECT_LT(layer().layer_bytes(), 500u << 10);
  EXPECT_LT(layer().layer_inodes(), 50u);
  ASSERT_OK(agent_->Remove("c1"));
  EXPECT_EQ(Mounts().find("/run/kata-containers/c1"), std::string::npos);
}

TEST(AgentBinary, IsSmallAndStatic) {
#ifdef NDEBUG
  constexpr uintmax_t kMaxBytes = 3u << 20;
#else
  constexpr uintmax_t kMaxBytes = 7u << 19;  // messages compiled without optimisation are larger
#endif
  EXPECT_LT(std::filesystem::file_size("agent/guest/podvisor-agent"), kMaxBytes);
  std::ifstream file("agent/guest/podvisor-agent", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(bytes.find("/lib64/ld-linux"), std::string::npos);
}

}  // namespace
}  // namespace podvisor::guest
