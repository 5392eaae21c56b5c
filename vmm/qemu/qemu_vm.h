// One QEMU process as a Vm.
#ifndef PODVISOR_VMM_QEMU_QEMU_VM_H_
#define PODVISOR_VMM_QEMU_QEMU_VM_H_

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/event_loop.h"
#include "base/process.h"
#include "base/unique_fd.h"
#include "vmm/hypervisor.h"
#include "vmm/qemu/console_reader.h"
#include "vmm/qemu/disks.h"
#include "vmm/qemu/launch.h"
#include "vmm/qemu/qmp_client.h"
#include "vmm/qemu/record.h"
#include "vmm/qemu/watched_process.h"

namespace podvisor {

// Thread-safe, as Vm says.
class QemuVm : public Vm {
 public:
  // Takes over a process that has just been started for `spec`. A clone has been loaded then. On an error nothing is
  // left, and the message holds what QEMU wrote to its stderr.
  static absl::StatusOr<std::unique_ptr<QemuVm>> TakeNew(EventLoop& loop, const VmSpec& spec, LaunchedQemu launched);
  // Takes over one that was found again.
  static absl::StatusOr<std::unique_ptr<QemuVm>> Adopt(EventLoop& loop, QemuRecord record, Process process,
                                                       UniqueFd stderr_file);
  ~QemuVm() override;

  std::string Record() const override { return SerializeRecord(record_); }
  absl::Status Start() override;
  absl::Status Pause() override;
  absl::Status Resume() override;
  absl::Status SaveTemplate() override;
  absl::Status Stop(absl::Duration grace) override;
  absl::StatusOr<GuestDisk> AttachDisk(const DiskSpec& disk) override;
  absl::Status DetachDisk(const std::string& disk_id) override;
  absl::Status Resize(int vcpus, uint64_t memory_bytes) override;
  GuestChannel agent_channel() const override;
  std::string ConsoleTail(size_t max_bytes) override;
  absl::StatusOr<VmUsage> Usage() override;
  std::vector<pid_t> Pids() override;
  std::map<std::string, double> Metrics() override;
  void WatchExit(std::function<void(std::string reason)> on_exit) override;

 private:
  struct Remains;  // what explains the end, shared with the watch of the process
  QemuVm(EventLoop& loop, QemuRecord record, std::shared_ptr<Remains> remains);

  absl::Status Open(Process& process, absl::Time deadline);
  absl::Status StartNew(Process& process, BootMode boot);
  // Ends a new VM that failed with `status` and adds to it what QEMU said.
  absl::Status Discard(Process& process, absl::Status status);
  absl::Status SaveDevices(const TemplateFiles& files);
  absl::StatusOr<nlohmann::json> Execute(const std::string& command, nlohmann::json arguments, int fd = -1);
  // The connection, made anew if it broke while QEMU goes on.
  absl::StatusOr<std::shared_ptr<QmpClient>> Client(absl::Time deadline);
  std::shared_ptr<QmpClient> OpenClient();  // null if there is none now
  QmpClient::OnEvent EventHandler();
  absl::Status WaitDeleted(const std::string& device);
  absl::Status EndedStatus();
  absl::Status AddVcpus(int vcpus);

  EventLoop& loop_;
  const QemuRecord record_;
  const std::shared_ptr<Remains> remains_;
  std::shared_ptr<WatchedProcess> process_;      // set once, in Open()
  std::optional<TemplateFiles> template_to_be_;  // set once, in TakeNew()
  DiskTable disks_;
  absl::Mutex resize_mu_;  // one Resize() at a time

  // Lock order: connect_mu_, then client_mu_. Only the first is held while a connection is made.
  absl::Mutex connect_mu_;
  absl::Mutex client_mu_;
  std::shared_ptr<QmpClient> client_ ABSL_GUARDED_BY(client_mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_QEMU_VM_H_
