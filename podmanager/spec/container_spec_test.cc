#include "podmanager/spec/container_spec.h"

#include <google/protobuf/message_lite.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/atomic_file.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kMissing = absl::StatusCode::kUnimplemented;

class ContainerSpecTest : public testing::Test {
 protected:
  ContainerSpecTest() {
    image_.entrypoint = {"/entry"};
    image_.cmd = {"default"};
    image_.env = {"FROM_IMAGE=1", "BOTH=image"};
    config_.set_image("busybox:1");
    input_.container_id = "c1";
    input_.sandbox = &sandbox_;
    input_.config = &config_;
    input_.image = &image_;
    input_.passwd = &passwd_;
    input_.group = &group_;
    input_.disk.id = "d0";
    input_.disk.pci_path = "03/00";
    input_.hostname = "pod-a";
  }

  grpc::CreateContainerRequest Build() {
    auto request = BuildCreateContainer(input_);
    EXPECT_OK(request);
    return request.ok() ? *request : grpc::CreateContainerRequest();
  }

  void Mount(const std::string& path, const std::string& name, MountPropagation propagation = PRIVATE,
             bool readonly = false) {
    MountConfig* mount = config_.add_mounts();
    mount->set_container_path(path);
    mount->set_host_path("/host" + path);
    mount->set_propagation(propagation);
    mount->set_readonly(readonly);
    input_.mount_names.push_back(name);
  }

  SandboxConfig sandbox_;
  ContainerConfig config_;
  ImageConfig image_;
  std::string passwd_ = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n";
  std::string group_ = "root:x:0:\nextra:x:77:app\n";
  ContainerSpecInput input_;
};

std::vector<std::string> List(const google::protobuf::RepeatedPtrField<std::string>& values) {
  return {values.begin(), values.end()};
}

const grpc::Mount* FindMount(const grpc::CreateContainerRequest& request, const std::string& destination) {
  const grpc::Mount* found = nullptr;
  for (const grpc::Mount& mount : request.oci().mounts()) {
    if (mount.destination() != destination) continue;
    EXPECT_EQ(found, nullptr) << destination << " twice";
    found = &mount;
  }
  return found;
}

// A spec as text, one fact a line: for the golden file.
std::string Describe(const grpc::CreateContainerRequest& request) {
  std::string out;
  const auto line = [&out](auto... parts) { absl::StrAppend(&out, parts..., "\n"); };
  for (const grpc::Storage& s : request.storages())
    line("storage ", s.driver(), " ", s.source(), " ", s.fstype(), " ", s.mount_point(), " ",
         absl::StrJoin(s.options(), ","));
  const grpc::Spec& spec = request.oci();
  const grpc::Process& p = spec.process();
  line("args ", absl::StrJoin(p.args(), " | "));
  for (const std::string& env : p.env()) line("env ", env);
  line("cwd ", p.cwd());
  line("user ", p.user().uid(), ":", p.user().gid(), " ", absl::StrJoin(p.user().additionalgids(), ","));
  line("capabilities ", absl::StrJoin(p.capabilities().bounding(), " "));
  line("terminal ", p.terminal(), " no_new_privileges ", p.nonewprivileges(), " oom_score_adj ", p.oomscoreadj());
  line("root ", spec.root().path(), " readonly ", spec.root().readonly());
  for (const grpc::Mount& m : spec.mounts())
    line("mount ", m.destination(), " ", m.type(), " ", m.source(), " ", absl::StrJoin(m.options(), ","));
  std::vector<std::string> namespaces;
  for (const grpc::LinuxNamespace& n : spec.linux().namespaces()) namespaces.push_back(n.type() + n.path());
  line("namespaces ", absl::StrJoin(namespaces, " "), " sandbox_pidns ", request.sandbox_pidns());
  line("cgroup ", spec.linux().cgroupspath());
  for (const grpc::LinuxDeviceCgroup& d : spec.linux().resources().devices())
    line("device ", d.allow() ? "allow " : "deny ", d.type(), " ", d.major(), ":", d.minor(), " ", d.access());
  return out;
}

// PODVISOR_UPDATE_GOLDEN=<workspace> rewrites the file.
TEST_F(ContainerSpecTest, DefaultsAreTheGoldenOnes) {
  const std::string name = "podmanager/spec/testdata/default.spec";
  const std::string actual = Describe(Build());
  if (const char* workspace = std::getenv("PODVISOR_UPDATE_GOLDEN")) {
    ASSERT_OK(WriteFileAtomically(absl::StrCat(workspace, "/", name), actual, 0644));
  }
  auto golden = ReadFile(name, 1 << 20);
  ASSERT_OK(golden);
  EXPECT_EQ(actual, *golden);
}

