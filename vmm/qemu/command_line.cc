#include "vmm/qemu/command_line.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace podvisor {
namespace {

// What is larger than any image: a slot's size can't change while the guest runs.
constexpr uint64_t kEmptyDiskBytes = uint64_t{1} << 40;
constexpr int kMinMemoryMib = 64;
constexpr uint64_t kMaxMemory = uint64_t{8} << 40;

using Arguments = std::vector<std::string>;

void Add(Arguments& arguments, std::string option, std::string value) {
  arguments.push_back(std::move(option));
  arguments.push_back(std::move(value));
}

// A comma in a value of QEMU's option syntax is doubled.
std::string Escape(const std::string& value) { return absl::StrReplaceAll(value, {{",", ",,"}}); }

// Option ROMs are for booting from a device; legacy virtio only costs a port range.
std::string OnRootBus(int slot) { return absl::StrFormat(",bus=pcie.0,addr=%#x,disable-legacy=on,romfile=", slot); }

bool IsMac(const std::string& text) {
  const std::vector<std::string> bytes = absl::StrSplit(text, ':');
  return bytes.size() == 6 && std::all_of(bytes.begin(), bytes.end(), [](const std::string& byte) {
           return byte.size() == 2 && absl::ascii_isxdigit(byte[0]) && absl::ascii_isxdigit(byte[1]);
         });
}

// Without what only costs time there: five-level page tables, and "fast" string instructions, which TCG does byte by
// byte. Of AMD's families the kernel believes such instructions fast ("rep_good") in 15, which is QEMU's default.
constexpr char kEmulatedCpu[] = "max,-la57,-erms,family=6,model=6,stepping=3";

void AddMachine(Arguments& arguments, const QemuOptions& options, Accelerator accelerator, const VmSpec& spec) {
  // Without the devices of a PC that no guest of ours needs: each is time at boot and code that a guest could attack.
  const absl::string_view lean = options.machine == "q35" ? ",smbus=off,sata=off,i8042=off,hpet=off,vmport=off" : "";
  const bool own_memory = spec.boot == BootMode::kCold;
  Add(arguments, "-machine", absl::StrCat(options.machine, lean, own_memory ? "" : ",memory-backend=memory"));
  // By a descriptor: the file has no name that QEMU's user could reach. Only what is not shared is in the state that a
  // template writes (x-ignore-shared), and only a clone's memory is its own from here on.
  if (!own_memory)
    Add(arguments, "-object",
        absl::StrCat("memory-backend-file,id=memory,size=", spec.memory_bytes >> 20, "M,mem-path=/proc/self/fd/",
                     kMemoryFd, ",share=", spec.boot == BootMode::kClone ? "off" : "on"));
  const bool kvm = accelerator == Accelerator::kKvm;
  // The translation cache grows up to its size for ever: bounded, since each VM has one.
  Add(arguments, "-accel", kvm ? "kvm" : "tcg,thread=multi,tb-size=128");
  Add(arguments, "-cpu", !options.cpu_model.empty() ? options.cpu_model : kvm ? "host" : kEmulatedCpu);
  Add(arguments, "-smp",
      absl::StrCat("cpus=", spec.vcpus, ",maxcpus=", spec.max_vcpus, ",sockets=1,cores=", spec.max_vcpus,
                   ",threads=1"));
  std::string memory = absl::StrCat("size=", spec.memory_bytes >> 20, "M");
  if (const uint64_t more = PluggableMemory(spec); more > 0)
    absl::StrAppend(&memory, ",maxmem=", (spec.memory_bytes + more) >> 20, "M");
  Add(arguments, "-m", memory);
}

// What the guest starts with: a kernel, or the state of a template's devices, which are loaded on command.
void AddKernel(Arguments& arguments, const QemuOptions& options, Accelerator accelerator, const VmSpec& spec,
               const QemuPaths& paths) {
  if (IsClone(spec.boot)) return Add(arguments, "-incoming", "defer");
  Add(arguments, "-kernel", paths.kernel);
  if (!paths.initrd.empty()) Add(arguments, "-initrd", paths.initrd);
  Add(arguments, "-append", KernelCommandLine(options, accelerator, spec));
}

// Sockets that the daemon has made and listens on no more: it finds them again by path after a restart, and has no need
// to wait for them to appear.
void AddChannels(Arguments& arguments) {
  const auto listening = [](const char* id, int fd) {
    return absl::StrCat("socket,id=", id, ",fd=", fd, ",server=on,wait=off");
  };
  Add(arguments, "-chardev", listening("qmp", kQmpFd));
  Add(arguments, "-mon", "chardev=qmp,mode=control");
  Add(arguments, "-chardev", listening("console", kConsoleFd));
  Add(arguments, "-device", "isa-serial,chardev=console");
  Add(arguments, "-device", absl::StrCat("virtio-serial-pci,id=serial0,max_ports=2", OnRootBus(kPciSerial)));
  Add(arguments, "-chardev", listening("agent", kAgentFd));
  Add(arguments, "-device", "virtserialport,bus=serial0.0,nr=1,chardev=agent,id=agent0,name=podvisor.agent");
}

void AddNetwork(Arguments& arguments, const NicSpec& nic, Vhost vhost) {
  std::string netdev = absl::StrCat("tap,id=net0,fd=", kTapFd);
  absl::StrAppend(&netdev, vhost == Vhost::kOn ? absl::StrCat(",vhost=on,vhostfd=", kVhostFd) : ",vhost=off");
  Add(arguments, "-netdev", netdev);
  Add(arguments, "-device",
      absl::StrCat("virtio-net-pci,netdev=net0,id=nic0,mac=", nic.mac, ",host_mtu=", nic.mtu, OnRootBus(kPciNet)));
}

void AddSharedFolder(Arguments& arguments, const std::string& path) {
  // passthrough: owners and modes are the files' own. remap: inode numbers of the file systems that are mounted below
  // must not collide.
  Add(arguments, "-fsdev",
      absl::StrCat("local,id=share0,path=", Escape(path), ",security_model=passthrough,multidevs=remap"));
  Add(arguments, "-device", absl::StrCat("virtio-9p-pci,fsdev=share0,mount_tag=podvisor", OnRootBus(kPciShare)));
}

void AddDiskSlots(Arguments& arguments, int slots) {
  for (int slot = 0; slot < slots; ++slot) {
    Add(arguments, "-blockdev",
        absl::StrCat("driver=null-co,node-name=", EmptyNode(slot), ",size=", kEmptyDiskBytes,
                     ",read-zeroes=on,read-only=on"));
    Add(arguments, "-blockdev",
        absl::StrCat("driver=raw,node-name=", SlotNode(slot), ",file=", EmptyNode(slot), ",read-only=on"));
    Add(arguments, "-device",
        absl::StrCat("virtio-blk-pci,drive=", SlotNode(slot), ",id=", SlotDevice(slot), ",num-queues=1",
                     OnRootBus(kPciFirstDisk + slot)));
  }
}

}  // namespace

