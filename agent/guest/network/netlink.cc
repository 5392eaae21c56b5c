#include "agent/guest/network/netlink.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>

#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

// The kernel puts up to this much into one datagram of a dump.
constexpr size_t kDatagramBytes = 32 << 10;

NetlinkObject ParseObject(const nlmsghdr* message, size_t header_size) {
  NetlinkObject object;
  const char* payload = static_cast<const char*>(NLMSG_DATA(message));
  const size_t size = message->nlmsg_len - NLMSG_HDRLEN;
  object.header.assign(payload, std::min(size, header_size));
  const size_t skip = NLMSG_ALIGN(header_size);
  if (size <= skip) return object;
  int left = static_cast<int>(size - skip);
  for (auto* attribute = reinterpret_cast<const rtattr*>(payload + skip); RTA_OK(attribute, left);
       attribute = RTA_NEXT(attribute, left)) {
    object.attributes[attribute->rta_type & NLA_TYPE_MASK].assign(static_cast<const char*>(RTA_DATA(attribute)),
                                                                  RTA_PAYLOAD(attribute));
  }
  return object;
}

}  // namespace

void NetlinkMessage::Append(const void* data, size_t size) {
  bytes_.append(static_cast<const char*>(data), size);
  bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

void NetlinkMessage::Add(uint16_t type, absl::string_view value) {
  rtattr attribute{};
  attribute.rta_type = type;
  attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(value.size()));
  Append(&attribute, sizeof(attribute));
  Append(value.data(), value.size());
}

void NetlinkMessage::AddNestedNumber(uint16_t type, uint16_t inner, uint32_t value) {
  std::string nested(RTA_SPACE(sizeof(value)), '\0');
  auto* attribute = reinterpret_cast<rtattr*>(nested.data());
  attribute->rta_type = inner;
  attribute->rta_len = static_cast<uint16_t>(RTA_LENGTH(sizeof(value)));
  std::memcpy(RTA_DATA(attribute), &value, sizeof(value));
  Add(type, nested);
}

const std::string& NetlinkMessage::Finish(uint32_t sequence) {
  auto* header = reinterpret_cast<nlmsghdr*>(bytes_.data());
  header->nlmsg_len = static_cast<uint32_t>(bytes_.size());
  header->nlmsg_seq = sequence;
  return bytes_;
}

const std::string* NetlinkObject::Find(uint16_t type) const {
  const auto found = attributes.find(type);
  return found == attributes.end() ? nullptr : &found->second;
}

uint32_t NetlinkObject::Number(uint16_t type) const {
  uint32_t value = 0;
  if (const std::string* bytes = Find(type)) std::memcpy(&value, bytes->data(), std::min(sizeof(value), bytes->size()));
  return value;
}

std::string NetlinkObject::Text(uint16_t type) const {
  const std::string* bytes = Find(type);
  return bytes == nullptr ? "" : bytes->substr(0, bytes->find('\0'));
}

absl::StatusOr<NetlinkSocket> NetlinkSocket::Open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.ok()) return ErrnoStatus(errno, "rtnetlink socket");
  // The kernel answers from within send(): this only guards against a bug on either side.
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  return NetlinkSocket(std::move(fd));
}

absl::Status NetlinkSocket::Send(const std::string& bytes) {
  if (::send(fd_.get(), bytes.data(), bytes.size(), 0) < 0) return ErrnoStatus(errno, "rtnetlink send");
  return absl::OkStatus();
}

absl::StatusOr<std::string> NetlinkSocket::Receive() {
  std::string datagram(kDatagramBytes, '\0');
  ssize_t got;
  do {
    got = ::recv(fd_.get(), datagram.data(), datagram.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return ErrnoStatus(errno, "rtnetlink receive");
  datagram.resize(static_cast<size_t>(got));
  return datagram;
}

absl::Status NetlinkSocket::Do(NetlinkBatch batch) {
  std::vector<NetlinkBatch::Request>& requests = batch.requests_;
  if (requests.empty()) return absl::OkStatus();
  std::string bytes;
  const uint32_t first = sequence_ + 1;
  for (NetlinkBatch::Request& request : requests) bytes += request.message.Finish(++sequence_);
  RETURN_IF_ERROR(Send(bytes));
  absl::Status result;
  for (size_t answered = 0; answered < requests.size();) {
    ASSIGN_OR_RETURN(const std::string datagram, Receive());
    size_t left = datagram.size();
    for (auto* header = reinterpret_cast<const nlmsghdr*>(datagram.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      const uint32_t index = header->nlmsg_seq - first;
      if (index >= requests.size() || header->nlmsg_type != NLMSG_ERROR) continue;
      ++answered;
      const int error = -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
      if (error == 0 || error == requests[index].forgiven || !result.ok()) continue;
      result = ErrnoStatus(error, requests[index].what);
    }
  }
  return result;
}

absl::StatusOr<std::vector<NetlinkObject>> NetlinkSocket::Dump(uint16_t type, uint8_t family, size_t header_size) {
  // All family headers begin with the family, and zeros behind a shorter one mean nothing.
  ifinfomsg header{};
  header.ifi_family = family;
  NetlinkMessage message(type, NLM_F_DUMP, header);
  RETURN_IF_ERROR(Send(message.Finish(++sequence_)));
  std::vector<NetlinkObject> objects;
  for (;;) {
    ASSIGN_OR_RETURN(const std::string datagram, Receive());
    size_t left = datagram.size();
    for (auto* reply = reinterpret_cast<const nlmsghdr*>(datagram.data()); NLMSG_OK(reply, left);
         reply = NLMSG_NEXT(reply, left)) {
      if (reply->nlmsg_seq != sequence_) continue;
      if (reply->nlmsg_type == NLMSG_DONE) return objects;
      if (reply->nlmsg_type == NLMSG_ERROR) {
        return ErrnoStatus(-static_cast<const nlmsgerr*>(NLMSG_DATA(reply))->error, "rtnetlink dump");
      }
      objects.push_back(ParseObject(reply, header_size));
    }
  }
}

}  // namespace podvisor::guest