TEST_F(ContainerSpecTest, CommandAndArguments) {
  struct Case {
    std::vector<std::string> entrypoint, cmd, command, args, expected;
  };
  const Case kCases[] = {
      {{"/e"}, {"c"}, {}, {}, {"/e", "c"}}, {{"/e"}, {"c"}, {}, {"a"}, {"/e", "a"}},
      {{"/e"}, {"c"}, {"x"}, {}, {"x"}},    {{"/e"}, {"c"}, {"x"}, {"a", "b"}, {"x", "a", "b"}},
      {{}, {"c", "d"}, {}, {}, {"c", "d"}}, {{""}, {"c"}, {}, {}, {"c"}},
      {{}, {}, {}, {"a"}, {"a"}},
  };
  for (const Case& c : kCases) {
    image_.entrypoint = c.entrypoint;
    image_.cmd = c.cmd;
    *config_.mutable_command() = {c.command.begin(), c.command.end()};
    *config_.mutable_args() = {c.args.begin(), c.args.end()};
    EXPECT_EQ(List(Build().oci().process().args()), c.expected);
  }
  image_.entrypoint.clear();
  image_.cmd.clear();
  config_.clear_args();
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "no command"));
  config_.add_command("");
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "empty"));
}

TEST_F(ContainerSpecTest, EnvironmentKeepsItsOrder) {
  image_.env = {"Z=1", "PATH=/image", "BOTH=image", "GONE=1", "GONE", "A=2"};
  for (const auto& [key, value] : {std::pair("SECOND", "x=y"), {"BOTH", "config"}, {"FIRST", ""}})
    (*config_.mutable_env())[key] = value;
  for (const char* key : {"FIRST", "BOTH", "SECOND"}) config_.add_env_order(key);
  EXPECT_THAT(List(Build().oci().process().env()), ElementsAre("PATH=/image", "HOSTNAME=pod-a", "Z=1", "BOTH=config",
                                                               "A=2", "FIRST=", "SECOND=x=y", "HOME=/root"));
  config_.clear_env_order();  // an old record: by name
  config_.set_tty(true);
  EXPECT_THAT(List(Build().oci().process().env()),
              ElementsAre("PATH=/image", "TERM=xterm", "HOSTNAME=pod-a", "Z=1", "BOTH=config", "A=2",
                          "FIRST=", "SECOND=x=y", "HOME=/root"));
  (*config_.mutable_env())["A=B"] = "x";
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "A=B"));
}

TEST_F(ContainerSpecTest, WorkingDirectory) {
  EXPECT_EQ(Build().oci().process().cwd(), "/");
  image_.working_dir = "relative";
  EXPECT_EQ(Build().oci().process().cwd(), "/relative");
  image_.working_dir = "/image";
  EXPECT_EQ(Build().oci().process().cwd(), "/image");
  config_.set_working_dir("/config");
  EXPECT_EQ(Build().oci().process().cwd(), "/config");
  config_.set_working_dir("config");
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "working_dir \"config\""));
}

TEST_F(ContainerSpecTest, UserIsTheImagesOrTheConfigs) {
  image_.user = "app";
  grpc::CreateContainerRequest request = Build();
  EXPECT_EQ(request.oci().process().user().uid(), 1000u);
  EXPECT_EQ(request.oci().process().user().gid(), 1001u);
  EXPECT_THAT(request.oci().process().user().additionalgids(), ElementsAre(1001, 77));
  EXPECT_THAT(List(request.oci().process().env()), testing::Contains("HOME=/home/app"));
  config_.mutable_run_as()->set_username("nobody-here");
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(absl::StatusCode::kNotFound, "busybox:1"));
}

