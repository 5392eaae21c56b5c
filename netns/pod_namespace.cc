#include "netns/pod_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "netns/guest_view.h"
#include "netns/namespace.h"
#include "netns/netlink.h"
#include "netns/tap.h"
#include "netns/tc_filter.h"

namespace podvisor {
namespace {

// A setting of IPv6 in the calling thread's namespace. Success where the kernel has no IPv6.
absl::Status SetIpv6(const std::string& interface, const std::string& name, absl::string_view value) {
  const std::string path = absl::StrCat("/proc/sys/net/ipv6/conf/", interface, "/", name);
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.ok() && errno == ENOENT) return absl::OkStatus();
  if (!file.ok() || ::write(file.get(), value.data(), value.size()) < 0)
    return ErrnoStatus(errno, absl::StrCat("set ", path));
  return absl::OkStatus();
}

absl::Status PrepareSettings() {
  for (const char* which : {"all", "default"}) {
    // IPAM gives an address to one pod alone, and the guest checks again: a second of waiting per pod saved.
    RETURN_IF_ERROR(SetIpv6(which, "accept_dad", "0"));
    // Router advertisements are for the guest's kernel.
    RETURN_IF_ERROR(SetIpv6(which, "accept_ra", "0"));
  }
  return absl::OkStatus();
}

absl::Status PrepareTap(Netlink& netlink) {
  // Made before: it may be in use by now, so it is not opened again.
  if (absl::StatusOr<LinkInfo> tap = netlink.FindLink(kPodTap); tap.ok() || !absl::IsNotFound(tap.status()))
    return tap.status();
  RETURN_IF_ERROR(CreateTap(kPodTap));
  // The namespace's own kernel must not talk to the guest.
  RETURN_IF_ERROR(SetIpv6(kPodTap, "disable_ipv6", "1"));
  return netlink.SetLinkUp(kPodTap);
}

absl::StatusOr<LinkInfo> FindPodInterface(Netlink& netlink) {
  absl::StatusOr<LinkInfo> interface = netlink.FindLink(kPodInterface);
  if (!absl::IsNotFound(interface.status())) return interface;
  return absl::InternalError(
      absl::StrCat("the namespace has no interface ", kPodInterface, ", though every plugin succeeded"));
}

absl::Status DeleteLinks() {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const std::vector<LinkInfo> links, netlink.Links());
  for (const LinkInfo& link : links) {
    if (link.name == "lo") continue;
    absl::Status status = netlink.DeleteLink(link.name);
    // Physical links and the kernel's fallback tunnels: the former go back to the host with the namespace's end.
    if (!status.ok() && !absl::IsUnimplemented(status)) return status;
  }
  return absl::OkStatus();
}

absl::Status Join(Netlink& netlink, const LinkInfo& interface, Interworking interworking) {
  switch (interworking) {
    case Interworking::kNone:
      return absl::OkStatus();
    case Interworking::kTcFilter: {
      ASSIGN_OR_RETURN(const LinkInfo tap, netlink.FindLink(kPodTap));
      if (tap.mtu != interface.mtu) RETURN_IF_ERROR(netlink.SetMtu(kPodTap, interface.mtu));
      return JoinLinks(netlink, interface, tap);
    }
    case Interworking::kMacvtap:
      RETURN_IF_ERROR(netlink.AddMacvtap(kPodTap, interface.index));
      RETURN_IF_ERROR(SetIpv6(kPodTap, "disable_ipv6", "1"));
      return netlink.SetLinkUp(kPodTap);
  }
  return absl::InternalError("no such interworking");
}

}  // namespace

absl::StatusOr<Interworking> ParseInterworking(const std::string& name) {
  if (name == "tcfilter") return Interworking::kTcFilter;
  if (name == "macvtap") return Interworking::kMacvtap;
  if (name == "none") return Interworking::kNone;
  return absl::InvalidArgumentError(absl::StrCat("interworking \"", name, "\": there are tcfilter, macvtap and none"));
}

absl::Status CreatePodNamespace(const std::string& path, Interworking interworking) {
  const bool existed = IsNamespace(path);
  RETURN_IF_ERROR(MountNewNamespace(path));
  absl::Status status = RunInNamespace(path, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
    RETURN_IF_ERROR(PrepareSettings());
    RETURN_IF_ERROR(netlink.SetLinkUp("lo"));
    return interworking == Interworking::kTcFilter ? PrepareTap(netlink) : absl::OkStatus();
  });
  if (!status.ok() && !existed) DeletePodNamespace(path).IgnoreError();
  return status;
}

absl::Status DeletePodNamespace(const std::string& path) {
  if (IsNamespace(path)) RETURN_IF_ERROR(RunInNamespace(path, DeleteLinks));
  return UnmountNamespace(path);
}

absl::StatusOr<UniqueFd> OpenPodTap(const std::string& path) {
  absl::StatusOr<UniqueFd> tap = absl::InternalError("not opened");
  RETURN_IF_ERROR(RunInNamespace(path, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
    const absl::StatusOr<LinkInfo> link = netlink.FindLink(kPodTap);
    if (absl::IsNotFound(link.status()))
      return absl::FailedPreconditionError(
          "the namespace has no tap (interworking macvtap has one after the network's set-up, none has none)");
    RETURN_IF_ERROR(link.status());
    tap = link->kind == "macvtap" ? OpenMacvtapQueue(kPodTap) : OpenTapQueue(kPodTap);
    return tap.status();
  }));
  return tap;
}

absl::StatusOr<PodNetworkResult> ReadPodInterface(const std::string& path,
                                                  const std::vector<std::string>& cni_addresses, absl::Time deadline) {
  PodNetworkResult result;
  RETURN_IF_ERROR(RunInNamespace(path, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
    ASSIGN_OR_RETURN(const LinkInfo interface, FindPodInterface(netlink));
    RETURN_IF_ERROR(WaitForAddresses(netlink, interface, deadline));
    ASSIGN_OR_RETURN(result, ReadGuestView(netlink, interface, cni_addresses));
    const absl::StatusOr<LinkInfo> tap = netlink.FindLink(kPodTap);
    if (!absl::IsNotFound(tap.status())) return tap.status();
    result.interfaces.clear();
    result.routes.clear();
    result.neighbors.clear();
    return absl::OkStatus();
  }));
  return result;
}

absl::Status JoinPodInterface(const std::string& path, Interworking interworking) {
  return RunInNamespace(path, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
    ASSIGN_OR_RETURN(const LinkInfo interface, FindPodInterface(netlink));
    return Join(netlink, interface, interworking);
  });
}

absl::Status SeparatePodInterface(const std::string& path) {
  if (!IsNamespace(path)) return absl::OkStatus();
  return RunInNamespace(path, []() -> absl::Status {
    ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
    for (const char* name : {kPodTap, kPodInterface}) {
      const absl::StatusOr<LinkInfo> link = netlink.FindLink(name);
      if (absl::IsNotFound(link.status())) continue;
      RETURN_IF_ERROR(link.status());
      RETURN_IF_ERROR(link->kind == "macvtap" ? netlink.DeleteLink(name) : RemoveIngress(netlink, *link));
    }
    return absl::OkStatus();
  });
}

}  // namespace podvisor
