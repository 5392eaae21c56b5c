// rtnetlink, just as much as the agent needs: libnl-route would be a third of its size.
#ifndef PODVISOR_AGENT_GUEST_NETWORK_NETLINK_H_
#define PODVISOR_AGENT_GUEST_NETWORK_NETLINK_H_

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

// A request under construction: header, family header, attributes.
class NetlinkMessage {
 public:
  template <typename Header>
  NetlinkMessage(uint16_t type, uint16_t flags, const Header& header) {
    nlmsghdr start{};
    start.nlmsg_type = type;
    start.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
    Append(&start, sizeof(start));
    Append(&header, sizeof(header));
  }

  void Add(uint16_t type, absl::string_view value);
  void AddNumber(uint16_t type, uint32_t value) {
    Add(type, absl::string_view(reinterpret_cast<const char*>(&value), sizeof(value)));
  }
  void AddText(uint16_t type, const std::string& text) { Add(type, absl::string_view(text.c_str(), text.size() + 1)); }
  // A nested attribute with one number in it.
  void AddNestedNumber(uint16_t type, uint16_t inner, uint32_t value);

  // Complete, with its length and this sequence number.
  const std::string& Finish(uint32_t sequence);

 private:
  void Append(const void* data, size_t size);

  std::string bytes_;
};

// One object of a dump.
struct NetlinkObject {
  std::string header;                          // the family header's bytes
  std::map<uint16_t, std::string> attributes;  // by type; the last of each

  template <typename Header>
  Header As() const {
    Header value{};
    std::memcpy(&value, header.data(), std::min(sizeof(value), header.size()));
    return value;
  }
  uint32_t Number(uint16_t type) const;
  std::string Text(uint16_t type) const;
  const std::string* Find(uint16_t type) const;
};

// Requests that go to the kernel together, in this order.
class NetlinkBatch {
 public:
  // `what` goes in front of the kernel's error; `forgiven` is an errno that counts as success (0: none).
  void Add(NetlinkMessage message, std::string what, int forgiven = 0) {
    requests_.push_back({std::move(message), std::move(what), forgiven});
  }

 private:
  friend class NetlinkSocket;
  struct Request {
    NetlinkMessage message;
    std::string what;
    int forgiven;
  };

  std::vector<Request> requests_;
};

class NetlinkSocket {
 public:
  static absl::StatusOr<NetlinkSocket> Open();

  // Waits for the kernel's acknowledgements. All are carried out, also those after one that fails; the first error is
  // returned, with the errno.
  absl::Status Do(NetlinkBatch batch);

  // All objects of a type: RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE. `header_size` is that of the family header.
  absl::StatusOr<std::vector<NetlinkObject>> Dump(uint16_t type, uint8_t family, size_t header_size);

 private:
  explicit NetlinkSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  absl::Status Send(const std::string& bytes);
  absl::StatusOr<std::string> Receive();

  UniqueFd fd_;
  uint32_t sequence_ = 0;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_NETWORK_NETLINK_H_
