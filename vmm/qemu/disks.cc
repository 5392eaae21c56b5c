#include "vmm/qemu/disks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "vmm/qemu/command_line.h"
#include "vmm/qemu/qmp_fields.h"

namespace podvisor {
namespace {

using nlohmann::json;

std::string FileNode(int place) { return absl::StrCat("file", place); }
std::string ScsiNode(int place) { return absl::StrCat("image", place); }
std::string ScsiDevice(int place) { return absl::StrCat("scsi", place); }

// A disk as the label of its fdset: "ro:/path".
std::string Label(const DiskSpec& disk) { return absl::StrCat(disk.read_only ? "ro:" : "rw:", disk.path); }

absl::StatusOr<DiskSpec> ParseLabel(absl::string_view label) {
  if (absl::ConsumePrefix(&label, "ro:")) return DiskSpec{std::string(label), true};
  if (absl::ConsumePrefix(&label, "rw:")) return DiskSpec{std::string(label), false};
  return absl::InternalError(absl::StrCat("fdset with the label \"", label, "\" is not ours"));
}

absl::Status ReopenSlot(const DiskTable::Execute& execute, int slot, const std::string& file_node) {
  const json options = {{"driver", "raw"}, {"node-name", SlotNode(slot)}, {"file", file_node}, {"read-only", true}};
  return execute("blockdev-reopen", {{"options", json::array({options})}}, -1).status();
}

}  // namespace

GuestDisk DiskTable::Describe(int place) const {
  if (place < kFirstTarget) return {absl::StrCat("slot", place), absl::StrFormat("%02x", kPciFirstDisk + place), ""};
  return {absl::StrCat("scsi", place - kFirstTarget), "", absl::StrCat(place - kFirstTarget, ":0")};
}

absl::Status DiskTable::Load() {
  absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(const json nodes, execute_("query-named-block-nodes", {{"flat", true}}, -1));
  std::set<std::string> names;
  std::set<std::string> files_in_slots;
  for (const json& node : QmpList(nodes)) names.insert(QmpText(node, "node-name"));
  ASSIGN_OR_RETURN(const json devices, execute_("query-block", nullptr, -1));
  for (const json& device : QmpList(devices)) files_in_slots.insert(QmpText(QmpMember(device, "inserted"), "file"));
  ASSIGN_OR_RETURN(const json sets, execute_("query-fdsets", nullptr, -1));
  used_.clear();
  std::vector<int> remains;
  for (const json& set : QmpList(sets)) {
    const int64_t number = QmpNumber(set, "fdset-id", -1);
    const json& fds = QmpList(QmpMember(set, "fds"));
    if (fds.empty()) continue;
    if (number < 0 || number >= kFirstTarget + kTargets || (number >= slots_ && number < kFirstTarget))
      return absl::InternalError(absl::StrCat("fdset ", number, " is not ours"));
    const int place = static_cast<int>(number);
    ASSIGN_OR_RETURN(DiskSpec disk, ParseLabel(QmpText(fds[0], "opaque")));
    if (files_in_slots.count(absl::StrCat("/dev/fdset/", place)) > 0)
      used_.emplace(place, std::move(disk));
    else
      remains.push_back(place);
  }
  for (const int place : remains) {
    RETURN_IF_ERROR(Unplug(place));
    RETURN_IF_ERROR(DropImage(place));
  }
  return absl::OkStatus();
}

absl::StatusOr<GuestDisk> DiskTable::Attach(const DiskSpec& disk) {
  absl::MutexLock lock(&mu_);
  for (const auto& [place, used] : used_)
    if (used.path == disk.path && used.read_only == disk.read_only) return Describe(place);
  ASSIGN_OR_RETURN(const int place, FreePlace(disk));
  const absl::Status filled = Fill(place, disk);
  if (!filled.ok()) {
    // If this fails as well, QEMU does not answer any more, and the place stays taken.
    absl::Status undone = Unplug(place);
    if (undone.ok()) undone = DropImage(place);
    if (!undone.ok()) used_.emplace(place, DiskSpec{"", disk.read_only});
    return Prefix(filled, absl::StrCat("attach disk ", disk.path));
  }
  used_.emplace(place, disk);
  return Describe(place);
}

absl::StatusOr<int> DiskTable::FreePlace(const DiskSpec& disk) {
  // A slot's device is read-only for the guest, since its node is.
  for (int place = 0; disk.read_only && place < slots_; ++place)
    if (used_.count(place) == 0) return place;
  for (int place = kFirstTarget; place < kFirstTarget + kTargets; ++place)
    if (used_.count(place) == 0) return place;
  return absl::ResourceExhaustedError(
      absl::StrCat("attach disk ", disk.path, ": all ", slots_, " slots and ", kTargets, " SCSI targets are taken"));
}

absl::Status DiskTable::Fill(int place, const DiskSpec& disk) {
  RETURN_IF_ERROR(PassImage(place, disk));
  return Plug(place, disk);
}

absl::Status DiskTable::PassImage(int place, const DiskSpec& disk) {
  const UniqueFd fd(::open(disk.path.c_str(), (disk.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, "open");
  struct stat stat = {};
  if (::fstat(fd.get(), &stat) != 0) return ErrnoStatus(errno, "stat");
  if (!S_ISREG(stat.st_mode) && !S_ISBLK(stat.st_mode))
    return absl::InvalidArgumentError("neither a file nor a block device");
  RETURN_IF_ERROR(execute_("add-fd", {{"fdset-id", place}, {"opaque", Label(disk)}}, fd.get()).status());
  json file = {{"driver", S_ISBLK(stat.st_mode) ? "host_device" : "file"},
               {"node-name", FileNode(place)},
               {"filename", absl::StrCat("/dev/fdset/", place)},
               {"read-only", disk.read_only}};
  // An image that nobody writes needs no lock, and may be in many VMs.
  if (disk.read_only) file["locking"] = "off";
  return execute_("blockdev-add", std::move(file), -1).status();
}

absl::Status DiskTable::Plug(int place, const DiskSpec& disk) {
  if (place < kFirstTarget) return ReopenSlot(execute_, place, FileNode(place));
  RETURN_IF_ERROR(
      execute_(
          "blockdev-add",
          {{"driver", "raw"}, {"node-name", ScsiNode(place)}, {"file", FileNode(place)}, {"read-only", disk.read_only}},
          -1)
          .status());
  return execute_("device_add",
                  {{"driver", "scsi-hd"},
                   {"id", ScsiDevice(place)},
                   {"bus", "scsi0.0"},
                   {"channel", 0},
                   {"scsi-id", place - kFirstTarget},
                   {"lun", 0},
                   {"drive", ScsiNode(place)}},
                  -1)
      .status();
}

absl::Status DiskTable::Unplug(int place) {
  if (place < kFirstTarget) return ReopenSlot(execute_, place, EmptyNode(place));
  // A SCSI disk goes whatever the guest says to it; its image is in use until the event.
  const auto deleted = execute_("device_del", {{"id", ScsiDevice(place)}}, -1);
  if (absl::IsNotFound(deleted.status())) return absl::OkStatus();
  RETURN_IF_ERROR(deleted.status());
  return wait_deleted_(ScsiDevice(place));
}

absl::Status DiskTable::DropImage(int place) {
  // Errors of nodes and sets that are not there are of no special class: ask first.
  ASSIGN_OR_RETURN(const json nodes, execute_("query-named-block-nodes", {{"flat", true}}, -1));
  std::set<std::string> names;
  for (const json& node : QmpList(nodes)) names.insert(QmpText(node, "node-name"));
  for (const std::string& node : {ScsiNode(place), FileNode(place)})
    if (names.count(node) > 0) RETURN_IF_ERROR(execute_("blockdev-del", {{"node-name", node}}, -1).status());
  ASSIGN_OR_RETURN(const json sets, execute_("query-fdsets", nullptr, -1));
  for (const json& set : QmpList(sets))
    if (QmpNumber(set, "fdset-id", -1) == place)
      RETURN_IF_ERROR(execute_("remove-fd", {{"fdset-id", place}}, -1).status());
  return absl::OkStatus();
}

absl::Status DiskTable::Detach(const std::string& disk_id) {
  absl::MutexLock lock(&mu_);
  for (const auto& [place, disk] : used_) {
    if (Describe(place).id != disk_id) continue;
    RETURN_IF_ERROR(Unplug(place), "detach disk ", disk.path);
    RETURN_IF_ERROR(DropImage(place), "detach disk ", disk.path);
    used_.erase(place);
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace podvisor
