// What is left of a pod when its sandbox is destroyed: nothing. And what tells one pod from the next.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/guest/testing/agent_process.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

namespace v1 = podvisor::agent::v1;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kExtension[] = "podvisor.agent.v1.Extension";

std::string Content(const std::string& path) {
  std::ifstream file(path);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

struct Pod {
  std::string id;
  std::string hostname;
  std::string mac;
  std::string address;
  std::string gateway;
  bool own_users = false;
};

const Pod kFirst{.id = "1111111111111111111111111111111111111111111111111111111111111111",
                 .hostname = "first-pod",
                 .mac = "02:00:00:00:00:11",
                 .address = "192.0.2.11",
                 .gateway = "192.0.2.1"};
const Pod kSecond{.id = "22222222222222222222222222222222aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                  .hostname = "second-pod",
                  .mac = "02:00:00:00:00:22",
                  .address = "198.51.100.22",
                  .gateway = "198.51.100.1"};

class BlankStateTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = AgentProcess::WhyNot(); !why.empty()) GTEST_SKIP() << why;
    agent_ = std::make_unique<AgentProcess>(AgentProcess::Kind::kOwnNetwork);
  }

  absl::Status Configure(const Pod& pod) {
    v1::ConfigureSandboxRequest request;
    request.mutable_sandbox()->set_sandbox_id(pod.id);
    request.mutable_sandbox()->set_hostname(pod.hostname);
    request.mutable_sandbox()->add_dns("search " + pod.hostname);
    grpc::Storage* storage = request.mutable_sandbox()->add_storages();
    storage->set_driver("ephemeral");
    storage->set_mount_point("/run/kata-containers/storage-of-" + pod.hostname);
    types::Interface* interface = request.add_interfaces();
    interface->set_name("eth0");
    interface->set_device("eth0");
    interface->set_hwaddr(pod.mac);
    interface->set_mtu(1400);
    interface->add_ipaddresses()->set_address(pod.address);
    interface->mutable_ipaddresses(0)->set_mask("24");
    types::Route* route = request.add_routes();
    route->set_dest("0.0.0.0/0");
    route->set_gateway(pod.gateway);
    route->set_device("eth0");
    types::ARPNeighbor* neighbor = request.add_neighbors();
    neighbor->mutable_toipaddress()->set_address(pod.gateway);
    neighbor->set_device("eth0");
    neighbor->set_lladdr("02:00:00:00:00:99");
    (*request.mutable_sysctls())["net.ipv4.ip_unprivileged_port_start"] = pod.id == kFirst.id ? "11" : "22";
    request.set_shm_bytes(pod.id == kFirst.id ? 8 << 20 : 16 << 20);
    request.set_entropy(std::string(64, 'e'));
    if (pod.own_users) {
      for (auto* mappings : {request.mutable_uid_mappings(), request.mutable_gid_mappings()}) {
        mappings->Add()->set_hostid(100'000);
        mappings->Mutable(0)->set_size(65'536);
      }
    }
    v1::Empty empty;
    return agent_->client().Call(kExtension, "ConfigureSandbox", request, &empty);
  }

  absl::Status Destroy() { return agent_->Do("DestroySandbox", grpc::DestroySandboxRequest()); }

  std::string BootId() {
    v1::HelloRequest request;
    request.set_wait_settled(true);
    v1::HelloResponse hello;
    EXPECT_OK(agent_->client().Call(kExtension, "Hello", request, &hello));
    return hello.boot_id();
  }

  // Runs `script` in a container of its own that uses all that a pod has, and returns what it says.
  std::string Run(const std::string& id, const std::string& script) {
    auto request = agent_->Request(id, {"sh", "-c", script});
    (*request.mutable_oci()->mutable_linux()->mutable_sysctl())["kernel.shmmni"] = "111";
    for (const char* name : {"hosts", "resolv.conf", "hostname"}) {
      grpc::Mount* mount = request.mutable_oci()->add_mounts();
      mount->set_destination(std::string("/etc/") + name);
      mount->set_source(std::string("/run/kata-containers/sandbox/") + name);
      mount->add_options("bind");
    }
    grpc::Mount* shm = request.mutable_oci()->add_mounts();
    shm->set_destination("/dev/shm");
    shm->set_source("/run/kata-containers/sandbox/shm");
    shm->add_options("rbind");
    EXPECT_OK(agent_->Create(request));
    EXPECT_OK(agent_->Start(id));
    return agent_->Output(id);
  }

  // What the agent's machine looks like, without what differs by nature (numbers of mounts and inodes).
  std::string Fingerprint() {
    const std::string proc = "/proc/" + std::to_string(agent_->pid());
    std::ostringstream text;
    std::istringstream mounts(Content(proc + "/mountinfo"));
    for (std::string line; std::getline(mounts, line);) {
      std::istringstream words(line);
      std::string word;
      for (int i = 0; words >> word; ++i) {
        if (i >= 3 && word.find(':') == std::string::npos) text << word << ' ';
      }
      text << '\n';
    }
    // Without route's heading, which is there once the table has ever held something.
    for (const char* name : {"route", "ipv6_route", "fib_trie", "arp", "if_inet6"}) {
      std::istringstream lines(Content(proc + "/net/" + name));
      for (std::string line; std::getline(lines, line);) {
        if (line.rfind("Iface", 0) != 0) text << name << ": " << line << '\n';
      }
    }
    grpc::Interfaces interfaces;
    EXPECT_OK(agent_->client().Call("grpc.AgentService", "ListInterfaces", grpc::ListInterfacesRequest(), &interfaces));
    for (const types::Interface& interface : interfaces.interfaces()) {
      text << interface.name() << ' ' << interface.hwaddr() << ' ' << interface.mtu() << ' ' << interface.raw_flags();
      for (const types::IPAddress& address : interface.ipaddresses()) text << ' ' << address.address();
      text << '\n';
    }
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(proc + "/root/run/kata-containers", error)) {
      text << entry.path() << '\n';
    }
    text << "descriptors " << std::distance(std::filesystem::directory_iterator(proc + "/fd"), {}) << '\n';
    v1::ListProcessesResponse list;
    EXPECT_OK(agent_->client().Call(kExtension, "ListProcesses", v1::ListProcessesRequest(), &list));
    text << "processes " << list.processes_size() << '\n'
         << Content(proc + "/task/" + std::to_string(agent_->pid()) + "/children");
    return text.str();
  }

  std::unique_ptr<AgentProcess> agent_;
};

