#include "vmm/mock/mock_hypervisor.h"

#include <openssl/sha.h>
#include <sys/stat.h>

#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

// Kernel and initrd count by their names and times alone: mock guests have no content.
std::string MockTemplateKey(const VmSpec& spec) {
  std::string text =
      absl::StrCat("mock ", spec.vcpus, " ", spec.max_vcpus, " ", spec.memory_bytes, " ", spec.max_memory_bytes, " ",
                   spec.disk_slots, spec.nic ? " nic" : "", spec.shared_folder.empty() ? "" : " folder");
  for (const std::string& param : spec.kernel_params) absl::StrAppend(&text, "\n", param);
  for (const std::string& path : {spec.kernel_path, spec.initrd_path}) {
    struct stat file = {};
    if (!path.empty() && ::stat(path.c_str(), &file) != 0) file = {};
    absl::StrAppend(&text, "\n", path, " ", file.st_mtim.tv_sec, ".", file.st_mtim.tv_nsec, " ", file.st_size);
  }
  unsigned char digest[SHA256_DIGEST_LENGTH];
  ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

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
  absl::Status SaveTemplate() override {
    absl::Status status = host_.failpoints().Enter(MockCall::kSaveTemplate);
    if (status.ok()) status = machine_->SaveTemplate();
    if (status.ok() || machine_->View().spec.boot == BootMode::kToBeTemplate)
      host_.End(machine_, "saved as a template");
    return status;
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
  absl::StatusOr<std::string> TemplateKey(const VmSpec& spec) const override {
    if (!capabilities_.clone) return Hypervisor::TemplateKey(spec);
    return MockTemplateKey(spec);
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
          .clone = true,
          .clone_of_copy = true,
          .shared_folder_fs = "9p",
          .max_vcpus = 64};
}

std::unique_ptr<Hypervisor> MakeMockHypervisor(MockHost& host, Capabilities capabilities) {
  return std::make_unique<MockHypervisor>(host, std::move(capabilities));
}

}  // namespace podvisor
