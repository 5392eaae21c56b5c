#include "podmanager/factory/template_store.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "podmanager/factory/rehearsal.h"
#include "podmanager/factory/start_vm.h"
#include "podmanager/ids.h"

namespace podvisor {

namespace fs = std::filesystem;

namespace {

constexpr StartStages kTemplateStages = {"template_start", "template_ready"};
constexpr absl::Duration kFirstPause = absl::Seconds(2);
constexpr absl::Duration kLongestPause = absl::Minutes(10);
// Others may pass through (a VMM runs as a user of its own), not list.
constexpr mode_t kFolderMode = 0711;
constexpr size_t kShortId = 12;

void RemoveFolder(const std::string& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) spdlog::error("template {}: can't be removed: {}", folder, error.message());
}

absl::Status MakeFolder(const std::string& folder) {
  if (::mkdir(folder.c_str(), kFolderMode) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("make ", folder));
  }
  return absl::OkStatus();
}

}  // namespace

Template::~Template() {
  if (unwanted_) RemoveFolder(folder_);
}

TemplateStore::TemplateStore(const FactoryParts& parts, std::string dir, CheckRoom check_room)
    : parts_(parts), dir_(std::move(dir)), check_room_(std::move(check_room)) {}

absl::StatusOr<std::string> TemplateStore::KeyOf(const RuntimeHandler& handler) {
  const Capabilities& capabilities = handler.hypervisor->capabilities();
  const bool can = handler.template_pages == TemplatePages::kCopied ? capabilities.clone_of_copy : capabilities.clone;
  if (!can) return absl::UnimplementedError("the driver makes no such clones on this machine");
  VmSpec spec = HandlerSpec(handler);
  spec.nic = NicSpec{};
  if (capabilities.shared_folder) spec.shared_folder = "/";
  spec.boot = BootMode::kToBeTemplate;
  return handler.hypervisor->TemplateKey(spec);
}

void TemplateStore::Start(const std::vector<const RuntimeHandler*>& handlers) {
  std::set<std::string> wanted;
  for (const RuntimeHandler* handler : handlers) {
    if (absl::StatusOr<std::string> key = KeyOf(*handler); key.ok()) wanted.insert(*key);
  }
  std::map<std::string, std::vector<std::string>> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir_, error)) {
    const std::string name = entry.path().filename().string();
    const std::string key = name.substr(0, name.find('-'));
    if (wanted.count(key) > 0) {
      found[key].push_back(entry.path().string());
    } else {
      RemoveFolder(entry.path().string());
    }
  }
  absl::MutexLock lock(&mu_);
  found_ = std::move(found);
  started_ = true;
}

absl::StatusOr<std::shared_ptr<Template>> TemplateStore::Find(const RuntimeHandler& handler) {
  ASSIGN_OR_RETURN(const std::string key, KeyOf(handler));
  std::shared_ptr<Template> made;
  absl::Status why_not;
  bool schedule = false;
  {
    absl::MutexLock lock(&mu_);
    if (!started_) return absl::UnavailableError("podvisord has just started");
    NoteKeyLocked(handler.name, key);
    const auto [it, is_new] = slots_.try_emplace(key);
    Slot& slot = it->second;
    made = slot.made;
    if (slot.state == Slot::State::kFailed) {
      why_not = absl::FailedPreconditionError(absl::StrCat("its template could not be made: ", slot.error));
    } else if (made == nullptr) {
      why_not = absl::UnavailableError("its template is still being made");
    }
    schedule = is_new || (slot.state == Slot::State::kFailed && absl::Now() >= slot.retry_at);
    if (schedule) slot.state = Slot::State::kMaking;
  }
  if (made != nullptr) {
    absl::Status intact = VerifyTemplate(made->folder(), key, VerifyDepth::kQuick);
    if (intact.ok()) return made;
    spdlog::error("template {}: it is made anew: {}", key, intact.ToString());
    why_not = absl::UnavailableError("its template is being made anew");
    absl::MutexLock lock(&mu_);
    Slot* slot = DropLocked(made);
    schedule = slot != nullptr;
    if (schedule) slot->state = Slot::State::kMaking;
  }
  if (schedule) Schedule(handler, key);
  return why_not;
}

TemplateStore::Slot* TemplateStore::DropLocked(const std::shared_ptr<Template>& made) {
  auto it = slots_.find(made->key());
  if (it == slots_.end() || it->second.made != made) return nullptr;
  made->set_unwanted();
  it->second.made = nullptr;
  return &it->second;
}

void TemplateStore::NoteKeyLocked(const std::string& handler, const std::string& key) {
  std::string& current = current_key_[handler];
  const std::string before = std::exchange(current, key);
  if (before.empty() || before == key) return;
  const bool in_use = std::any_of(current_key_.begin(), current_key_.end(),
                                  [&before](const auto& entry) { return entry.second == before; });
  auto it = slots_.find(before);
  if (in_use || it == slots_.end() || it->second.state == Slot::State::kMaking) return;
  spdlog::info("template {}: not wanted any more: the guest of runtime handler \"{}\" has changed", before, handler);
  if (it->second.made != nullptr) it->second.made->set_unwanted();
  slots_.erase(it);
}

