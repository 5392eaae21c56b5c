#include "agent/guest/sandbox.h"

#include <errno.h>
#include <sys/mount.h>

#include "agent/guest/log.h"
#include "agent/guest/runtime/container.h"
#include "agent/guest/text_file.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

std::string Lines(const google::protobuf::RepeatedPtrField<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) absl::StrAppend(&text, line, "\n");
  return text;
}

// What containers have let propagate here is in nobody's list. mountinfo's fifth word is the mount point.
void UnmountBelow(const std::string& folder) {
  const std::vector<std::string> lines = SplitWords(ReadTextOrEmpty("/proc/self/mountinfo"), "\n");
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    const std::vector<std::string> words = SplitWords(*line, " ");
    if (words.size() < 5 || words[4].rfind(folder + "/", 0) != 0) continue;
    if (::umount2(words[4].c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
      Log("unmount ", words[4], ": ", ErrnoStatus(errno, "umount").message());
    }
  }
}

}  // namespace

absl::Status Sandbox::MountShm(uint64_t bytes) {
  if (bytes == shm_bytes_) return absl::OkStatus();
  const std::string path = absl::StrCat(kSandboxFolder, "/shm");
  const std::string data = absl::StrCat("mode=1777,size=", bytes, ",uid=", users_.root_uid, ",gid=", users_.root_gid);
  RETURN_IF_ERROR(MakeFolders(path));
  const unsigned long flags =
      MS_NOSUID | MS_NODEV | MS_NOEXEC | (shm_bytes_ != 0 ? static_cast<unsigned long>(MS_REMOUNT) : 0ul);
  if (::mount("shm", path.c_str(), "tmpfs", flags, data.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("mount ", path));
  }
  if (shm_bytes_ == 0) mounts_->Add(path);
  shm_bytes_ = bytes;
  return absl::OkStatus();
}

absl::Status Sandbox::WriteFile(const std::string& name, const std::string& text) {
  const auto written = files_.find(name);
  if (written != files_.end() && written->second == text) return absl::OkStatus();
  const std::string path = absl::StrCat(kSandboxFolder, "/", name);
  RETURN_IF_ERROR(ReplaceTextFile(path, text, 0644));
  RETURN_IF_ERROR(GiveToRoot(users_, path));
  files_[name] = text;
  return absl::OkStatus();
}

absl::Status Sandbox::WriteFiles(const grpc::CreateSandboxRequest& request, const SandboxFiles& files) {
  RETURN_IF_ERROR(MakeFolders(kSandboxFolder));
  if (!created_) {
    RETURN_IF_ERROR(identity_.Assume(request.sandbox_id()), "identity");
    for (const char* file : {kBootIdFile, kMachineIdFile}) RETURN_IF_ERROR(GiveToRoot(users_, file));
  }
  if (!request.hostname().empty()) {
    RETURN_IF_ERROR(identity_.SetHostname(request.hostname()));
    RETURN_IF_ERROR(WriteFile("hostname", request.hostname() + "\n"));
  }
  std::string hosts;
  for (const std::string& line : files.hosts) absl::StrAppend(&hosts, line, "\n");
  if (hosts.empty()) {
    hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    if (!request.hostname().empty()) absl::StrAppend(&hosts, "127.0.1.1\t", request.hostname(), "\n");
  }
  RETURN_IF_ERROR(WriteFile("hosts", hosts));
  return WriteFile("resolv.conf", Lines(request.dns()));
}

absl::Status Sandbox::CheckId(const std::string& id) const {
  if (!id.empty()) RETURN_IF_ERROR(guest::CheckId(id, "sandbox id"));
  if (created_ && id != id_) return absl::AlreadyExistsError(absl::StrCat("this guest is sandbox ", id_));
  return absl::OkStatus();
}

void Sandbox::Create(const grpc::CreateSandboxRequest& request, const SandboxFiles& files,
                     std::function<void(const absl::Status&)> done) {
  if (const absl::Status status = CheckId(request.sandbox_id()); !status.ok()) return done(status);
  if (!request.kernel_modules().empty()) {
    return done(absl::UnimplementedError("kernel modules are loaded at boot only"));
  }
  absl::Status status = WriteFiles(request, files);
  if (status.ok()) status = MountShm(files.shm_bytes != 0 ? files.shm_bytes : 64 << 20);
  if (!status.ok()) return done(Prefix(status, absl::StrCat("sandbox ", request.sandbox_id())));
  const bool again = std::exchange(created_, true);
  id_ = request.sandbox_id();
  if (again) return done(absl::OkStatus());
  mounts_->SetUsers(users_);
  MountStorages(uevents_, request.storages(), mounts_, [this, done = std::move(done)](const absl::Status& status) {
    if (status.ok()) return done(status);
    Destroy();
    done(Prefix(status, "sandbox"));
  });
}

void Sandbox::Destroy() {
  mounts_->Unmount();
  UnmountBelow(kRunFolder);
  for (const std::string& name : ListFolder(kRunFolder)) RemoveTree(absl::StrCat(kRunFolder, "/", name));
  identity_.Forget();
  shm_bytes_ = 0;
  files_.clear();
  created_ = false;
  id_.clear();
}

}  // namespace podvisor::guest
