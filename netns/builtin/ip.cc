#include "netns/builtin/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

IpAddress WithHostBits(const IpNetwork& network, bool ones) {
  IpAddress address = network.address;
  for (size_t bit = static_cast<size_t>(network.prefix); bit < address.size() * 8; ++bit) {
    const auto mask = static_cast<uint8_t>(0x80u >> (bit % 8));
    uint8_t& byte = address.bytes[bit / 8];
    byte = static_cast<uint8_t>(ones ? byte | mask : byte & ~mask);
  }
  return address;
}

}  // namespace

size_t IpAddress::size() const { return family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr); }

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN];
  return ::inet_ntop(family, bytes.data(), text, sizeof text) == nullptr ? "?" : text;
}

absl::StatusOr<IpAddress> ParseIp(absl::string_view text) {
  const std::string copy(text);
  for (const int family : {AF_INET, AF_INET6}) {
    IpAddress address;
    address.family = family;
    if (::inet_pton(family, copy.c_str(), address.bytes.data()) == 1) return address;
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no IP address"));
}

bool IpNetwork::Contains(const IpAddress& other) const {
  return other.family == address.family && IpNetwork{other, prefix}.First() == First();
}

IpAddress IpNetwork::First() const { return WithHostBits(*this, false); }

IpAddress IpNetwork::Last() const { return WithHostBits(*this, true); }

std::string IpNetwork::ToString() const { return absl::StrCat(address.ToString(), "/", prefix); }

absl::StatusOr<IpNetwork> ParseIpNetwork(absl::string_view text) {
  const size_t slash = text.find('/');
  IpNetwork network;
  ASSIGN_OR_RETURN(network.address, ParseIp(text.substr(0, slash)));
  if (slash == absl::string_view::npos || !absl::SimpleAtoi(text.substr(slash + 1), &network.prefix) ||
      network.prefix < 0 || static_cast<size_t>(network.prefix) > network.address.size() * 8)
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no address with prefix length"));
  return network;
}

IpAddress Next(IpAddress address) {
  for (size_t i = address.size(); i-- > 0;)
    if (++address.bytes[i] != 0) break;
  return address;
}

IpAddress Previous(IpAddress address) {
  for (size_t i = address.size(); i-- > 0;)
    if (address.bytes[i]-- != 0) break;
  return address;
}

}  // namespace podvisor
