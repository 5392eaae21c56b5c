// Frames and connections between a pod's guest and the world: the guest is a namespace behind the tap.

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <netinet/if_ether.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/status_matchers.h"
#include "netns/namespace.h"
#include "netns/testing/fake_guest.h"
#include "netns/testing/pod_network_fixture.h"
#include "netns/testing/private_host.h"

namespace podvisor {
namespace {

constexpr size_t kVnetHeader = 10;
constexpr int kPatienceSeconds = 60;

struct Endpoint {
  sockaddr_storage address = {};
  socklen_t size = 0;
};

Endpoint MakeEndpoint(const std::string& ip, uint16_t port) {
  Endpoint endpoint;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&endpoint.address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&endpoint.address);
  if (::inet_pton(AF_INET, ip.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    endpoint.size = sizeof *v4;
  } else if (::inet_pton(AF_INET6, ip.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    endpoint.size = sizeof *v6;
  }
  return endpoint;
}

absl::StatusOr<UniqueFd> StreamSocket(const Endpoint& endpoint) {
  UniqueFd socket(::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.ok()) return ErrnoStatus(errno, "socket");
  const timeval patience = {kPatienceSeconds, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return socket;
}

// In the namespace at `netns`; empty: the host's.
absl::Status In(const std::string& netns, const std::function<absl::Status()>& work) {
  return netns.empty() ? work() : RunInNamespace(netns, work);
}

absl::StatusOr<UniqueFd> Listen(const std::string& netns, const std::string& ip, uint16_t port) {
  absl::StatusOr<UniqueFd> listener;
  RETURN_IF_ERROR(In(netns, [&]() -> absl::Status {
    const Endpoint endpoint = MakeEndpoint(ip, port);
    listener = StreamSocket(endpoint);
    RETURN_IF_ERROR(listener.status());
    const int on = 1;
    ::setsockopt(listener->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(listener->get(), reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.size) != 0 ||
        ::listen(listener->get(), 8) != 0)
      return ErrnoStatus(errno, absl::StrCat("listen at ", ip));
    return absl::OkStatus();
  }));
  return listener;
}

// Connects from `netns` and sends enough both ways that segments of full size are among it.
absl::Status Exchange(const UniqueFd& listener, const std::string& netns, const std::string& ip, uint16_t port) {
  absl::StatusOr<UniqueFd> client;
  RETURN_IF_ERROR(In(netns, [&]() -> absl::Status {
    const Endpoint endpoint = MakeEndpoint(ip, port);
    client = StreamSocket(endpoint);
    RETURN_IF_ERROR(client.status());
    if (::connect(client->get(), reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.size) != 0)
      return ErrnoStatus(errno, absl::StrCat("connect to ", ip, " port ", port));
    return absl::OkStatus();
  }));
  const UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!server.ok()) return ErrnoStatus(errno, "accept");
  for (const auto& [from, to] : {std::pair(client->get(), server.get()), std::pair(server.get(), client->get())}) {
    const std::string sent(30000, 'x');
    if (::send(from, sent.data(), sent.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(sent.size()))
      return ErrnoStatus(errno, "send");
    std::string got(sent.size(), 0);
    if (::recv(to, got.data(), got.size(), MSG_WAITALL) != static_cast<ssize_t>(got.size()))
      return ErrnoStatus(errno, "receive");
    if (got != sent) return absl::DataLossError("something else was received");
  }
  return absl::OkStatus();
}

// The next frame of this type at the tap, without the virtio-net header.
std::optional<std::string> NextFrame(int tap, uint16_t type) {
  const absl::Time deadline = absl::Now() + absl::Seconds(kPatienceSeconds);
  char buffer[70000];
  while (absl::Now() < deadline) {
    pollfd poll_fd = {tap, POLLIN, 0};
    ::poll(&poll_fd, 1, 1000);
    const ssize_t size = ::read(tap, buffer, sizeof buffer);
    if (size < static_cast<ssize_t>(kVnetHeader + sizeof(ether_header))) continue;
    ether_header header;
    std::memcpy(&header, buffer + kVnetHeader, sizeof header);
    if (ntohs(header.ether_type) == type) return std::string(buffer + kVnetHeader, size - kVnetHeader);
  }
  return std::nullopt;
}

class PodTrafficTest : public PodNetworkFixture {
 protected:
  // Sets up a sandbox with a guest. The guest goes with the fixture's members, before TearDown() ends.
  void StartGuest(const std::string& interworking, std::vector<PortMapping> port_mappings = {}) {
    network_ = MakeNetwork(interworking);
    NetworkRequest request = MakeSandbox("guest1");
    request.port_mappings = std::move(port_mappings);
    requests_.back() = request;
    result_ = network_->Setup(request, Soon());
    ASSERT_OK(result_);
    absl::StatusOr<UniqueFd> tap = network_->OpenTap("guest1");
    ASSERT_OK(tap);
    absl::StatusOr<std::unique_ptr<FakeGuest>> guest =
        FakeGuest::Start(*std::move(tap), *result_, absl::StrCat(dir_, "/guest-netns"));
    ASSERT_OK(guest);
    guest_ = *std::move(guest);
  }

  void TearDown() override {
    guest_.reset();
    PodNetworkFixture::TearDown();
  }

  absl::StatusOr<PodNetworkResult> result_ = absl::UnknownError("not set up");
  std::unique_ptr<FakeGuest> guest_;
};

// By hand, frame by frame: a question of the bridge's side arrives at the tap, the answer written there arrives at the
// bridge, which then knows whom to send the rest to.
TEST_F(PodTrafficTest, FramesPassBothWays) {
  const NetworkRequest request = MakeSandbox("frames");
  const absl::StatusOr<UniqueFd> tap = network_->OpenTap("frames");  // before Setup(), as a VM does
  ASSERT_OK(tap);
  ASSERT_OK(network_->Setup(request, Soon()));

  const UniqueFd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const Endpoint pod = MakeEndpoint("10.77.0.2", 9);
  ASSERT_EQ(::sendto(udp.get(), "ping", 4, 0, reinterpret_cast<const sockaddr*>(&pod.address), pod.size), 4);

  std::optional<std::string> question = NextFrame(tap->get(), ETHERTYPE_ARP);
  ASSERT_TRUE(question.has_value());
  ASSERT_GE(question->size(), sizeof(ether_header) + sizeof(ether_arp));
  ether_header ethernet;
  ether_arp arp;
  std::memcpy(&ethernet, question->data(), sizeof ethernet);
  std::memcpy(&arp, question->data() + sizeof ethernet, sizeof arp);
  ASSERT_EQ(ntohs(arp.ea_hdr.ar_op), ARPOP_REQUEST);

  const uint8_t mac[6] = {0x0a, 0, 0, 0, 0, 0x42};  // a VM may choose its own
  std::memcpy(ethernet.ether_dhost, ethernet.ether_shost, 6);
  std::memcpy(ethernet.ether_shost, mac, 6);
  std::memcpy(arp.arp_tha, arp.arp_sha, 6);
  std::memcpy(arp.arp_sha, mac, 6);
  std::swap(arp.arp_spa, arp.arp_tpa);
  arp.ea_hdr.ar_op = htons(ARPOP_REPLY);
  std::string answer(kVnetHeader, '\0');
  answer.append(reinterpret_cast<const char*>(&ethernet), sizeof ethernet);
  answer.append(reinterpret_cast<const char*>(&arp), sizeof arp);
  ASSERT_EQ(::write(tap->get(), answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));

  const std::optional<std::string> datagram = NextFrame(tap->get(), ETHERTYPE_IP);
  ASSERT_TRUE(datagram.has_value());
  EXPECT_EQ(datagram->substr(0, 6), std::string(reinterpret_cast<const char*>(mac), 6));
  EXPECT_THAT(*datagram, testing::HasSubstr("ping"));
}

class PodTrafficByInterworkingTest : public PodTrafficTest, public testing::WithParamInterface<const char*> {};

TEST_P(PodTrafficByInterworkingTest, HostAndGuestReachEachOther) {
  ASSERT_NO_FATAL_FAILURE(StartGuest(GetParam()));
  for (const auto& [any, pod, host] :
       {std::tuple("0.0.0.0", "10.77.0.2", "10.77.0.1"), std::tuple("::", "fd77::2", "fd77::1")}) {
    const absl::StatusOr<UniqueFd> in_guest = Listen(guest_->netns_path(), any, 80);
    ASSERT_OK(in_guest);
    EXPECT_OK(Exchange(*in_guest, "", pod, 80)) << pod;
    const absl::StatusOr<UniqueFd> at_host = Listen("", host, 8080);
    ASSERT_OK(at_host);
    EXPECT_OK(Exchange(*at_host, guest_->netns_path(), host, 8080)) << host;
  }
}

INSTANTIATE_TEST_SUITE_P(Interworking, PodTrafficByInterworkingTest, testing::Values("tcfilter", "macvtap"),
                         [](const auto& test) { return std::string(test.param); });

TEST_F(PodTrafficTest, HostPortsReachTheGuest) {
  ASSERT_NO_FATAL_FAILURE(StartGuest("tcfilter", {{"tcp", 80, 18080, ""}}));
  const absl::StatusOr<UniqueFd> listener = Listen(guest_->netns_path(), "0.0.0.0", 80);
  ASSERT_OK(listener);
  EXPECT_OK(Exchange(*listener, "", "10.77.0.1", 18080)) << "by the host's address";
  EXPECT_OK(Exchange(*listener, "", "127.0.0.1", 18080)) << "by the host's loopback";
  EXPECT_OK(Exchange(*listener, guest_->netns_path(), "10.77.0.1", 18080)) << "by the guest itself (hairpin)";
}

TEST_F(PodTrafficTest, HostPortsReachTheGuestByIpv6) {
  ASSERT_NO_FATAL_FAILURE(StartGuest("tcfilter", {{"tcp", 80, 18080, ""}}));
  const absl::StatusOr<UniqueFd> listener = Listen(guest_->netns_path(), "::", 80);
  ASSERT_OK(listener);
  EXPECT_OK(Exchange(*listener, "", "fd77::1", 18080)) << "by the host's address";
  EXPECT_OK(Exchange(*listener, guest_->netns_path(), "fd77::1", 18080)) << "by the guest itself (hairpin)";
}

// A restarted daemon asks for the result of a pod whose guest runs on: the filters must not be made anew, since without
// them the namespace's kernel answers, and resets the guest's connections.
TEST_F(PodTrafficTest, LoadLeavesTheFiltersAlone) {
  ASSERT_NO_FATAL_FAILURE(StartGuest("tcfilter"));
  const absl::StatusOr<UniqueFd> listener = Listen(guest_->netns_path(), "0.0.0.0", 80);
  ASSERT_OK(listener);
  ASSERT_OK(Exchange(*listener, "", "10.77.0.2", 80));
  network_ = MakeNetwork();
  EXPECT_OK(network_->Load(requests_.back()));
  EXPECT_OK(network_->Setup(requests_.back(), Soon()));
  const std::string filters =
      *RunTool({"/usr/sbin/tc", "-s", "filter", "show", "dev", "eth0", "ingress"}, requests_.back().netns_path);
  EXPECT_THAT(filters, testing::HasSubstr("Redirect to device tap0_pv"));
  EXPECT_THAT(filters, testing::Not(testing::HasSubstr("Sent 0 bytes"))) << "made anew: its counters are";
  EXPECT_OK(Exchange(*listener, "", "10.77.0.2", 80));
}

TEST_F(PodTrafficTest, TwoPodsReachEachOther) {
  ASSERT_NO_FATAL_FAILURE(StartGuest("tcfilter"));
  const NetworkRequest request = MakeSandbox("guest2");
  const absl::StatusOr<PodNetworkResult> result = network_->Setup(request, Soon());
  ASSERT_OK(result);
  absl::StatusOr<UniqueFd> tap = network_->OpenTap("guest2");
  ASSERT_OK(tap);
  const absl::StatusOr<std::unique_ptr<FakeGuest>> other =
      FakeGuest::Start(*std::move(tap), *result, absl::StrCat(dir_, "/guest2-netns"));
  ASSERT_OK(other);
  const absl::StatusOr<UniqueFd> listener = Listen(guest_->netns_path(), "::", 80);
  ASSERT_OK(listener);
  EXPECT_OK(Exchange(*listener, (*other)->netns_path(), "10.77.0.2", 80));
  EXPECT_OK(Exchange(*listener, (*other)->netns_path(), "fd77::2", 80));
}

// A gateway that only a route of its own reaches; the guest has no connected network to fall back on.
TEST_F(PodTrafficTest, PointToPointNetworks) {
  WriteConfigText(absl::StrCat(R"({"cniVersion": "1.0.0", "name": "test", "plugins": [{"type": "ptp", "mtu": 1300,
      "ipam": {"type": "host-local", "dataDir": ")",
                               dir_, R"(/ipam", "subnet": "10.78.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}]})"));
  ASSERT_NO_FATAL_FAILURE(StartGuest("tcfilter"));
  EXPECT_EQ(result_->interfaces[0].mtu, 1300u);
  const absl::StatusOr<UniqueFd> listener = Listen(guest_->netns_path(), "0.0.0.0", 80);
  ASSERT_OK(listener);
  EXPECT_OK(Exchange(*listener, "", "10.78.0.2", 80));
  const absl::StatusOr<UniqueFd> at_host = Listen("", "0.0.0.0", 8080);
  ASSERT_OK(at_host);
  EXPECT_OK(Exchange(*at_host, guest_->netns_path(), "10.78.0.1", 8080));
}

}  // namespace
}  // namespace podvisor