TEST_F(ContainerSpecTest, PrivilegedHasEverything) {
  config_.set_privileged(true);
  config_.add_masked_paths("/proc/kcore");
  config_.add_readonly_paths("/proc/sys");
  config_.mutable_seccomp();
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "sandbox that is not privileged"));
  sandbox_.set_privileged(true);
  grpc::CreateContainerRequest request = Build();
  const grpc::Linux& linux_part = request.oci().linux();
  EXPECT_EQ(request.oci().process().capabilities().bounding_size(), 41);
  EXPECT_EQ(linux_part.maskedpaths_size(), 0);
  EXPECT_EQ(linux_part.readonlypaths_size(), 0);
  EXPECT_FALSE(linux_part.has_seccomp());
  ASSERT_EQ(linux_part.resources().devices_size(), 1);
  EXPECT_TRUE(linux_part.resources().devices(0).allow());
  EXPECT_EQ(request.oci().annotations().at("podvisor.guest-devices"), "all");
  EXPECT_THAT(List(FindMount(request, "/sys")->options()), testing::Contains("rw"));
  EXPECT_THAT(List(FindMount(request, "/sys/fs/cgroup")->options()), testing::Contains("rw"));
}

TEST_F(ContainerSpecTest, RightsArePassedOn) {
  config_.set_no_new_privs(true);
  config_.set_readonly_rootfs(true);
  config_.add_masked_paths("/proc/kcore");
  config_.add_readonly_paths("/proc/sys");
  config_.mutable_resources()->set_oom_score_adj(-5);
  config_.mutable_apparmor()->set_type(SecurityProfile::LOCALHOST);
  config_.mutable_apparmor()->set_localhost_ref("localhost/mine");
  config_.set_selinux_label("a:b:c:d");
  grpc::CreateContainerRequest request = Build();
  EXPECT_TRUE(request.oci().process().nonewprivileges());
  EXPECT_EQ(request.oci().process().oomscoreadj(), -5);
  EXPECT_EQ(request.oci().process().apparmorprofile(), "mine");
  EXPECT_EQ(request.oci().process().selinuxlabel(), "a:b:c:d");
  EXPECT_TRUE(request.oci().root().readonly());
  EXPECT_THAT(List(request.oci().linux().maskedpaths()), ElementsAre("/proc/kcore"));
  EXPECT_THAT(List(request.oci().linux().readonlypaths()), ElementsAre("/proc/sys"));
  EXPECT_THAT(List(FindMount(request, "/etc/hosts")->options()), testing::Contains("ro"));
  config_.mutable_apparmor()->set_type(SecurityProfile::RUNTIME_DEFAULT);
  EXPECT_EQ(Build().oci().process().apparmorprofile(), "");
  config_.add_masked_paths("proc");
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "\"proc\""));
}

TEST_F(ContainerSpecTest, SeccompProfileByType) {
  EXPECT_FALSE(Build().oci().linux().has_seccomp()) << "none asked for";
  config_.mutable_seccomp()->set_type(SecurityProfile::RUNTIME_DEFAULT);
  EXPECT_EQ(Build().oci().linux().seccomp().defaultaction(), "SCMP_ACT_ERRNO");
  config_.mutable_seccomp()->set_type(SecurityProfile::UNCONFINED);
  EXPECT_FALSE(Build().oci().linux().has_seccomp());
  config_.mutable_seccomp()->set_type(SecurityProfile::LOCALHOST);
  config_.mutable_seccomp()->set_localhost_ref("/p.json");
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "seccomp profile /p.json"));
  input_.seccomp_json = R"({"defaultAction": "SCMP_ACT_LOG"})";
  EXPECT_EQ(Build().oci().linux().seccomp().defaultaction(), "SCMP_ACT_LOG");
}

TEST_F(ContainerSpecTest, MountsOfTheConfig) {
  Mount("/data/deep/er", "m0");
  Mount("/data", "m1", HOST_TO_CONTAINER, true);
  Mount("/etc/hosts/", "m2");
  Mount("/dev/shm", "/run/tmpfs-of-the-pod");
  Mount("/data", "m4", PRIVATE, true);
  grpc::CreateContainerRequest request = Build();
  ASSERT_NE(FindMount(request, "/data"), nullptr);
  EXPECT_EQ(FindMount(request, "/data")->source(), "/run/kata-containers/shared/containers/m4");
  EXPECT_THAT(List(FindMount(request, "/data")->options()), ElementsAre("rbind", "rprivate", "ro"));
  EXPECT_THAT(List(FindMount(request, "/data/deep/er")->options()), ElementsAre("rbind", "rprivate", "rw"));
  EXPECT_EQ(FindMount(request, "/etc/hosts")->source(), "/run/kata-containers/shared/containers/m2");
  EXPECT_EQ(FindMount(request, "/dev/shm")->source(), "/run/tmpfs-of-the-pod");
  EXPECT_EQ(FindMount(request, "/etc/hostname")->source(), "/run/kata-containers/sandbox/hostname");
  EXPECT_EQ(request.oci().linux().rootfspropagation(), "rslave");
  int last = 0;
  for (const grpc::Mount& mount : request.oci().mounts()) {
    const int depth = std::count(mount.destination().begin(), mount.destination().end(), '/');
    EXPECT_LE(last, depth) << mount.destination();
    last = depth;
  }
}

