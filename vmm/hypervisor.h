// Virtual machines, whatever runs them. Callers ask what a driver can do, never which one it is.
#ifndef PODVISOR_VMM_HYPERVISOR_H_
#define PODVISOR_VMM_HYPERVISOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/guest_channel.h"

namespace podvisor {

// What a driver can do on this machine. Fixed once the driver has been made.
struct Capabilities {
  bool pause = false;            // Pause() and Resume()
  bool disk_swap = false;        // AttachDisk() fills one of VmSpec::disk_slots without hotplug
  bool disk_hotplug = false;     // AttachDisk() works when every slot is taken, too
  bool vcpu_hotplug = false;     // Resize() can raise the number of vCPUs up to VmSpec::max_vcpus
  bool memory_resize = false;    // Resize() can change the memory up to VmSpec::max_memory_bytes
  bool shared_folder = false;    // VmSpec::shared_folder reaches the guest
  bool clone = false;            // BootMode::kToBeTemplate and kClone
  bool clone_of_copy = false;    // BootMode::kCloneOfCopy
  std::string shared_folder_fs;  // what the guest mounts it with: "9p" or "virtiofs"; empty if there is none
  int max_vcpus = 1;
};

// The guest's only network card, on a tap that the caller made and joins to the pod's network when it likes.
struct NicSpec {
  int tap_fd = -1;      // borrowed until Create() returns
  std::string mac;      // "52:54:00:12:34:56"; the agent may set another later
  uint32_t mtu = 1500;  // bytes
};

// How a VM comes to run. In virtcontainers' terms: BootToBeTemplate and BootFromTemplate.
enum class BootMode {
  kCold,          // its kernel boots
  kToBeTemplate,  // its kernel boots, with the guest's memory in TemplateFiles::memory_path; Vm::SaveTemplate() ends it
  kClone,         // goes on where the template was saved, and shares each page with it until it writes there
  kCloneOfCopy,   // the same on a copy of the memory: no page is shared with another VM (CVE-2015-2877)
};

// A template on disk: virtcontainers' MemoryPath and DevicesStatePath. On tmpfs, in a folder of its own; whoever makes
// VMs of it keeps the files until the last one has been created (a clone maps them: it does not need their names).
struct TemplateFiles {
  std::string memory_path;   // as large as VmSpec::memory_bytes; never written by a clone
  std::string devices_path;  // complete exactly if Vm::SaveTemplate() succeeded
};

// Everything a VM is made of. Paths are the host's and absolute.
struct VmSpec {
  std::string id;           // the sandbox's id: [a-z0-9]+, at most 64 characters
  std::string runtime_dir;  // the VM's own folder, exists, mode 0700: sockets and small files go here and the caller
                            // removes it after Stop()
  std::string kernel_path;  // vmlinux with a PVH note, or bzImage
  std::string initrd_path;
  std::vector<std::string> kernel_params;  // added after the driver's own
  int vcpus = 1;
  int max_vcpus = 1;
  uint64_t memory_bytes = 256 << 20;
  uint64_t max_memory_bytes = 256 << 20;
  int disk_slots = 4;          // fixed block devices on an empty backend
  std::optional<NicSpec> nic;  // none: a pod without network
  std::string shared_folder;   // exported to the guest as tag "podvisor"; empty: none. Mounts made below it later
                               // are seen by the guest
  std::vector<std::string> cgroup_procs;  // cgroup.procs files that every process of the VM is written to before exec
  std::string netns_path;                 // the VMM is started in this network namespace; empty: the daemon's
  BootMode boot = BootMode::kCold;
  TemplateFiles template_files;  // empty with kCold
};

struct DiskSpec {
  std::string path;  // raw image or block device
  bool read_only = true;
};

// A disk as the guest finds it.
struct GuestDisk {
  std::string id;         // for DetachDisk(); unique in the VM
  std::string pci_path;   // hexadecimal "SLOT[/SLOT...]" as the Kata agent's blk driver wants it; empty for SCSI
  std::string scsi_addr;  // "TARGET:LUN" as the Kata agent's scsi driver wants it; empty for virtio-blk
};

struct VmUsage {
  absl::Duration cpu_time;          // of the VMM's processes, user and system
  uint64_t resident_bytes = 0;      // RSS of the VMM's processes, guest memory included
  uint64_t proportional_bytes = 0;  // PSS of the same
  // Of the guest's memory, resident: what this VM alone has, and pages of the template that a clone has read and not
  // written, which all clones have in common.
  uint64_t guest_private_bytes = 0;
  uint64_t guest_shared_bytes = 0;
};

// One virtual machine. Thread-safe. Its destructor leaves the guest running: a VM outlives the daemon; see Stop().
// Nothing here waits for the guest's agent. Calls that talk to the VMM block at most `kVmmTimeout` and answer
// kUnavailable when it does not reply: never call them holding a lock.
class Vm {
 public:
  static constexpr absl::Duration kVmmTimeout = absl::Seconds(10);

