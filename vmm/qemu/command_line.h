// The one place that knows how QEMU is told what a VM is made of.
#ifndef PODVISOR_VMM_QEMU_COMMAND_LINE_H_
#define PODVISOR_VMM_QEMU_COMMAND_LINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "vmm/hypervisor.h"
#include "vmm/qemu/accelerator.h"
#include "vmm/qemu/options.h"

namespace podvisor {

// Descriptors that QEMU is started with.
inline constexpr int kQmpFd = 3;       // listening
inline constexpr int kAgentFd = 4;     // listening
inline constexpr int kConsoleFd = 5;   // listening
inline constexpr int kTapFd = 6;       // only with a network card
inline constexpr int kVhostFd = 7;     // only where /dev/vhost-net is used
inline constexpr int kDevicesFd = 8;   // a clone's: the state that it goes on from
inline constexpr int kMemoryFd = 9;    // the guest's memory, but for BootMode::kCold
inline constexpr int kPreloadFd = 10;  // see private_memory.h

inline constexpr int kMaxDiskSlots = 20;
inline constexpr int kMaxVcpus = 240;
// virtio-mem plugs memory in blocks of this size.
inline constexpr uint64_t kMemoryBlock = 2 << 20;

// Every device has a fixed place on the root bus, with holes: a clone of a VM has to have the same devices, and a
// container's disk is named by its place.
enum PciSlot : int {
  kPciSerial = 0x01,
  kPciNet = 0x02,
  kPciShare = 0x03,
  kPciBalloon = 0x04,
  kPciRng = 0x05,
  kPciScsi = 0x06,
  kPciMemory = 0x07,
  kPciFirstDisk = 0x08,  // one each, kMaxDiskSlots at most; 0x1f is the chipset's
};

// Where the files are that QEMU opens, as QEMU sees them: see LaunchQemu().
struct QemuPaths {
  std::string kernel;
  std::string initrd;
  std::string shared_folder;
};

enum class Vhost { kOff, kOn };

// Names of block nodes and devices of slot `i`: device "blkI" on "slotI" (raw), which sits on "emptyI" or on a file.
std::string SlotDevice(int slot);
std::string SlotNode(int slot);
std::string EmptyNode(int slot);

bool IsClone(BootMode boot);

// Bytes beyond VmSpec::memory_bytes that virtio-mem can plug; 0: no such device.
uint64_t PluggableMemory(const VmSpec& spec);

// `spec` with its memory in whole blocks, rounded up, and a maximum that is not less.
VmSpec RoundSpec(VmSpec spec);

// kInvalidArgument names the member of the rounded VmSpec that no VM can be made of.
absl::Status ValidateSpec(const VmSpec& spec);

// The value of -name, by which a QEMU without a record is found.
std::string ProcessName(const std::string& id);

std::string KernelCommandLine(const QemuOptions& options, Accelerator accelerator, const VmSpec& spec);

// Pure. The program's path is the first argument. `spec` is rounded.
std::vector<std::string> BuildCommandLine(const QemuOptions& options, Accelerator accelerator, const VmSpec& spec,
                                          const QemuPaths& paths, Vhost vhost);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_COMMAND_LINE_H_