TEST_F(ContainerSpecTest, OwnDevTakesTheDefaultsBelowIt) {
  Mount("/dev", "m0");
  grpc::CreateContainerRequest request = Build();
  EXPECT_EQ(FindMount(request, "/dev/pts"), nullptr);
  EXPECT_EQ(FindMount(request, "/dev/shm"), nullptr);
  EXPECT_NE(FindMount(request, "/sys/fs/cgroup"), nullptr);
}

TEST_F(ContainerSpecTest, MountsThatCantBe) {
  struct Case {
    std::string path, name;
    MountPropagation propagation;
    absl::StatusCode code;
    std::string error;
  };
  const Case kCases[] = {
      {"data", "m", PRIVATE, kInvalid, "container_path \"data\" is not an absolute path"},
      {"", "m", PRIVATE, kInvalid, "mount 0"},
      {"/", "m", PRIVATE, kInvalid, "root folder"},
      {"/..", "m", PRIVATE, kInvalid, "root folder"},
      {"/data", "", PRIVATE, kInvalid, "neither host_path nor image"},
      {"/data", "m", BIDIRECTIONAL, kMissing, "mount 0 at /data: propagation Bidirectional"},
  };
  for (const Case& c : kCases) {
    config_.clear_mounts();
    input_.mount_names.clear();
    Mount(c.path, c.name, c.propagation);
    EXPECT_THAT(BuildCreateContainer(input_), StatusIs(c.code, c.error)) << c.path;
  }
  input_.mount_names.clear();
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(absl::StatusCode::kInternal, "1 mounts but 0 names"));
}

TEST_F(ContainerSpecTest, RecursiveReadOnlyMounts) {
  Mount("/data", "m0");
  MountConfig* mount = config_.mutable_mounts(0);
  mount->set_recursive_read_only(true);
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "without readonly"));
  mount->set_readonly(true);
  EXPECT_THAT(List(FindMount(Build(), "/data")->options()), ElementsAre("rbind", "rprivate", "rro"));
  mount->set_propagation(HOST_TO_CONTAINER);
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "private propagation"));
}

TEST_F(ContainerSpecTest, ImageVolumesStayWritable) {
  image_.volumes = {"/var/lib/db/", "/data"};
  EXPECT_EQ(FindMount(Build(), "/var/lib/db"), nullptr) << "the overlay is writable";
  config_.set_readonly_rootfs(true);
  Mount("/data", "m0");
  grpc::CreateContainerRequest request = Build();
  ASSERT_NE(FindMount(request, "/var/lib/db"), nullptr);
  EXPECT_EQ(FindMount(request, "/var/lib/db")->source(), "/run/kata-containers/c1/rootfs/var/lib/db");
  EXPECT_EQ(FindMount(request, "/data")->source(), "/run/kata-containers/shared/containers/m0");
}

TEST_F(ContainerSpecTest, DisksOfBothKinds) {
  input_.disk.pci_path.clear();
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(absl::StatusCode::kInternal, "d0"));
  input_.disk.scsi_addr = "0:1";
  EXPECT_EQ(Build().storages(0).driver(), "scsi");
  EXPECT_EQ(Build().storages(0).source(), "0:1");
}

TEST_F(ContainerSpecTest, Namespaces) {
  config_.mutable_namespaces()->set_pid(POD);
  EXPECT_TRUE(Build().sandbox_pidns());
  config_.mutable_namespaces()->set_pid(CONTAINER);
  grpc::CreateContainerRequest request = Build();
  EXPECT_FALSE(request.sandbox_pidns());
  for (const grpc::LinuxNamespace& entry : request.oci().linux().namespaces()) EXPECT_NE(entry.type(), "pid");
  config_.mutable_namespaces()->set_pid(TARGET);
  config_.mutable_namespaces()->set_target_id("c0");
  request = Build();
  const grpc::LinuxNamespace& pid = *request.oci().linux().namespaces().rbegin();
  EXPECT_EQ(pid.type() + " " + pid.path(), "pid container:c0");
  EXPECT_FALSE(request.sandbox_pidns());
  input_.agent = AgentKind::kPlainKata;
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kMissing, "container c0"));
  input_.agent = AgentKind::kPodvisor;
  config_.mutable_namespaces()->set_pid(CONTAINER);
}

