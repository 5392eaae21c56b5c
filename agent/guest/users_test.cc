// Containers in the pod's user namespace, outside of a VM.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/guest/testing/agent_process.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

namespace v1 = podvisor::agent::v1;
using absl::StatusCode;
using testing::AllOf;
using testing::HasSubstr;

constexpr uint32_t kRoot = 1000;
constexpr uint32_t kCount = 100'000;

template <typename List>
void AddMapping(List* list, uint32_t host = kRoot) {
  grpc::LinuxIDMapping* mapping = list->Add();
  mapping->set_hostid(host);
  mapping->set_containerid(0);
  mapping->set_size(kCount);
}

bool HoldsWords(const absl::Status& status, const char* words) {
  return status.message().find(words) != absl::string_view::npos;
}

class UsersTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = AgentProcess::WhyNot(); !why.empty()) GTEST_SKIP() << why;
    agent_ = std::make_unique<AgentProcess>(AgentProcess::Kind::kOwnNetwork);
    const absl::Status status = Configure(true);
    if (absl::IsPermissionDenied(status) && HoldsWords(status, "new user namespace")) GTEST_SKIP() << status;
    ASSERT_OK(status);
  }

  absl::Status Configure(bool mapped) {
    v1::ConfigureSandboxRequest request;
    request.mutable_sandbox()->set_sandbox_id("pod");
    request.mutable_sandbox()->set_hostname("pod");
    if (mapped) {
      AddMapping(request.mutable_uid_mappings());
      AddMapping(request.mutable_gid_mappings());
    }
    types::Interface* interface = request.add_interfaces();
    interface->set_name("eth0");
    interface->set_hwaddr("02:00:00:00:00:11");
    interface->add_ipaddresses()->set_address("192.0.2.11");
    interface->mutable_ipaddresses(0)->set_mask("24");
    (*request.mutable_sysctls())["kernel.shm_rmid_forced"] = "1";
    v1::Empty empty;
    return agent_->client().Call("podvisor.agent.v1.Extension", "ConfigureSandbox", request, &empty);
  }

  // As a CRI daemon would send it: an image, mounted for it alone, below an overlay.
  grpc::CreateContainerRequest Request(const std::string& id, const std::vector<std::string>& args) const {
    auto request = agent_->Request(id, args);
    const std::string base = "/run/kata-containers/" + id;
    grpc::Storage* lower = request.add_storages();
    lower->set_driver("bind");
    lower->set_source(agent_->rootfs());
    lower->set_mount_point(base + "/lower");
    grpc::Storage* root = request.add_storages();
    root->set_driver("overlayfs");
    root->set_source("overlay");
    root->set_fstype("overlay");
    root->set_mount_point(base + "/rootfs");
    for (const char* option : {"/lower", "/upper", "/work"}) {
      root->add_options(std::string(option + 1) + "dir=" + base + option);
    }
    grpc::Spec* spec = request.mutable_oci();
    spec->mutable_root()->set_path(base + "/rootfs");
    grpc::Mount* mqueue = spec->add_mounts();
    mqueue->set_destination("/dev/mqueue");
    mqueue->set_type("mqueue");
    grpc::Mount* cgroup = spec->add_mounts();
    cgroup->set_destination("/sys/fs/cgroup");
    cgroup->set_type("cgroup");
    grpc::Mount* shm = spec->add_mounts();
    shm->set_destination("/dev/shm");
    shm->set_source("/run/kata-containers/sandbox/shm");
    shm->add_options("rbind");
    grpc::Mount* hosts = spec->add_mounts();
    hosts->set_destination("/etc/hosts");
    hosts->set_source("/run/kata-containers/sandbox/hosts");
    hosts->add_options("rbind");
    spec->mutable_linux()->add_namespaces()->set_type("user");
    AddMapping(spec->mutable_linux()->mutable_uidmappings());
    AddMapping(spec->mutable_linux()->mutable_gidmappings());
    return request;
  }
  grpc::CreateContainerRequest Shell(const std::string& script) const { return Request("c1", {"sh", "-c", script}); }

  static void AddCapability(grpc::CreateContainerRequest* request, const char* name) {
    grpc::LinuxCapabilities* capabilities = request->mutable_oci()->mutable_process()->mutable_capabilities();
    capabilities->add_bounding(name);
    capabilities->add_effective(name);
    capabilities->add_permitted(name);
  }

  // Creates, starts, waits; returns what it wrote.
  std::string Run(const grpc::CreateContainerRequest& request, int exit_code = 0) {
    EXPECT_OK(agent_->Create(request));
    EXPECT_OK(agent_->Start(request.container_id()));
    const std::string output = agent_->Output(request.container_id());
    EXPECT_EQ(agent_->WaitExit(request.container_id()).exit_code(), exit_code)
        << output << agent_->Output(request.container_id(), "", v1::STDERR);
    return output;
  }

  bool HasExited(const std::string& id) {
    v1::WaitExitRequest request;
    request.set_container_id(id);
    v1::ProcessState state;
    EXPECT_OK(agent_->client().Call("podvisor.agent.v1.Extension", "WaitExit", request, &state));
    return state.exited();
  }

  std::unique_ptr<AgentProcess> agent_;
};

