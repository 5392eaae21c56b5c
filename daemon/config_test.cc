#include "daemon/config.h"

#include <stdlib.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ConfigTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(testing::TempDir(), "/", name);
    std::ofstream(path) << text;
    written_.push_back(path);
    return path;
  }
  void TearDown() override {
    for (const std::string& path : written_) ::unlink(path.c_str());
  }

  std::vector<std::string> written_;
};

TEST_F(ConfigTest, StreamingWantsCertificateAndKeyTogether) {
  const auto good = LoadConfig({Write("good.yaml",
                                      "streaming:\n  address: 10.0.0.1:10250\n  idle_timeout: 1h\n"
                                      "  tls_certificate: /c\n  tls_key: /k\n  tls_client_ca: /a\n")});
  ASSERT_OK(good);
  EXPECT_EQ(good->streaming.address, "10.0.0.1:10250");
  EXPECT_EQ(good->streaming.idle_timeout, absl::Hours(1));
  EXPECT_EQ(good->streaming.tls_client_ca, "/a");
  EXPECT_THAT(LoadConfig({Write("half.yaml", "streaming:\n  tls_certificate: /c\n")}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "streaming.tls_key"));
  EXPECT_THAT(LoadConfig({Write("ca.yaml", "streaming:\n  tls_client_ca: /a\n")}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "streaming.tls_client_ca"));
}

TEST_F(ConfigTest, EveryKeyHasADefault) {
  const auto none = LoadConfig({});
  ASSERT_OK(none);
  EXPECT_EQ(none->socket, "/run/podvisor/podvisor.sock");
  EXPECT_FALSE(none->cni.builtin);
  EXPECT_EQ(none->network.cni_cache_dir, "/var/lib/podvisor/cni");
  EXPECT_EQ(none->metrics.address_file, "/run/podvisor/metrics.addr");
  const auto empty = LoadConfig({Write("empty.yaml", "")});
  ASSERT_OK(empty);
  EXPECT_EQ(ConfigJson(*empty), ConfigJson(*none));
}

TEST_F(ConfigTest, TheDefaultTextIsAConfigurationWithTheDefaults) {
  const auto loaded = LoadConfig({Write("default.yaml", DefaultConfigText())});
  ASSERT_OK(loaded);
  EXPECT_EQ(ConfigJson(*loaded), ConfigJson(*LoadConfig({})));
  EXPECT_THAT(DefaultConfigText(), HasSubstr("\nhypervisor:\n"));
}

