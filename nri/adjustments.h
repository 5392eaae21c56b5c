// What several plugins want of one container, put together.
#ifndef PODVISOR_NRI_ADJUSTMENTS_H_
#define PODVISOR_NRI_ADJUSTMENTS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "nri/api.h"

namespace podvisor {

// Who has set what. A key of "" is a field that exists once.
class FieldOwnership {
 public:
  // kAlreadyExists, naming both plugins, if another one has set it. A plugin may set its own again.
  absl::Status Claim(const std::string& container_id, nri_api::Field field, const std::string& key,
                     const std::string& plugin);
  // A plugin takes away what an earlier one has set: then it may be set anew.
  void Release(const std::string& container_id, nri_api::Field field, const std::string& key);
  nri_api::OwningPlugins ToMessage() const;

 private:
  struct Name {
    std::string container_id;
    nri_api::Field field;
    std::string key;
    auto operator<=>(const Name&) const = default;
  };
  std::map<Name, std::string> owners_;
};

// What plugins answer to the creation or the update of one container. Not thread-safe.
//
// Names that begin with '-' (annotations, mounts by destination, variables) are removals; arguments that begin with an
// empty one replace those of an earlier plugin.
class Adjustments {
 public:
  // `container` as the configuration has it.
  explicit Adjustments(nri_api::Container container) : container_(std::move(container)) {}

  // Errors: kAlreadyExists for a conflict, kUnimplemented for what a VM can't (vm_policy.h), each naming the plugin.
  absl::Status Add(const std::string& plugin, const nri_api::ContainerAdjustment& adjustment);
  // To the container itself, while it is being updated.
  absl::Status AddResources(const std::string& plugin, const nri_api::LinuxResources& resources);
  // To other containers; those to this one are refused.
  absl::Status AddUpdates(const std::string& plugin,
                          const google::protobuf::RepeatedPtrField<nri_api::ContainerUpdate>& updates);

  // With what has been added so far: what the next plugin is shown.
  const nri_api::Container& container() const { return container_; }
  const nri_api::ContainerAdjustment& adjustment() const { return adjustment_; }
  std::vector<nri_api::ContainerUpdate> updates() const;
  nri_api::OwningPlugins owners() const { return owners_.ToMessage(); }

 private:
  absl::Status AddAnnotations(const std::string& plugin, const nri_api::ContainerAdjustment& adjustment);
  absl::Status AddMounts(const std::string& plugin, const nri_api::ContainerAdjustment& adjustment);
  absl::Status AddEnv(const std::string& plugin, const nri_api::ContainerAdjustment& adjustment);
  absl::Status AddArgs(const std::string& plugin, const nri_api::ContainerAdjustment& adjustment);
  absl::Status AddRlimits(const std::string& plugin, const nri_api::ContainerAdjustment& adjustment);
  absl::Status MergeResources(const std::string& container_id, const std::string& plugin,
                              const nri_api::LinuxResources& from, nri_api::LinuxResources* to);

  nri_api::Container container_;
  nri_api::ContainerAdjustment adjustment_;
  std::map<std::string, nri_api::ContainerUpdate> updates_;
  FieldOwnership owners_;
};

}  // namespace podvisor

#endif  // PODVISOR_NRI_ADJUSTMENTS_H_
