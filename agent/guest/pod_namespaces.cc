#include "agent/guest/pod_namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include <utility>

#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

absl::StatusOr<UniqueFd> OwnNamespace(const char* path) {
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  return fd;
}

absl::Status Join(const UniqueFd& fd, int kind, const char* what) {
  return ::setns(fd.get(), kind) == 0 ? absl::OkStatus() : ErrnoStatus(errno, absl::StrCat("join ", what));
}

// Who the containers' root is for the guest.
absl::StatusOr<uint32_t> OutsideOfRoot(const std::vector<IdRange>& ranges, const char* what) {
  for (const IdRange& range : ranges) {
    if (range.inside == 0 && range.count > 0) return range.outside;
  }
  return absl::InvalidArgumentError(absl::StrCat("the pod's ", what, " do not map 0"));
}

}  // namespace

absl::Status PodNamespaces::Enter(const IdMappings& mappings) {
  if (mappings == users_.mappings) return absl::OkStatus();
  if (users_.AreMapped()) return absl::FailedPreconditionError("the pod has a user namespace of other mappings");
  PodUsers users{.mappings = mappings};
  ASSIGN_OR_RETURN(users.root_uid, OutsideOfRoot(mappings.uids, "uid_mappings"));
  ASSIGN_OR_RETURN(users.root_gid, OutsideOfRoot(mappings.gids, "gid_mappings"));
  ASSIGN_OR_RETURN(const NamespaceHolder holder,
                   NamespaceHolder::Make(mappings, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS), "the pod's namespaces");
  ASSIGN_OR_RETURN(UniqueFd user, holder.Open("user"));
  ASSIGN_OR_RETURN(UniqueFd network, holder.Open("net"));
  ASSIGN_OR_RETURN(const UniqueFd ipc, holder.Open("ipc"));
  ASSIGN_OR_RETURN(const UniqueFd uts, holder.Open("uts"));
  ASSIGN_OR_RETURN(home_network_, OwnNamespace("/proc/self/ns/net"));
  ASSIGN_OR_RETURN(home_uts_, OwnNamespace("/proc/self/ns/uts"));
  RETURN_IF_ERROR(Join(uts, CLONE_NEWUTS, "the pod's uts namespace"));
  users.fd = user.get();
  user_ = std::move(user);
  network_ = std::move(network);
  users_ = std::move(users);  // from here on Leave() goes back
  RETURN_IF_ERROR(Join(ipc, CLONE_NEWIPC, "the pod's ipc namespace"));
  RETURN_IF_ERROR(Join(network_, CLONE_NEWNET, "the pod's network namespace"));
  NetworkOriginals originals;
  ASSIGN_OR_RETURN(Network here, Network::Open(originals));
  return here.SetUp("lo");
}

absl::Status PodNamespaces::TakeInterfaces(const google::protobuf::RepeatedPtrField<types::Interface>& interfaces) {
  if (!users_.AreMapped() || interfaces.empty()) return absl::OkStatus();
  NetworkOriginals originals;
  ASSIGN_OR_RETURN(Network here, Network::Open(originals));
  RETURN_IF_ERROR(Join(home_network_, CLONE_NEWNET, "the guest's network namespace"));
  absl::StatusOr<Network> home = Network::Open(originals);
  RETURN_IF_ERROR(Join(network_, CLONE_NEWNET, "the pod's network namespace"));
  RETURN_IF_ERROR(home.status());
  for (const types::Interface& interface : interfaces) {
    ASSIGN_OR_RETURN(const bool present, here.Has(interface));
    if (!present) RETURN_IF_ERROR(home->MoveTo(interface, network_.get()));
  }
  return absl::OkStatus();
}

absl::Status PodNamespaces::Leave() {
  if (!users_.AreMapped()) return absl::OkStatus();
  NetworkOriginals originals;
  absl::StatusOr<Network> here = Network::Open(originals);
  absl::Status status = here.ok() ? here->MoveAllTo(home_network_.get()) : here.status();
  status.Update(Join(home_network_, CLONE_NEWNET, "the guest's network namespace"));
  status.Update(Join(home_uts_, CLONE_NEWUTS, "the guest's uts namespace"));
  if (::unshare(CLONE_NEWIPC) != 0) status.Update(ErrnoStatus(errno, "new ipc namespace"));
  *this = PodNamespaces();
  return status;
}

}  // namespace podvisor::guest
