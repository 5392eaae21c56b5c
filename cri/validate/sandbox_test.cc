#include <functional>
#include <string>

#include "base/status_matchers.h"
#include "cri/validate/request.h"
#include "gtest/gtest.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;
using Config = v1::PodSandboxConfig;

Config Good() {
  Config config;
  config.mutable_metadata()->set_name("web");
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid("7a1c");
  config.set_hostname("web");
  config.set_log_directory("/var/log/pods/default_web_7a1c");
  config.mutable_dns_config()->add_servers("10.0.0.10");
  config.mutable_dns_config()->add_servers("fe80::1%eth0");
  config.mutable_dns_config()->add_searches("svc.cluster.local");
  config.mutable_dns_config()->add_options("ndots:5");
  config.add_port_mappings()->set_container_port(80);
  (*config.mutable_labels())["app"] = "web";
  (*config.mutable_annotations())["note"] = "two\nlines";
  config.mutable_linux()->set_cgroup_parent("/kubepods/burstable/pod7a1c");
  (*config.mutable_linux()->mutable_sysctls())["kernel.shm_rmid_forced"] = "1";
  (*config.mutable_linux()->mutable_sysctls())["net/ipv4/conf/eth0.1/forwarding"] = "1";
  return config;
}

TEST(ValidateSandboxConfigTest, TakesWhatTheKubeletSends) {
  EXPECT_OK(ValidateSandboxConfig(Field("config"), Good()));
  Config slice = Good();
  slice.mutable_linux()->set_cgroup_parent("kubepods-besteffort-pod7a1c.slice");
  EXPECT_OK(ValidateSandboxConfig(Field("config"), slice));
  Config least;
  least.mutable_metadata()->set_name("x");
  EXPECT_OK(ValidateSandboxConfig(Field("config"), least));
}

struct Case {
  std::string name;
  std::function<void(Config&)> break_it;
  std::string error;
};

class BadSandboxConfigTest : public testing::TestWithParam<Case> {};

TEST_P(BadSandboxConfigTest, IsRefusedNamingTheField) {
  Config config = Good();
  GetParam().break_it(config);
  EXPECT_THAT(ValidateSandboxConfig(Field("config"), config),
              StatusIs(absl::StatusCode::kInvalidArgument, GetParam().error));
}

v1::NamespaceOption* Namespaces(Config& c) {
  return c.mutable_linux()->mutable_security_context()->mutable_namespace_options();
}

