// hosts.toml: what an administrator writes in a hurry.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/testing/fuzz_input.h"
#include "storage/registry/registry_hosts.h"

namespace podvisor {
namespace {

constexpr char kDomain[] = "registry.example";

std::string MakeCertsDir() {
  const char* temporary = std::getenv("TEST_TMPDIR");
  std::string folder = absl::StrCat(temporary == nullptr ? "/tmp" : temporary, "/hosts-fuzz.XXXXXX");
  Require(::mkdtemp(folder.data()) != nullptr, "a folder can be made");
  Require(::mkdir(absl::StrCat(folder, "/", kDomain).c_str(), 0700) == 0, "a folder can be made in it");
  return folder;
}

}  // namespace
}  // namespace podvisor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  static const std::string certs_dir = MakeCertsDir();
  static const std::string path = absl::StrCat(certs_dir, "/", kDomain, "/hosts.toml");
  const absl::string_view text = FuzzInput(data, size).rest();
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  Require(fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "write");
  ::close(fd);
  const absl::StatusOr<std::vector<RegistryHost>> hosts = LoadRegistryHosts(certs_dir, kDomain);
  if (!hosts.ok()) {
    Require(absl::StrContains(hosts.status().message(), "hosts.toml"), "the message names the file");
    return 0;
  }
  Require(!hosts->empty(), "there is a host to ask");
  for (const RegistryHost& host : *hosts) {
    Require(absl::StartsWith(host.base_url, "http://") || absl::StartsWith(host.base_url, "https://"), "by HTTP");
    Require(!host.host.empty(), "a host has a name");
    for (const auto& [name, value] : host.headers)
      Require(name.find_first_of("\r\n") == std::string::npos && value.find_first_of("\r\n") == std::string::npos,
              "a header is one line");
  }
  return 0;
}
