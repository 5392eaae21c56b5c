// What every hypervisor driver has to do, as one test suite: a driver's own test instantiates it.
//
//   INSTANTIATE_TEST_SUITE_P(Mock, HypervisorContractTest, testing::Values(ContractDriver{"mock", &MakeMock}),
//                            ContractDriverName);
#ifndef PODVISOR_VMM_CONTRACT_TEST_H_
#define PODVISOR_VMM_CONTRACT_TEST_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// One driver's world: what the suite needs beyond the interface. Its destructor ends whatever a failed test has left
// and removes every file it made.
class ContractWorld {
 public:
  virtual ~ContractWorld() = default;

  // A driver as a freshly started daemon has it. Called several times: the second one is "after the restart".
  virtual absl::StatusOr<std::unique_ptr<Hypervisor>> NewHypervisor() = 0;

  // A small VM with at least two disk slots that starts here. `runtime_dir` exists and is short enough for sockets.
  virtual VmSpec Spec(const std::string& id, const std::string& runtime_dir) = 0;

  // A VM of which Create() or Start() has to fail, for example one without a kernel; none if the driver has no such.
  virtual std::optional<VmSpec> BrokenSpec(const std::string& id, const std::string& runtime_dir) = 0;

  // Ends the VM behind the driver's back, as the OOM killer would: SIGKILL to Vm::Pids(), or what stands for it.
  virtual void Kill(const std::string& id, Vm& vm) = 0;

  // Something that shows up on the console soon after Start().
  virtual std::string console_text() = 0;

  // The longest that anything of this driver takes, generously.
  virtual absl::Duration patience() { return absl::Seconds(60); }
};

struct ContractDriver {
  std::string name;  // [a-zA-Z0-9]+
  // An error skips the suite visibly: this machine lacks what the driver needs.
  std::function<absl::StatusOr<std::unique_ptr<ContractWorld>>()> make;
};

std::string ContractDriverName(const testing::TestParamInfo<ContractDriver>& info);
void PrintTo(const ContractDriver& driver, std::ostream* out);

class HypervisorContractTest : public testing::TestWithParam<ContractDriver> {
 protected:
  void SetUp() override;
  void TearDown() override;

  // A folder of one VM, mode 0700, removed at the end. Also a place for disks.
  std::string RuntimeDir(const std::string& id);
  // A raw disk of 1 MiB.
  std::string MakeDisk(const std::string& name);
  // Fails the test and returns nullptr if the driver can't.
  std::unique_ptr<Vm> Create(const std::string& id);
  std::unique_ptr<Vm> CreateAndStart(const std::string& id);
  // The template that the tests make, and VMs that become it or are made of it.
  TemplateFiles Files();
  VmSpec SpecOf(const std::string& id, BootMode boot);
  // Booted as far as its console tells; fails the test and returns nullptr if the driver can't.
  std::unique_ptr<Vm> BootTemplate();
  void MakeTemplate();
  // A second driver, as after a restart of the daemon.
  void RestartDaemon();

  std::unique_ptr<ContractWorld> world_;
  std::unique_ptr<Hypervisor> hypervisor_;
  std::string root_;

 private:
  struct Made {
    std::string id, runtime_dir;
  };
  std::vector<Made> made_;  // cleaned up at the end whatever happened
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_CONTRACT_TEST_H_
