// The agent as PID 1 of a real VM: what differs from a daemon beside others, and what a rehearsed guest's calls cost.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>

#include "agent/guest/testing/guest_vm.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor::guest {
namespace {

namespace v1 = podvisor::agent::v1;
using testing::HasSubstr;

constexpr char kAgentService[] = "grpc.AgentService";
constexpr char kExtension[] = "podvisor.agent.v1.Extension";
constexpr char kContainer[] = "rehearsal";

int64_t NowNs(clockid_t clock) {
  timespec now;
  ::clock_gettime(clock, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

void AddMount(grpc::Spec* spec, const std::string& destination, const std::string& type, const std::string& source,
              const std::vector<std::string>& options) {
  grpc::Mount* mount = spec->add_mounts();
  mount->set_destination(destination);
  mount->set_type(type);
  mount->set_source(source);
  for (const std::string& option : options) mount->add_options(option);
}

class VmTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!GuestVm::WhyNot().empty()) return;
    vm_ = new GuestVm();
    client_ = vm_->Connect().release();
  }
  static void TearDownTestSuite() {
    std::printf("%-18s %25s %25s\n", "ms", "wall: first median min", "QEMU's cpu: first median min");
    for (auto& [call, costs] : *costs_) {
      std::printf("%-18s", call.c_str());
      for (std::vector<double>* times : {&costs.wall_ms, &costs.cpu_ms}) {
        const double first = times->front();
        std::sort(times->begin(), times->end());
        std::printf("  %8.2f %7.2f %7.2f", first, (*times)[times->size() / 2], times->front());
      }
      std::printf("\n");
    }
    delete client_;
    delete vm_;
  }
  void SetUp() override {
    if (const std::string why = GuestVm::WhyNot(); !why.empty()) GTEST_SKIP() << why;
  }

  struct Costs {
    std::vector<double> wall_ms;
    std::vector<double> cpu_ms;  // of the whole VMM: on a busy machine the one to look at
  };
  // Notes what happens in its life as a call's costs.
  class Stopwatch {
   public:
    explicit Stopwatch(std::string call) : call_(std::move(call)) {}
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;
    ~Stopwatch() {
      Costs& costs = (*costs_)[call_];
      costs.wall_ms.push_back(static_cast<double>(NowNs(CLOCK_MONOTONIC) - wall_) / 1e6);
      costs.cpu_ms.push_back(static_cast<double>(vm_->CpuNs() - cpu_) / 1e6);
    }

   private:
    const std::string call_;
    const int64_t wall_ = NowNs(CLOCK_MONOTONIC);
    const int64_t cpu_ = vm_->CpuNs();
  };

  static absl::Status Call(const std::string& service, const std::string& method,
                           const google::protobuf::MessageLite& request, google::protobuf::MessageLite* response) {
    const Stopwatch watch(method);
    return client_->Call(service, method, request, response);
  }
  static absl::Status Do(const std::string& method, const google::protobuf::MessageLite& request) {
    v1::Empty empty;
    return Call(kAgentService, method, request, &empty);
  }

  static absl::Status Configure(int pod) {
    v1::ConfigureSandboxRequest request;
    request.mutable_sandbox()->set_sandbox_id("sandbox" + std::to_string(pod));
    request.mutable_sandbox()->set_hostname("pod" + std::to_string(pod));
    request.mutable_sandbox()->add_dns("nameserver 192.0.2.53");
    types::Interface* interface = request.add_interfaces();
    interface->set_name("eth0");
    interface->set_device("eth0");
    interface->set_hwaddr("02:00:00:00:01:" + std::to_string(10 + pod));
    interface->set_mtu(1500);
    interface->add_ipaddresses()->set_address("192.0.2." + std::to_string(100 + pod));
    interface->mutable_ipaddresses(0)->set_mask("24");
    types::Route* route = request.add_routes();
    route->set_dest("0.0.0.0/0");
    route->set_gateway("192.0.2.1");
    route->set_device("eth0");
    request.set_unix_time_ns(NowNs(CLOCK_REALTIME));
    request.set_entropy(std::string(128, static_cast<char>(pod)));
    request.set_shm_bytes(64 << 20);
    v1::Empty empty;
    return Call(kExtension, "ConfigureSandbox", request, &empty);
  }