constexpr char kLook[] =
    "hostname; cat /etc/hostname /etc/hosts /etc/resolv.conf /etc/machine-id /proc/sys/kernel/random/boot_id;"
    "ip addr; ip route; ip neigh; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ls /dev/shm; df -k /dev/shm;"
    "ipcs -m; mount";

TEST_F(BlankStateTest, NothingOfAPodRemains) {
  const std::string before = Fingerprint();
  ASSERT_OK(Configure(kFirst));
  const std::string first =
      Run("c1", std::string("touch /dev/shm/left-by-first; cat /proc/sys/kernel/shmmni;") + kLook);
  EXPECT_THAT(first, AllOf(HasSubstr("first-pod"), HasSubstr("192.0.2.11/24"), HasSubstr("via 192.0.2.1"),
                           HasSubstr("02:00:00:00:00:99"), HasSubstr("02:00:00:00:00:11"), HasSubstr("left-by-first"),
                           HasSubstr("8192 "), HasSubstr("11111111111111111111111111111111\n")));
  auto running = agent_->Request("c2", {"sleep", "1000"});
  running.set_sandbox_pidns(true);
  ASSERT_OK(agent_->Create(running));
  ASSERT_OK(agent_->Start("c2"));
  EXPECT_NE(Fingerprint(), before);

  ASSERT_OK(Destroy());
  EXPECT_EQ(Fingerprint(), before);

  ASSERT_OK(Configure(kSecond));
  const std::string second = Run("c1", kLook);
  EXPECT_THAT(second, AllOf(HasSubstr("second-pod"), HasSubstr("198.51.100.22/24"), HasSubstr("via 198.51.100.1"),
                            HasSubstr("02:00:00:00:00:22"), HasSubstr("16384 ")));
  EXPECT_THAT(second, AllOf(Not(HasSubstr("first")), Not(HasSubstr("192.0.2.")), Not(HasSubstr("00:11")),
                            Not(HasSubstr("1111111"))));
  ASSERT_OK(Destroy());
  EXPECT_EQ(Fingerprint(), before);
}

