// DialPort and its kin, against listeners of the test's own.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "agent/guest/testing/agent_process.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

namespace v1 = podvisor::agent::v1;
using absl::StatusCode;

constexpr char kExtension[] = "podvisor.agent.v1.Extension";
constexpr uint32_t kPatienceMs = 100'000;

// Listens on a free port of one loopback address.
class Listener {
 public:
  explicit Listener(int family) : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool is_v6 = family == AF_INET6;
    sockaddr* address = is_v6 ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
    socklen_t size = is_v6 ? sizeof(v6) : sizeof(v4);
    ok_ = ::bind(fd_.get(), address, size) == 0 && ::listen(fd_.get(), 5) == 0 &&
          ::getsockname(fd_.get(), address, &size) == 0;
    port_ = ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
  }
  bool ok() const { return ok_; }
  uint32_t port() const { return port_; }
  UniqueFd Accept() { return UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

 private:
  UniqueFd fd_;
  bool ok_;
  uint32_t port_;
};

class PortTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = AgentProcess::WhyNot(); !why.empty()) GTEST_SKIP() << why;
    agent_ = std::make_unique<AgentProcess>();
    client_ = &agent_->client();
  }

  absl::StatusOr<uint64_t> Dial(uint32_t port) {
    v1::DialPortRequest request;
    request.set_port(port);
    v1::DialPortResponse response;
    const absl::Status status = client_->Call(kExtension, "DialPort", request, &response);
    if (!status.ok()) return status;
    return response.id();
  }
  absl::StatusOr<v1::ReadPortResponse> Read(uint64_t id, uint32_t max = 0, uint32_t wait_ms = kPatienceMs) {
    v1::ReadPortRequest request;
    request.set_id(id);
    request.set_max_bytes(max);
    request.set_wait_ms(wait_ms);
    v1::ReadPortResponse response;
    const absl::Status status = client_->Call(kExtension, "ReadPort", request, &response);
    if (!status.ok()) return status;
    return response;
  }
  static v1::WritePortRequest WriteRequest(uint64_t id, const std::string& data, bool eof = false) {
    v1::WritePortRequest request;
    request.set_id(id);
    request.set_data(data);
    request.set_eof(eof);
    return request;
  }
  absl::Status Write(uint64_t id, const std::string& data, bool eof = false) {
    v1::Empty empty;
    return client_->Call(kExtension, "WritePort", WriteRequest(id, data, eof), &empty);
  }
  absl::Status Close(uint64_t id) {
    v1::ClosePortRequest request;
    request.set_id(id);
    v1::Empty empty;
    return client_->Call(kExtension, "ClosePort", request, &empty);
  }

  std::unique_ptr<AgentProcess> agent_;
  TtrpcTestClient* client_ = nullptr;
};

TEST_F(PortTest, BytesAndEndsInBothDirections) {
  for (const int family : {AF_INET, AF_INET6}) {
    Listener listener(family);
    ASSERT_TRUE(listener.ok());
    const auto id = Dial(listener.port());
    ASSERT_OK(id.status());
    const UniqueFd peer = listener.Accept();
    ASSERT_OK(Write(*id, "question", true));
    char buffer[64];
    EXPECT_EQ(::recv(peer.get(), buffer, 8, MSG_WAITALL), 8);
    EXPECT_EQ(::recv(peer.get(), buffer, 1, 0), 0);
    EXPECT_THAT(Write(*id, "more"), StatusIs(StatusCode::kFailedPrecondition));
    ASSERT_EQ(::send(peer.get(), "answer", 6, 0), 6);
    EXPECT_EQ(Read(*id, 3)->data(), "ans");
    EXPECT_EQ(Read(*id)->data(), "wer");
    ::shutdown(peer.get(), SHUT_WR);
    EXPECT_TRUE(Read(*id)->eof());
    EXPECT_TRUE(Read(*id)->eof());
    ASSERT_OK(Close(*id));
    ASSERT_OK(Close(*id));
    EXPECT_THAT(Read(*id), StatusIs(StatusCode::kNotFound));
  }
}

