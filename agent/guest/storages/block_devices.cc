#include "agent/guest/storages/block_devices.h"

#include <sys/stat.h>

#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/guest/text_file.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

// The disk of a device: its block/ folder, or that of the virtio device below it.
std::string DiskBelow(const std::string& device) {
  for (const std::string& name : ListFolder(device + "/block")) return name;
  for (const std::string& child : ListFolder(device)) {
    if (child.rfind("virtio", 0) != 0) continue;
    for (const std::string& name : ListFolder(absl::StrCat(device, "/", child, "/block"))) return name;
  }
  return "";
}

absl::StatusOr<std::string> NodeOf(const std::string& name, const std::string& source) {
  const std::string node = "/dev/" + name;
  struct stat info;
  if (name.empty() || ::stat(node.c_str(), &info) != 0) {
    return absl::NotFoundError(absl::StrCat("disk ", source, " is not there"));
  }
  return node;
}

// "5" or "05" or "1f.2" to "05.0", as sysfs has it at the end of a device's name.
absl::StatusOr<std::string> SlotName(const std::string& text) {
  unsigned slot = 0, function = 0;
  int used = 0;
  if (std::sscanf(text.c_str(), "%2x%n", &slot, &used) != 1 || slot > 0x1f) used = -1;
  if (used > 0 && text[used] == '.') {
    int more = 0;
    if (std::sscanf(text.c_str() + used, ".%1x%n", &function, &more) != 1 || function > 7) used = -1;
    used += more;
  }
  if (used != static_cast<int>(text.size())) return absl::InvalidArgumentError(absl::StrCat("PCI slot \"", text, "\""));
  char name[8];
  std::snprintf(name, sizeof(name), "%02x.%x", slot, function);
  return std::string(name);
}

}  // namespace

absl::StatusOr<std::string> FindPciDisk(const std::string& source, const std::string& sys) {
  if (source.rfind("/dev/", 0) == 0) return NodeOf(source.substr(5), source);
  const std::vector<std::string> slots = SplitWords(source, "/");
  if (slots.empty()) return absl::InvalidArgumentError("a disk without a PCI path");
  std::string device = sys + "/devices/pci0000:00";
  for (size_t depth = 0; depth < slots.size(); ++depth) {
    ASSIGN_OR_RETURN(const std::string slot, SlotName(slots[depth]));
    // 0000:BB:SS.F: the bus number of a bridge's children is its own affair.
    std::string child;
    for (const std::string& name : ListFolder(device)) {
      if (name.size() == 12 && name[4] == ':' && name.compare(8, 4, slot) == 0) child = name;
    }
    if (child.empty()) return absl::NotFoundError(absl::StrCat("disk ", source, ": no PCI device in slot ", slot));
    device += "/" + child;
  }
  return NodeOf(DiskBelow(device), source);
}

absl::StatusOr<std::string> FindScsiDisk(const std::string& source, const std::string& sys) {
  unsigned target = 0, lun = 0;
  int used = 0;
  if (std::sscanf(source.c_str(), "%u:%u%n", &target, &lun, &used) != 2 || used != static_cast<int>(source.size())) {
    return absl::InvalidArgumentError(absl::StrCat("SCSI address \"", source, "\" is not TARGET:LUN"));
  }
  for (const char* phase : {"look", "scan"}) {
    for (const std::string& host : ListFolder(sys + "/class/scsi_host")) {
      const std::string number = host.substr(4);  // "host0"
      const std::string device = absl::StrCat(sys, "/class/scsi_host/", host, "/device/target", number, ":0:", target,
                                              "/", number, ":0:", target, ":", lun);
      if (const std::string disk = DiskBelow(device); !disk.empty()) return NodeOf(disk, source);
      // Just there: a scan of everything takes seconds.
      if (*phase == 's') {
        (void)WriteTextFile(absl::StrCat(sys, "/class/scsi_host/", host, "/scan"),
                            absl::StrCat("0 ", target, " ", lun));
        if (const std::string disk = DiskBelow(device); !disk.empty()) return NodeOf(disk, source);
      }
    }
  }
  return absl::NotFoundError(absl::StrCat("disk ", source, " is not on any SCSI host"));
}

absl::StatusOr<std::string> FindSerialPort(const std::string& name, const std::string& sys) {
  for (const std::string& port : ListFolder(sys + "/class/virtio-ports")) {
    if (ReadTextOrEmpty(absl::StrCat(sys, "/class/virtio-ports/", port, "/name")) != name) continue;
    return NodeOf(port, name);
  }
  return absl::NotFoundError(absl::StrCat("no virtio-serial port is called ", name));
}

}  // namespace podvisor::guest
