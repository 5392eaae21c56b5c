#include "vmm/mock/mock_hypervisor.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

class MockVm : public Vm {
 public:
  MockVm(MockHost& host, const Capabilities& capabilities, std::shared_ptr<MockMachine> machine)
      : host_(host), capabilities_(capabilities), machine_(std::move(machine)) {}
  ~MockVm() override { WatchExit(nullptr); }

  std::string Record() const override { return machine_->record(); }

  absl::Status Start() override {
    RETURN_IF_ERROR(host_.failpoints().Enter(MockCall::kStart));
    return machine_->Start();
  }
  absl::Status Pause() override {
    RETURN_IF_ERROR(host_.failpoints().Enter(MockCall::kPause));
    if (!capabilities_.pause) return absl::UnimplementedError("this hypervisor cannot pause a VM");
    return machine_->Pause();
  }
  absl::Status Resume() override {
    RETURN_IF_ERROR(host_.failpoints().Enter(MockCall::kResume));
    if (!capabilities_.pause) return absl::UnimplementedError("this hypervisor cannot pause a VM");
    return machine_->Resume();
  }
  absl::Status Stop(absl::Duration) override {
    RETURN_IF_ERROR(host_.failpoints().Enter(MockCall::kStop));
    host_.End(machine_, "stopped");
    return absl::OkStatus();
  }
  absl::StatusOr<GuestDisk> AttachDisk(const DiskSpec& disk) override {
    RETURN_IF_ERROR(host_.failpoints().Enter(MockCall::kAttachDisk));
    return machine_->AttachDisk(disk);
  }
  absl::Status DetachDisk(const std::string& disk_id) override {
    RETURN_IF_ERROR(host_.failpoints().Enter(MockCall::kDetachDisk));
    machine_->DetachDisk(disk_id);
    return absl::OkStatus();
  }
  absl::Status Resize(int vcpus, uint64_t memory_bytes) override {
    RETURN_IF_ERROR(host_.failpoints().Enter(MockCall::kResize));
    return machine_->Resize(vcpus, memory_bytes);
  }
  GuestChannel agent_channel() const override {
    return {.kind = GuestChannel::Kind::kUnix, .path = machine_->agent_path()};
  }
  std::string ConsoleTail(size_t max_bytes) override { return machine_->ConsoleTail(max_bytes); }
  absl::StatusOr<VmUsage> Usage() override {
    RETURN_IF_ERROR(host_.failpoints().Enter(MockCall::kUsage));
    return machine_->Usage();
  }
  std::vector<pid_t> Pids() override { return {}; }
  std::map<std::string, double> Metrics() override { return {}; }
  void WatchExit(std::function<void(std::string)> on_exit) override {
    machine_->Watch(on_exit == nullptr ? nullptr : std::make_shared<ExitWatch>(host_.loop(), std::move(on_exit)));
  }

 private:
  MockHost& host_;
  const Capabilities capabilities_;
  const std::shared_ptr<MockMachine> machine_;
};

class MockHypervisor : public Hypervisor {
 public:
  MockHypervisor(MockHost& host, Capabilities capabilities) : host_(host), capabilities_(std::move(capabilities)) {}

  const Capabilities& capabilities() const override { return capabilities_; }
  std::string Describe() const override { return "mock (no virtual machines)"; }

  absl::StatusOr<std::unique_ptr<Vm>> Create(const VmSpec& spec) override {
    RETURN_IF_ERROR(host_.failpoints().Enter(MockCall::kCreate));
    ASSIGN_OR_RETURN(std::shared_ptr<MockMachine> machine, host_.Make(spec, capabilities_));
    return std::make_unique<MockVm>(host_, capabilities_, std::move(machine));
  }
  absl::StatusOr<std::unique_ptr<Vm>> Adopt(const std::string& record) override {
    RETURN_IF_ERROR(host_.failpoints().Enter(MockCall::kAdopt));
    ASSIGN_OR_RETURN(std::shared_ptr<MockMachine> machine, host_.FindByRecord(record));
    return std::make_unique<MockVm>(host_, capabilities_, std::move(machine));
  }
  absl::Status CleanUp(const std::string& id, const std::string&) override {
    RETURN_IF_ERROR(host_.failpoints().Enter(MockCall::kCleanUp));
    if (std::shared_ptr<MockMachine> machine = host_.Find(id)) host_.End(machine, "cleaned up");
    return absl::OkStatus();
  }

 private:
  MockHost& host_;
  const Capabilities capabilities_;
};

}  // namespace

Capabilities MockCapabilities() {
  return {.pause = true,
          .disk_swap = true,
          .disk_hotplug = true,
          .vcpu_hotplug = true,
          .memory_resize = true,
          .shared_folder = true,
          .shared_folder_fs = "9p",
          .max_vcpus = 64};
}

std::unique_ptr<Hypervisor> MakeMockHypervisor(MockHost& host, Capabilities capabilities) {
  return std::make_unique<MockHypervisor>(host, std::move(capabilities));
}

}  // namespace podvisor
