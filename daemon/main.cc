// podvisord: pods that are virtual machines, for whoever speaks CRI.
#include <malloc.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/logging.h"
#include "daemon/machine_facts.h"
#include "daemon/version.h"

namespace podvisor {
namespace {

constexpr char kDefaultConfigFile[] = "/etc/podvisor/podvisor.yaml";
// After the drain time: handlers that still have not returned are left behind, as by a crash, which is harmless.
constexpr absl::Duration kLastPatience = absl::Seconds(10);

// What is wrong with it is said here.
absl::StatusOr<Config> Load(const std::vector<std::string>& files) {
  absl::StatusOr<Config> config = LoadConfig(files);
  if (config.ok()) {
    if (absl::Status needed = CheckNeededFiles(*config); !needed.ok()) config = std::move(needed);
  }
  if (!config.ok()) std::fprintf(stderr, "%s\n", std::string(config.status().message()).c_str());
  return config;
}

int CheckConfig(const absl::StatusOr<Config>& config) {
  if (!config.ok()) return 1;
  std::printf("the configuration is valid\n");
  for (const std::string& line : MissingOnThisMachine(*config)) std::printf("warning: %s\n", line.c_str());
  return 0;
}

// Blocks until SIGTERM or SIGINT, which are blocked in all threads.
int AwaitEnd(const sigset_t& signals) {
  int signal = 0;
  while (::sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

void StopInTime(Daemon& daemon, absl::Duration drain) {
  absl::Notification stopped;
  std::thread watchdog([&] {
    if (stopped.WaitForNotificationWithTimeout(2 * drain + kLastPatience)) return;
    spdlog::warn("calls under way do not end: leaving them; the next start recovers");
    ::_exit(0);
  });
  daemon.Stop();
  stopped.Notify();
  watchdog.join();
}

// Large buffers (an answer of ExecSync is up to 16 MiB) go back to the kernel when they are freed: left to itself the C
// library would take each next one from its heap, and keep that. The 256 KiB pieces of streams stay below: to map,
// fault in and unmap several for each of them halved what a stream moves.
constexpr int kLargestHeapBlock = 512 << 10;

int Run(const Config& config) {
  ::mallopt(M_MMAP_THRESHOLD, kLargestHeapBlock);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before there are threads, which inherit it
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(0022);
  SetUpLogging(config.log_level);
  spdlog::info("podvisord {} starts, process {}", kVersion, ::getpid());
  absl::StatusOr<std::unique_ptr<Daemon>> daemon = Daemon::Start(config);
  if (!daemon.ok()) {
    spdlog::critical("podvisord does not start: {}", std::string(daemon.status().message()));
    return 1;
  }
  sd_notify(0, "READY=1");
  const int signal = AwaitEnd(signals);
  spdlog::info("{}: stopping; VMs keep running", strsignal(signal));
  sd_notify(0, "STOPPING=1");
  StopInTime(**daemon, config.drain_timeout);
  daemon->reset();
  spdlog::info("podvisord stopped");
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app("podvisord: a CRI daemon whose pods are virtual machines");
  std::vector<std::string> files;
  bool check = false;
  bool print = false;
  app.add_option("--config", files,
                 std::string("YAML file; may be given several times: keys of later files win (default: ") +
                     kDefaultConfigFile + " if it is there)");
  app.add_flag("--check-config", check, "say what is wrong with the configuration, and exit");
  app.add_flag("--print-default-config", print, "print every key with its default and meaning, and exit");
  app.set_version_flag("--version", std::string("podvisord ") + kVersion);
  CLI11_PARSE(app, argc, argv);
  if (print) {
    std::fputs(DefaultConfigText().c_str(), stdout);
    return 0;
  }
  if (files.empty() && ::access(kDefaultConfigFile, F_OK) == 0) files.emplace_back(kDefaultConfigFile);
  const absl::StatusOr<Config> config = Load(files);
  if (check) return CheckConfig(config);
  return config.ok() ? Run(*config) : 1;
}

}  // namespace
}  // namespace podvisor

int main(int argc, char** argv) { return podvisor::Main(argc, argv); }
