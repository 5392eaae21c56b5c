#include <functional>
#include <string>

#include "base/status_matchers.h"
#include "cri/validate/request.h"
#include "gtest/gtest.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;
using Config = v1::ContainerConfig;

Config Good() {
  Config config;
  config.mutable_metadata()->set_name("web");
  config.mutable_image()->set_image("sha256:abc");
  config.add_command("/bin/web");
  config.add_args("--port=80");
  config.set_working_dir("/srv");
  v1::KeyValue* env = config.add_envs();
  env->set_key("PATH");
  env->set_value("/bin");
  v1::Mount* mount = config.add_mounts();
  mount->set_container_path("/etc/hosts");
  mount->set_host_path("/var/lib/kubelet/pods/7a1c/etc-hosts");
  v1::Device* device = config.add_devices();
  device->set_container_path("/dev/xvda");
  device->set_host_path("/dev/loop0");
  device->set_permissions("rwm");
  config.set_log_path("web/0.log");
  v1::LinuxContainerResources* resources = config.mutable_linux()->mutable_resources();
  resources->set_cpu_period(100000);
  resources->set_cpu_quota(-1);
  resources->set_cpu_shares(2);
  resources->set_memory_limit_in_bytes(64 << 20);
  resources->set_memory_swap_limit_in_bytes(64 << 20);
  resources->set_oom_score_adj(-997);
  resources->set_cpuset_cpus("0-3,7");
  resources->add_hugepage_limits()->set_page_size("2MB");
  (*resources->mutable_unified())["memory.oom.group"] = "1";
  v1::LinuxContainerSecurityContext* security = config.mutable_linux()->mutable_security_context();
  security->mutable_capabilities()->add_add_capabilities("NET_ADMIN");
  security->mutable_capabilities()->add_drop_capabilities("ALL");
  security->mutable_run_as_user()->set_value(1000);
  security->mutable_run_as_group()->set_value(1000);
  security->mutable_namespace_options()->set_pid(v1::CONTAINER);
  security->add_masked_paths("/proc/kcore");
  security->mutable_seccomp();
  return config;
}

TEST(ValidateContainerConfigTest, TakesWhatTheKubeletSends) {
  EXPECT_OK(ValidateContainerConfig(Field("config"), Good()));
  Config least;
  least.mutable_metadata()->set_name("x");
  least.mutable_image()->set_image("busybox");
  EXPECT_OK(ValidateContainerConfig(Field("config"), least));
  Config image_volume = Good();
  v1::Mount* mount = image_volume.add_mounts();
  mount->set_container_path("/model");
  mount->mutable_image()->set_image("sha256:def");
  mount->set_readonly(true);
  mount->set_image_sub_path("weights");
  EXPECT_OK(ValidateContainerConfig(Field("config"), image_volume));
}

struct Case {
  std::string name;
  std::function<void(Config&)> break_it;
  std::string error;
};

class BadContainerConfigTest : public testing::TestWithParam<Case> {};

TEST_P(BadContainerConfigTest, IsRefusedNamingTheField) {
  Config config = Good();
  GetParam().break_it(config);
  EXPECT_THAT(ValidateContainerConfig(Field("config"), config),
              StatusIs(absl::StatusCode::kInvalidArgument, GetParam().error));
}

v1::LinuxContainerSecurityContext* Security(Config& c) { return c.mutable_linux()->mutable_security_context(); }
v1::LinuxContainerResources* Resources(Config& c) { return c.mutable_linux()->mutable_resources(); }

