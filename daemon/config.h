// What podvisord's configuration says. Defaults are here; keys, their meaning and their checks in config_keys.cc.
#ifndef PODVISOR_DAEMON_CONFIG_H_
#define PODVISOR_DAEMON_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace podvisor {

// Section `hypervisor`, and what a runtime handler makes of it.
struct HypervisorSection {
  std::string type = "qemu";
  std::string path = "/usr/bin/qemu-system-x86_64";
  std::string machine_type = "q35";
  std::string accelerator = "auto";
  std::string cpu_model;
  int default_vcpus = 1;
  int default_max_vcpus = 0;
  uint64_t default_memory_bytes = 256 << 20;
  uint64_t default_max_memory_bytes = 0;
  uint64_t guest_overhead_bytes = 96 << 20;
  std::string kernel = "/usr/lib/podvisor/vmlinux";
  std::string initrd = "/usr/lib/podvisor/initrd.img";
  std::vector<std::string> kernel_params;
  std::vector<std::string> hypervisor_params;
  std::string user = "auto";
  std::string confinement = "full";
  std::string seccomp_sandbox = "on";
  std::string shared_fs = "virtio-9p";
  int disk_slots = 4;
  int oom_score_adj = 0;
  bool debug = false;
  std::string factory = "pool";
  std::string template_pages = "shared";
  std::string rehearsal_image = "/usr/lib/podvisor/rehearsal.erofs";
};

// Section `agent`.
struct AgentSection {
  absl::Duration ready_timeout = absl::Seconds(60);
  absl::Duration call_timeout = absl::Seconds(30);
  absl::Duration kill_timeout = absl::Seconds(10);
};

struct Config {
  std::string socket = "/run/podvisor/podvisor.sock";
  std::string state_dir = "/var/lib/podvisor";
  std::string run_dir = "/run/podvisor";
  std::string pid_file;
  std::string log_level = "info";
  int max_rpc_threads = 512;
  absl::Duration drain_timeout = absl::Seconds(20);
  struct {
    std::string address = "127.0.0.1:9745";
    std::string address_file;
  } metrics;
  struct {
    std::string address = "127.0.0.1:0";
    absl::Duration idle_timeout = absl::Hours(4);
    int max_connections = 4096;
    std::string tls_certificate, tls_key, tls_client_ca;
  } streaming;
  struct {
    std::string driver = "cgroupfs";
    std::string root = "/sys/fs/cgroup";
    std::string parent = "/podvisor";
  } cgroup;
  struct {
    std::string registry_certs_dir = "/etc/containerd/certs.d";
    std::string docker_config;
    int parallel_layers = 3;
    absl::Duration stall_timeout = absl::Seconds(60);
    std::vector<std::string> pinned;
  } images;
  struct {
    std::string cni_conf_dir = "/etc/cni/net.d";
    std::vector<std::string> cni_bin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
    std::string cni_cache_dir;
    absl::Duration cni_timeout = absl::Seconds(60);
    std::string netns_dir = "/run/netns";
    std::string interworking = "tcfilter";
  } network;
  struct {
    bool builtin = false;
  } cni;
  struct {
    int size = 0;
    int min = 1;
    int max = 8;
    uint64_t memory_bytes = 1 << 30;
  } pool;
  struct {
    std::string dir;
  } templates;
  struct {
    bool enabled = true;
    std::string socket;
    absl::Duration registration_timeout = absl::Seconds(5);
    absl::Duration request_timeout = absl::Seconds(10);
  } nri;
  AgentSection agent;
  HypervisorSection hypervisor;
  // Runtime handlers by name, besides the default "": each the section `hypervisor` with the handler's own keys over
  // it.
  std::map<std::string, HypervisorSection> runtimes;
};

// Reads the files in order: a key of a later one wins; maps merge, lists replace. No file: all defaults.
//
// kInvalidArgument lists every mistake, one a line: "FILE:LINE: hypervisor.default_vcpus: must be a number from 1 to
// 240, not \"many\"". kNotFound for a file that is not there. What depends on the machine (does the kernel exist) is
// not looked at.
absl::StatusOr<Config> LoadConfig(const std::vector<std::string>& files);

// The default configuration as YAML, with what each key means: for --print-default-config.
std::string DefaultConfigText();

// The configuration in force as JSON: for CRI's verbose status.
std::string ConfigJson(const Config& config);

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_CONFIG_H_