Namespaces Mapped(uint32_t host_id, uint32_t length) {
  Namespaces namespaces;
  namespaces.set_user_namespace(true);
  for (auto* list : {namespaces.mutable_uids(), namespaces.mutable_gids()}) {
    IdMapping* mapping = list->Add();
    mapping->set_host_id(host_id);
    mapping->set_length(length);
  }
  return namespaces;
}

std::vector<std::string> NamespaceTypes(const grpc::CreateContainerRequest& request) {
  std::vector<std::string> types;
  for (const grpc::LinuxNamespace& entry : request.oci().linux().namespaces()) types.push_back(entry.type());
  return types;
}

TEST_F(ContainerSpecTest, UserNamespace) {
  *sandbox_.mutable_namespaces() = Mapped(65536, 4096);
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "has to ask for the same one"));
  *config_.mutable_namespaces() = Mapped(65536, 4096);
  grpc::CreateContainerRequest request = Build();
  EXPECT_THAT(NamespaceTypes(request), testing::IsSupersetOf({"user", "cgroup", "mount"}));
  for (const auto* mappings : {&request.oci().linux().uidmappings(), &request.oci().linux().gidmappings()}) {
    ASSERT_EQ(mappings->size(), 1);
    EXPECT_EQ((*mappings)[0].hostid(), 65536u);
    EXPECT_EQ((*mappings)[0].containerid(), 0u);
    EXPECT_EQ((*mappings)[0].size(), 4096u);
  }
  EXPECT_THAT(List(FindMount(request, "/dev/pts")->options()), testing::Contains("gid=5"));
  *config_.mutable_namespaces() = Mapped(65536, 4095);
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "differ from the sandbox's"));
  *config_.mutable_namespaces() = *sandbox_.mutable_namespaces() = Mapped(65536, 5);
  EXPECT_THAT(List(FindMount(Build(), "/dev/pts")->options()), testing::Contains("gid=0")) << "5 is nobody there";
  config_.set_privileged(true);
  sandbox_.set_privileged(true);
  EXPECT_THAT(NamespaceTypes(Build()), testing::Contains("cgroup")) << "else it could mount no cgroup file system";
  input_.agent = AgentKind::kPlainKata;
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kMissing, "stock Kata agent"));
  input_.agent = AgentKind::kPodvisor;
  sandbox_.clear_namespaces();
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "no user namespace"));
}

TEST_F(ContainerSpecTest, MappedMounts) {
  Mount("/data", "m0");
  config_.mutable_mounts(0)->add_uid_mappings()->set_length(7);  // done on the host
  config_.mutable_mounts(0)->add_gid_mappings()->set_length(7);
  EXPECT_THAT(List(FindMount(Build(), "/data")->options()), ElementsAre("rbind", "rprivate", "rw"));
  *sandbox_.mutable_namespaces() = *config_.mutable_namespaces() = Mapped(65536, 4096);
  config_.mutable_mounts(0)->clear_host_path();
  config_.mutable_mounts(0)->set_image("data");
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "mount 0 at /data: uid_mappings"));
  *config_.mutable_mounts(0)->mutable_uid_mappings() = sandbox_.namespaces().uids();
  *config_.mutable_mounts(0)->mutable_gid_mappings() = sandbox_.namespaces().gids();
  Build();
}

// As one mount of the guest's, its flag would be for all of it.
TEST_F(ContainerSpecTest, ReadOnlyAboveOtherMountsIsTheHosts) {
  Mount("/plain", "m0", PRIVATE, true);
  Mount("/holds", "m1", PRIVATE, true);
  Mount("/slave", "m2", HOST_TO_CONTAINER, true);
  Mount("/sealed", "m3", PRIVATE, true);
  config_.mutable_mounts(3)->set_recursive_read_only(true);
  input_.holding_mounts = {1, 3};
  const grpc::CreateContainerRequest request = Build();
  EXPECT_THAT(List(FindMount(request, "/plain")->options()), ElementsAre("rbind", "rprivate", "ro"));
  EXPECT_THAT(List(FindMount(request, "/holds")->options()), ElementsAre("rbind", "rprivate", "rw"));
  EXPECT_THAT(List(FindMount(request, "/slave")->options()), ElementsAre("rbind", "rslave", "rw"));
  EXPECT_THAT(List(FindMount(request, "/sealed")->options()), ElementsAre("rbind", "rprivate", "rro"));
}

