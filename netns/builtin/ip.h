// IP addresses and networks as numbers: to be counted through, compared and put into keys of nftables.
#ifndef PODVISOR_NETNS_BUILTIN_IP_H_
#define PODVISOR_NETNS_BUILTIN_IP_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor {

struct IpAddress {
  int family = 0;                      // AF_INET, AF_INET6
  std::array<uint8_t, 16> bytes = {};  // network byte order; the first size() count
  size_t size() const;
  std::string ToString() const;
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

// kInvalidArgument quotes what is no address.
absl::StatusOr<IpAddress> ParseIp(absl::string_view text);

// An address with the length of its network's prefix; it may have host bits.
struct IpNetwork {
  IpAddress address;
  int prefix = 0;
  bool Contains(const IpAddress& other) const;
  IpAddress First() const;  // host bits are 0: the network's own address
  IpAddress Last() const;   // host bits are 1: the broadcast address of IPv4
  std::string ToString() const;
  friend auto operator<=>(const IpNetwork&, const IpNetwork&) = default;
};

absl::StatusOr<IpNetwork> ParseIpNetwork(absl::string_view text);

// Count up and down; the highest address is followed by the lowest.
IpAddress Next(IpAddress address);
IpAddress Previous(IpAddress address);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_IP_H_
