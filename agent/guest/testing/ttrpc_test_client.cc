#include "agent/guest/testing/ttrpc_test_client.h"

#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>

#include "third_party/wire/ttrpc.pb.h"

namespace podvisor::guest {
namespace {

constexpr int kDeadlineSeconds = 120;  // of one read: the machine may be busy

}  // namespace

TtrpcTestClient::TtrpcTestClient(const std::string& unix_path, Link link)
    : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  unix_path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    ::perror(unix_path.c_str());
    ::abort();
  }
  const timeval limit{.tv_sec = kDeadlineSeconds, .tv_usec = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  if (link == Link::kSerial) StartSession();
}

void TtrpcTestClient::StartSession() {
  uint64_t session = 0;
  (void)!::getrandom(&session, sizeof(session), 0);
  link_.emplace(session);
  // The guest may boot still, and what is sent before it opens its port may be lost.
  const timeval interval{.tv_sec = 0, .tv_usec = kPreambleIntervalMs * 1000 / 4};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &interval, sizeof(interval));
  for (int tries = 0; !link_->synchronized() && tries < kDeadlineSeconds * 4; ++tries) {
    SendRaw(link_->Preamble());
    (void)ReadSome();
  }
  const timeval limit{.tv_sec = kDeadlineSeconds, .tv_usec = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

absl::Status TtrpcTestClient::ReadSome() {
  char buffer[65536];
  const ssize_t got = ::read(fd_.get(), buffer, sizeof(buffer));
  if (got <= 0) return absl::UnavailableError(got == 0 ? "the agent has closed the connection" : "no answer");
  absl::string_view bytes(buffer, static_cast<size_t>(got));
  if (!link_.has_value()) return decoder_.Feed(bytes, &received_);
  std::string data;
  const absl::Status status = link_->Receive(bytes, &data);
  return status.ok() ? decoder_.Feed(data, &received_) : status;
}

uint32_t TtrpcTestClient::Send(const std::string& service, const std::string& method,
                               const google::protobuf::MessageLite& request) {
  ttrpc::Request envelope;
  envelope.set_service(service);
  envelope.set_method(method);
  envelope.set_payload(request.SerializeAsString());
  const uint32_t stream = next_stream_;
  next_stream_ += 2;
  std::string bytes;
  (void)EncodeFrame({.stream_id = stream, .type = FrameType::kRequest, .payload = envelope.SerializeAsString()},
                    &bytes);
  std::string stuffed;
  if (link_.has_value()) link_->Send(bytes, &stuffed);
  SendRaw(link_.has_value() ? stuffed : bytes);
  return stream;
}

void TtrpcTestClient::SendRaw(const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t put = ::send(fd_.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (put <= 0) return;
    done += static_cast<size_t>(put);
  }
}

absl::Status TtrpcTestClient::Receive(uint32_t stream_id, google::protobuf::MessageLite* response) {
  for (;;) {
    for (auto it = received_.begin(); it != received_.end(); ++it) {
      if (it->stream_id != stream_id) continue;
      ttrpc::Response envelope;
      if (!envelope.ParseFromString(it->payload)) return absl::DataLossError("not a ttrpc response");
      received_.erase(it);
      if (envelope.status().code() != 0) {
        return absl::Status(static_cast<absl::StatusCode>(envelope.status().code()), envelope.status().message());
      }
      if (!response->ParseFromString(envelope.payload())) return absl::DataLossError("payload of another type");
      return absl::OkStatus();
    }
    const absl::Status status = ReadSome();
    if (!status.ok()) return status;
  }
}

absl::Status TtrpcTestClient::Call(const std::string& service, const std::string& method,
                                   const google::protobuf::MessageLite& request,
                                   google::protobuf::MessageLite* response) {
  return Receive(Send(service, method, request), response);
}

bool TtrpcTestClient::WaitClosed() {
  char byte;
  return ::read(fd_.get(), &byte, 1) == 0;
}

}  // namespace podvisor::guest