INSTANTIATE_TEST_SUITE_P(
    Fields, BadContainerConfigTest,
    testing::ValuesIn(std::vector<Case>{
        {"NoName", [](Config& c) { c.clear_metadata(); }, "config.metadata.name: must not be empty"},
        {"NameWithSlash", [](Config& c) { c.mutable_metadata()->set_name("a/b"); },
         "config.metadata.name: must not contain '/'"},
        {"NoImage", [](Config& c) { c.clear_image(); }, "config.image.image: must not be empty"},
        {"NulInArgument", [](Config& c) { c.set_args(0, std::string("a\0b", 3)); },
         "config.args[0]: must not contain a NUL byte"},
        {"LongArgument", [](Config& c) { c.add_command(std::string(128 << 10, 'x')); },
         "config.command[1]: must have at most 131071 bytes"},
        {"RelativeWorkingDir", [](Config& c) { c.set_working_dir("srv"); },
         "config.working_dir: must be an absolute path: srv"},
        {"EnvWithoutKey", [](Config& c) { c.mutable_envs(0)->clear_key(); }, "config.envs[0].key: must not be empty"},
        {"EnvKeyWithEquals", [](Config& c) { c.mutable_envs(0)->set_key("A=B"); },
         "config.envs[0].key: must not contain '=': A=B"},
        {"RelativeMount", [](Config& c) { c.mutable_mounts(0)->set_container_path("data"); },
         "config.mounts[0].container_path: must be an absolute path: data"},
        {"MountThatClimbs", [](Config& c) { c.mutable_mounts(0)->set_container_path("/data/../etc"); },
         "config.mounts[0].container_path: must not contain \"..\""},
        {"MountWithoutHostPath", [](Config& c) { c.mutable_mounts(0)->clear_host_path(); },
         "config.mounts[0].host_path: must not be empty"},
        {"MountTwice", [](Config& c) { *c.add_mounts() = c.mounts(0); },
         "config.mounts[1].container_path: is mounted on twice: /etc/hosts"},
        {"RecursiveWritable", [](Config& c) { c.mutable_mounts(0)->set_recursive_read_only(true); },
         "config.mounts[0].recursive_read_only: needs readonly"},
        {"RecursiveShared",
         [](Config& c) {
           c.mutable_mounts(0)->set_recursive_read_only(true);
           c.mutable_mounts(0)->set_readonly(true);
           c.mutable_mounts(0)->set_propagation(v1::PROPAGATION_BIDIRECTIONAL);
         },
         "config.mounts[0].recursive_read_only: needs propagation PRIVATE"},
        {"MappedUsersOnly", [](Config& c) { c.mutable_mounts(0)->add_uidmappings()->set_length(1); },
         "config.mounts[0].uidMappings: must be given with gidMappings"},
        {"MappedTooFar",
         [](Config& c) {
           c.mutable_mounts(0)->add_gidmappings()->set_length(2);
           c.mutable_mounts(0)->mutable_gidmappings(0)->set_host_id(0xfffffffe);
         },
         "config.mounts[0].gidMappings[0]: must end below 4294967295"},
        {"WritableImageVolume",
         [](Config& c) {
           c.mutable_mounts(0)->clear_host_path();
           c.mutable_mounts(0)->mutable_image()->set_image("x");
         },
         "config.mounts[0].readonly: must be true when image is given"},
        {"ImageVolumeWithHostPath", [](Config& c) { c.mutable_mounts(0)->mutable_image()->set_image("x"); },
         "config.mounts[0].host_path: must be empty when image is given"},
        {"SubPathWithoutImage", [](Config& c) { c.mutable_mounts(0)->set_image_sub_path("x"); },
         "config.mounts[0].image_sub_path: needs image"},
        {"DevicePermissions", [](Config& c) { c.mutable_devices(0)->set_permissions("rx"); },
         "config.devices[0].permissions: must consist of"},
        {"LogPathThatClimbs", [](Config& c) { c.set_log_path("../../etc/passwd"); },
         "config.log_path: must not contain \"..\""},
        {"AbsoluteLogPath", [](Config& c) { c.set_log_path("/etc/passwd"); },
         "config.log_path: must be a relative path: /etc/passwd"},
        {"StdinOnceWithoutStdin", [](Config& c) { c.set_stdin_once(true); }, "config.stdin_once: needs stdin"},
        {"Windows", [](Config& c) { c.mutable_windows(); }, "config.windows: is not possible"},
        {"CdiDevice", [](Config& c) { c.add_cdi_devices()->set_name("vendor.com/gpu=0"); },
         "config.CDI_devices: is not supported"},
        {"StopSignal", [](Config& c) { c.set_stop_signal(static_cast<v1::Signal>(99)); },
         "config.stop_signal: is not known: 99"},
        {"CpuPeriod", [](Config& c) { Resources(c)->set_cpu_period(10); },
         "config.linux.resources.cpu_period: must be 1000 to 1000000 microseconds: 10"},
        {"CpuQuota", [](Config& c) { Resources(c)->set_cpu_quota(-2); },
         "config.linux.resources.cpu_quota: must be -1"},
        {"SwapBelowMemory", [](Config& c) { Resources(c)->set_memory_swap_limit_in_bytes(1); },
         "config.linux.resources.memory_swap_limit_in_bytes: must not be below memory_limit_in_bytes"},
        {"OomScore", [](Config& c) { Resources(c)->set_oom_score_adj(1001); },
         "config.linux.resources.oom_score_adj: must be -1000 to 1000: 1001"},
        {"Cpuset", [](Config& c) { Resources(c)->set_cpuset_cpus("3-1"); },
         "config.linux.resources.cpuset_cpus: must be a list"},
        {"PageSize", [](Config& c) { Resources(c)->mutable_hugepage_limits(0)->set_page_size("big"); },
         "config.linux.resources.hugepage_limits[0].page_size: must be a size"},
        {"Unified", [](Config& c) { (*Resources(c)->mutable_unified())["../cgroup.procs"] = "1"; },
         "config.linux.resources.unified: must be keyed by"},
        {"Capability", [](Config& c) { Security(c)->mutable_capabilities()->set_add_capabilities(0, "NET ADMIN"); },
         "config.linux.security_context.capabilities.add_capabilities[0]: must be a capability"},
        {"UserAndUserName", [](Config& c) { Security(c)->set_run_as_username("www"); },
         "config.linux.security_context.run_as_username: must be empty when run_as_user is given"},
        {"GroupWithoutUser", [](Config& c) { Security(c)->clear_run_as_user(); },
         "config.linux.security_context.run_as_group: needs run_as_user or run_as_username"},
        {"UserTooLarge", [](Config& c) { Security(c)->mutable_run_as_user()->set_value(1LL << 32); },
         "config.linux.security_context.run_as_user.value: must be at most"},
        {"MaskedPath", [](Config& c) { Security(c)->set_masked_paths(0, "proc"); },
         "config.linux.security_context.masked_paths[0]: must be an absolute path"},
        {"SeccompRelative",
         [](Config& c) {
           Security(c)->mutable_seccomp()->set_profile_type(v1::SecurityProfile::Localhost);
           Security(c)->mutable_seccomp()->set_localhost_ref("p.json");
         },
         "config.linux.security_context.seccomp.localhost_ref: must be an absolute path"},
        {"SeccompReference", [](Config& c) { Security(c)->mutable_seccomp()->set_localhost_ref("/p.json"); },
         "config.linux.security_context.seccomp.localhost_ref: must be empty"},
        {"TargetWithoutId", [](Config& c) { Security(c)->mutable_namespace_options()->set_pid(v1::TARGET); },
         "config.linux.security_context.namespace_options.target_id: must not be empty"},
        {"TargetIdWithoutTarget", [](Config& c) { Security(c)->mutable_namespace_options()->set_target_id("abc"); },
         "config.linux.security_context.namespace_options.target_id: must be empty"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(ValidateAuthTest, NeverQuotesASecret) {
  v1::AuthConfig auth;
  auth.set_password("hunter2\r\nX: y");
  const absl::Status status = ValidateAuth(Field("auth"), auth);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "auth.password: "));
  EXPECT_EQ(status.message().find("hunter2"), absl::string_view::npos);
}

}  // namespace
}  // namespace podvisor::cri
