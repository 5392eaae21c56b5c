#include "agent/guest/testing/agent_process.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

namespace v1 = podvisor::agent::v1;

constexpr char kAgent[] = "agent/guest/podvisor-agent";
constexpr char kBusybox[] = "/bin/busybox";
constexpr const char* kApplets[] = {
    "sh",   "echo", "cat",    "sleep",  "id",    "ls",   "true", "false", "stat", "dd",    "pwd",      "stty",
    "ps",   "env",  "mkdir",  "touch",  "mount", "kill", "grep", "seq",   "head", "mknod", "hostname", "readlink",
    "tail", "wc",   "ulimit", "chroot", "test",  "ip",   "df",   "ipcs",  "nc",   "chown"};

constexpr const char* kCapabilities[] = {"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
                                         "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
                                         "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
                                         "CAP_KILL",    "CAP_AUDIT_WRITE"};

void AddMount(grpc::Spec* spec, const std::string& destination, const std::string& type, const std::string& source,
              const std::vector<std::string>& options) {
  grpc::Mount* mount = spec->add_mounts();
  mount->set_destination(destination);
  mount->set_type(type);
  mount->set_source(source);
  for (const std::string& option : options) mount->add_options(option);
}

bool MakeNetwork() {
  if (::unshare(CLONE_NEWNET) != 0) return false;
  const int tun = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  ifreq request{};
  std::strcpy(request.ifr_name, "tap0");
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  return tun >= 0 && ::ioctl(tun, TUNSETIFF, &request) == 0 && ::ioctl(tun, TUNSETPERSIST, 1) == 0 && ::close(tun) == 0;
}

// Agents of several tests run at once, and all of them have their files in the same place.
bool MakeRunFolder() {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("run", "/run", "tmpfs", 0, nullptr) == 0;
}

}  // namespace

std::string AgentProcess::WhyNot() {
  if (::geteuid() != 0) return "needs root";
  if (::access(kBusybox, X_OK) != 0) return "needs /bin/busybox (package busybox-static)";
  return "";
}

AgentProcess::AgentProcess(Kind kind) {
  // A socket's path has room for 107 bytes, which Bazel's folders fill.
  const bool is_short = testing::TempDir().size() < 70;
  std::string pattern = (is_short ? testing::TempDir() : std::string("/tmp")) + "/agentXXXXXX";
  folder_ = ::mkdtemp(pattern.data());
  MakeRootfs();
  const int watch = ::inotify_init1(IN_CLOEXEC);
  ::inotify_add_watch(watch, folder_.c_str(), IN_MOVED_TO);
  const std::string agent = std::filesystem::absolute(kAgent);
  const std::string address = "KATA_AGENT_SERVER_ADDR=unix://" + socket_path();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (!MakeRunFolder()) {
      ::perror("a mount namespace with a /run");
      ::_exit(126);
    }
    if (kind == Kind::kOwnNetwork && !MakeNetwork()) {
      ::perror("network namespace with a tap");
      ::_exit(126);
    }
    const char* const argv[] = {agent.c_str(), nullptr};
    const char* const env[] = {address.c_str(), nullptr};
    ::execve(agent.c_str(), const_cast<char**>(argv), const_cast<char**>(env));
    ::perror(agent.c_str());
    ::_exit(127);
  }
  // The agent gives its socket the name when it listens.
  pollfd ready{.fd = watch, .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, 60'000) != 1) ADD_FAILURE() << "the agent has made no socket";
  ::close(watch);
  client_ = Connect();
}

AgentProcess::~AgentProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    (void)WaitEnd();
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

int AgentProcess::WaitEnd() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

void AgentProcess::MakeRootfs() {
  namespace fs = std::filesystem;
  for (const char* name : {"bin", "etc", "proc", "sys", "dev", "tmp", "root", "home/alice"}) {
    fs::create_directories(rootfs() + "/" + name);
  }
  fs::copy_file(kBusybox, rootfs() + "/bin/busybox");
  for (const char* applet : kApplets) fs::create_symlink("busybox", rootfs() + "/bin/" + applet);
  std::ofstream(rootfs() + "/etc/passwd") << "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n";
  std::ofstream(rootfs() + "/etc/group") << "root:x:0:\nalice:x:1000:\nstaff:x:50:alice\n";
  std::ofstream(rootfs() + "/etc/notexecutable") << "#!/bin/sh\n";
  std::ofstream(rootfs() + "/bin/garbage") << "no program\n";
  fs::permissions(rootfs() + "/bin/garbage", fs::perms(0755));
}

