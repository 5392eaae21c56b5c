// A template's folder: DIR/<key>-<n>/memory, devices, manifest. The manifest is written last and says what the others
// are; <n> keeps a template apart from the one that it replaces.
#ifndef PODVISOR_PODMANAGER_FACTORY_TEMPLATE_FILES_H_
#define PODVISOR_PODMANAGER_FACTORY_TEMPLATE_FILES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// Where templates are kept: `configured`, else RUN_DIR/templates if that is on tmpfs, else a folder of this daemon's in
// /dev/shm, since on a disk every page that a template's guest has touched would be written back.
std::string TemplateDir(const std::string& configured, const std::string& run_dir);

// kFailedPrecondition unless `dir`, which exists, is on tmpfs, is nobody else's to write to, and has room.
absl::Status CheckTemplateRoom(const std::string& dir, uint64_t bytes);

TemplateFiles FilesIn(const std::string& folder);

// Reads both files: a quarter of a second for 256 MiB.
absl::Status WriteManifest(const std::string& folder, const std::string& key);

// That the files are what the manifest says. kQuick goes by sizes, inodes and times; kFull reads them. kDataLoss if
// they are not.
enum class VerifyDepth { kQuick, kFull };
absl::Status VerifyTemplate(const std::string& folder, const std::string& key, VerifyDepth depth);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_TEMPLATE_FILES_H_
