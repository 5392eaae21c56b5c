// Addresses as text and as the kernel has them.
#ifndef PODVISOR_AGENT_GUEST_NETWORK_ADDRESSES_H_
#define PODVISOR_AGENT_GUEST_NETWORK_ADDRESSES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace podvisor::guest {

struct IpAddress {
  uint8_t family = 0;  // AF_INET or AF_INET6
  std::string bytes;   // 4 or 16, network order
  uint8_t prefix = 0;  // bits

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

// "10.0.0.2", "fd00::2", and with a prefix "10.0.0.0/16"; without one, all bits.
absl::StatusOr<IpAddress> ParseIp(const std::string& text);
// With a mask as Kata sends it: bits as a number ("24"), or "255.255.255.0".
absl::StatusOr<IpAddress> ParseIpWithMask(const std::string& address, const std::string& mask);
std::string FormatIp(uint8_t family, const std::string& bytes);

// "02:00:00:00:00:01" to six bytes and back.
absl::StatusOr<std::string> ParseMac(const std::string& text);
std::string FormatMac(const std::string& bytes);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_NETWORK_ADDRESSES_H_
