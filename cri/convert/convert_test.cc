#include <string>

#include "absl/time/time.h"
#include "cri/convert/common.h"
#include "cri/convert/container.h"
#include "cri/convert/image.h"
#include "cri/convert/sandbox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;
using ::testing::ElementsAre;

TEST(NumbersTest, PodmanagersEnumsAreCris) {
  EXPECT_EQ(static_cast<int>(POD), static_cast<int>(v1::POD));
  EXPECT_EQ(static_cast<int>(CONTAINER), static_cast<int>(v1::CONTAINER));
  EXPECT_EQ(static_cast<int>(NODE), static_cast<int>(v1::NODE));
  EXPECT_EQ(static_cast<int>(TARGET), static_cast<int>(v1::TARGET));
  EXPECT_EQ(static_cast<int>(PRIVATE), static_cast<int>(v1::PROPAGATION_PRIVATE));
  EXPECT_EQ(static_cast<int>(HOST_TO_CONTAINER), static_cast<int>(v1::PROPAGATION_HOST_TO_CONTAINER));
  EXPECT_EQ(static_cast<int>(BIDIRECTIONAL), static_cast<int>(v1::PROPAGATION_BIDIRECTIONAL));
  EXPECT_EQ(static_cast<int>(PortMappingConfig::UDP), static_cast<int>(v1::UDP));
  EXPECT_EQ(static_cast<int>(PortMappingConfig::SCTP), static_cast<int>(v1::SCTP));
  EXPECT_EQ(static_cast<int>(SecurityProfile::RUNTIME_DEFAULT), static_cast<int>(v1::SecurityProfile::RuntimeDefault));
  EXPECT_EQ(static_cast<int>(SecurityProfile::UNCONFINED), static_cast<int>(v1::SecurityProfile::Unconfined));
  EXPECT_EQ(static_cast<int>(SecurityProfile::LOCALHOST), static_cast<int>(v1::SecurityProfile::Localhost));
}

TEST(SignalTest, EverySignalComesBack) {
  for (int number = 0; number < v1::Signal_ARRAYSIZE; ++number) {
    const auto signal = static_cast<v1::Signal>(number);
    EXPECT_EQ(SignalToCri(SignalFromCri(signal)), signal) << v1::Signal_Name(signal);
  }
  v1::Signal plus = v1::RUNTIME_DEFAULT;
  ASSERT_TRUE(v1::Signal_Parse("SIGRTMINPLUS3", &plus));
  EXPECT_EQ(SignalFromCri(plus), "SIGRTMIN+3");
  EXPECT_EQ(SignalToCri("SIGNOTHING"), v1::RUNTIME_DEFAULT);
}

TEST(SeccompTest, NoProfileIsUnconfinedAndAnEmptyOneTheDefault) {
  v1::ContainerConfig config;
  EXPECT_EQ(ContainerFromCri(config).seccomp().type(), SecurityProfile::UNCONFINED);
  config.mutable_linux()->mutable_security_context()->mutable_seccomp();
  EXPECT_EQ(ContainerFromCri(config).seccomp().type(), SecurityProfile::RUNTIME_DEFAULT);
}

TEST(EnvTest, TheLaterValueWinsAndTheOrderStays) {
  v1::ContainerConfig config;
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"B", "1"}, {"A", "2"}, {"B", "3"}}) {
    v1::KeyValue* env = config.add_envs();
    env->set_key(key);
    env->set_value(value);
  }
  const ContainerConfig out = ContainerFromCri(config);
  EXPECT_THAT(out.env_order(), ElementsAre("B", "A"));
  EXPECT_EQ(out.env().at("B"), "3");
}

// What was asked for comes back in the status.
TEST(SandboxTest, StatusEchoesTheConfiguration) {
  v1::PodSandboxConfig config;
  config.mutable_metadata()->set_name("web");
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid("7a");
  config.mutable_metadata()->set_attempt(2);
  (*config.mutable_labels())["app"] = "web";
  (*config.mutable_annotations())["note"] = "x";
  v1::NamespaceOption* namespaces = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  namespaces->set_pid(v1::CONTAINER);
  namespaces->mutable_userns_options()->add_uids()->set_length(65536);
  namespaces->mutable_userns_options()->add_gids()->set_length(65536);

  SandboxStatus status;
  status.id = "abc";
  status.config = std::make_shared<const SandboxConfig>(SandboxFromCri(config));
  status.state = SandboxState::kReady;
  status.created_at = absl::FromUnixNanos(1234567890123456789);
  status.ips = {"10.1.0.5", "fd00::5"};
  status.runtime_handler = "fast";
  v1::PodSandboxStatus out;
  SandboxToCri(status, &out);
  EXPECT_EQ(out.metadata().SerializeAsString(), config.metadata().SerializeAsString());
  EXPECT_EQ(out.state(), v1::SANDBOX_READY);
  EXPECT_EQ(out.created_at(), 1234567890123456789);
  EXPECT_EQ(out.network().ip(), "10.1.0.5");
  ASSERT_EQ(out.network().additional_ips_size(), 1);
  EXPECT_EQ(out.network().additional_ips(0).ip(), "fd00::5");
  EXPECT_EQ(out.linux().namespaces().options().SerializeAsString(), namespaces->SerializeAsString());
  EXPECT_EQ(out.labels().at("app"), "web");
  EXPECT_EQ(out.annotations().at("note"), "x");
  EXPECT_EQ(out.runtime_handler(), "fast");

  v1::PodSandbox item;
  SandboxToCri(std::move(status), &item);
  EXPECT_EQ(item.id(), "abc");
  EXPECT_EQ(item.metadata().SerializeAsString(), config.metadata().SerializeAsString());
  EXPECT_EQ(item.labels().at("app"), "web");
  EXPECT_EQ(item.annotations().at("note"), "x");
}

