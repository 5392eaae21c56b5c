// The suite of every driver, with real VMs.
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "base/event_loop.h"
#include "base/status_macros.h"
#include "vmm/contract_test.h"
#include "vmm/qemu/qemu.h"
#include "vmm/qemu/test_guest.h"

namespace podvisor {
namespace {

class QemuWorld : public ContractWorld {
 public:
  QemuWorld(std::string folder, TestGuest guest) : folder_(std::move(folder)), guest_(std::move(guest)) {}
  ~QemuWorld() override { std::filesystem::remove_all(folder_); }

  // Each with an event loop of its own, as another daemon has.
  absl::StatusOr<std::unique_ptr<Hypervisor>> NewHypervisor() override {
    loops_.push_back(std::make_unique<EventLoop>("contract"));
    return MakeQemu(*loops_.back(), {});
  }

  VmSpec Spec(const std::string& id, const std::string& runtime_dir) override {
    VmSpec spec;
    spec.id = id;
    spec.runtime_dir = runtime_dir;
    spec.kernel_path = guest_.kernel_path;
    spec.initrd_path = guest_.initrd_path;
    spec.disk_slots = 2;
    return spec;
  }

  std::optional<VmSpec> BrokenSpec(const std::string& id, const std::string& runtime_dir) override {
    VmSpec spec = Spec(id, runtime_dir);
    spec.kernel_path = guest_.initrd_path;  // QEMU finds out
    return spec;
  }

  void Kill(const std::string&, Vm& vm) override {
    for (const pid_t pid : vm.Pids()) ::kill(pid, SIGKILL);
  }

  std::string console_text() override { return "echo_init: modules loaded"; }
  absl::Duration patience() override { return kBootPatience; }

 private:
  const std::string folder_;
  const TestGuest guest_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
};

absl::StatusOr<std::unique_ptr<ContractWorld>> MakeWorld() {
  char folder[] = "/tmp/podvisor-qemu-world.XXXXXX";
  if (::mkdtemp(folder) == nullptr || ::chmod(folder, 0755) != 0) return ErrnoStatus(errno, "mkdtemp");
  absl::StatusOr<TestGuest> guest = MakeTestGuest(folder);
  if (!guest.ok()) {
    std::filesystem::remove_all(folder);
    return guest.status();
  }
  return std::make_unique<QemuWorld>(folder, *std::move(guest));
}

INSTANTIATE_TEST_SUITE_P(Qemu, HypervisorContractTest, testing::Values(ContractDriver{"qemu", &MakeWorld}),
                         ContractDriverName);

}  // namespace
}  // namespace podvisor
