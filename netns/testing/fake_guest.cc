#include "netns/testing/fake_guest.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "netns/namespace.h"
#include "netns/netlink.h"
#include "netns/tap.h"
#include "netns/testing/private_host.h"

namespace podvisor {
namespace {

constexpr char kIp[] = "/usr/sbin/ip";

absl::Status Ip(std::vector<std::string> words, const std::string& netns) {
  words.insert(words.begin(), kIp);
  return RunTool(std::move(words), netns).status();
}

absl::Status Configure(const PodNetworkResult& network, const std::string& netns) {
  const GuestInterface& interface = network.interfaces.front();
  RETURN_IF_ERROR(
      Ip({"link", "set", interface.name, "address", interface.mac, "mtu", absl::StrCat(interface.mtu)}, netns));
  RETURN_IF_ERROR(Ip({"link", "set", interface.name, "up"}, netns));
  for (const std::string& address : interface.addresses) {
    std::vector<std::string> words = {"address", "add", address, "dev", interface.name};
    if (address.find(':') != std::string::npos) words.push_back("nodad");
    RETURN_IF_ERROR(Ip(std::move(words), netns));
  }
  for (const GuestRoute& route : network.routes) {
    std::vector<std::string> words = {"route", "replace", route.destination, "dev", route.device};
    if (route.family == AF_INET6) words.insert(words.begin(), "-6");
    if (!route.gateway.empty()) words.insert(words.end(), {"via", route.gateway});
    if (!route.source.empty()) words.insert(words.end(), {"src", route.source});
    RETURN_IF_ERROR(Ip(std::move(words), netns));
  }
  for (const GuestNeighbor& neighbor : network.neighbors)
    RETURN_IF_ERROR(Ip({"neigh", "replace", neighbor.address, "lladdr", neighbor.mac, "dev", neighbor.device}, netns));
  return absl::OkStatus();
}

// Carries one frame; false if there was none.
bool CarryFrame(int from, int to) {
  char frame[70000];
  const ssize_t size = ::read(from, frame, sizeof frame);
  if (size <= 0) return false;
  return ::write(to, frame, static_cast<size_t>(size)) == size;
}

}  // namespace

FakeGuest::FakeGuest(UniqueFd pod_side, UniqueFd guest_side, UniqueFd stop, std::string netns_path)
    : pod_side_(std::move(pod_side)),
      guest_side_(std::move(guest_side)),
      stop_(std::move(stop)),
      netns_path_(std::move(netns_path)),
      carrier_([this] { Carry(); }) {}

absl::StatusOr<std::unique_ptr<FakeGuest>> FakeGuest::Start(UniqueFd tap, const PodNetworkResult& network,
                                                            const std::string& netns_path) {
  RETURN_IF_ERROR(MountNewNamespace(netns_path));
  absl::StatusOr<UniqueFd> guest_side = absl::InternalError("not opened");
  RETURN_IF_ERROR(RunInNamespace(netns_path, [&]() -> absl::Status {
    const std::string& name = network.interfaces.front().name;
    RETURN_IF_ERROR(CreateTap(name));
    guest_side = OpenTapQueue(name);
    RETURN_IF_ERROR(guest_side.status());
    ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
    return netlink.SetLinkUp("lo");
  }));
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  if (!stop.ok()) return ErrnoStatus(errno, "eventfd");
  std::unique_ptr<FakeGuest> guest(new FakeGuest(std::move(tap), *std::move(guest_side), std::move(stop), netns_path));
  RETURN_IF_ERROR(Configure(network, netns_path));
  return guest;
}

FakeGuest::~FakeGuest() {
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
  carrier_.join();
  UnmountNamespace(netns_path_).IgnoreError();
}

void FakeGuest::Carry() {
  for (;;) {
    pollfd fds[] = {{pod_side_.get(), POLLIN, 0}, {guest_side_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(fds, 3, -1);
    if (fds[2].revents != 0) return;
    while (CarryFrame(pod_side_.get(), guest_side_.get())) {
    }
    while (CarryFrame(guest_side_.get(), pod_side_.get())) {
    }
  }
}

}  // namespace podvisor