TEST(ContainerTest, StatusEchoesTheConfiguration) {
  v1::ContainerConfig config;
  config.mutable_metadata()->set_name("web");
  config.mutable_metadata()->set_attempt(1);
  config.mutable_image()->set_image("sha256:1");
  config.mutable_image()->set_user_specified_image("busybox");
  v1::Mount* mount = config.add_mounts();
  mount->set_container_path("/data");
  mount->set_host_path("/srv");
  mount->set_propagation(v1::PROPAGATION_HOST_TO_CONTAINER);
  v1::Mount* model = config.add_mounts();
  model->set_container_path("/model");
  model->mutable_image()->set_image("sha256:2");
  model->set_readonly(true);
  v1::LinuxContainerResources* resources = config.mutable_linux()->mutable_resources();
  resources->set_cpu_shares(5);
  resources->set_memory_limit_in_bytes(1 << 20);
  v1::HugepageLimit* hugepages = resources->add_hugepage_limits();
  hugepages->set_page_size("2MB");
  hugepages->set_limit(4 << 20);

  ContainerStatus status;
  status.config = std::make_shared<const ContainerConfig>(ContainerFromCri(config));
  status.state = ContainerState::kExited;
  status.created_at = absl::FromUnixNanos(5);
  status.started_at = absl::InfinitePast();
  status.finished_at = absl::InfinitePast();
  status.exit_code = 137;
  status.message = "bad \xff byte";
  status.resources = status.config->resources();
  status.uid = 1000;
  status.supplemental_groups = {10, 20};
  v1::ContainerStatus out;
  ContainerToCri(status, &out);
  EXPECT_EQ(out.metadata().name(), "web");
  EXPECT_EQ(out.metadata().attempt(), 1u);
  EXPECT_EQ(out.state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(out.created_at(), 5);
  EXPECT_EQ(out.started_at(), 0);
  EXPECT_EQ(out.exit_code(), 137);
  EXPECT_EQ(out.image().image(), "busybox");
  EXPECT_EQ(out.message(), "bad ? byte");
  ASSERT_EQ(out.mounts_size(), 2);
  EXPECT_EQ(out.mounts(0).SerializeAsString(), mount->SerializeAsString());
  EXPECT_EQ(out.mounts(1).SerializeAsString(), model->SerializeAsString());
  EXPECT_EQ(out.resources().linux().SerializeAsString(), resources->SerializeAsString());
  EXPECT_EQ(out.user().linux().uid(), 1000);
  EXPECT_THAT(out.user().linux().supplemental_groups(), ElementsAre(10, 20));
}

TEST(ImageTest, UserIsANumberANameOrRoot) {
  Image image;
  image.config.user = "1002:5";
  v1::Image number;
  ImageToCri(image, &number);
  EXPECT_EQ(number.uid().value(), 1002);
  image.config.user = "www-data:www-data";
  v1::Image name;
  ImageToCri(image, &name);
  EXPECT_FALSE(name.has_uid());
  EXPECT_EQ(name.username(), "www-data");
  image.config.user = "";
  v1::Image root;
  ImageToCri(image, &root);
  EXPECT_FALSE(root.has_uid());
  EXPECT_EQ(root.username(), "");
}

TEST(ToValidUtf8Test, KeepsWhatIsValid) {
  EXPECT_EQ(ToValidUtf8("grün € 𝄞"), "grün € 𝄞");
  EXPECT_EQ(ToValidUtf8("a\xc3"), "a?");
  EXPECT_EQ(ToValidUtf8("\xc0\xaf"), "??");
  EXPECT_EQ(ToValidUtf8("\xed\xa0\x80z"), "???z");
}

}  // namespace
}  // namespace podvisor::cri
