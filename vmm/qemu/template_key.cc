#include "vmm/qemu/template_key.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "vmm/qemu/command_line.h"

namespace podvisor {
namespace {

// Raised when the driver changes what it writes into a template or expects from one in a way that no argument shows.
constexpr int kGeneration = 1;

absl::StatusOr<std::string> FileIdentity(const std::string& path) {
  struct stat stat = {};
  if (::stat(path.c_str(), &stat) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
  return absl::StrCat(path, " ", stat.st_size, " ", stat.st_ino, " ", stat.st_ctim.tv_sec, ".", stat.st_ctim.tv_nsec);
}

std::string Sha256(const std::vector<std::string>& parts) {
  std::string bytes;
  // With its length before it, no part can pass for two.
  for (const std::string& part : parts) absl::StrAppend(&bytes, part.size(), ":", part, "\n");
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  ::EVP_Digest(bytes.data(), bytes.size(), digest, &size, ::EVP_sha256(), nullptr);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), size));
}

}  // namespace

absl::StatusOr<std::string> QemuTemplateKey(const QemuOptions& options, Accelerator accelerator,
                                            const std::string& version, VmSpec spec) {
  std::vector<std::string> parts = {absl::StrCat("qemu ", kGeneration), version};
  for (const std::string& path : {options.qemu_path, spec.kernel_path, spec.initrd_path}) {
    if (path.empty()) continue;
    ASSIGN_OR_RETURN(parts.emplace_back(), FileIdentity(path));
  }
  spec = RoundSpec(std::move(spec));
  spec.id = "template";
  spec.boot = BootMode::kToBeTemplate;
  if (spec.nic.has_value()) spec.nic->mac = "52:54:00:00:00:00";
  const QemuPaths paths = {spec.kernel_path, spec.initrd_path, spec.shared_folder.empty() ? "" : "/shared"};
  for (std::string& argument : BuildCommandLine(options, accelerator, spec, paths, Vhost::kOff))
    parts.push_back(std::move(argument));
  return Sha256(parts);
}

}  // namespace podvisor
