// Sandboxes or containers by id and by the name that may exist once.
#ifndef PODVISOR_PODMANAGER_NAME_INDEX_H_
#define PODVISOR_PODMANAGER_NAME_INDEX_H_

#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace podvisor {

// T has id(). Thread-safe; its lock is a leaf: nothing else is taken or waited for under it.
template <typename T>
class NameIndex {
 public:
  // `kind` is for messages: "sandbox".
  explicit NameIndex(std::string kind) : kind_(std::move(kind)) {}

  // Reserves `name` for `object` and lists it, unless the name is taken: then the holder is returned.
  std::shared_ptr<T> InsertOrFindHolder(const std::string& name, std::shared_ptr<T> object) {
    absl::MutexLock lock(&mu_);
    auto [it, inserted] = by_name_.try_emplace(name, object);
    if (!inserted) return it->second;
    const std::string id = object->id();
    by_id_[id] = {name, std::move(object)};
    return nullptr;
  }

  // Frees the name, too. No effect if there is none of that id.
  void Erase(const std::string& id) {
    absl::MutexLock lock(&mu_);
    auto it = by_id_.find(id);
    if (it == by_id_.end()) return;
    by_name_.erase(it->second.first);
    by_id_.erase(it);
  }

  // By id or unambiguous prefix. kNotFound; kInvalidArgument if several match or `id` is empty.
  absl::StatusOr<std::shared_ptr<T>> Find(const std::string& id) {
    if (id.empty()) return absl::InvalidArgumentError(absl::StrCat(kind_, " id is empty"));
    absl::MutexLock lock(&mu_);
    auto it = by_id_.lower_bound(id);
    if (it == by_id_.end() || !absl::StartsWith(it->first, id)) {
      return absl::NotFoundError(absl::StrCat(kind_, " ", id, " not found"));
    }
    if (auto next = std::next(it); it->first != id && next != by_id_.end() && absl::StartsWith(next->first, id)) {
      return absl::InvalidArgumentError(
          absl::StrCat(kind_, " id ", id, " is ambiguous: ", it->first, " and ", next->first, " begin with it"));
    }
    return it->second.second;
  }

  std::vector<std::shared_ptr<T>> All() {
    absl::MutexLock lock(&mu_);
    std::vector<std::shared_ptr<T>> all;
    all.reserve(by_id_.size());
    for (const auto& [id, entry] : by_id_) all.push_back(entry.second);
    return all;
  }

 private:
  const std::string kind_;
  absl::Mutex mu_;
  std::map<std::string, std::pair<std::string, std::shared_ptr<T>>> by_id_ ABSL_GUARDED_BY(mu_);  // name, object
  absl::flat_hash_map<std::string, std::shared_ptr<T>> by_name_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_NAME_INDEX_H_