TEST_F(ConfigTest, PoolAndTemplates) {
  const auto none = LoadConfig({});
  EXPECT_EQ(none->hypervisor.factory, "pool");
  const auto config = LoadConfig({Write("pool.yaml", R"(
pool: {size: 3, memory: 512MiB}
templates: {dir: /dev/shm/mine}
hypervisor: {factory: template}
runtimes:
  wary: {template_pages: copied, factory: cold}
)")});
  ASSERT_OK(config);
  EXPECT_EQ(config->pool.size, 3);
  EXPECT_EQ(config->pool.memory_bytes, 512ull << 20);
  EXPECT_EQ(config->templates.dir, "/dev/shm/mine");
  EXPECT_EQ(config->hypervisor.factory, "template");
  EXPECT_EQ(config->hypervisor.template_pages, "shared");
  EXPECT_EQ(config->runtimes.at("wary").template_pages, "copied");
  EXPECT_EQ(config->runtimes.at("wary").factory, "cold");
  EXPECT_THAT(LoadConfig({Write("bad.yaml", "pool: {min: 5, max: 2}\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument, "pool.max: must be at least pool.min, 5"));
}

TEST_F(ConfigTest, LaterFilesWinKeyByKey) {
  const auto config = LoadConfig({Write("a.yaml", R"(
state_dir: /a
log_level: debug
network:
  cni_conf_dir: /a/net.d
  cni_timeout: 5s
cni: {builtin: true}
hypervisor:
  kernel_params: [a, b]
  default_memory: 512MiB
runtimes:
  big: {default_vcpus: 4}
  mine:
)"),
                                  Write("b.yaml", R"(
state_dir: /b
network:
  cni_timeout: 1m30s
hypervisor:
  type: mock
  kernel_params: [c]
runtimes:
  big: {default_memory: 2GiB, shared_fs: none}
)")});
  ASSERT_OK(config);
  EXPECT_EQ(config->state_dir, "/b");
  EXPECT_EQ(config->log_level, "debug");
  EXPECT_EQ(config->network.cni_conf_dir, "/a/net.d");
  EXPECT_EQ(config->network.cni_timeout, absl::Seconds(90));
  EXPECT_TRUE(config->cni.builtin);
  EXPECT_THAT(config->hypervisor.kernel_params, ElementsAre("c"));
  ASSERT_EQ(config->runtimes.size(), 2u);
  const HypervisorSection& big = config->runtimes.at("big");
  EXPECT_EQ(big.type, "mock");  // of the merged section, though a.yaml names the runtime first
  EXPECT_EQ(big.default_vcpus, 4);
  EXPECT_EQ(big.default_memory_bytes, 2ULL << 30);
  EXPECT_EQ(big.shared_fs, "none");
  EXPECT_EQ(config->runtimes.at("mine").default_memory_bytes, 512ULL << 20);
}

TEST_F(ConfigTest, JsonShowsWhatIsInForce) {
  const auto config = LoadConfig({Write("json.yaml", "state_dir: /x\nruntimes: {small: {default_memory: 128MiB}}\n")});
  ASSERT_OK(config);
  const auto json = nlohmann::json::parse(ConfigJson(*config));
  EXPECT_EQ(json["stateDir"], "/x");
  EXPECT_EQ(json["hypervisor"]["type"], "qemu");
  EXPECT_EQ(json["runtimes"]["small"]["default_memory"], 128 << 20);
}

TEST_F(ConfigTest, EveryMistakeIsNamed) {
  const std::string file = Write("bad.yaml", "socket: /a\nlog_level: loud\nsock: /b\n");
  EXPECT_THAT(LoadConfig({file}), StatusIs(absl::StatusCode::kInvalidArgument, absl::StrCat(file, ":2: log_level: ")));
  EXPECT_THAT(LoadConfig({file}), StatusIs(absl::StatusCode::kInvalidArgument, absl::StrCat(file, ":3: sock: ")));
}

TEST_F(ConfigTest, MissingFile) {
  EXPECT_THAT(LoadConfig({"/no/such.yaml"}), StatusIs(absl::StatusCode::kNotFound, "/no/such.yaml"));
}

struct Case {
  std::string name;
  std::string yaml;
  std::string error;
};

class BadConfigTest : public ConfigTest, public testing::WithParamInterface<Case> {};

TEST_P(BadConfigTest, SaysWhereAndWhatIsAllowed) {
  const std::string file = Write(GetParam().name + ".yaml", GetParam().yaml);
  EXPECT_THAT(LoadConfig({file}), StatusIs(absl::StatusCode::kInvalidArgument, GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, BadConfigTest,
    testing::ValuesIn(std::vector<Case>{
        {"NotYaml", "a: [b\n", ": is not YAML: "},
        {"NotAMap", "- a\n", ":1: must be a map of keys"},
        {"UnknownKey", "\nsockett: /x\n", ":2: sockett: is no key: there are agent, cgroup, cni, "},
        {"UnknownKeyInSection", "network:\n  cni_conf: /x\n",
         ":2: network.cni_conf: is no key: there are cni_bin_dirs, "},
        {"SectionIsText", "network: fast\n", ":1: network: must be a map of keys"},
        {"RelativePath", "socket: run/x.sock\n", ":1: socket: must be an absolute path, not \"run/x.sock\""},
        {"EmptyPath", "state_dir: \"\"\n", "state_dir: must not be empty"},
        {"NumberIsText", "hypervisor:\n  default_vcpus: many\n",
         ":2: hypervisor.default_vcpus: must be a number from 1 to 240, not \"many\""},
        {"NumberTooLarge", "images: {parallel_layers: 1000}\n",
         "images.parallel_layers: must be a number from 1 to 64"},
        {"NumberIsList", "max_rpc_threads: [1]\n", "max_rpc_threads: must be a number"},
        {"Choice", "cgroup: {driver: v2}\n", "cgroup.driver: must be one of cgroupfs, systemd, not \"v2\""},
        {"Flag", "hypervisor: {debug: perhaps}\n", "hypervisor.debug: must be true or false, not \"perhaps\""},
        {"Size", "hypervisor: {default_memory: 256MB}\n", "hypervisor.default_memory: must be a size such as 512MiB"},
        {"SizeTooSmall", "hypervisor: {default_memory: 256}\n", "hypervisor.default_memory: must be at least 64MiB"},
        {"Time", "agent: {ready_timeout: 60}\n", "agent.ready_timeout: must be a time such as 30s"},
        {"TimeZero", "agent: {ready_timeout: 0s}\n", "agent.ready_timeout: must be a time"},
        {"ListIsText", "hypervisor: {kernel_params: quiet}\n", "hypervisor.kernel_params: must be a list of texts"},
        {"RelativeInList", "network: {cni_bin_dirs: [bin]}\n",
         "network.cni_bin_dirs: must be a list of absolute paths"},
        {"NotYet", "hypervisor: {enable_hugepages: true}\n",
         "hypervisor.enable_hugepages: is not supported yet: remove it"},
        {"Meaningless", "hypervisor: {default_bridges: 1}\n", "hypervisor.default_bridges: has no meaning"},
        {"MaxBelowDefault", "hypervisor: {default_vcpus: 4, default_max_vcpus: 2}\n",
         "hypervisor.default_max_vcpus: must be 0 or at least default_vcpus, 4"},
        {"RuntimeKey", "runtimes:\n  big:\n    memory: 1GiB\n", ":3: runtimes.big.memory: is no key"},
        {"RuntimeIsText", "runtimes:\n  big: yes\n", ":2: runtimes.big: must be a map of keys"},
        {"RuntimesIsList", "runtimes: [big]\n", "runtimes: must be a map from names"},
        {"RuntimeValue", "runtimes: {big: {default_max_memory: 100MiB}}\n",
         "runtimes.big.default_max_memory: must be 0 or at least default_memory"},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace podvisor
