#include "vmm/qemu/console_reader.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "vmm/qemu/console_log.h"
#include "vmm/qemu/unix_socket.h"

namespace podvisor {
namespace {

class ConsoleReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const std::string& path : {log_, log_ + ".1"}) std::filesystem::remove(path);
    auto listening = ListenUnix(socket_);
    ASSERT_OK(listening);
    listening_ = *std::move(listening);
    auto reader = ConsoleReader::Start(loop_, socket_, log_);
    ASSERT_OK(reader);
    reader_ = *std::move(reader);
    guest_ = UniqueFd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(guest_.ok());
  }
  void Write(const std::string& text) {
    ASSERT_EQ(::send(guest_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  void DrainInLoop() {
    absl::Notification done;
    boost::asio::post(loop_.context(), [&] {
      reader_->Drain();
      done.Notify();
    });
    ASSERT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(30)));
  }

  const std::string socket_ = testing::TempDir() + "/console.sock";
  const std::string log_ = testing::TempDir() + "/console.log";
  EventLoop loop_{"test"};
  UniqueFd listening_, guest_;
  std::unique_ptr<ConsoleReader> reader_;
};

TEST_F(ConsoleReaderTest, KeepsWhatComesAndWhatCameLast) {
  Write("first ");
  Write("last words");
  guest_.reset();
  DrainInLoop();
  EXPECT_EQ(ConsoleLog(log_).Tail(100), "first last words");
}

TEST_F(ConsoleReaderTest, AFloodingGuestWaits) {
  // More than the reader takes at once and the socket holds: the rest would block the guest.
  const std::string line(1024, 'x');
  size_t written = 0;
  const absl::Time end = absl::Now() + absl::Milliseconds(300);
  while (absl::Now() < end) {
    if (::send(guest_.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) continue;
    written += line.size();
  }
  // What 300 ms allow, what the socket buffers hold, and much room for a slow machine's longer 300 ms.
  EXPECT_LT(written, size_t{16} << 20);
  guest_.reset();
  DrainInLoop();
  EXPECT_LE(std::filesystem::file_size(log_), ConsoleLog::kLimit);
  EXPECT_GT(ConsoleLog(log_).Tail(1 << 20).size(), 16384u);
}

TEST_F(ConsoleReaderTest, FolderGoneDoesNotStopTheGuest) {
  reader_.reset();
  guest_.reset();
  auto reader = ConsoleReader::Start(loop_, socket_, testing::TempDir() + "/nosuch/console.log");
  ASSERT_OK(reader);
  guest_ = UniqueFd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const std::string chunk(64 << 10, 'x');
  for (int i = 0; i < 16; ++i) Write(chunk);  // blocks for ever if nobody reads
}

}  // namespace
}  // namespace podvisor