  // As podmanager makes it, in short.
  static grpc::CreateContainerRequest Container() {
    const std::string folder = std::string("/run/kata-containers/") + kContainer;
    grpc::CreateContainerRequest request;
    request.set_container_id(kContainer);
    grpc::Storage* disk = request.add_storages();
    disk->set_driver("blk");
    disk->set_source(GuestVm::kDisk);
    disk->set_fstype("erofs");
    disk->add_options("ro");
    disk->set_mount_point(folder + "/lower");
    grpc::Storage* overlay = request.add_storages();
    overlay->set_driver("overlayfs");
    overlay->set_source("overlay");
    overlay->set_fstype("overlay");
    overlay->set_mount_point(folder + "/rootfs");
    overlay->add_options("lowerdir=" + folder + "/lower");
    overlay->add_options("upperdir=" + folder + "/upper");
    overlay->add_options("workdir=" + folder + "/work");
    grpc::Spec* spec = request.mutable_oci();
    spec->mutable_root()->set_path(folder + "/rootfs");
    AddMount(spec, "/proc", "proc", "proc", {"nosuid", "noexec", "nodev"});
    AddMount(spec, "/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"});
    AddMount(spec, "/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"});
    AddMount(spec, "/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"});
    AddMount(spec, "/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"});
    AddMount(spec, "/dev/shm", "bind", "/run/kata-containers/sandbox/shm", {"rbind", "rprivate"});
    AddMount(spec, "/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"});
    for (const char* name : {"hosts", "hostname", "resolv.conf"}) {
      AddMount(spec, std::string("/etc/") + name, "bind", std::string("/run/kata-containers/sandbox/") + name,
               {"rbind", "rprivate", "rw"});
    }
    for (const char* type : {"mount", "ipc", "uts", "cgroup"}) {
      spec->mutable_linux()->add_namespaces()->set_type(type);
    }
    for (const char* path : {"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"}) {
      spec->mutable_linux()->add_maskedpaths(path);
    }
    for (const char* path : {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}) {
      spec->mutable_linux()->add_readonlypaths(path);
    }
    *spec->mutable_process() = Program({"/bin/rehearsal", "rehearse"});
    return request;
  }
  static grpc::Process Program(const std::vector<std::string>& args) {
    grpc::Process process;
    for (const std::string& arg : args) process.add_args(arg);
    process.add_env("PATH=/bin");
    process.set_cwd("/");
    for (const char* name : {"CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"}) {
      process.mutable_capabilities()->add_bounding(name);
      process.mutable_capabilities()->add_effective(name);
      process.mutable_capabilities()->add_permitted(name);
    }
    return process;
  }

  static std::string Output() {
    v1::ReadOutputRequest request;
    request.set_container_id(kContainer);
    request.set_max_bytes(4096);
    request.set_wait_ms(60'000);
    v1::ReadOutputResponse response;
    EXPECT_OK(Call(kExtension, "ReadOutput", request, &response));
    return response.data();
  }
  // Start to exit; the exit code.
  static int32_t Exec(const std::string& id) {
    grpc::ExecProcessRequest request;
    request.set_container_id(kContainer);
    request.set_exec_id(id);
    *request.mutable_process() = Program({"/bin/rehearsal", "true"});
    const Stopwatch watch("Exec and exit");
    EXPECT_OK(Do("ExecProcess", request));
    v1::WaitExitRequest wait;
    wait.set_container_id(kContainer);
    wait.set_exec_id(id);
    wait.set_wait_ms(60'000);
    v1::ProcessState state;
    EXPECT_OK(client_->Call(kExtension, "WaitExit", wait, &state));
    return state.exited() ? state.exit_code() : -1;
  }
  static v1::HelloResponse Hello() {
    v1::HelloRequest request;
    request.set_wait_settled(true);
    v1::HelloResponse response;
    EXPECT_OK(client_->Call(kExtension, "Hello", request, &response));
    return response;
  }
  static v1::GetStatsResponse Stats() {
    v1::GetStatsResponse response;
    EXPECT_OK(Call(kExtension, "GetStats", v1::GetStatsRequest(), &response));
    return response;
  }

  // A pod's life, as a rehearsal has it.
  static void Live(int pod) {
    ASSERT_OK(Configure(pod));
    ASSERT_OK(Do("CreateContainer", Container()));
    grpc::StartContainerRequest start;
    start.set_container_id(kContainer);
    ASSERT_OK(Do("StartContainer", start));
    ASSERT_EQ(Output(), "rehearsed\n");
    for (int i = 0; i < 3; ++i) ASSERT_EQ(Exec("e" + std::to_string(i)), 0);
  }
  static void End() {
    grpc::RemoveContainerRequest remove;
    remove.set_container_id(kContainer);
    ASSERT_OK(Do("RemoveContainer", remove));
    ASSERT_OK(Do("DestroySandbox", grpc::DestroySandboxRequest()));
  }

  static GuestVm* vm_;
  static TtrpcTestClient* client_;
  static std::map<std::string, Costs>* costs_;
};

GuestVm* VmTest::vm_ = nullptr;
TtrpcTestClient* VmTest::client_ = nullptr;
std::map<std::string, VmTest::Costs>* VmTest::costs_ = new std::map<std::string, VmTest::Costs>();

TEST_F(VmTest, RehearsedAgainAndAgain) {
  std::string boot_id = Hello().boot_id();
  for (int pod = 1; pod <= 10; ++pod) {
    ASSERT_NO_FATAL_FAILURE(Live(pod));
    EXPECT_NE(Hello().boot_id(), boot_id);
    boot_id = Hello().boot_id();
    const v1::GetStatsResponse stats = Stats();
    ASSERT_EQ(stats.containers_size(), 1);
    EXPECT_GT(stats.containers(0).cgroup().cpu_usage_us(), 0u);
    EXPECT_GT(stats.containers(0).cgroup().memory_bytes(), 0u);
    EXPECT_EQ(stats.containers(0).cgroup().processes(), 1u);
    EXPECT_LT(stats.containers(0).layer_bytes(), 64u << 10);
    // SPECIFICATION: less than 4 MB.
    EXPECT_LT(stats.guest().agent_memory_bytes(), 4u << 20);
    ASSERT_NO_FATAL_FAILURE(End());
    EXPECT_EQ(Stats().pod().cpu_usage_us(), 0u) << "counters of the pod before";
  }
}

TEST_F(VmTest, AProcessorThatIsPluggedComesOnline) {
  ASSERT_EQ(Stats().guest().processors(), 1u);
  EXPECT_THAT(vm_->Monitor("device_add max-x86_64-cpu,socket-id=0,core-id=1,thread-id=0,id=cpu1"), HasSubstr("(qemu)"));
  grpc::OnlineCPUMemRequest request;
  request.set_wait(true);
  request.set_nb_cpus(1);
  request.set_cpu_only(true);
  ASSERT_OK(Do("OnlineCPUMem", request));
  EXPECT_EQ(Stats().guest().processors(), 2u);
}

TEST_F(VmTest, ANewSessionTakesOverFromOneThatStoppedAnywhere) {
  // Half a frame, and a call that nobody will wait for.
  client_->SendRaw(std::string("\0\0\1\0\0", 5));
  delete client_;
  client_ = vm_->Connect().release();
  EXPECT_EQ(Hello().boot_id().size(), 36u);
}

}  // namespace
}  // namespace podvisor::guest
