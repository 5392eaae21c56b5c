#include "podmanager/spec/sandbox_spec.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::Contains;
using testing::ElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class SandboxSpecTest : public testing::Test {
 protected:
  SandboxSpecTest() {
    config_.mutable_metadata()->set_name("pod-a");
    network_.interfaces = {{"eth0", "02:00:00:00:00:01", 1450, {"10.1.0.5/16", "fd00::5/64"}}};
    network_.routes = {{"0.0.0.0/0", "10.1.0.1", "eth0", "", 0, 2},
                       {"10.1.0.0/16", "", "eth0", "10.1.0.5", 253, 2},
                       {"::/0", "fd00::1", "eth0", "", 0, 10}};
    network_.neighbors = {{"10.1.0.1", "02:00:00:00:00:02", "eth0", 0x80}};
    network_.dns_servers = {"10.96.0.10"};
    network_.dns_searches = {"cluster.local"};
    network_.ips = {"10.1.0.5", "fd00::5"};
    input_.sandbox_id = "s1";
    input_.config = &config_;
    input_.network = &network_;
    input_.hostname = "pod-a";
    input_.now = absl::FromUnixNanos(1'700'000'000'123'456'789);
    input_.entropy = std::string(64, 'e');
  }

  agent::v1::ConfigureSandboxRequest Build() {
    auto request = BuildConfigureSandbox(input_);
    EXPECT_OK(request);
    return request.ok() ? *request : agent::v1::ConfigureSandboxRequest();
  }

  SandboxConfig config_;
  PodNetworkResult network_;
  SandboxSpecInput input_;
};

std::vector<std::string> List(const google::protobuf::RepeatedPtrField<std::string>& values) {
  return {values.begin(), values.end()};
}

TEST_F(SandboxSpecTest, NetworkInTheAgentsWords) {
  const agent::v1::ConfigureSandboxRequest request = Build();
  ASSERT_EQ(request.interfaces_size(), 1);
  const types::Interface& eth0 = request.interfaces(0);
  EXPECT_EQ(eth0.name(), "eth0");
  EXPECT_EQ(eth0.hwaddr(), "02:00:00:00:00:01");
  EXPECT_EQ(eth0.mtu(), 1450u);
  ASSERT_EQ(eth0.ipaddresses_size(), 2);
  EXPECT_EQ(eth0.ipaddresses(0).address(), "10.1.0.5");
  EXPECT_EQ(eth0.ipaddresses(0).mask(), "16");
  EXPECT_EQ(eth0.ipaddresses(0).family(), types::v4);
  EXPECT_EQ(eth0.ipaddresses(1).address(), "fd00::5");
  EXPECT_EQ(eth0.ipaddresses(1).family(), types::v6);
  ASSERT_EQ(request.routes_size(), 3);
  EXPECT_EQ(request.routes(0).dest(), "10.1.0.0/16") << "what a gateway is reached by comes first";
  EXPECT_EQ(request.routes(0).source(), "10.1.0.5");
  EXPECT_EQ(request.routes(0).scope(), 253u);
  EXPECT_EQ(request.routes(1).gateway(), "10.1.0.1");
  EXPECT_EQ(request.routes(1).family(), types::v4);
  EXPECT_EQ(request.routes(2).family(), types::v6);
  ASSERT_EQ(request.neighbors_size(), 1);
  EXPECT_EQ(request.neighbors(0).toipaddress().address(), "10.1.0.1");
  EXPECT_EQ(request.neighbors(0).lladdr(), "02:00:00:00:00:02");
  EXPECT_EQ(request.neighbors(0).state(), 0x80);
}

TEST_F(SandboxSpecTest, IdentityClockAndEntropy) {
  input_.shm_bytes = 1 << 20;
  const agent::v1::ConfigureSandboxRequest request = Build();
  EXPECT_EQ(request.sandbox().sandbox_id(), "s1");
  EXPECT_EQ(request.sandbox().hostname(), "pod-a");
  EXPECT_EQ(request.unix_time_ns(), 1'700'000'000'123'456'789);
  EXPECT_EQ(request.entropy(), std::string(64, 'e'));
  EXPECT_EQ(request.shm_bytes(), 1u << 20);
  EXPECT_TRUE(request.sandbox().sandbox_pidns()) << "CRI's default is POD";
  config_.mutable_namespaces()->set_pid(CONTAINER);
  EXPECT_FALSE(Build().sandbox().sandbox_pidns());
  EXPECT_THAT(List(request.hosts()), Contains("10.1.0.5\tpod-a"));
  EXPECT_THAT(List(request.hosts()), Contains("127.0.0.1\tlocalhost"));
}