TEST_F(BlankStateTest, NothingOfAPodWithUsersOfItsOwnRemains) {
  const std::string before = Fingerprint();
  Pod pod = kFirst;
  pod.own_users = true;
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(Configure(pod));
    EXPECT_THAT(Run("c1", kLook), AllOf(HasSubstr("first-pod"), HasSubstr("192.0.2.11/24"), HasSubstr("via 192.0.2.1"),
                                        HasSubstr("02:00:00:00:00:11")));
    ASSERT_OK(Destroy());
    EXPECT_EQ(Fingerprint(), before);
  }
  ASSERT_OK(Configure(kSecond));
  EXPECT_THAT(Run("c1", kLook), AllOf(HasSubstr("198.51.100.22/24"), Not(HasSubstr("192.0.2."))));
  ASSERT_OK(Destroy());
  EXPECT_EQ(Fingerprint(), before);
}

TEST_F(BlankStateTest, SysctlsAndTheHostNameComeBack) {
  const std::string script = "hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmax";
  const auto look = [&](const std::string& id) {
    EXPECT_OK(agent_->Create(agent_->Request(id, {"sh", "-c", script})));
    EXPECT_OK(agent_->Start(id));
    return agent_->Output(id);
  };
  const std::string before = look("before");
  ASSERT_OK(Configure(kFirst));
  EXPECT_NE(look("during"), before);
  ASSERT_OK(Destroy());
  EXPECT_EQ(look("after"), before);
}

TEST_F(BlankStateTest, EachPodHasItsOwnIdentity) {
  const std::string script = "cat /etc/machine-id /proc/sys/kernel/random/boot_id";
  const std::string unconfigured = BootId();
  EXPECT_EQ(BootId(), unconfigured);
  ASSERT_OK(Configure(kFirst));
  const std::string first = BootId();
  EXPECT_NE(first, unconfigured);
  ASSERT_OK(Configure(kFirst));  // again: still the same machine
  EXPECT_EQ(BootId(), first);
  EXPECT_EQ(Run("c1", script), "11111111111111111111111111111111\n" + first + "\n");
  // Not even root writes what all containers of the pod see.
  EXPECT_EQ(Run("c2", "echo x 2>/dev/null > /etc/machine-id || echo no"), "no\n");
  ASSERT_OK(Destroy());
  ASSERT_OK(Configure(kSecond));
  const std::string second = BootId();
  EXPECT_NE(second, first);
  EXPECT_EQ(Run("c1", script), "22222222222222222222222222222222\n" + second + "\n");
}

TEST_F(BlankStateTest, AnotherPodsConfigurationIsRefusedAndChangesNothing) {
  ASSERT_OK(Configure(kFirst));
  const std::string during = Fingerprint();
  EXPECT_THAT(Configure(kSecond), StatusIs(absl::StatusCode::kAlreadyExists, kFirst.id));
  EXPECT_EQ(Fingerprint(), during);
}

TEST_F(BlankStateTest, AFileOfTheImageUnderneathIsNoReasonToFail) {
  ASSERT_OK(Configure(kFirst));
  std::filesystem::create_symlink("/nowhere/machine-id", agent_->rootfs() + "/etc/machine-id");
  EXPECT_EQ(Run("c1", "readlink /etc/machine-id"), "/nowhere/machine-id\n");
}

}  // namespace
}  // namespace podvisor::guest