absl::Status AgentProcess::Do(const std::string& method, const google::protobuf::MessageLite& request) {
  v1::Empty empty;
  return client_->Call("grpc.AgentService", method, request, &empty);
}

grpc::CreateContainerRequest AgentProcess::Request(const std::string& id, const std::vector<std::string>& args) const {
  grpc::CreateContainerRequest request;
  request.set_container_id(id);
  grpc::Spec* spec = request.mutable_oci();
  spec->mutable_root()->set_path(rootfs());
  AddMount(spec, "/proc", "proc", "proc", {"nosuid", "noexec", "nodev"});
  AddMount(spec, "/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"});
  AddMount(spec, "/dev/pts", "devpts", "devpts",
           {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"});
  AddMount(spec, "/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"});
  for (const char* type : {"pid", "mount", "ipc", "uts", "cgroup"}) {
    spec->mutable_linux()->add_namespaces()->set_type(type);
  }
  grpc::Process* process = spec->mutable_process();
  for (const std::string& arg : args) process->add_args(arg);
  process->add_env("PATH=/usr/bin:/bin");
  process->set_cwd("/");
  for (const char* name : kCapabilities) {
    process->mutable_capabilities()->add_bounding(name);
    process->mutable_capabilities()->add_effective(name);
    process->mutable_capabilities()->add_permitted(name);
  }
  return request;
}

absl::Status AgentProcess::Create(const grpc::CreateContainerRequest& request) {
  return Do("CreateContainer", request);
}

absl::Status AgentProcess::Start(const std::string& id) {
  grpc::StartContainerRequest request;
  request.set_container_id(id);
  return Do("StartContainer", request);
}

absl::Status AgentProcess::Exec(const std::string& id, const std::string& exec_id, const grpc::Process& process) {
  grpc::ExecProcessRequest request;
  request.set_container_id(id);
  request.set_exec_id(exec_id);
  *request.mutable_process() = process;
  return Do("ExecProcess", request);
}

absl::Status AgentProcess::Remove(const std::string& id) {
  grpc::RemoveContainerRequest request;
  request.set_container_id(id);
  return Do("RemoveContainer", request);
}

absl::Status AgentProcess::Signal(const std::string& id, const std::string& exec_id, int signal) {
  grpc::SignalProcessRequest request;
  request.set_container_id(id);
  request.set_exec_id(exec_id);
  request.set_signal(static_cast<uint32_t>(signal));
  return Do("SignalProcess", request);
}

absl::Status AgentProcess::RunExec(const v1::RunExecRequest& request, v1::RunExecResponse* ran) {
  return client_->Call("podvisor.agent.v1.Extension", "RunExec", request, ran);
}

v1::ProcessState AgentProcess::WaitExit(const std::string& id, const std::string& exec_id) {
  v1::WaitExitRequest request;
  request.set_container_id(id);
  request.set_exec_id(exec_id);
  request.set_wait_ms(100'000);
  v1::ProcessState state;
  const absl::Status status = client_->Call("podvisor.agent.v1.Extension", "WaitExit", request, &state);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(state.exited());
  return state;
}

v1::ReadOutputResponse AgentProcess::ReadOutput(const std::string& id, const std::string& exec_id, uint64_t offset,
                                                uint32_t max_bytes, uint32_t wait_ms) {
  v1::ReadOutputRequest request;
  request.set_container_id(id);
  request.set_exec_id(exec_id);
  request.set_offset(offset);
  request.set_max_bytes(max_bytes);
  request.set_wait_ms(wait_ms);
  v1::ReadOutputResponse response;
  const absl::Status status = client_->Call("podvisor.agent.v1.Extension", "ReadOutput", request, &response);
  EXPECT_TRUE(status.ok()) << status;
  if (!status.ok()) response.set_eof(true);
  return response;
}

std::string AgentProcess::Output(const std::string& id, const std::string& exec_id, v1::Stream stream) {
  std::string output;
  v1::ReadOutputResponse response;
  while (!response.eof()) {
    v1::ReadOutputRequest request;
    request.set_container_id(id);
    request.set_exec_id(exec_id);
    request.set_stream(stream);
    request.set_offset(output.size());
    request.set_max_bytes(64 << 10);
    request.set_wait_ms(60'000);
    const absl::Status status = client_->Call("podvisor.agent.v1.Extension", "ReadOutput", request, &response);
    EXPECT_TRUE(status.ok()) << status;
    if (!status.ok()) break;
    output += response.data();
  }
  return output;
}

}  // namespace podvisor::guest