TEST_F(SandboxSpecTest, DnsOfThePodThenCniThenTheNode) {
  input_.node_resolv_conf = "# made by hand\nnameserver 127.0.0.53\nnameserver 9.9.9.9\n\nsearch lan\n";
  EXPECT_THAT(List(Build().sandbox().dns()), ElementsAre("nameserver 10.96.0.10", "search cluster.local"));
  config_.mutable_dns()->add_servers("1.1.1.1");
  config_.mutable_dns()->add_options("ndots:5");
  EXPECT_THAT(List(Build().sandbox().dns()), ElementsAre("nameserver 1.1.1.1", "options ndots:5"));
  config_.clear_dns();
  input_.network = nullptr;
  EXPECT_THAT(List(Build().sandbox().dns()), ElementsAre("# made by hand", "nameserver 9.9.9.9", "search lan"));
}

TEST_F(SandboxSpecTest, SharedFolderByFileSystem) {
  EXPECT_EQ(Build().sandbox().storages_size(), 0);
  input_.shared_folder_fs = "9p";
  ASSERT_EQ(Build().sandbox().storages_size(), 1);
  const grpc::Storage storage = Build().sandbox().storages(0);
  EXPECT_EQ(storage.driver(), "9p");
  EXPECT_EQ(storage.source(), "podvisor");
  EXPECT_EQ(storage.fstype(), "9p");
  EXPECT_EQ(storage.mount_point(), "/run/kata-containers/shared/containers");
  EXPECT_THAT(List(storage.options()), Contains("trans=virtio"));
  input_.shared_folder_fs = "virtiofs";
  EXPECT_EQ(Build().sandbox().storages(0).driver(), "virtio-fs");
  EXPECT_EQ(Build().sandbox().storages(0).fstype(), "virtiofs");
  input_.shared_folder_fs = "nfs";
  EXPECT_THAT(BuildConfigureSandbox(input_), StatusIs(absl::StatusCode::kInternal, "nfs"));
}

TEST_F(SandboxSpecTest, UserNamespaceByItsMappings) {
  EXPECT_EQ(Build().uid_mappings_size() + Build().gid_mappings_size(), 0);
  config_.mutable_namespaces()->set_user_namespace(true);
  IdMapping* mapping = config_.mutable_namespaces()->add_uids();
  mapping->set_host_id(65536);
  mapping->set_length(10);
  *config_.mutable_namespaces()->add_gids() = *mapping;
  const agent::v1::ConfigureSandboxRequest request = Build();
  ASSERT_EQ(request.uid_mappings_size(), 1);
  EXPECT_EQ(request.uid_mappings(0).hostid(), 65536u);
  EXPECT_EQ(request.uid_mappings(0).size(), 10u);
  EXPECT_EQ(request.gid_mappings_size(), 1);
}

TEST_F(SandboxSpecTest, SysctlsAreNamespacedOnes) {
  auto& sysctls = *config_.mutable_sysctls();
  sysctls["kernel.shm_rmid_forced"] = "1";
  sysctls["net/core/somaxconn"] = "9";
  sysctls["net.ipv4.conf.eth0/1.forwarding"] = "1";
  sysctls["net.ipv4.ip_unprivileged_port_start"] = "1024";
  sysctls["fs.mqueue.msg_max"] = "20";
  const agent::v1::ConfigureSandboxRequest request = Build();
  EXPECT_EQ(request.sysctls().at("kernel.shm_rmid_forced"), "1");
  EXPECT_EQ(request.sysctls().at("net.core.somaxconn"), "9");
  EXPECT_EQ(request.sysctls().at("net.ipv4.ip_unprivileged_port_start"), "1024");
  EXPECT_EQ(request.sysctls().at("net.ipv4.ping_group_range"), "0 2147483647");
  EXPECT_EQ(request.sysctls().at("net.ipv4.conf.eth0/1.forwarding"), "1");
  EXPECT_EQ(request.sysctls().at("fs.mqueue.msg_max"), "20");
  for (const char* name : {"vm.swappiness", "kernel.shmmaxx", "kernel.core_pattern", "net", "../x", "net..x",
                           "net.ipv4.x y", "", "net.//etc.x", "kernel/core_pattern"}) {
    sysctls.clear();
    sysctls[name] = "1";
    EXPECT_THAT(BuildConfigureSandbox(input_), StatusIs(kInvalid, "sysctl")) << name;
  }
  sysctls.clear();
  sysctls["net.core.somaxconn"] = "1\n2";
  EXPECT_THAT(BuildConfigureSandbox(input_), StatusIs(kInvalid, "line break"));
}

