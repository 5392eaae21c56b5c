// What is taken from a VMM's process between fork and exec: the view of the file system, the user, capabilities.
#ifndef PODVISOR_VMM_QEMU_CONFINEMENT_H_
#define PODVISOR_VMM_QEMU_CONFINEMENT_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/process.h"

namespace podvisor {

// A mount namespace of its own whose root is a tmpfs that holds only what is listed. It is a slave of ours: mounts made
// later on the host below a bound folder arrive there if that folder is on a shared mount.
//
// Source for pivot_root on a folder and then on ".": pivot_root(2), notes.
class MountTree {
 public:
  MountTree();
  // `host_path` (a file or folder with all that is mounted below) at `path` of the tree, whose folders are made.
  enum class Access { kReadOnly, kAsItIs };
  void Bind(const std::string& host_path, const std::string& path, Access access);
  void Symlink(const std::string& target, const std::string& path);
  void Proc(const std::string& path);  // only this process's own

  // The steps that make the tree and enter it. Copies: the tree may be gone when they run.
  std::vector<ChildStep> Steps() const;

 private:
  struct Operation;
  void Folder(const std::string& path);
  void FoldersAbove(const std::string& path);

  std::shared_ptr<std::vector<Operation>> operations_;
};

struct ProcessCredentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;      // supplementary
  std::vector<int> capabilities;  // CAP_*: all that is left, effective after exec and without a way to more
};

// Takes user, groups, all other capabilities and the way to new privileges.
std::vector<ChildStep> CredentialSteps(const ProcessCredentials& credentials);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_CONFINEMENT_H_