TEST_F(UsersTest, ItsRootIsTheMappedOne) {
  EXPECT_EQ(Run(Shell("id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map | while read a b c; do echo $a $b $c; "
                      "done; echo $$; hostname; cat /proc/sys/kernel/shm_rmid_forced")),
            "0\n0\n0 1000 100000\n0 1000 100000\n1\npod\n1\n");
}

TEST_F(UsersTest, FilesAreItsOwn) {
  std::filesystem::create_directory(agent_->rootfs() + "/srv");
  ASSERT_EQ(::chown((agent_->rootfs() + "/srv").c_str(), 33, 44), 0);
  const std::string output =
      Run(Shell("stat -c '%n %u:%g' / /bin/busybox /srv /etc/hosts /dev /dev/shm /dev/mqueue /dev/pts/ptmx /proc/1;"
                "touch /new /dev/shm/new /srv/new; chown 7:8 /etc/group; stat -c '%n %u:%g' /new /dev/shm/new /srv/new "
                "/etc/group; echo more >> /etc/hosts; echo x > /dev/stdout"));
  EXPECT_EQ(output,
            "/ 0:0\n/bin/busybox 0:0\n/srv 33:44\n/etc/hosts 0:0\n/dev 0:0\n/dev/shm 0:0\n/dev/mqueue 0:0\n"
            "/dev/pts/ptmx 0:0\n/proc/1 0:0\n/new 0:0\n/dev/shm/new 0:0\n/srv/new 0:0\n/etc/group 7:8\nx\n");
  struct stat info;
  ASSERT_EQ(::stat((agent_->rootfs() + "/srv").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 33u) << "the image itself does not change";
}

TEST_F(UsersTest, HasNoRightsOutside) {
  // A file of the guest's root, mounted as it is.
  const std::string file = agent_->folder() + "/secret";
  std::ofstream(file) << "secret\n";
  std::filesystem::permissions(file, std::filesystem::perms(0600));
  auto request = Shell(
      "stat -c %u:%g /secret; cat /secret; chown 0:0 /secret; mknod /disk b 7 0; echo 1 > "
      "/proc/sys/vm/compact_memory; true");
  for (const char* name : {"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH"}) AddCapability(&request, name);
  grpc::Mount* mount = request.mutable_oci()->add_mounts();
  mount->set_destination("/secret");
  mount->set_source(file);
  mount->add_options("rbind");
  EXPECT_EQ(Run(request), "65534:65534\n");
  const std::string errors = agent_->Output("c1", "", v1::STDERR);
  EXPECT_THAT(errors, AllOf(HasSubstr("cat: can't open"), HasSubstr("chown: "), HasSubstr("mknod: ")));
}

TEST_F(UsersTest, NamespacesAreItsOwn) {
  auto request = Shell(
      "hostname other && hostname; mount -t tmpfs none /tmp && echo mounted; ip link set lo mtu 1400 "
      "&& echo set; ip addr show dev eth0 | grep -c 192.0.2.11; echo 5 > "
      "/proc/sys/net/ipv4/ip_unprivileged_port_start; cat "
      "/proc/sys/net/ipv4/ip_unprivileged_port_start");
  for (const char* name : {"CAP_SYS_ADMIN", "CAP_NET_ADMIN"}) AddCapability(&request, name);
  EXPECT_EQ(Run(request), "other\nmounted\nset\n1\n5\n");
}

TEST_F(UsersTest, ListensOnLowPorts) {
  ASSERT_OK(agent_->Create(Shell("nc -l -p 80 -e echo served")));
  ASSERT_OK(agent_->Start("c1"));
  v1::DialPortRequest request;
  request.set_port(80);
  v1::DialPortResponse dialled;
  absl::Status status;
  do {
    status = agent_->client().Call("podvisor.agent.v1.Extension", "DialPort", request, &dialled);
  } while (absl::IsUnavailable(status) && !HasExited("c1"));
  EXPECT_OK(status);
  EXPECT_EQ(agent_->WaitExit("c1").exit_code(), 0) << agent_->Output("c1", "", v1::STDERR);
}

TEST_F(UsersTest, DevicesAreTheGuests) {
  EXPECT_EQ(Run(Shell("for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done;"
                      "echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 1 /dev/urandom | wc -c")),
            "3\n1\n");
}

TEST_F(UsersTest, ExecsJoinIt) {
  ASSERT_OK(agent_->Create(Request("c1", {"sleep", "1000"})));
  ASSERT_OK(agent_->Start("c1"));
  v1::RunExecRequest run;
  run.mutable_exec()->set_container_id("c1");
  run.mutable_exec()->set_exec_id("e1");
  run.set_wait_ms(60'000);
  *run.mutable_exec()->mutable_process() =
      Request("x", {"sh", "-c",
                    "id -u; test $(readlink /proc/self/ns/user) = $(readlink /proc/1/ns/user) && echo same; touch /x; "
                    "stat -c %u /x; echo y > /dev/stdout"})
          .oci()
          .process();
  v1::RunExecResponse ran;
  ASSERT_OK(agent_->RunExec(run, &ran));
  EXPECT_EQ(ran.stdout(), "0\nsame\n0\ny\n") << ran.stderr();
  // Another user, by number.
  run.mutable_exec()->mutable_process()->mutable_user()->set_uid(33);
  run.mutable_exec()->mutable_process()->set_args(2, "id -u; touch /y 2>/dev/null || echo no; echo z > /dev/stdout");
  ASSERT_OK(agent_->RunExec(run, &ran));
  EXPECT_EQ(ran.stdout(), "33\nno\nz\n") << ran.stderr();
  // With a terminal, which is its own as well.
  grpc::Process tty =
      Request("x", {"sh", "-c", "stat -L -c %u /proc/self/fd/0; test -t 0 && echo tty"}).oci().process();
  tty.set_terminal(true);
  ASSERT_OK(agent_->Exec("c1", "e2", tty));
  EXPECT_EQ(agent_->Output("c1", "e2"), "0\r\ntty\r\n");
}

TEST_F(UsersTest, ATerminalOfItsOwn) {
  auto request = Shell("test -t 0 && echo tty; stat -c %u /dev/console /dev/pts/0");
  request.mutable_oci()->mutable_process()->set_terminal(true);
  EXPECT_EQ(Run(request), "tty\r\n0\r\n0\r\n");
}

TEST_F(UsersTest, ContainersShareOneAndItsProcesses) {
  const std::string show = "readlink /proc/self/ns/user; ps | grep -c 'sleep 1234[5]'";
  auto first = Request("first", {"sleep", "12345"});
  auto second = Request("second", {"sh", "-c", show});
  first.set_sandbox_pidns(true);
  second.set_sandbox_pidns(true);
  ASSERT_OK(agent_->Create(first));
  ASSERT_OK(agent_->Start("first"));
  const std::string output = Run(second);
  EXPECT_THAT(output, testing::EndsWith("\n1\n"));
  auto third = Request("third", {"sh", "-c", show});  // not with them, but in the same user namespace
  EXPECT_THAT(Run(third, 1), AllOf(HasSubstr(output.substr(0, output.find('\n'))), testing::EndsWith("\n0\n")));
  auto fourth = Request("fourth", {"sh", "-c", show});
  for (grpc::LinuxNamespace& space : *fourth.mutable_oci()->mutable_linux()->mutable_namespaces()) {
    if (space.type() == "pid") space.set_path("container:first");
  }
  EXPECT_EQ(Run(fourth), output);
}

TEST_F(UsersTest, WhatCantBeIsRefusedAndLeavesNothing) {
  auto request = Shell("true");
  request.mutable_oci()->mutable_linux()->mutable_uidmappings(0)->set_size(7);
  EXPECT_THAT(agent_->Create(request), StatusIs(StatusCode::kInvalidArgument, "other than the sandbox's"));
  request = Shell("true");
  grpc::Mount* mount = request.mutable_oci()->add_mounts();
  mount->set_destination("/x");
  mount->set_source("/no/such/source");
  mount->add_options("rbind");
  EXPECT_THAT(agent_->Create(request), StatusIs(StatusCode::kNotFound, "/no/such/source"));
  request = Shell("true");
  grpc::LinuxDevice* device = request.mutable_oci()->mutable_linux()->add_devices();
  device->set_path("/dev/mine");
  device->set_type("c");
  device->set_major(1);
  device->set_minor(7);
  EXPECT_THAT(agent_->Create(request), StatusIs(StatusCode::kFailedPrecondition, "device /dev/mine"));
  EXPECT_EQ(Run(Shell("echo fine")), "fine\n");
  EXPECT_THAT(Configure(false), StatusIs(StatusCode::kFailedPrecondition, "other mappings"));
}

TEST_F(UsersTest, GoWithTheSandbox) {
  ASSERT_OK(agent_->Create(Request("c1", {"sleep", "1000"})));
  ASSERT_OK(agent_->Start("c1"));
  ASSERT_OK(agent_->Do("DestroySandbox", grpc::DestroySandboxRequest()));
  EXPECT_THAT(agent_->Create(Shell("true")), StatusIs(StatusCode::kFailedPrecondition, "without id mappings"));
  ASSERT_OK(Configure(false));
  // The interface is back, and so is the guest's own root.
  auto request = agent_->Request("c2", {"sh", "-c",
                                        "cat /proc/self/uid_map | while read a b c; do echo $a $b; done; "
                                        "ip addr show dev eth0 | grep -c 192.0.2.11; hostname"});
  EXPECT_EQ(Run(request), "0 0\n1\npod\n");
}

}  // namespace
}  // namespace podvisor::guest
