#include "base/unix_path.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

sockaddr_un Address(const std::string& name) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, name.c_str(), sizeof(address.sun_path) - 1);
  return address;
}

TEST(UnixPathTest, ShortPathIsItself) {
  auto path = UnixPath::For("/run/x.sock");
  ASSERT_OK(path);
  EXPECT_EQ(path->name(), "/run/x.sock");
}

TEST(UnixPathTest, LongPathBindsAndConnects) {
  const std::string folder = testing::TempDir() + "/" + std::string(150, 'd');
  ::mkdir(folder.c_str(), 0755);
  const std::string path = folder + "/agent.sock";
  ::unlink(path.c_str());
  UniqueFd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  {
    auto name = UnixPath::For(path);
    ASSERT_OK(name);
    const sockaddr_un address = Address(name->name());
    ASSERT_EQ(::bind(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << strerror(errno);
    ASSERT_EQ(::listen(server.get(), 1), 0);
  }
  struct stat st;
  EXPECT_EQ(::stat(path.c_str(), &st), 0);
  auto name = UnixPath::For(path);
  ASSERT_OK(name);
  UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = Address(name->name());
  EXPECT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << strerror(errno);
}

TEST(UnixPathTest, MissingFolderIsNamed) {
  EXPECT_THAT(UnixPath::For("/no/such/" + std::string(120, 'd') + "/x"),
              StatusIs(absl::StatusCode::kNotFound, "/no/such/"));
}

}  // namespace
}  // namespace podvisor