void TemplateStore::Schedule(const RuntimeHandler& handler, const std::string& key) {
  parts_.tasks.Run([this, &handler, key] { LoadOrMake(handler, key); });
}

void TemplateStore::FailLocked(Slot& slot, const std::string& error) {
  slot.state = Slot::State::kFailed;
  slot.made = nullptr;
  slot.error = error;
  const absl::Duration pause = kFirstPause * (int64_t{1} << std::min(slot.failures, 20));
  slot.retry_at = absl::Now() + std::min(pause, kLongestPause);
  ++slot.failures;
}

void TemplateStore::LoadOrMake(const RuntimeHandler& handler, const std::string& key) {
  const absl::Time start = absl::Now();
  absl::StatusOr<std::string> folder;
  {
    absl::StatusOr<Turn> turn = making_.Take(absl::InfiniteFuture(), "templates");
    if (parts_.stopping || parts_.own_agents->closed()) return;
    folder = Load(key);
    if (!folder.ok()) folder = Make(handler, key);
  }
  if (parts_.stopping || (!folder.ok() && parts_.own_agents->closed())) return;
  {
    absl::MutexLock lock(&mu_);
    Slot& slot = slots_[key];
    const bool wanted = std::any_of(current_key_.begin(), current_key_.end(),
                                    [&key](const auto& entry) { return entry.second == key; });
    if (!wanted) {  // the handler's guest has changed meanwhile
      slots_.erase(key);
      if (folder.ok()) RemoveFolder(*folder);
    } else if (folder.ok()) {
      slot.state = Slot::State::kReady;
      slot.made = std::make_shared<Template>(key, *folder);
      slot.error.clear();
      slot.failures = 0;
      spdlog::info("template {}: ready for runtime handler \"{}\" after {}", key, handler.name,
                   absl::FormatDuration(absl::Now() - start));
    } else {
      FailLocked(slot, std::string(folder.status().message()));
      spdlog::error("template {}: of runtime handler \"{}\": not made, its pods boot cold: {}", key, handler.name,
                    folder.status().ToString());
    }
  }
  if (on_change_) on_change_();
}

absl::StatusOr<std::string> TemplateStore::Load(const std::string& key) {
  std::vector<std::string> folders;
  {
    absl::MutexLock lock(&mu_);
    folders = std::exchange(found_[key], {});
  }
  std::string intact;
  for (const std::string& folder : folders) {
    // In full: it may have been anybody's while no daemon ran.
    if (intact.empty() && VerifyTemplate(folder, key, VerifyDepth::kFull).ok()) {
      intact = folder;
    } else {
      RemoveFolder(folder);
    }
  }
  if (intact.empty()) return absl::NotFoundError(absl::StrCat("no template ", key));
  return intact;
}

absl::StatusOr<std::string> TemplateStore::Make(const RuntimeHandler& handler, const std::string& key) {
  RETURN_IF_ERROR(MakeFolder(dir_));
  RETURN_IF_ERROR(check_room_(dir_, handler.memory_bytes));
  ASSIGN_OR_RETURN(const VmSite site, MakeOwnSite(parts_, handler));
  const std::string unfinished = absl::StrCat(dir_, "/making-", site.id);
  const std::string folder = absl::StrCat(dir_, "/", key, "-", site.id.substr(0, kShortId));
  absl::Status status = MakeFolder(unfinished);
  absl::StatusOr<FactoryVm> made = absl::InternalError("no folder");
  if (status.ok()) {
    made = StartVm(parts_.loop, parts_.on_agent_call, OwnOrder(parts_, handler, site), BootMode::kToBeTemplate,
                   FilesIn(unfinished), kTemplateStages);
    status = made.status();
  }
  if (status.ok()) {
    const absl::Time patience = absl::Now() + kStandBack;
    status = Rehearse(handler, *made->vm, *made->agent, [this, patience] { parts_.requests.AwaitLull(patience); });
    made->agent->Close();
    if (status.ok()) status = Annotate(made->vm->SaveTemplate(), "save");
    absl::Status ended = made->vm->Stop(absl::ZeroDuration());
    if (status.ok()) status = ended;
  }
  absl::Status removed = RemoveOwnSite(parts_, site.id);
  if (status.ok()) status = removed;
  if (status.ok()) status = WriteManifest(unfinished, key);
  if (status.ok() && ::rename(unfinished.c_str(), folder.c_str()) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("rename ", unfinished));
  }
  if (status.ok()) return folder;
  RemoveFolder(unfinished);
  return status;
}

void TemplateStore::GiveUp(const std::shared_ptr<Template>& bad, const std::string& reason) {
  absl::MutexLock lock(&mu_);
  Slot* slot = DropLocked(bad);
  if (slot == nullptr) return;
  spdlog::error("template {}: its clones fail, it is given up: {}", bad->key(), reason);
  FailLocked(*slot, absl::StrCat("its clones failed: ", reason));
}

std::vector<TemplateView> TemplateStore::View() {
  absl::MutexLock lock(&mu_);
  std::vector<TemplateView> views;
  for (const auto& [key, slot] : slots_) {
    const char* state = slot.state == Slot::State::kMaking  ? "making"
                        : slot.state == Slot::State::kReady ? "ready"
                                                            : "failed";
    views.push_back({.key = key, .state = state, .error = slot.error});
  }
  return views;
}

}  // namespace podvisor
