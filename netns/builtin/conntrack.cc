#include "netns/builtin/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <vector>

#include "base/status_macros.h"
#include "netns/netlink.h"

namespace podvisor {
namespace {

using MessagePtr = std::unique_ptr<nl_msg, void (*)(nl_msg*)>;
using SocketPtr = std::unique_ptr<nl_sock, void (*)(nl_sock*)>;

MessagePtr NewMessage(int type, int flags, uint8_t family) {
  MessagePtr message(nlmsg_alloc_simple((NFNL_SUBSYS_CTNETLINK << 8) | type, flags), nlmsg_free);
  nfgenmsg generic = {};
  generic.nfgen_family = family;
  generic.version = NFNETLINK_V0;
  nlmsg_append(message.get(), &generic, sizeof generic, NLMSG_ALIGNTO);
  return message;
}

struct Found {
  uint8_t family = 0;
  std::vector<uint8_t> original;  // the attribute's content: what names a connection
};

struct Search {
  const std::set<uint16_t>* ports = nullptr;
  std::vector<Found> found;
};

int Visit(nl_msg* message, void* argument) {
  auto* search = static_cast<Search*>(argument);
  nlmsghdr* header = nlmsg_hdr(message);
  nlattr* original = nlmsg_find_attr(header, sizeof(nfgenmsg), CTA_TUPLE_ORIG);
  if (original == nullptr) return NL_OK;
  nlattr* protocol[CTA_PROTO_MAX + 1] = {};
  nlattr* tuple[CTA_TUPLE_MAX + 1] = {};
  if (nla_parse_nested(tuple, CTA_TUPLE_MAX, original, nullptr) < 0 || tuple[CTA_TUPLE_PROTO] == nullptr ||
      nla_parse_nested(protocol, CTA_PROTO_MAX, tuple[CTA_TUPLE_PROTO], nullptr) < 0)
    return NL_OK;
  if (protocol[CTA_PROTO_NUM] == nullptr || nla_get_u8(protocol[CTA_PROTO_NUM]) != IPPROTO_UDP ||
      protocol[CTA_PROTO_DST_PORT] == nullptr ||
      search->ports->count(ntohs(nla_get_u16(protocol[CTA_PROTO_DST_PORT]))) == 0)
    return NL_OK;
  const auto* bytes = static_cast<const uint8_t*>(nla_data(original));
  search->found.push_back(
      {static_cast<const nfgenmsg*>(nlmsg_data(header))->nfgen_family, {bytes, bytes + nla_len(original)}});
  return NL_OK;
}

}  // namespace

absl::Status ForgetUdpConnections(const std::set<uint16_t>& ports) {
  if (ports.empty()) return absl::OkStatus();
  const SocketPtr socket(nl_socket_alloc(), nl_socket_free);
  if (socket == nullptr) return absl::ResourceExhaustedError("no memory for a netlink socket");
  int result = nl_connect(socket.get(), NETLINK_NETFILTER);
  Search search;
  search.ports = &ports;
  nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, Visit, &search);
  if (result == 0) {
    const MessagePtr dump = NewMessage(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, AF_UNSPEC);
    result = nl_send_auto(socket.get(), dump.get());
  }
  if (result >= 0) result = nl_recvmsgs_default(socket.get());
  if (result < 0) return NetlinkStatus(result, "list connections");
  for (const Found& found : search.found) {
    const MessagePtr message = NewMessage(IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, found.family);
    nla_put(message.get(), CTA_TUPLE_ORIG | NLA_F_NESTED, static_cast<int>(found.original.size()),
            found.original.data());
    result = nl_send_auto(socket.get(), message.get());
    if (result >= 0) result = nl_wait_for_ack(socket.get());
    // Those that have ended meanwhile are as good.
    if (result < 0 && result != -NLE_OBJ_NOTFOUND) return NetlinkStatus(result, "forget a connection");
  }
  return absl::OkStatus();
}

}  // namespace podvisor