std::string SlotDevice(int slot) { return absl::StrCat("blk", slot); }
std::string SlotNode(int slot) { return absl::StrCat("slot", slot); }
std::string EmptyNode(int slot) { return absl::StrCat("empty", slot); }

bool IsClone(BootMode boot) { return boot == BootMode::kClone || boot == BootMode::kCloneOfCopy; }

uint64_t PluggableMemory(const VmSpec& spec) { return spec.max_memory_bytes - spec.memory_bytes; }

VmSpec RoundSpec(VmSpec spec) {
  // What no machine has is left as it is, to be refused, rather than wrapped around.
  const auto whole_blocks = [](uint64_t bytes) {
    return bytes > kMaxMemory ? bytes : (bytes + kMemoryBlock - 1) / kMemoryBlock * kMemoryBlock;
  };
  spec.memory_bytes = whole_blocks(spec.memory_bytes);
  spec.max_memory_bytes = std::max(whole_blocks(spec.max_memory_bytes), spec.memory_bytes);
  return spec;
}

std::string ProcessName(const std::string& id) { return absl::StrCat("podvisor-", id); }

absl::Status ValidateSpec(const VmSpec& spec) {
  const auto invalid = [&](const auto&... why) {
    return absl::InvalidArgumentError(absl::StrCat("sandbox ", spec.id, ": VM: ", why...));
  };
  const auto is_plain = [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); };
  if (spec.id.empty() || spec.id.size() > 64 || !std::all_of(spec.id.begin(), spec.id.end(), is_plain))
    return absl::InvalidArgumentError(absl::StrCat("VM id \"", spec.id, "\": it is 1 to 64 of [a-z0-9]"));
  if (spec.runtime_dir.empty() || spec.runtime_dir[0] != '/') return invalid("runtime_dir is not absolute");
  if (spec.kernel_path.empty() && !IsClone(spec.boot)) return invalid("no kernel: build one with guest/build");
  if (spec.vcpus < 1 || spec.max_vcpus < spec.vcpus || spec.max_vcpus > kMaxVcpus)
    return invalid(spec.vcpus, " vCPUs of at most ", spec.max_vcpus, ": 1 to ", kMaxVcpus, " are possible");
  if (spec.memory_bytes >> 20 < kMinMemoryMib || spec.max_memory_bytes > kMaxMemory)
    return invalid(spec.memory_bytes, " bytes of memory of at most ", spec.max_memory_bytes, ": ", kMinMemoryMib,
                   " MiB to ", kMaxMemory >> 40, " TiB are possible");
  if (spec.disk_slots < 0 || spec.disk_slots > kMaxDiskSlots)
    return invalid(spec.disk_slots, " disk slots: 0 to ", kMaxDiskSlots, " are possible");
  if (spec.nic.has_value() && (spec.nic->tap_fd < 0 || !IsMac(spec.nic->mac) || spec.nic->mtu < 68))
    return invalid("network card without tap, or with MAC \"", spec.nic->mac, "\" or MTU ", spec.nic->mtu);
  if (spec.boot != BootMode::kCold)
    for (const std::string& path : {spec.template_files.memory_path, spec.template_files.devices_path})
      if (path.empty() || path[0] != '/') return invalid("template file \"", path, "\" is not an absolute path");
  return absl::OkStatus();
}