TEST_F(ContainerSpecTest, HostDevicesAreRefused) {
  DeviceConfig* device = config_.add_devices();
  device->set_host_path("/dev/null");
  device->set_container_path("/dev/null");
  Build();
  device->set_host_path("/dev/sda");
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kMissing, "device /dev/sda"));
}

TEST_F(ContainerSpecTest, SysctlsGoIntoTheSpecOfAStockKataAgentOnly) {
  (*sandbox_.mutable_sysctls())["net.core.somaxconn"] = "9";
  EXPECT_TRUE(Build().oci().linux().sysctl().empty());
  input_.agent = AgentKind::kPlainKata;
  EXPECT_EQ(Build().oci().linux().sysctl().at("net.core.somaxconn"), "9");
}

TEST_F(ContainerSpecTest, ResourcesOfTheConfig) {
  Resources& resources = *config_.mutable_resources();
  resources.set_cpu_shares(512);
  resources.set_cpu_quota(-1);
  resources.set_cpu_period(100000);
  resources.set_cpuset_cpus("0-1,3");
  resources.set_memory_limit_bytes(64 << 20);
  (*resources.mutable_hugepage_limits())["2MB"] = 4 << 20;
  (*resources.mutable_unified())["memory.min"] = "1048576";
  (*resources.mutable_unified())["memory.oom.group"] = "1";
  grpc::CreateContainerRequest request = Build();
  const grpc::LinuxResources& built = request.oci().linux().resources();
  EXPECT_EQ(built.cpu().shares(), 512u);
  EXPECT_EQ(built.cpu().quota(), -1);
  EXPECT_EQ(built.cpu().period(), 100000u);
  EXPECT_EQ(built.cpu().cpus(), "0-1,3");
  EXPECT_EQ(built.memory().limit(), 64 << 20);
  EXPECT_EQ(built.memory().swap(), 64 << 20) << "no swap by default";
  EXPECT_EQ(built.memory().reservation(), 1 << 20);
  EXPECT_EQ(built.hugepagelimits(0).pagesize(), "2MB");
  EXPECT_EQ(request.oci().annotations().at("podvisor.cgroup.unified/memory.oom.group"), "1");

  resources.set_memory_swap_limit_bytes(128 << 20);
  EXPECT_EQ(Build().oci().linux().resources().memory().swap(), 128 << 20);
  resources.set_cpuset_cpus("0\n1");
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "list"));
  resources.set_cpuset_cpus("");
  resources.set_memory_limit_bytes(-7);
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "memory_limit"));
  resources.set_memory_limit_bytes(0);
  (*resources.mutable_hugepage_limits())["../x"] = 1;
  EXPECT_THAT(BuildCreateContainer(input_), StatusIs(kInvalid, "../x"));
}

TEST_F(ContainerSpecTest, ExecIsTheContainersProcessWithOtherArguments) {
  config_.set_tty(true);
  config_.mutable_run_as()->set_uid(1000);
  const grpc::Process container = Build().oci().process();
  auto exec = BuildExecProcess(container, {"ls", "-l"}, Terminal::kNo);
  ASSERT_OK(exec);
  EXPECT_THAT(List(exec->args()), ElementsAre("ls", "-l"));
  EXPECT_FALSE(exec->terminal());
  EXPECT_EQ(exec->user().uid(), 1000u);
  EXPECT_EQ(List(exec->env()), List(container.env()));
  EXPECT_EQ(exec->capabilities().bounding_size(), container.capabilities().bounding_size());
  EXPECT_THAT(BuildExecProcess(container, {}, Terminal::kNo), StatusIs(kInvalid, "no command"));
  EXPECT_THAT(BuildExecProcess(container, {std::string("a\0b", 3)}, Terminal::kNo), StatusIs(kInvalid, "NUL"));

  config_.set_tty(false);
  exec = BuildExecProcess(Build().oci().process(), {"sh"}, Terminal::kYes);
  ASSERT_OK(exec);
  EXPECT_TRUE(exec->terminal());
  EXPECT_THAT(List(exec->env()), testing::Contains("TERM=xterm"));
}

}  // namespace
}  // namespace podvisor
