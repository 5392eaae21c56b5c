#include "storage/image/reference.h"

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

const std::string kHex(64, 'a');

struct Good {
  std::string text, normal;
};

TEST(ImageReferenceTest, Normalises) {
  const Good cases[] = {
      {"busybox", "docker.io/library/busybox:latest"},
      {"busybox:1.36", "docker.io/library/busybox:1.36"},
      {"library/busybox", "docker.io/library/busybox:latest"},
      {"user/app:v1", "docker.io/user/app:v1"},
      {"docker.io/busybox", "docker.io/library/busybox:latest"},
      {"index.docker.io/busybox", "docker.io/library/busybox:latest"},
      {"registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9"},
      {"localhost/app", "localhost/app:latest"},
      {"localhost:5000/app", "localhost:5000/app:latest"},
      {"127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000/a/b/c:t"},
      {"[::1]:5000/app:t", "[::1]:5000/app:t"},
      {"Foo/bar", "Foo/bar:latest"},  // an upper-case first component can only be a host
      {"a.b/c__d/e-f--g.h_i:T.a-g_1", "a.b/c__d/e-f--g.h_i:T.a-g_1"},
      {"busybox@sha256:" + kHex, "docker.io/library/busybox@sha256:" + kHex},
      {"busybox:1.36@sha256:" + kHex, "docker.io/library/busybox@sha256:" + kHex},
      {"host:5000/x@sha256:" + kHex, "host:5000/x@sha256:" + kHex},
      {kHex + ":tag", "docker.io/library/" + kHex + ":tag"},
  };
  for (const Good& c : cases) {
    absl::StatusOr<ImageReference> reference = ImageReference::Parse(c.text);
    ASSERT_OK(reference);
    EXPECT_EQ(reference->ToString(), c.normal) << c.text;
    EXPECT_EQ(ImageReference::Parse(c.normal)->ToString(), c.normal) << "not stable";
  }
}

TEST(ImageReferenceTest, Refuses) {
  const Good cases[] = {
      {"", "is empty"},
      {"Busybox", "lower case"},
      {"user/App", "lower case"},
      {kHex, "image id"},
      {"a:", "not a tag"},
      {"a:-x", "not a tag"},
      {"a:" + std::string(129, 't'), "not a tag"},
      {"a:b:c", "not a tag"},
      {"a@sha256:abc", "digest"},
      {"a@sha512:" + kHex + kHex, "digest"},
      {"a@sha256:" + std::string(64, 'A'), "digest"},
      {"a@", "digest"},
      {"/a", "malformed"},
      {"a/", "malformed"},
      {"a//b", "malformed"},
      {"../a", "host"},
      {"a/../b", "malformed"},
      {"a___b", "malformed"},
      {"a._b", "malformed"},
      {"-a", "malformed"},
      {"a b", "malformed"},
      {"host.io:99999/a", "host"},
      {"host.io:/a", "host"},
      {"ho_st.io/a", "host"},
      {"https://host.io/a", "host"},
      {"a\n", "malformed"},
      {std::string("a\0b", 3), "malformed"},
      {"a/" + std::string(260, 'b'), "longer"},
      {std::string(5000, 'b'), "longer"},
  };
  for (const Good& c : cases)
    EXPECT_THAT(ImageReference::Parse(c.text), StatusIs(absl::StatusCode::kInvalidArgument, c.normal)) << c.text;
}

}  // namespace
}  // namespace podvisor