std::string KernelCommandLine(const QemuOptions& options, Accelerator accelerator, const VmSpec& spec) {
  std::vector<std::string> words = {"console=ttyS0"};
  if (options.console == GuestConsole::kQuiet) words.push_back("quiet");
  // panic=-1: restart at once, which -no-reboot turns into the end of QEMU. no_timer_check: PVH boots of Debian's
  // kernel hang under TCG without it. psi: its kernel measures stalls only if told to. The rest saves boot time.
  for (const char* word : {"panic=-1", "no_timer_check", "tsc=reliable", "random.trust_cpu=on", "cryptomgr.notests",
                           "rcupdate.rcu_expedited=1", "pci=lastbus=0", "8250.nr_uarts=1", "cgroup_no_v1=all", "psi=1"})
    words.push_back(word);
  // TCG's translations are looked up by virtual address: with random ones each exec translates its program and
  // libraries anew, three times the cost of the rest. And what keeps a processor from speculating is nothing but more
  // work for an emulated one, whose translated code has other branches. QEMU calls TCG no security boundary;
  // kernel_params come later and win.
  if (accelerator == Accelerator::kTcg)
    for (const char* word : {"mitigations=off", "norandmaps"}) words.push_back(word);
  if (PluggableMemory(spec) > 0) words.push_back("memhp_default_state=online");
  words.insert(words.end(), spec.kernel_params.begin(), spec.kernel_params.end());
  return absl::StrJoin(words, " ");
}

std::vector<std::string> BuildCommandLine(const QemuOptions& options, Accelerator accelerator, const VmSpec& spec,
                                          const QemuPaths& paths, Vhost vhost) {
  Arguments arguments = {options.qemu_path};
  Add(arguments, "-name", absl::StrCat(ProcessName(spec.id), ",debug-threads=on"));
  for (const char* argument : {"-nodefaults", "-no-user-config", "-no-reboot", "-S", "-display", "none"})
    arguments.push_back(argument);
  if (options.seccomp == QemuSeccomp::kOn)
    Add(arguments, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
  AddMachine(arguments, options, accelerator, spec);
  AddKernel(arguments, options, accelerator, spec, paths);
  AddChannels(arguments);
  if (spec.nic.has_value()) AddNetwork(arguments, *spec.nic, vhost);
  if (!paths.shared_folder.empty()) AddSharedFolder(arguments, paths.shared_folder);
  Add(arguments, "-device",
      absl::StrCat("virtio-balloon-pci,id=balloon0,free-page-reporting=on,deflate-on-oom=on", OnRootBus(kPciBalloon)));
  Add(arguments, "-object", "rng-builtin,id=rng0");
  Add(arguments, "-device", absl::StrCat("virtio-rng-pci,rng=rng0", OnRootBus(kPciRng)));
  Add(arguments, "-device", absl::StrCat("virtio-scsi-pci,id=scsi0,num_queues=1", OnRootBus(kPciScsi)));
  Add(arguments, "-device", "vmgenid,guid=auto");
  if (const uint64_t more = PluggableMemory(spec); more > 0) {
    Add(arguments, "-object", absl::StrCat("memory-backend-ram,id=more0,size=", more >> 20, "M"));
    Add(arguments, "-device",
        absl::StrCat("virtio-mem-pci,id=memory0,memdev=more0,requested-size=0,block-size=", kMemoryBlock >> 20, "M",
                     OnRootBus(kPciMemory)));
  }
  AddDiskSlots(arguments, spec.disk_slots);
  arguments.insert(arguments.end(), options.extra_args.begin(), options.extra_args.end());
  return arguments;
}

}  // namespace podvisor
