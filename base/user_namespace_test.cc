#include "base/user_namespace.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

const IdMappings kMappings = {{{0, 1000, 100}, {500, 70000, 1}}, {{0, 2000, 100}}};

std::string Words(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  for (std::string word; file >> word;) text += word + " ";
  return text;
}

// What `read` says in the namespaces, by way of a process that joins them.
std::string Inside(const std::vector<std::pair<int, int>>& spaces, const std::string& path) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    for (const auto& [fd, kind] : spaces) {
      if (::setns(fd, kind) != 0) ::_exit(1);
    }
    const std::string text = Words(path);
    ::_exit(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  char buffer[4096];
  const ssize_t got = ::read(ends[0], buffer, sizeof buffer);
  ::close(ends[0]);
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  return std::string(buffer, got > 0 ? static_cast<size_t>(got) : 0);
}

class UserNamespaceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    if (absl::IsPermissionDenied(MakeUserNamespace(kMappings).status())) GTEST_SKIP() << "no user namespaces here";
  }
};

TEST_F(UserNamespaceTest, HasTheMappingsAndOutlivesItsMaker) {
  const auto fd = MakeUserNamespace(kMappings);
  ASSERT_OK(fd);
  EXPECT_EQ(Inside({{fd->get(), CLONE_NEWUSER}}, "/proc/self/uid_map"), "0 1000 100 500 70000 1 ");
  EXPECT_EQ(Inside({{fd->get(), CLONE_NEWUSER}}, "/proc/self/gid_map"), "0 2000 100 ");
  EXPECT_EQ(::waitpid(-1, nullptr, __WALL), -1) << "no child is left";
}

TEST_F(UserNamespaceTest, OthersBelongToIt) {
  const auto holder = NamespaceHolder::Make(kMappings, CLONE_NEWNET | CLONE_NEWUTS);
  ASSERT_OK(holder);
  const auto user = holder->Open("user");
  const auto net = holder->Open("net");
  const auto uts = holder->Open("uts");
  ASSERT_OK(user);
  ASSERT_OK(net);
  ASSERT_OK(uts);
  // Only who may all in it can join these from there.
  EXPECT_EQ(Inside({{user->get(), CLONE_NEWUSER}, {uts->get(), CLONE_NEWUTS}, {net->get(), CLONE_NEWNET}},
                   "/proc/thread-self/net/dev_mcast"),
            "");
  EXPECT_THAT(holder->Open("nothing"), StatusIs(absl::StatusCode::kNotFound, "/ns/nothing"));
}

TEST_F(UserNamespaceTest, WorksBesideThreads) {
  std::atomic<bool> stop = false;
  std::thread busy([&] {
    while (!stop) delete new int(1);
  });
  for (int i = 0; i < 20; ++i) EXPECT_OK(MakeUserNamespace(kMappings));
  stop = true;
  busy.join();
}

TEST_F(UserNamespaceTest, RefusedMappingsAreNamed) {
  EXPECT_THAT(MakeUserNamespace({{{0, 1000, 10}, {5, 9000, 10}}, {{0, 0, 1}}}),
              StatusIs(absl::StatusCode::kInvalidArgument, "write \"0 1000 10\n5 9000 10\" to uid_map"));
  EXPECT_THAT(MakeUserNamespace({{{0, 1000, 10}}, {{0, 4294967290u, 10}}}),
              StatusIs(absl::StatusCode::kInvalidArgument, "gid_map"));
}

}  // namespace
}  // namespace podvisor