  virtual ~Vm() = default;

  // Bytes by which the driver's Adopt() finds this VM after a restart of the daemon. Fixed from Create() on.
  virtual std::string Record() const = 0;

  // Lets the vCPUs run. kUnavailable with the tail of the console if the VMM ended.
  virtual absl::Status Start() = 0;
  virtual absl::Status Pause() = 0;
  virtual absl::Status Resume() = 0;

  // Of a VM with BootMode::kToBeTemplate: stops the vCPUs, writes the state of the devices and ends the VM, whose agent
  // nobody is connected to any more. kUnimplemented without Capabilities::clone, kFailedPrecondition for another mode.
  // After an error the VM has ended too, and the files are of no use.
  virtual absl::Status SaveTemplate() { return absl::UnimplementedError("this driver makes no templates"); }

  // Ends the VM: asks the VMM to quit, kills it after `grace`. Idempotent; success means that no process of the VM is
  // left. Blocks up to `grace` + 5 s. Errors: kDeadlineExceeded if a process outlives SIGKILL.
  virtual absl::Status Stop(absl::Duration grace) = 0;

  // kResourceExhausted if no slot is free and the driver has no hotplug. Idempotent by path and mode.
  virtual absl::StatusOr<GuestDisk> AttachDisk(const DiskSpec& disk) = 0;
  // The guest must have let go of it. Success if there is none of that id.
  virtual absl::Status DetachDisk(const std::string& disk_id) = 0;

  // Asks for new sizes; the guest gets them online with the agent's OnlineCPUMem. kUnimplemented without the
  // capability, kOutOfRange above the maximum that the VM was made with.
  virtual absl::Status Resize(int vcpus, uint64_t memory_bytes) = 0;

  virtual GuestChannel agent_channel() const = 0;

  // The last bytes that the guest wrote to its console and the VMM to its stderr, for error messages.
  virtual std::string ConsoleTail(size_t max_bytes) = 0;

  virtual absl::StatusOr<VmUsage> Usage() = 0;
  // Of the VMM's processes; empty for a driver without any.
  virtual std::vector<pid_t> Pids() = 0;
  // What the driver can say about itself, by metric name without prefix ("balloon_actual_bytes").
  virtual std::map<std::string, double> Metrics() = 0;

  // Calls `on_exit` once, from any thread, when the VM ends, however it ends, Stop() included; at once if it has ended.
  // The argument says how: "qemu ended: signal 9 (Killed)". One watcher at a time; an empty function removes it, and
  // after that returns no call is under way.
  virtual void WatchExit(std::function<void(std::string reason)> on_exit) = 0;
};

// A driver. Thread-safe.
class Hypervisor {
 public:
  virtual ~Hypervisor() = default;

  virtual const Capabilities& capabilities() const = 0;
  // "QEMU 7.2.22 (tcg)": for people.
  virtual std::string Describe() const = 0;

  // Starts the VMM, with the guest's vCPUs stopped. On an error nothing is left, and the message holds what the VMM
  // said. The caller has written down VmSpec::id and runtime_dir first: `CleanUp` finds by them what a killed daemon
  // left.
  virtual absl::StatusOr<std::unique_ptr<Vm>> Create(const VmSpec& spec) = 0;

  // What a template made of `spec` would be good for: a hexadecimal SHA-256 of the driver and its version, the machine,
  // kernel, initrd, sizes and devices; not of what clones may differ in (id, folders, tap, MAC, cgroups). Two specs of
  // one key can share a template. Reads no large file: kernel and initrd count by path, size, inode and time of change.
  virtual absl::StatusOr<std::string> TemplateKey(const VmSpec& /*spec*/) const {
    return absl::UnimplementedError("this driver makes no templates");
  }

  // A VM that an earlier daemon made, by Vm::Record(). kNotFound if it has ended.
  virtual absl::StatusOr<std::unique_ptr<Vm>> Adopt(const std::string& record) = 0;

  // Ends whatever Create() may have started for a VM that has no record: the daemon died in between. Idempotent.
  virtual absl::Status CleanUp(const std::string& id, const std::string& runtime_dir) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_HYPERVISOR_H_
