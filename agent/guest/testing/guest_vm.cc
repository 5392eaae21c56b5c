#include "agent/guest/testing/guest_vm.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <vector>

#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

constexpr char kAgent[] = "agent/guest/podvisor-agent";
constexpr char kQemu[] = "/usr/bin/qemu-system-x86_64";

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

std::string GuestFolder() {
  const char* folder = ::getenv("PODVISOR_GUEST_DIR");
  return folder == nullptr ? "" : folder;
}

// The built initrd, with the agent of this build behind it: of two files of one name the later one stays.
void WriteInitrd(const std::string& path) {
  const std::string agent = Content(kAgent);
  std::string bytes(agent.size() + 4096, '\0');
  size_t used = 0;
  archive* writer = ::archive_write_new();
  ::archive_write_set_format_cpio_newc(writer);
  ::archive_write_open_memory(writer, bytes.data(), bytes.size(), &used);
  archive_entry* entry = ::archive_entry_new();
  ::archive_entry_set_pathname(entry, "init");
  ::archive_entry_set_filetype(entry, AE_IFREG);
  ::archive_entry_set_perm(entry, 0755);
  ::archive_entry_set_size(entry, static_cast<int64_t>(agent.size()));
  ::archive_write_header(writer, entry);
  ::archive_write_data(writer, agent.data(), agent.size());
  ::archive_write_close(writer);
  ::archive_entry_free(entry);
  ::archive_write_free(writer);
  std::string initrd = Content(GuestFolder() + "/initrd.img");
  initrd.append((512 - initrd.size() % 512) % 512, '\0');
  std::ofstream(path, std::ios::binary) << initrd << bytes.substr(0, used);
}

}  // namespace

std::string GuestVm::WhyNot() {
  if (::access(kQemu, X_OK) != 0) return "needs qemu-system-x86_64";
  if (GuestFolder().empty() || ::access((GuestFolder() + "/rehearsal.erofs").c_str(), R_OK) != 0) {
    return "no guest: run guest/build DIR, then bazel test --test_env=PODVISOR_GUEST_DIR=DIR";
  }
  return "";
}

GuestVm::GuestVm() {
  std::string pattern = "/tmp/guestvmXXXXXX";  // a socket's path is short
  folder_ = ::mkdtemp(pattern.data());
  WriteInitrd(folder_ + "/initrd.img");
  const int watch = ::inotify_init1(IN_CLOEXEC);
  ::inotify_add_watch(watch, folder_.c_str(), IN_CREATE);
  const std::string guest = GuestFolder();
  const std::vector<std::string> args = {
      kQemu,
      "-nodefaults",
      "-no-user-config",
      "-display",
      "none",
      "-no-reboot",  //
      "-machine",
      "q35,smbus=off,sata=off,i8042=off,hpet=off,vmport=off",
      "-accel",
      "tcg,tb-size=128",
      "-cpu",
      "max,-la57",
      "-smp",
      "1,maxcpus=2",
      "-m",
      "256M,maxmem=1G,slots=1",  //
      "-kernel",
      guest + "/vmlinux",
      "-initrd",
      folder_ + "/initrd.img",
      "-append",
      "console=ttyS0 quiet panic=-1 no_timer_check tsc=reliable random.trust_cpu=on cryptomgr.notests "
      "rcupdate.rcu_expedited=1",
      "-serial",
      "file:" + folder_ + "/console",
      "-device",
      "virtio-serial-pci,addr=0x4",
      "-chardev",
      "socket,id=agent,path=" + folder_ + "/agent.sock,server=on,wait=off",
      "-device",
      "virtserialport,chardev=agent,name=podvisor.agent",
      "-chardev",
      "socket,id=monitor,path=" + folder_ + "/monitor.sock,server=on,wait=off",
      "-mon",
      "chardev=monitor,mode=readline",
      "-netdev",
      "user,id=net0,restrict=on",
      "-device",
      "virtio-net-pci,netdev=net0,addr=0x5,romfile=",  //
      "-blockdev",
      "driver=file,node-name=file,filename=" + guest + "/rehearsal.erofs,read-only=on",
      "-blockdev",
      "driver=raw,node-name=disk,file=file,read-only=on",
      "-device",
      "virtio-blk-pci,drive=disk,addr=0x8,num-queues=1"};
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<char*> argv;
    for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    ::execv(kQemu, argv.data());
    ::perror(kQemu);
    ::_exit(127);
  }
  for (int created = 0; ::access((folder_ + "/agent.sock").c_str(), F_OK) != 0 && created < 100; ++created) {
    pollfd ready{.fd = watch, .events = POLLIN, .revents = 0};
    char events[4096];
    if (::poll(&ready, 1, 60'000) == 1) (void)!::read(watch, events, sizeof(events));
  }
  ::close(watch);
}

GuestVm::~GuestVm() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  if (testing::Test::HasFailure()) std::fprintf(stderr, "%s\n", Content(folder_ + "/console").c_str());
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::unique_ptr<TtrpcTestClient> GuestVm::Connect() const {
  return std::make_unique<TtrpcTestClient>(folder_ + "/agent.sock", TtrpcTestClient::Link::kSerial);
}

int64_t GuestVm::CpuNs() const {
  clockid_t clock;
  timespec time{};
  if (::clock_getcpuclockid(pid_, &clock) == 0) ::clock_gettime(clock, &time);
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

std::string GuestVm::Monitor(const std::string& command) const {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder_ + "/monitor.sock").copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return "";
  const std::string line = command + "\n";
  (void)!::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL);
  // Its prompt is there at the beginning and after the answer.
  std::string answer;
  char buffer[4096];
  const std::string prompt = "(qemu) ";
  while (answer.find(prompt) == answer.rfind(prompt)) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof(buffer));
    if (got <= 0) break;
    answer.append(buffer, static_cast<size_t>(got));
  }
  return answer;
}

}  // namespace podvisor::guest
