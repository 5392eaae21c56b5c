#include "agent/guest/network/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <bit>
#include <cstdio>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

absl::StatusOr<uint8_t> ParsePrefix(const std::string& text, size_t address_bytes) {
  uint32_t bits = 0;
  if (!absl::SimpleAtoi(text, &bits) || bits > address_bytes * 8) {
    return absl::InvalidArgumentError(absl::StrCat("prefix length \"", text, "\""));
  }
  return static_cast<uint8_t>(bits);
}

}  // namespace

absl::StatusOr<IpAddress> ParseIp(const std::string& text) {
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  unsigned char buffer[16];
  IpAddress ip;
  if (::inet_pton(AF_INET, address.c_str(), buffer) == 1) {
    ip = {.family = AF_INET, .bytes = std::string(reinterpret_cast<char*>(buffer), 4), .prefix = 32};
  } else if (::inet_pton(AF_INET6, address.c_str(), buffer) == 1) {
    ip = {.family = AF_INET6, .bytes = std::string(reinterpret_cast<char*>(buffer), 16), .prefix = 128};
  } else {
    return absl::InvalidArgumentError(absl::StrCat("IP address \"", text, "\""));
  }
  if (slash != std::string::npos) {
    ASSIGN_OR_RETURN(ip.prefix, ParsePrefix(text.substr(slash + 1), ip.bytes.size()), text);
  }
  return ip;
}

absl::StatusOr<IpAddress> ParseIpWithMask(const std::string& address, const std::string& mask) {
  ASSIGN_OR_RETURN(IpAddress ip, ParseIp(address));
  if (mask.empty()) return ip;
  in_addr dotted;
  if (ip.family == AF_INET && mask.find('.') != std::string::npos && ::inet_pton(AF_INET, mask.c_str(), &dotted) == 1) {
    ip.prefix = static_cast<uint8_t>(std::popcount(dotted.s_addr));
    return ip;
  }
  ASSIGN_OR_RETURN(ip.prefix, ParsePrefix(mask, ip.bytes.size()), address);
  return ip;
}

std::string FormatIp(uint8_t family, const std::string& bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  if (bytes.size() < (family == AF_INET ? 4u : 16u)) return "";
  ::inet_ntop(family, bytes.data(), text, sizeof(text));
  return text;
}

absl::StatusOr<std::string> ParseMac(const std::string& text) {
  unsigned part[6];
  int used = 0;
  if (std::sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%n", &part[0], &part[1], &part[2], &part[3], &part[4], &part[5],
                  &used) != 6 ||
      used != static_cast<int>(text.size())) {
    return absl::InvalidArgumentError(absl::StrCat("MAC address \"", text, "\""));
  }
  std::string bytes;
  for (const unsigned value : part) bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string FormatMac(const std::string& bytes) {
  if (bytes.size() != 6) return "";
  char text[18];
  const auto* b = reinterpret_cast<const unsigned char*>(bytes.data());
  std::snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
  return text;
}

}  // namespace podvisor::guest
