#include "nri/adjustments.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "nri/vm_policy.h"

namespace podvisor {

namespace {

using nri_api::ContainerAdjustment;
using nri_api::LinuxResources;

// Whether `name` is a removal; without its mark then.
bool TakeRemovalMark(std::string* name) {
  absl::string_view rest = *name;
  if (!absl::ConsumePrefix(&rest, "-")) return false;
  *name = std::string(rest);
  return true;
}

template <typename Entries, typename Match>
void EraseIf(Entries* entries, const Match& match) {
  entries->erase(std::remove_if(entries->begin(), entries->end(), match), entries->end());
}

}  // namespace

absl::Status FieldOwnership::Claim(const std::string& container_id, nri_api::Field field, const std::string& key,
                                   const std::string& plugin) {
  const auto [owner, added] = owners_.try_emplace(Name{container_id, field, key}, plugin);
  if (added || owner->second == plugin) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("NRI plugins ", owner->second, " and ", plugin, " both set ",
                                               nri_api::Field_Name(field), key.empty() ? "" : " ", key,
                                               " of container ", container_id, ": stop one of them"));
}

void FieldOwnership::Release(const std::string& container_id, nri_api::Field field, const std::string& key) {
  owners_.erase(Name{container_id, field, key});
}

nri_api::OwningPlugins FieldOwnership::ToMessage() const {
  nri_api::OwningPlugins message;
  for (const auto& [name, plugin] : owners_) {
    nri_api::FieldOwners& owners = (*message.mutable_owners())[name.container_id];
    if (name.key.empty()) {
      (*owners.mutable_simple())[name.field] = plugin;
    } else {
      (*(*owners.mutable_compound())[name.field].mutable_owners())[name.key] = plugin;
    }
  }
  return message;
}

absl::Status Adjustments::Add(const std::string& plugin, const ContainerAdjustment& adjustment) {
  RETURN_IF_ERROR(CheckAdjustment(adjustment), "NRI plugin ", plugin, " asks for what a VM can't give");
  RETURN_IF_ERROR(AddAnnotations(plugin, adjustment));
  RETURN_IF_ERROR(AddMounts(plugin, adjustment));
  RETURN_IF_ERROR(AddEnv(plugin, adjustment));
  RETURN_IF_ERROR(AddArgs(plugin, adjustment));
  RETURN_IF_ERROR(AddRlimits(plugin, adjustment));
  if (adjustment.linux().has_oom_score_adj()) {
    RETURN_IF_ERROR(owners_.Claim(container_.id(), nri_api::OomScoreAdj, "", plugin));
    *adjustment_.mutable_linux()->mutable_oom_score_adj() = adjustment.linux().oom_score_adj();
    *container_.mutable_linux()->mutable_oom_score_adj() = adjustment.linux().oom_score_adj();
  }
  if (!adjustment.linux().has_resources()) return absl::OkStatus();
  RETURN_IF_ERROR(MergeResources(container_.id(), plugin, adjustment.linux().resources(),
                                 adjustment_.mutable_linux()->mutable_resources()));
  container_.mutable_linux()->mutable_resources()->MergeFrom(adjustment.linux().resources());
  return absl::OkStatus();
}

absl::Status Adjustments::AddAnnotations(const std::string& plugin, const ContainerAdjustment& adjustment) {
  // Removals first: the map has no order, and a plugin that replaces a value sends both.
  for (bool removals : {true, false}) {
    for (const auto& [name, value] : adjustment.annotations()) {
      std::string key = name;
      if (TakeRemovalMark(&key) != removals) continue;
      if (removals) {
        owners_.Release(container_.id(), nri_api::Annotations, key);
        adjustment_.mutable_annotations()->erase(key);
        container_.mutable_annotations()->erase(key);
        (*adjustment_.mutable_annotations())[name] = "";
        continue;
      }
      RETURN_IF_ERROR(owners_.Claim(container_.id(), nri_api::Annotations, key, plugin));
      adjustment_.mutable_annotations()->erase(absl::StrCat("-", key));
      (*adjustment_.mutable_annotations())[key] = value;
      (*container_.mutable_annotations())[key] = value;
    }
  }
  return absl::OkStatus();
}

absl::Status Adjustments::AddMounts(const std::string& plugin, const ContainerAdjustment& adjustment) {
  for (bool removals : {true, false}) {
    for (const nri_api::Mount& mount : adjustment.mounts()) {
      std::string destination = mount.destination();
      if (TakeRemovalMark(&destination) != removals) continue;
      const auto same = [&destination](const nri_api::Mount& other) { return other.destination() == destination; };
      if (removals) owners_.Release(container_.id(), nri_api::Mounts, destination);
      if (!removals) RETURN_IF_ERROR(owners_.Claim(container_.id(), nri_api::Mounts, destination, plugin));
      EraseIf(adjustment_.mutable_mounts(), same);
      EraseIf(container_.mutable_mounts(), same);
      *adjustment_.add_mounts() = mount;
      if (!removals) *container_.add_mounts() = mount;
    }
  }
  return absl::OkStatus();
}