TEST_F(SandboxSpecTest, MalformedValuesAreNamed) {
  const PodNetworkResult good = network_;
  network_.interfaces[0].addresses = {"10.1.0.5"};
  EXPECT_THAT(BuildConfigureSandbox(input_), StatusIs(kInvalid, "interface eth0: \"10.1.0.5\""));
  network_.interfaces[0].addresses = {"10.1.0.5/33"};
  EXPECT_THAT(BuildConfigureSandbox(input_), StatusIs(kInvalid, "10.1.0.5/33"));
  network_ = good;
  network_.routes[0].destination = "default";
  EXPECT_THAT(BuildConfigureSandbox(input_), StatusIs(kInvalid, "default"));
  network_ = good;
  network_.routes[0].gateway = "gateway";
  EXPECT_THAT(BuildConfigureSandbox(input_), StatusIs(kInvalid, "route to 0.0.0.0/0"));
  network_ = good;
  network_.neighbors[0].address = "x";
  EXPECT_THAT(BuildConfigureSandbox(input_), StatusIs(kInvalid, "neighbor"));
  network_ = good;
  config_.mutable_dns()->add_servers("dns.example");
  EXPECT_THAT(BuildConfigureSandbox(input_), StatusIs(kInvalid, "dns server: \"dns.example\""));
  config_.clear_dns();
  config_.mutable_dns()->add_searches("a\nnameserver 6.6.6.6");
  EXPECT_THAT(BuildConfigureSandbox(input_), StatusIs(kInvalid, "dns search"));
}

TEST_F(SandboxSpecTest, PlainKataCallsSayTheSame) {
  input_.shared_folder_fs = "9p";
  const PlainSandboxCalls calls = ToPlainCalls(Build());
  EXPECT_EQ(calls.time.sec(), 1'700'000'000);
  EXPECT_EQ(calls.time.usec(), 123'456);
  EXPECT_EQ(calls.entropy.data(), std::string(64, 'e'));
  ASSERT_EQ(calls.interfaces.size(), 1u);
  EXPECT_EQ(calls.interfaces[0].interface().name(), "eth0");
  EXPECT_EQ(calls.routes.routes().routes_size(), 3);
  EXPECT_EQ(calls.neighbors.neighbors().arpneighbors_size(), 1);
  ASSERT_EQ(calls.sandbox.storages_size(), 2);
  EXPECT_EQ(calls.sandbox.storages(1).driver(), "ephemeral");
  EXPECT_EQ(calls.sandbox.storages(1).mount_point(), "/run/kata-containers/sandbox/shm");
  EXPECT_THAT(List(calls.sandbox.storages(1).options()), Contains("size=67108864"));
  ASSERT_EQ(calls.pod_files.size(), 3u);
  EXPECT_EQ(calls.pod_files[0].path(), "/run/kata-containers/sandbox/hostname");
  EXPECT_EQ(calls.pod_files[0].data(), "pod-a\n");
  EXPECT_EQ(calls.pod_files[0].file_size(), 6);
  EXPECT_EQ(calls.pod_files[2].data(), "nameserver 10.96.0.10\nsearch cluster.local\n");
}

TEST(HostnameTest, ConfigNodeOrName) {
  SandboxConfig config;
  config.mutable_metadata()->set_name("pod-a");
  EXPECT_EQ(PodHostname(config, "node"), "pod-a");
  config.mutable_namespaces()->set_network(NODE);
  EXPECT_EQ(PodHostname(config, "node"), "node");
  config.set_hostname("given");
  EXPECT_EQ(PodHostname(config, "node"), "given");
  config.set_hostname(std::string(62, 'x') + "-tail");
  EXPECT_EQ(PodHostname(config, "node"), std::string(62, 'x'));
}

TEST(EntropyTest, IsNeverTheSame) {
  auto first = FreshEntropy(), second = FreshEntropy();
  ASSERT_OK(first);
  ASSERT_OK(second);
  EXPECT_GE(first->size(), 64u);
  EXPECT_NE(*first, *second);
}

}  // namespace
}  // namespace podvisor
