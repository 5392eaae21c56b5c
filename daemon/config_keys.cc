#include "daemon/config_keys.h"

namespace podvisor {
namespace {

constexpr int kMaxVcpus = 240;
constexpr int kMaxDiskSlots = 24;  // of the 32 slots of a PCI bus
constexpr int kMaxThreads = 8192;
constexpr int kMaxPool = 1024;
constexpr int kMaxConnections = 1 << 20;

void VisitImages(ConfigVisitor& v, Config& config) {
  v.Path("registry_certs_dir", config.images.registry_certs_dir,
         "Registries' mirrors and certificates: HOST/hosts.toml below it, as containerd has them. Empty: none.");
  v.Path("docker_config", config.images.docker_config, "Registry credentials in docker's config.json. Empty: none.");
  v.Number("parallel_layers", config.images.parallel_layers, 1, 64, "Layers of an image that are fetched at once.");
  v.Time("stall_timeout", config.images.stall_timeout, "A transfer without a byte for so long is given up.");
  v.TextList("pinned", config.images.pinned, "Images that the kubelet's garbage collection has to leave.");
}

void VisitNetwork(ConfigVisitor& v, Config& config) {
  v.Path("cni_conf_dir", config.network.cni_conf_dir,
         "CNI configurations: the first *.conflist, *.conf or *.json by name is the pods' network.");
  v.PathList("cni_bin_dirs", config.network.cni_bin_dirs, "CNI plugins; searched in this order.");
  v.Path("cni_cache_dir", config.network.cni_cache_dir, "Results of CNI plugins. Empty: STATE_DIR/cni.");
  v.Time("cni_timeout", config.network.cni_timeout, "How long one plugin may take.");
  v.Path("netns_dir", config.network.netns_dir, "Where network namespaces are mounted, as podvisor-ID.");
  v.OneOf("interworking", config.network.interworking, {"tcfilter", "macvtap", "none"},
          "How a pod's interface and the VM's tap are joined: tcfilter redirects packets in both directions, macvtap "
          "puts the tap on the interface, with none the guest has no interface.");
}

void VisitPool(ConfigVisitor& v, Config& config) {
  v.Number("size", config.pool.size, 0, kMaxPool, "VMs ready, for each kind of guest. 0: between min and max.");
  v.Number("min", config.pool.min, 0, kMaxPool, "VMs ready when no pods are asked for.");
  v.Number("max", config.pool.max, 0, kMaxPool,
           "Most VMs ready: as many as there were pods asked for within ten seconds of the last five minutes.");
  v.Size("memory", config.pool.memory_bytes, "What all VMs that wait may take together.");
}

void VisitStreaming(ConfigVisitor& v, Config& config) {
  v.Text("address", config.streaming.address,
         "ADDRESS:PORT to serve them on; port 0: any free one. Empty: they are refused. The kubelet has to reach it; "
         "nobody else has to.");
  v.Time("idle_timeout", config.streaming.idle_timeout, "A session without a byte for so long is ended.");
  v.Number("max_connections", config.streaming.max_connections, 1, kMaxConnections,
           "Clients at once. More are turned away.");
  v.Path("tls_certificate", config.streaming.tls_certificate, "PEM file. Empty: no TLS.");
  v.Path("tls_key", config.streaming.tls_key, "PEM file, with tls_certificate.");
  v.Path("tls_client_ca", config.streaming.tls_client_ca,
         "PEM file: only clients with a certificate that it has signed. Empty: any client that knows the URL.");
}

void VisitNri(ConfigVisitor& v, Config& config) {
  v.Flag("enabled", config.nri.enabled, "Whether plugins may connect.");
  v.Path("socket", config.nri.socket, "The plugins' socket, for root only. Empty: RUN_DIR/nri.sock.");
  v.Time("registration_timeout", config.nri.registration_timeout,
         "From a plugin's connection to its registration. Who is late is closed.");
  v.Time("request_timeout", config.nri.request_timeout,
         "One call of a plugin. Who is late is closed, and pods go on without it.");
}

void VisitAgent(ConfigVisitor& v, AgentSection& agent) {
  v.Time("ready_timeout", agent.ready_timeout, "From the start of a VM until the agent in it answers.");
  v.Time("call_timeout", agent.call_timeout, "One call of the agent that does not wait for a program.");
  v.Time("kill_timeout", agent.kill_timeout, "From SIGKILL until a container's end is known.");
}

// Keys of virtcontainers' HypervisorConfig. A key that was ignored would be worse than one that is refused.
void VisitUnsupported(ConfigVisitor& v) {
  constexpr char kNotYet[] = "is not supported yet";
  for (const char* key : {"image",
                          "firmware",
                          "machine_accelerators",
                          "cpu_features",
                          "entropy_source",
                          "virtio_fs_daemon",
                          "virtio_fs_cache",
                          "virtio_fs_cache_size",
                          "virtio_fs_extra_args",
                          "file_mem_backend",
                          "pflashes",
                          "enable_mem_prealloc",
                          "enable_hugepages",
                          "enable_virtio_mem",
                          "enable_iommu",
                          "enable_iommu_platform",
                          "enable_realtime",
                          "enable_mlock",
                          "enable_iothreads",
                          "enable_vhost_user_store",
                          "vhost_user_store_path",
                          "guest_hook_path",
                          "rx_rate_limiter_max_rate",
                          "tx_rate_limiter_max_rate",
                          "sgx_epc_size",
                          "enable_annotations",
                          "guest_memory_dump_path",
                          "guest_memory_dump_paging",
                          "selinux_process_label",
                          "block_device_cache_set",
                          "block_device_cache_direct",
                          "block_device_cache_noflush",
                          "jailer_path",
                          "ctlpath",
                          "valid_hypervisor_paths",
                          "valid_ctlpaths",
                          "valid_jailer_paths",
                          "valid_virtio_fs_daemon_paths",
                          "valid_file_mem_backends",
                          "valid_vhost_user_store_paths"}) {
    v.Unsupported(key, kNotYet);
  }
  v.Unsupported("enable_template", "is `factory: template` here");
  v.Unsupported("memory_path", "has no meaning: templates are below templates.dir");
  v.Unsupported("devices_state_path", "has no meaning: templates are below templates.dir");
  v.Unsupported("default_bridges", "has no meaning: devices are fixed, nothing is plugged into a bridge");
  v.Unsupported("pcie_root_port", "has no meaning: devices are fixed, nothing is plugged into a root port");
  v.Unsupported("hotplug_vfio_on_root_bus", "has no meaning: devices are fixed");
  v.Unsupported("memory_slots", "has no meaning: memory grows within default_max_memory");
  v.Unsupported("memory_offset", "has no meaning: there is no nvdimm device");
  v.Unsupported("disable_image_nvdimm", "has no meaning: there is no nvdimm device");
  v.Unsupported("msize_9p", "has no meaning: it is chosen by the guest's agent");
  v.Unsupported("block_device_driver", "has no meaning: disks are virtio-blk");
  v.Unsupported("disable_block_device_use", "has no meaning: images are always block devices");
  v.Unsupported("disable_vhost_net", "has no meaning: vhost_net is used where the machine has it");
  v.Unsupported("disable_nesting_checks", "has no meaning: there are none");
}

}  // namespace

void VisitHypervisor(ConfigVisitor& v, HypervisorSection& hypervisor) {
  v.OneOf("type", hypervisor.type, {"qemu", "mock"}, "What runs the VMs. mock only pretends to, for tests.");
  v.Path("path", hypervisor.path, "The hypervisor's program.");
  v.OneOf("machine_type", hypervisor.machine_type, {"q35"}, "QEMU's machine.");
  v.OneOf("accelerator", hypervisor.accelerator, {"auto", "kvm", "tcg"},
          "auto: KVM where /dev/kvm opens and the processor has virtualisation, else emulation (tcg).");
  v.Text("cpu_model", hypervisor.cpu_model, "QEMU's -cpu. Empty: host with KVM, max with emulation.");
  v.Number("default_vcpus", hypervisor.default_vcpus, 1, kMaxVcpus, "Virtual CPUs of a VM at its start.");
  v.Number("default_max_vcpus", hypervisor.default_max_vcpus, 0, kMaxVcpus,
           "Most virtual CPUs of a VM. 0: as many as the machine and the hypervisor allow.");
  v.Size("default_memory", hypervisor.default_memory_bytes, "Memory of a VM at its start.");
  v.Size("default_max_memory", hypervisor.default_max_memory_bytes, "Most memory of a VM. 0: default_memory.");
  v.Size("guest_overhead", hypervisor.guest_overhead_bytes,
         "What kernel and agent need in the guest beside the containers: added to a pod's memory limit.");
  v.Path("kernel", hypervisor.kernel, "The guest's kernel.");
  v.Path("initrd", hypervisor.initrd, "The guest's initrd, with the agent in it.");
  v.TextList("kernel_params", hypervisor.kernel_params, "More parameters of the guest's kernel, after podvisor's own.");
  v.TextList("hypervisor_params", hypervisor.hypervisor_params,
             "More arguments of the hypervisor, after podvisor's own.");
  v.Text("user", hypervisor.user,
         "Whom the hypervisor runs as: auto (a user of its own for each VM), a name, UID:GID, or root.");
  v.OneOf("confinement", hypervisor.confinement, {"full", "none"},
          "full: the hypervisor sees a minimal file system of its own and has no capabilities.");
  v.OneOf("seccomp_sandbox", hypervisor.seccomp_sandbox, {"on", "off"}, "QEMU's -sandbox.");
  v.OneOf("shared_fs", hypervisor.shared_fs, {"virtio-9p", "none"},
          "How host folders reach the guest. With none pods can't mount any.");
  v.Number("disk_slots", hypervisor.disk_slots, 1, kMaxDiskSlots,
           "Disks of a VM: one for each container or image volume.");
  v.Number("oom_score_adj", hypervisor.oom_score_adj, -1000, 1000, "Of the hypervisor's process.");
  v.OneOf("factory", hypervisor.factory, {"cold", "template", "pool"},
          "Where VMs come from: cold boots the guest, template clones a guest that has booted, pool has clones ready. "
          "Where one can't be had, a pod takes the one before; its status says so.");
  v.OneOf("template_pages", hypervisor.template_pages, {"shared", "copied"},
          "Memory of clones: shared with the template until written to, or copied, for those who fear side channels "
          "through shared pages (CVE-2015-2877).");
  v.Path("rehearsal_image", hypervisor.rehearsal_image,
         "The EROFS image that VMs run before pods get them, so that first times are behind them. Empty: none.");
  v.Flag("debug", hypervisor.debug, "All messages of the guest's kernel on its console.");
  VisitUnsupported(v);
}

void VisitConfig(ConfigVisitor& v, Config& config) {
  v.Path("socket", config.socket, "The CRI socket, for root only.");
  v.Path("state_dir", config.state_dir, "What lasts: the state database and images. One daemon at a time.");
  v.Path("run_dir", config.run_dir, "What goes with the machine's reboot: sockets and small files of VMs.");
  v.Path("pid_file", config.pid_file, "Gets the daemon's process id. Empty: none.");
  v.OneOf("log_level", config.log_level, {"trace", "debug", "info", "warning", "error", "critical", "off"},
          "What goes to the log (stderr).");
  v.Number("max_rpc_threads", config.max_rpc_threads, 8, kMaxThreads, "CRI calls that may run at once.");
  v.Time("drain_timeout", config.drain_timeout, "How long calls under way may go on after SIGTERM. VMs keep running.");
  v.Section("metrics", "Prometheus metrics, at /metrics.", [&](ConfigVisitor& keys) {
    keys.Text("address", config.metrics.address,
              "HOST:PORT to serve them on; port 0: any free one. Empty: not served. Keep it on a loopback address: "
              "whoever reaches it can read it.");
    keys.Path("address_file", config.metrics.address_file,
              "Gets the HOST:PORT that was chosen. Empty: RUN_DIR/metrics.addr.");
  });
  v.Section("streaming", "Sessions of exec, attach and port-forward.",
            [&](ConfigVisitor& keys) { VisitStreaming(keys, config); });
  v.Section("cgroup", "Where the processes of pods are accounted.", [&](ConfigVisitor& keys) {
    keys.OneOf("driver", config.cgroup.driver, {"cgroupfs", "systemd"},
               "Who names pods' cgroups: told to the kubelet.");
    keys.Path("root", config.cgroup.root,
              "Where the cgroup file systems are mounted. Empty: VMs stay in the daemon's.");
    keys.Path("parent", config.cgroup.parent, "Parent of pods that name none.");
  });
  v.Section("images", "Images and their registries.", [&](ConfigVisitor& keys) { VisitImages(keys, config); });
  v.Section("network", "Pods' network.", [&](ConfigVisitor& keys) { VisitNetwork(keys, config); });
  v.Section("cni", "Network plugins.", [&](ConfigVisitor& keys) {
    keys.Flag("builtin", config.cni.builtin,
              "The daemon does the plugins bridge (with host-local), portmap and loopback itself, several times faster "
              "than their programs; other plugins are run as ever. Pods that are there keep what they have.");
  });
  v.Section("templates", "Guests that have booted and been saved, for clones.", [&](ConfigVisitor& keys) {
    keys.Path("dir", config.templates.dir,
              "Where they are kept: a folder on tmpfs, with room for default_memory of every kind of guest. Empty: "
              "RUN_DIR/templates, or a folder in /dev/shm if RUN_DIR is not on tmpfs.");
  });
  v.Section("pool", "VMs that are started ahead and wait, paused, for pods.",
            [&](ConfigVisitor& keys) { VisitPool(keys, config); });
  v.Section("nri", "Plugins that have a say in pods and containers (Node Resource Interface).",
            [&](ConfigVisitor& keys) { VisitNri(keys, config); });
  v.Section("agent", "Patience with the agent in the guest.",
            [&](ConfigVisitor& keys) { VisitAgent(keys, config.agent); });
  v.Section("hypervisor", "How VMs are made.", [&](ConfigVisitor& keys) { VisitHypervisor(keys, config.hypervisor); });
}

}  // namespace podvisor