absl::Status Adjustments::AddEnv(const std::string& plugin, const ContainerAdjustment& adjustment) {
  for (bool removals : {true, false}) {
    for (const nri_api::KeyValue& variable : adjustment.env()) {
      std::string key = variable.key();
      if (TakeRemovalMark(&key) != removals) continue;
      if (removals) owners_.Release(container_.id(), nri_api::Env, key);
      if (!removals) RETURN_IF_ERROR(owners_.Claim(container_.id(), nri_api::Env, key, plugin));
      EraseIf(adjustment_.mutable_env(), [&key](const nri_api::KeyValue& other) {
        return other.key() == key || other.key() == absl::StrCat("-", key);
      });
      EraseIf(container_.mutable_env(),
              [prefix = key + "="](const std::string& entry) { return absl::StartsWith(entry, prefix); });
      *adjustment_.add_env() = variable;
      if (!removals) container_.add_env(absl::StrCat(key, "=", variable.value()));
    }
  }
  return absl::OkStatus();
}

absl::Status Adjustments::AddArgs(const std::string& plugin, const ContainerAdjustment& adjustment) {
  if (adjustment.args().empty()) return absl::OkStatus();
  const bool replaces = adjustment.args(0).empty();
  if (replaces) owners_.Release(container_.id(), nri_api::Args, "");
  RETURN_IF_ERROR(owners_.Claim(container_.id(), nri_api::Args, "", plugin));
  adjustment_.mutable_args()->Clear();
  for (int i = replaces ? 1 : 0; i < adjustment.args_size(); ++i) adjustment_.add_args(adjustment.args(i));
  *container_.mutable_args() = adjustment_.args();
  return absl::OkStatus();
}

absl::Status Adjustments::AddRlimits(const std::string& plugin, const ContainerAdjustment& adjustment) {
  for (const nri_api::POSIXRlimit& limit : adjustment.rlimits()) {
    RETURN_IF_ERROR(owners_.Claim(container_.id(), nri_api::Rlimits, limit.type(), plugin));
    const auto same = [&limit](const nri_api::POSIXRlimit& other) { return other.type() == limit.type(); };
    EraseIf(adjustment_.mutable_rlimits(), same);
    EraseIf(container_.mutable_rlimits(), same);
    *adjustment_.add_rlimits() = limit;
    *container_.add_rlimits() = limit;
  }
  return absl::OkStatus();
}

absl::Status Adjustments::AddResources(const std::string& plugin, const LinuxResources& resources) {
  RETURN_IF_ERROR(CheckResources(resources), "NRI plugin ", plugin, " asks for what a VM can't give");
  RETURN_IF_ERROR(MergeResources(container_.id(), plugin, resources, adjustment_.mutable_linux()->mutable_resources()));
  container_.mutable_linux()->mutable_resources()->MergeFrom(resources);
  return absl::OkStatus();
}

absl::Status Adjustments::AddUpdates(const std::string& plugin,
                                     const google::protobuf::RepeatedPtrField<nri_api::ContainerUpdate>& updates) {
  for (const nri_api::ContainerUpdate& update : updates) {
    if (update.container_id() == container_.id()) {
      RETURN_IF_ERROR(AddResources(plugin, update.linux().resources()));
      continue;
    }
    RETURN_IF_ERROR(CheckResources(update.linux().resources()), "NRI plugin ", plugin, ": update of container ",
                    update.container_id());
    const auto [known, added] = updates_.try_emplace(update.container_id());
    known->second.set_container_id(update.container_id());
    known->second.set_ignore_failure(update.ignore_failure() && (added || known->second.ignore_failure()));
    RETURN_IF_ERROR(MergeResources(update.container_id(), plugin, update.linux().resources(),
                                   known->second.mutable_linux()->mutable_resources()));
  }
  return absl::OkStatus();
}

std::vector<nri_api::ContainerUpdate> Adjustments::updates() const {
  std::vector<nri_api::ContainerUpdate> updates;
  for (const auto& [id, update] : updates_) updates.push_back(update);
  return updates;
}

absl::Status Adjustments::MergeResources(const std::string& container_id, const std::string& plugin,
                                         const LinuxResources& from, LinuxResources* to) {
  const auto claim = [&](bool set, nri_api::Field field, const std::string& key = "") {
    return set ? owners_.Claim(container_id, field, key, plugin) : absl::OkStatus();
  };
  const nri_api::LinuxMemory& memory = from.memory();
  RETURN_IF_ERROR(claim(memory.has_limit(), nri_api::MemLimit));
  RETURN_IF_ERROR(claim(memory.has_reservation(), nri_api::MemReservation));
  RETURN_IF_ERROR(claim(memory.has_swap(), nri_api::MemSwapLimit));
  const nri_api::LinuxCPU& cpu = from.cpu();
  RETURN_IF_ERROR(claim(cpu.has_shares(), nri_api::CPUShares));
  RETURN_IF_ERROR(claim(cpu.has_quota(), nri_api::CPUQuota));
  RETURN_IF_ERROR(claim(cpu.has_period(), nri_api::CPUPeriod));
  RETURN_IF_ERROR(claim(!cpu.cpus().empty(), nri_api::CPUSetCPUs));
  RETURN_IF_ERROR(claim(!cpu.mems().empty(), nri_api::CPUSetMems));
  RETURN_IF_ERROR(claim(from.has_pids(), nri_api::PidsLimit));
  for (const nri_api::HugepageLimit& limit : from.hugepage_limits()) {
    RETURN_IF_ERROR(claim(true, nri_api::HugepageLimits, limit.page_size()));
    EraseIf(to->mutable_hugepage_limits(),
            [&limit](const nri_api::HugepageLimit& other) { return other.page_size() == limit.page_size(); });
  }
  for (const auto& [file, value] : from.unified()) RETURN_IF_ERROR(claim(true, nri_api::CgroupsUnified, file));
  to->MergeFrom(from);  // what is set wins, lists grow, keys of maps are replaced
  return absl::OkStatus();
}

}  // namespace podvisor
