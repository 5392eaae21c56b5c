#include "vmm/qemu/command_line.h"

#include <stdlib.h>

#include <fstream>
#include <functional>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace podvisor {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

VmSpec SmallSpec() {
  VmSpec spec;
  spec.id = "3f2a";
  spec.runtime_dir = "/run/podvisor/vm/3f2a";
  spec.kernel_path = "/usr/share/podvisor/vmlinux";
  spec.initrd_path = "/usr/share/podvisor/initrd.img";
  spec.disk_slots = 1;
  return spec;
}

constexpr char kKernel[] = "/boot/kernel";
constexpr char kInitrd[] = "/boot/initrd";

struct GoldenCase {
  const char* name;  // of testdata/NAME.argv
  QemuOptions options;
  Accelerator accelerator = Accelerator::kTcg;
  VmSpec spec;
  std::string shared_folder;
  Vhost vhost = Vhost::kOff;
};

std::vector<GoldenCase> GoldenCases() {
  GoldenCase small{.name = "small", .spec = SmallSpec()};

  GoldenCase full{.name = "full", .accelerator = Accelerator::kKvm, .spec = SmallSpec(), .shared_folder = "/shared"};
  full.options.console = GuestConsole::kVerbose;
  full.options.extra_args = {"-device", "pvpanic-pci"};
  full.spec.kernel_params = {"agent.log=debug"};
  full.spec.vcpus = 2;
  full.spec.max_vcpus = 8;
  full.spec.max_memory_bytes = uint64_t{2} << 30;
  full.spec.disk_slots = 3;
  full.spec.nic = NicSpec{9, "52:54:00:12:34:56", 1450};
  full.vhost = Vhost::kOn;

  GoldenCase plain{.name = "unsandboxed", .spec = SmallSpec(), .shared_folder = "/with,comma"};
  plain.options.seccomp = QemuSeccomp::kOff;
  plain.options.cpu_model = "qemu64";
  plain.spec.initrd_path.clear();
  plain.spec.disk_slots = 0;
  plain.spec.nic = NicSpec{9, "52:54:00:12:34:56", 1500};
  return {small, full, plain};
}

void PrintTo(const GoldenCase& c, std::ostream* out) { *out << c.name; }

class GoldenTest : public testing::TestWithParam<GoldenCase> {};

// To renew: PODVISOR_RENEW_GOLDEN=$PWD/vmm/qemu/testdata bazel run //vmm/qemu:command_line_test, and read the diff.
TEST_P(GoldenTest, CommandLine) {
  const GoldenCase& c = GetParam();
  const QemuPaths paths = {kKernel, c.spec.initrd_path.empty() ? "" : kInitrd, c.shared_folder};
  const std::vector<std::string> argv = BuildCommandLine(c.options, c.accelerator, RoundSpec(c.spec), paths, c.vhost);
  const std::string actual = absl::StrJoin(argv, "\n") + "\n";
  const std::string name = std::string(c.name) + ".argv";
  if (const char* folder = ::getenv("PODVISOR_RENEW_GOLDEN")) std::ofstream(std::string(folder) + "/" + name) << actual;
  std::ifstream file("vmm/qemu/testdata/" + name);
  const std::string golden((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(actual, golden);
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenTest, testing::ValuesIn(GoldenCases()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(CommandLineTest, MemoryIsRoundedUpToWholeBlocks) {
  VmSpec spec = SmallSpec();
  EXPECT_EQ(PluggableMemory(RoundSpec(spec)), 0u);
  spec.memory_bytes -= 4096;
  spec.max_memory_bytes = spec.memory_bytes + 4097;
  const VmSpec rounded = RoundSpec(spec);
  EXPECT_EQ(rounded.memory_bytes, uint64_t{256} << 20);
  EXPECT_EQ(PluggableMemory(rounded), kMemoryBlock);
  spec.max_memory_bytes = 0;
  EXPECT_EQ(PluggableMemory(RoundSpec(spec)), 0u);
}

TEST(CommandLineTest, PathsNeverComeFromTheSpec) {
  const auto argv = BuildCommandLine({}, Accelerator::kTcg, SmallSpec(), {kKernel, kInitrd, ""}, Vhost::kOff);
  EXPECT_THAT(argv, Not(Contains(HasSubstr("/run/podvisor"))));
}

struct BadSpec {
  const char* name;
  std::function<void(VmSpec&)> change;
  const char* message;
};
void PrintTo(const BadSpec& bad, std::ostream* out) { *out << bad.name; }

class ValidateSpecTest : public testing::TestWithParam<BadSpec> {};

TEST_P(ValidateSpecTest, Refuses) {
  VmSpec spec = SmallSpec();
  spec.nic = NicSpec{3, "52:54:00:12:34:56", 1500};
  ASSERT_OK(ValidateSpec(spec));
  GetParam().change(spec);
  EXPECT_THAT(ValidateSpec(RoundSpec(spec)), StatusIs(absl::StatusCode::kInvalidArgument, GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ValidateSpecTest,
    testing::Values(BadSpec{"NoId", [](VmSpec& s) { s.id.clear(); }, "VM id"},
                    BadSpec{"IdOfAnOption", [](VmSpec& s) { s.id = "a,process=x"; }, "VM id"},
                    BadSpec{"LongId", [](VmSpec& s) { s.id = std::string(65, 'a'); }, "VM id"},
                    BadSpec{"RelativeFolder", [](VmSpec& s) { s.runtime_dir = "run"; }, "runtime_dir"},
                    BadSpec{"NoKernel", [](VmSpec& s) { s.kernel_path.clear(); }, "no kernel"},
                    BadSpec{"NoVcpu", [](VmSpec& s) { s.vcpus = 0; }, "vCPUs"},
                    BadSpec{"MoreThanMaximum", [](VmSpec& s) { s.vcpus = 2; }, "vCPUs"},
                    BadSpec{"TooManyVcpus", [](VmSpec& s) { s.max_vcpus = 1000; }, "vCPUs"},
                    BadSpec{"LittleMemory", [](VmSpec& s) { s.memory_bytes = 1 << 20; }, "memory"},
                    BadSpec{"ImpossibleMemory", [](VmSpec& s) { s.memory_bytes = ~uint64_t{0}; }, "memory"},
                    BadSpec{"ImpossibleMaximum", [](VmSpec& s) { s.max_memory_bytes = ~uint64_t{0}; }, "memory"},
                    BadSpec{"TooManySlots", [](VmSpec& s) { s.disk_slots = 21; }, "disk slots"},
                    BadSpec{"NoTap", [](VmSpec& s) { s.nic->tap_fd = -1; }, "network card"},
                    BadSpec{"MacWithOptions", [](VmSpec& s) { s.nic->mac = "52:54:00:12:34:5,"; }, "network card"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace podvisor
