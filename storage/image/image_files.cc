#include "storage/image/image_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "storage/content/durable_file.h"
#include "storage/image/erofs_builder.h"
#include "storage/image/layer_tree.h"
#include "storage/image/layer_unpacker.h"

namespace podvisor {
namespace {

constexpr size_t kMaxAccounts = 1 << 20;

absl::Status KeepAccounts(const LayerTree& tree, const std::string& folder) {
  for (const char* name : {"passwd", "group"}) {
    ASSIGN_OR_RETURN(const std::string content, tree.ReadFile(absl::StrCat("etc/", name), kMaxAccounts));
    const std::string path = absl::StrCat(folder, "/", name);
    RETURN_IF_ERROR(WriteFileAtomically(path, content, 0600));
    RETURN_IF_ERROR(SyncPath(path));
  }
  return absl::OkStatus();
}

}  // namespace

bool ImageFiles::IsBuilt(const Digest& id) const { return ::access(Erofs(id).c_str(), R_OK) == 0; }

absl::Status ImageFiles::Build(const Digest& id, const ContentStore& content, const std::vector<Digest>& layers,
                               const std::vector<Digest>& diff_ids, const Interruption& interruption) const {
  if (layers.size() != diff_ids.size())
    return absl::DataLossError(
        absl::StrCat("the manifest has ", layers.size(), " layers, the configuration ", diff_ids.size(), " diff_ids"));
  std::string work = absl::StrCat(tmp(), "/unpack.XXXXXX");
  if (::mkdtemp(work.data()) == nullptr) return DiskStatus(errno, absl::StrCat("make a folder in ", tmp()));
  // What can't be removed now is, at the next start.
  absl::Cleanup remove = [&] { RemoveTree(work).IgnoreError(); };
  const std::string finished = work + "/image";
  RETURN_IF_ERROR(MakeFolders(finished));
  {
    ASSIGN_OR_RETURN(LayerTree tree, LayerTree::Create(work + "/root"));
    for (size_t i = 0; i < layers.size(); ++i) {
      ASSIGN_OR_RETURN(const Digest found, ApplyLayer(content.Path(layers[i]), work, tree, interruption), "layer ",
                       layers[i].ToString());
      if (found != diff_ids[i])
        return absl::DataLossError(absl::StrCat("layer ", layers[i].ToString(), ": uncompressed it is ",
                                                found.ToString(), ", not ", diff_ids[i].ToString()));
    }
    RETURN_IF_ERROR(tree.ApplyFolderTimes());
    RETURN_IF_ERROR(KeepAccounts(tree, finished));
  }
  RETURN_IF_ERROR(BuildErofs(work + "/root", finished + "/rootfs.erofs", id, interruption));
  RETURN_IF_ERROR(SyncPath(finished));
  if (::rename(finished.c_str(), Folder(id).c_str()) != 0)
    return DiskStatus(errno, absl::StrCat("rename ", finished, " to ", Folder(id)));
  return SyncPath(images());
}

}  // namespace podvisor