v1::UserNamespace* UserNamespace(Config& c, int uids, int gids) {
  v1::UserNamespace* userns = Namespaces(c)->mutable_userns_options();
  for (int i = 0; i < uids; ++i) {
    v1::IDMapping* mapping = userns->add_uids();
    mapping->set_host_id(1000 + i);
    mapping->set_length(1);
  }
  for (int i = 0; i < gids; ++i) userns->add_gids()->set_length(1);
  return userns;
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadSandboxConfigTest,
    testing::ValuesIn(std::vector<Case>{
        {"NoMetadata", [](Config& c) { c.clear_metadata(); }, "config.metadata.name: must not be empty"},
        {"LongName", [](Config& c) { c.mutable_metadata()->set_name(std::string(513, 'a')); },
         "config.metadata.name: must have at most 512 bytes, has 513"},
        {"NamespaceWithSemicolon", [](Config& c) { c.mutable_metadata()->set_namespace_("a;K8S_POD_NAME=b"); },
         "config.metadata.namespace: must not contain"},
        {"UidWithNewline", [](Config& c) { c.mutable_metadata()->set_uid("a\nb"); },
         "config.metadata.uid: must not contain control characters"},
        {"LongHostname", [](Config& c) { c.set_hostname(std::string(65, 'h')); }, "config.hostname: "},
        {"HostnameWithBlank", [](Config& c) { c.set_hostname("a b"); }, "config.hostname: "},
        {"RelativeLogDirectory", [](Config& c) { c.set_log_directory("logs"); },
         "config.log_directory: must be an absolute path: logs"},
        {"LogDirectoryThatClimbs", [](Config& c) { c.set_log_directory("/var/log/../../etc"); },
         "config.log_directory: must not contain \"..\""},
        {"DnsServerName", [](Config& c) { c.mutable_dns_config()->set_servers(1, "dns.example"); },
         "config.dns_config.servers[1]: must be an IP address: \"dns.example\""},
        {"DnsSearchWithNewline", [](Config& c) { c.mutable_dns_config()->set_searches(0, "a\nnameserver 1.2.3.4"); },
         "config.dns_config.searches[0]: "},
        {"DnsOptionEmpty", [](Config& c) { c.mutable_dns_config()->set_options(0, ""); },
         "config.dns_config.options[0]: must not be empty"},
        {"ContainerPortZero", [](Config& c) { c.mutable_port_mappings(0)->set_container_port(0); },
         "config.port_mappings[0].container_port: must be 1 to 65535: 0"},
        {"HostPortTooLarge", [](Config& c) { c.mutable_port_mappings(0)->set_host_port(65536); },
         "config.port_mappings[0].host_port: must be 0 to 65535: 65536"},
        {"HostPortNegative", [](Config& c) { c.mutable_port_mappings(0)->set_host_port(-1); },
         "config.port_mappings[0].host_port: "},
        {"HostIp", [](Config& c) { c.mutable_port_mappings(0)->set_host_ip("localhost"); },
         "config.port_mappings[0].host_ip: must be an IP address"},
        {"PortProtocol", [](Config& c) { c.mutable_port_mappings(0)->set_protocol(static_cast<v1::Protocol>(9)); },
         "config.port_mappings[0].protocol: is not known: 9"},
        {"EmptyLabelKey", [](Config& c) { (*c.mutable_labels())[""] = "x"; },
         "config.labels: must not have an empty key"},
        {"LongLabel", [](Config& c) { (*c.mutable_labels())["app"] = std::string(4097, 'x'); },
         "config.labels.app: must have at most 4096 bytes"},
        {"LongAnnotation", [](Config& c) { (*c.mutable_annotations())["a"] = std::string((256 << 10) + 1, 'x'); },
         "config.annotations.a: must have at most 262144 bytes"},
        {"ManyAnnotations",
         [](Config& c) {
           for (int i = 0; i < 5; ++i) (*c.mutable_annotations())[std::to_string(i)] = std::string(256 << 10, 'x');
         },
         "config.annotations: must have at most 1048576 bytes in all"},
        {"Windows", [](Config& c) { c.mutable_windows(); }, "config.windows: is not possible"},
        {"CgroupParentThatClimbs", [](Config& c) { c.mutable_linux()->set_cgroup_parent("/a/../.."); },
         "config.linux.cgroup_parent: must not contain \"..\""},
        {"SysctlWithoutDot", [](Config& c) { (*c.mutable_linux()->mutable_sysctls())["shmmax"] = "1"; },
         "config.linux.sysctls: must be keyed by names"},
        {"SysctlThatClimbs", [](Config& c) { (*c.mutable_linux()->mutable_sysctls())["net/../../etc"] = "1"; },
         "config.linux.sysctls: must be keyed by names"},
        {"TargetPid", [](Config& c) { Namespaces(c)->set_pid(v1::TARGET), Namespaces(c)->set_target_id("abc"); },
         "config.linux.security_context.namespace_options.pid: TARGET is for containers"},
        {"NetworkOfContainer", [](Config& c) { Namespaces(c)->set_network(v1::CONTAINER); },
         "config.linux.security_context.namespace_options.network: is not possible: CONTAINER"},
        {"TwoUidMappings", [](Config& c) { UserNamespace(c, 2, 1); },
         "namespace_options.userns_options.uids: must have one mapping, has 2"},
        {"NoGidMapping", [](Config& c) { UserNamespace(c, 1, 0); },
         "namespace_options.userns_options.gids: must have one mapping, has 0"},
        {"UnmappedRoot", [](Config& c) { UserNamespace(c, 1, 1)->mutable_uids(0)->set_container_id(1); },
         "namespace_options.userns_options.uids: must map the container's id 0"},
        {"UserNamespaceOfContainer", [](Config& c) { UserNamespace(c, 1, 1)->set_mode(v1::CONTAINER); },
         "namespace_options.userns_options.mode: must be POD or NODE: CONTAINER"},
        {"UserNamespaceOfTarget", [](Config& c) { UserNamespace(c, 1, 1)->set_mode(v1::TARGET); },
         "namespace_options.userns_options.mode: must be POD or NODE: TARGET"},
        {"GroupWithoutUser",
         [](Config& c) { c.mutable_linux()->mutable_security_context()->mutable_run_as_group()->set_value(3); },
         "config.linux.security_context.run_as_group: needs run_as_user"},
        {"NegativeUser",
         [](Config& c) { c.mutable_linux()->mutable_security_context()->mutable_run_as_user()->set_value(-1); },
         "config.linux.security_context.run_as_user.value: must not be negative: -1"},
        {"NegativeGroup", [](Config& c) { c.mutable_linux()->mutable_security_context()->add_supplemental_groups(-5); },
         "config.linux.security_context.supplemental_groups[0]: must not be negative: -5"},
        {"NegativeOverhead", [](Config& c) { c.mutable_linux()->mutable_overhead()->set_memory_limit_in_bytes(-1); },
         "config.linux.overhead.memory_limit_in_bytes: must not be negative: -1"},
        {"NegativeShares", [](Config& c) { c.mutable_linux()->mutable_resources()->set_cpu_shares(-1); },
         "config.linux.resources.cpu_shares: must not be negative: -1"},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace podvisor::cri
