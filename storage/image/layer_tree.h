// A folder on the host that looks like an image's root while layers are written into it, and that no name of a layer
// leads out of.
#ifndef PODVISOR_STORAGE_IMAGE_LAYER_TREE_H_
#define PODVISOR_STORAGE_IMAGE_LAYER_TREE_H_

#include <sys/types.h>
#include <time.h>

#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace podvisor {

// Paths below are relative, without "." and ".." and doubled slashes: see CleanPath().
//
// Symlinks of the image on the way to an entry are followed as in a container, that is within the tree (openat2 with
// RESOLVE_IN_ROOT): a layer may well put files below /lib, a link to usr/lib of an earlier layer. Last components are
// never followed. Not thread-safe.
class LayerTree {
 public:
  // `folder` is made, mode 0755 within a parent that keeps others out.
  static absl::StatusOr<LayerTree> Create(const std::string& folder);

  // A folder that exists, to read from.
  static absl::StatusOr<LayerTree> Open(const std::string& folder);

  // The folder that holds `path`'s last component; missing folders on the way are made (root, 0755, mtime 0).
  struct Place {
    UniqueFd parent;
    std::string name;
  };
  absl::StatusOr<Place> Locate(const std::string& path);

  // Removes what is at `place` unless it is a folder and `keep` says that one may stay.
  enum class Keep { kNothing, kFolder };
  absl::Status Clear(const Place& place, Keep keep);

  // Whiteouts: remove `path`, or all in the folder `path`, but what this layer has put there itself.
  absl::Status RemoveLower(const std::string& path);
  absl::Status RemoveLowerChildren(const std::string& path);

  // Notes that the current layer made `path` (and so its parents); StartLayer() forgets.
  void Made(const std::string& path);
  void StartLayer() { made_.clear(); }

  // Folders get their times at the end: whatever is put into one changes it.
  void SetFolderTime(const std::string& path, timespec mtime) { folder_times_[path] = mtime; }
  absl::Status ApplyFolderTimes();

  // A regular file of the image, symlinks followed within it; empty if there is none or it is no regular file.
  // kResourceExhausted if it has more than `limit` bytes.
  absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit) const;
  // Opens a regular file of the tree for reading, as above. kNotFound if there is none.
  absl::StatusOr<UniqueFd> OpenFile(const std::string& path) const;

  int root_fd() const { return root_.get(); }

 private:
  explicit LayerTree(UniqueFd root) : root_(std::move(root)) {}
  absl::Status MakeFolder(const std::string& folder, int& links);
  absl::StatusOr<UniqueFd> OpenFolder(const std::string& path, const char* why) const;
  absl::Status RemoveExceptMade(int parent, const std::string& name, const std::string& path, int depth);

  UniqueFd root_;
  std::set<std::string> made_;
  std::map<std::string, timespec> folder_times_;
};

// An entry's name as a path of LayerTree: leading slashes and "." components go. kDataLoss for "..", an empty component
// is no error. The root is "".
absl::StatusOr<std::string> CleanPath(absl::string_view name);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_LAYER_TREE_H_
