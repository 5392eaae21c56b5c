// Templates: VMs that have booted, been saved, and from which clones go on. One per kind of guest
// (Hypervisor::TemplateKey), shared by all runtime handlers whose guests are alike.
#ifndef PODVISOR_PODMANAGER_FACTORY_TEMPLATE_STORE_H_
#define PODVISOR_PODMANAGER_FACTORY_TEMPLATE_STORE_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "podmanager/factory/factory_parts.h"
#include "podmanager/factory/template_files.h"
#include "podmanager/runtime_handler.h"
#include "podmanager/turn.h"

namespace podvisor {

// A template on disk that clones may be made of as long as this is held. Its folder goes with the last holder once the
// store has no more use for it; clones that run have the files mapped and lose nothing.
class Template {
 public:
  Template(std::string key, std::string folder) : key_(std::move(key)), folder_(std::move(folder)) {}
  Template(const Template&) = delete;
  Template& operator=(const Template&) = delete;
  ~Template();

  const std::string& key() const { return key_; }
  const std::string& folder() const { return folder_; }
  TemplateFiles files() const { return FilesIn(folder_); }
  void set_unwanted() { unwanted_ = true; }

  // What became of a clone. The template is given up after several failures in a row.
  void CloneMade() { failures_ = 0; }
  int CloneFailed() { return ++failures_; }

 private:
  const std::string key_, folder_;
  std::atomic<bool> unwanted_{false};
  std::atomic<int> failures_{0};
};

// For the metrics page and people.
struct TemplateView {
  std::string key;
  std::string state;  // "making", "ready", "failed"
  std::string error;
};

// Thread-safe. Templates are made in tasks of FactoryParts::tasks, one at a time, in a temporary folder that is renamed
// when it is complete; each failure doubles the time until the next try.
class TemplateStore {
 public:
  // `dir` is made if missing. `check_room` says why templates can't be kept there: CheckTemplateRoom().
  using CheckRoom = std::function<absl::Status(const std::string& dir, uint64_t bytes)>;
  TemplateStore(const FactoryParts& parts, std::string dir, CheckRoom check_room);

  // Removes what no handler in `handlers` wants and what an earlier daemon left half made; from now on templates are
  // made. Called once.
  void Start(const std::vector<const RuntimeHandler*>& handlers);

  // The handler's template as it is to be now. If there is none yet, it begins to be made. Does not block. The error
  // says why pods take another way: kUnavailable while it is being made, kFailedPrecondition if that failed (there is
  // another try later), kUnimplemented if the driver makes none.
  absl::StatusOr<std::shared_ptr<Template>> Find(const RuntimeHandler& handler);
  // The key that Find() goes by.
  static absl::StatusOr<std::string> KeyOf(const RuntimeHandler& handler);

  // Clones of it fail: it is not used any more, and made anew.
  void GiveUp(const std::shared_ptr<Template>& bad, const std::string& reason);

  // Called, from any thread and without locks, when a template is ready or has failed.
  void set_on_change(std::function<void()> on_change) { on_change_ = std::move(on_change); }

  std::vector<TemplateView> View();

 private:
  struct Slot {
    enum class State { kMaking, kReady, kFailed } state = State::kMaking;
    std::shared_ptr<Template> made;
    std::string error;
    int failures = 0;
    absl::Time retry_at;
  };

  // Takes a template out of use. Null if it is not in use any more.
  Slot* DropLocked(const std::shared_ptr<Template>& made) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Schedule(const RuntimeHandler& handler, const std::string& key) ABSL_LOCKS_EXCLUDED(mu_);
  void FailLocked(Slot& slot, const std::string& error) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A handler's guest is another one now: the template of the one before goes unless another handler has it.
  void NoteKeyLocked(const std::string& handler, const std::string& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LoadOrMake(const RuntimeHandler& handler, const std::string& key);
  // Both return the template's folder.
  absl::StatusOr<std::string> Load(const std::string& key);
  absl::StatusOr<std::string> Make(const RuntimeHandler& handler, const std::string& key);

  const FactoryParts& parts_;
  const std::string dir_;
  const CheckRoom check_room_;
  std::function<void()> on_change_;
  Turns making_;

  absl::Mutex mu_;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, std::vector<std::string>> found_ ABSL_GUARDED_BY(mu_);  // folders of an earlier daemon, by key
  std::map<std::string, Slot> slots_ ABSL_GUARDED_BY(mu_);                      // by key
  std::map<std::string, std::string> current_key_ ABSL_GUARDED_BY(mu_);         // by handler's name
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_TEMPLATE_STORE_H_