TEST_F(PortTest, WhatCannotBeDialled) {
  uint32_t port;
  {
    const Listener gone(AF_INET);
    port = gone.port();
  }
  EXPECT_THAT(Dial(port), StatusIs(StatusCode::kUnavailable, "connect: Connection refused"));
  EXPECT_THAT(Dial(0), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Dial(65536), StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(PortTest, ReadsThatWait) {
  Listener listener(AF_INET);
  const auto id = Dial(listener.port());
  const UniqueFd peer = listener.Accept();
  const auto nothing = Read(*id, 0, 1);
  EXPECT_TRUE(nothing.ok() && nothing->data().empty() && !nothing->eof());
  v1::ReadPortRequest request;
  request.set_id(*id);
  request.set_wait_ms(kPatienceMs);
  const uint32_t waiting = client_->Send(kExtension, "ReadPort", request);
  EXPECT_THAT(Read(*id), StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_EQ(::send(peer.get(), "late", 4, 0), 4);
  v1::ReadPortResponse response;
  ASSERT_OK(client_->Receive(waiting, &response));
  EXPECT_EQ(response.data(), "late");
  const uint32_t cut_off = client_->Send(kExtension, "ReadPort", request);
  ASSERT_OK(Close(*id));
  EXPECT_THAT(client_->Receive(cut_off, &response), StatusIs(StatusCode::kCancelled));
}

TEST_F(PortTest, AWriterWaitsForThePeerAndAReaderForNobody) {
  Listener listener(AF_INET);
  const auto id = Dial(listener.port());
  const UniqueFd peer = listener.Accept();
  // More than the kernel buffers: the last write is answered only when the peer reads.
  const std::string data(1 << 20, 'x');
  constexpr int kWrites = 16;
  size_t got = 0;
  std::thread reader;
  for (int i = 0; i < kWrites; ++i) {
    const uint32_t write = client_->Send(kExtension, "WritePort", WriteRequest(*id, data, i + 1 == kWrites));
    if (i == 0) {
      reader = std::thread([&] {
        std::string buffer(1 << 20, 0);
        for (ssize_t n; (n = ::recv(peer.get(), buffer.data(), buffer.size(), 0)) > 0;) got += static_cast<size_t>(n);
      });
    }
    v1::Empty empty;
    ASSERT_OK(client_->Receive(write, &empty));
  }
  reader.join();
  EXPECT_EQ(got, kWrites * data.size());
  EXPECT_THAT(Write(*id, std::string((1 << 20) + 1, 'x')), StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(PortTest, AResetIsAnError) {
  Listener listener(AF_INET);
  const auto id = Dial(listener.port());
  {
    const UniqueFd peer = listener.Accept();
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
  }
  EXPECT_THAT(Read(*id), StatusIs(StatusCode::kAborted, "reset"));
  EXPECT_THAT(Write(*id, "x"), StatusIs(StatusCode::kAborted));
}

TEST_F(PortTest, TheyEndWithWhoDialledThem) {
  Listener listener(AF_INET);
  auto other = agent_->Connect();
  client_ = other.get();
  const auto id = Dial(listener.port());
  ASSERT_OK(id.status());
  const UniqueFd peer = listener.Accept();
  other.reset();
  char byte;
  EXPECT_EQ(::recv(peer.get(), &byte, 1, 0), 0);
}

TEST_F(PortTest, ThereAreOnlySoMany) {
  Listener listener(AF_INET);
  std::vector<UniqueFd> peers;
  std::vector<uint64_t> ids;
  for (int i = 0; i < 256; ++i) {
    const auto id = Dial(listener.port());
    ASSERT_OK(id.status());
    ids.push_back(*id);
    peers.push_back(listener.Accept());
  }
  EXPECT_THAT(Dial(listener.port()), StatusIs(StatusCode::kResourceExhausted));
  ASSERT_OK(Close(ids[0]));
  EXPECT_OK(Dial(listener.port()).status());
}

}  // namespace
}  // namespace podvisor::guest
