#include "vmm/qemu/accelerator.h"

#include <fstream>

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace podvisor {
namespace {

struct Case {
  const char* name;
  AcceleratorChoice choice;
  bool device;
  const char* flags;
  Accelerator expected;
};

class DetectAcceleratorTest : public testing::TestWithParam<Case> {
 protected:
  static std::string File(const std::string& name, const std::string& content) {
    const std::string path = testing::TempDir() + "/" + name;
    std::ofstream(path) << content;
    return path;
  }
};

TEST_P(DetectAcceleratorTest, Decides) {
  const Case& c = GetParam();
  const std::string device = c.device ? File("kvm", "") : testing::TempDir() + "/nosuch";
  const std::string cpuinfo = File("cpuinfo", std::string("processor\t: 0\nflags\t\t: ") + c.flags + "\n");
  const auto detected = DetectAccelerator(c.choice, device, cpuinfo);
  ASSERT_OK(detected);
  EXPECT_EQ(detected->accelerator, c.expected);
  EXPECT_EQ(detected->reason.empty(), c.expected == Accelerator::kKvm);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DetectAcceleratorTest,
    testing::Values(Case{"Intel", AcceleratorChoice::kAuto, true, "fpu vmx sse", Accelerator::kKvm},
                    Case{"Amd", AcceleratorChoice::kAuto, true, "fpu sse svm", Accelerator::kKvm},
                    Case{"FlagsThatOnlyContainTheName", AcceleratorChoice::kAuto, true, "fpu vmxx xsvm",
                         Accelerator::kTcg},
                    Case{"SoftwareKvm", AcceleratorChoice::kAuto, true, "fpu sse", Accelerator::kTcg},
                    Case{"NoDevice", AcceleratorChoice::kAuto, false, "vmx", Accelerator::kTcg},
                    Case{"KvmInsisted", AcceleratorChoice::kKvm, true, "fpu", Accelerator::kKvm},
                    Case{"TcgChosen", AcceleratorChoice::kTcg, true, "vmx", Accelerator::kTcg}),
    [](const auto& info) { return info.param.name; });

TEST(AcceleratorTest, KvmWithoutDeviceSaysWhatToDo) {
  EXPECT_THAT(DetectAccelerator(AcceleratorChoice::kKvm, "/nosuch/kvm"),
              StatusIs(absl::StatusCode::kFailedPrecondition, "open /nosuch/kvm: No such file or directory"));
}

TEST(AcceleratorTest, MissingCpuinfoIsTcg) {
  const auto detected = DetectAccelerator(AcceleratorChoice::kAuto, "/dev/null", "/nosuch/cpuinfo");
  ASSERT_OK(detected);
  EXPECT_EQ(detected->accelerator, Accelerator::kTcg);
}

TEST(AcceleratorTest, ParsesChoices) {
  EXPECT_EQ(*ParseAcceleratorChoice("auto"), AcceleratorChoice::kAuto);
  EXPECT_EQ(*ParseAcceleratorChoice("kvm"), AcceleratorChoice::kKvm);
  EXPECT_EQ(*ParseAcceleratorChoice("tcg"), AcceleratorChoice::kTcg);
  EXPECT_THAT(ParseAcceleratorChoice("KVM"), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace podvisor
