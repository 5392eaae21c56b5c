#include "netns/builtin/nft_batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "netns/netlink.h"

namespace podvisor {
namespace {

using Message = std::vector<uint8_t>;
using MessagePtr = std::unique_ptr<nl_msg, void (*)(nl_msg*)>;

constexpr size_t kMaxMessageBytes = 4096;
constexpr int kSendBufferBytes = 1 << 20;

MessagePtr NewMessage(int type, int flags, uint8_t family, uint16_t resource) {
  MessagePtr message(nlmsg_alloc_size(kMaxMessageBytes), nlmsg_free);
  nlmsghdr* header = nlmsg_put(message.get(), 0, 0, type, sizeof(nfgenmsg), flags);
  auto* generic = static_cast<nfgenmsg*>(nlmsg_data(header));
  generic->nfgen_family = family;
  generic->version = NFNETLINK_V0;
  generic->res_id = htons(resource);
  return message;
}

Message Bytes(const MessagePtr& message) {
  nlmsghdr* header = nlmsg_hdr(message.get());
  header->nlmsg_flags |= NLM_F_REQUEST;
  const auto* begin = reinterpret_cast<const uint8_t*>(header);
  Message bytes(begin, begin + header->nlmsg_len);
  bytes.resize(NLMSG_ALIGN(bytes.size()));
  return bytes;
}

Message Boundary(int type) { return Bytes(NewMessage(type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES)); }

uint8_t NfFamily(int family) { return family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4; }

bool PutData(nl_msg* message, const NftElement& element) {
  nlattr* data = nla_nest_start(message, NFTA_SET_ELEM_DATA);
  if (data == nullptr) return false;
  if (!element.data.empty()) {
    if (nla_put(message, NFTA_DATA_VALUE, static_cast<int>(element.data.size()), element.data.data()) < 0) return false;
  } else {
    nlattr* verdict = nla_nest_start(message, NFTA_DATA_VERDICT);
    if (verdict == nullptr || nla_put_u32(message, NFTA_VERDICT_CODE, htonl(static_cast<uint32_t>(NFT_JUMP))) < 0 ||
        nla_put_string(message, NFTA_VERDICT_CHAIN, element.chain.c_str()) < 0)
      return false;
    nla_nest_end(message, verdict);
  }
  nla_nest_end(message, data);
  return true;
}

// False if the message is too small, which no element makes it.
bool PutElement(nl_msg* message, const std::string& table, const NftElement& element) {
  if (nla_put_string(message, NFTA_SET_ELEM_LIST_TABLE, table.c_str()) < 0 ||
      nla_put_string(message, NFTA_SET_ELEM_LIST_SET, element.map.c_str()) < 0)
    return false;
  nlattr* list = nla_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
  nlattr* entry = list == nullptr ? nullptr : nla_nest_start(message, NFTA_LIST_ELEM);
  nlattr* key = entry == nullptr ? nullptr : nla_nest_start(message, NFTA_SET_ELEM_KEY);
  if (key == nullptr || nla_put(message, NFTA_DATA_VALUE, static_cast<int>(element.key.size()), element.key.data()) < 0)
    return false;
  nla_nest_end(message, key);
  if (!PutData(message, element)) return false;
  nla_nest_end(message, entry);
  nla_nest_end(message, list);
  return true;
}

}  // namespace

void NftSocket::Free(nl_sock* socket) { nl_socket_free(socket); }

absl::StatusOr<NftSocket> NftSocket::Open() {
  NftSocket socket(nl_socket_alloc());
  if (socket.socket_ == nullptr) return absl::ResourceExhaustedError("no memory for a netlink socket");
  int result = nl_connect(socket.socket_.get(), NETLINK_NETFILTER);
  if (result == 0) result = nl_socket_set_buffer_size(socket.socket_.get(), kSendBufferBytes, kSendBufferBytes);
  if (result < 0) return NetlinkStatus(result, "connect to nftables (does the kernel have nf_tables?)");
  return socket;
}

// The kernel has handled the whole transaction when the send call returns, and acknowledged each message.
absl::Status NftSocket::Send(const std::vector<Message>& messages) {
  Message all = Boundary(NFNL_MSG_BATCH_BEGIN);
  for (const Message& message : messages) all.insert(all.end(), message.begin(), message.end());
  const Message end = Boundary(NFNL_MSG_BATCH_END);
  all.insert(all.end(), end.begin(), end.end());
  const int fd = nl_socket_get_fd(socket_.get());
  if (::send(fd, all.data(), all.size(), 0) != static_cast<ssize_t>(all.size()))
    return ErrnoStatus(errno, "send to nftables");
  size_t answers = 0;
  int error = 0;
  alignas(nlmsghdr) char buffer[64 << 10];
  ssize_t got = 0;
  while ((got = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0) {
    int left = static_cast<int>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer); nlmsg_ok(header, left);
         header = nlmsg_next(header, &left)) {
      if (header->nlmsg_type != NLMSG_ERROR) continue;
      ++answers;
      const auto* answer = static_cast<const nlmsgerr*>(nlmsg_data(header));
      if (answer->error != 0 && error == 0) error = -answer->error;
    }
  }
  if (error != 0) return ErrnoStatus(error, "nftables");
  if (answers < messages.size())
    return absl::InternalError(absl::StrCat("nftables acknowledged ", answers, " of ", messages.size(), " changes"));
  return absl::OkStatus();
}

absl::Status NftSocket::ChangeElements(int family, const std::string& table, const std::vector<NftElement>& elements,
                                       int type) {
  if (elements.empty()) return absl::OkStatus();
  std::vector<Message> messages;
  for (const NftElement& element : elements) {
    const int flags = NLM_F_ACK | (type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
    MessagePtr message = NewMessage((NFNL_SUBSYS_NFTABLES << 8) | type, flags, NfFamily(family), 0);
    if (!PutElement(message.get(), table, element))
      return absl::InternalError(absl::StrCat("an element of nftables map ", element.map, " fits no message"));
    messages.push_back(Bytes(message));
  }
  return Send(messages);
}

absl::Status NftSocket::AddElements(int family, const std::string& table, const std::vector<NftElement>& elements) {
  return ChangeElements(family, table, elements, NFT_MSG_NEWSETELEM);
}

absl::Status NftSocket::RemoveElements(int family, const std::string& table, const std::vector<NftElement>& elements) {
  return ChangeElements(family, table, elements, NFT_MSG_DELSETELEM);
}

absl::Status NftSocket::RemoveTable(int family, const std::string& table) {
  MessagePtr message = NewMessage((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_DELTABLE, NLM_F_ACK, NfFamily(family), 0);
  if (nla_put_string(message.get(), NFTA_TABLE_NAME, table.c_str()) < 0)
    return absl::InternalError("the name of an nftables table fits no message");
  const absl::Status status = Send({Bytes(message)});
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace podvisor
