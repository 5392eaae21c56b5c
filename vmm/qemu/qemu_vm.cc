#include "vmm/qemu/qemu_vm.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "vmm/qemu/command_line.h"
#include "vmm/qemu/console_log.h"
#include "vmm/qemu/launch.h"
#include "vmm/qemu/migration.h"
#include "vmm/qemu/proc_stat.h"
#include "vmm/qemu/qmp_fields.h"
#include "vmm/qemu/template_files.h"
#include "vmm/qemu/vcpu_places.h"

namespace podvisor {
namespace {

using nlohmann::json;

constexpr size_t kSearchedForErrors = 16384;                  // bytes
constexpr size_t kTailInErrors = 2048;                        // bytes
constexpr size_t kLongestName = 64;                           // of what QEMU's events name
constexpr size_t kMostDeletedDevices = 256;                   // that nobody has waited for
constexpr absl::Duration kLaunchTimeout = absl::Seconds(60);  // from exec to QEMU's greeting, on a machine in trouble
constexpr absl::Duration kSaveTimeout = absl::Seconds(60);    // of a template's devices, on such a machine
constexpr absl::Duration kKillTimeout = absl::Seconds(5);     // from SIGKILL to the end
constexpr absl::Duration kMetricsTimeout = absl::Seconds(1);  // a scrape does not wait for a VM that hangs

std::string ConsoleLogPath(const std::string& runtime_dir) { return absl::StrCat(runtime_dir, "/console.log"); }

// The end of what QEMU and the guest said, each after its heading; empty if neither said anything.
std::string TailOf(const std::string& runtime_dir, int stderr_file, size_t max_bytes) {
  std::string console = ConsoleLog(ConsoleLogPath(runtime_dir)).Tail(max_bytes);
  const std::string messages = ReadStderr(stderr_file);
  if (messages.empty()) return console;
  std::string tail = absl::StrCat(console, console.empty() || console.back() == '\n' ? "" : "\n", messages);
  return tail.size() > max_bytes ? tail.substr(tail.size() - max_bytes) : tail;
}

// The part that explains an end, for messages: from the kernel's panic on, if there was one lately.
std::string Explanation(const std::string& tail) {
  const size_t panic = tail.rfind("Kernel panic");
  const size_t start = tail.size() > kTailInErrors ? tail.size() - kTailInErrors : 0;
  const std::string part = panic == std::string::npos ? tail.substr(start) : tail.substr(panic, kTailInErrors);
  return std::string(absl::StripAsciiWhitespace(part));
}

}  // namespace

// Outlives the Vm while its process runs.
struct QemuVm::Remains {
  Remains(std::string id, std::string runtime_dir, UniqueFd stderr_file)
      : id(std::move(id)), runtime_dir(std::move(runtime_dir)), stderr_file(std::move(stderr_file)) {}

  const std::string id;
  const std::string runtime_dir;
  const UniqueFd stderr_file;
  Migration migration;
  absl::Mutex mu;
  std::unique_ptr<ConsoleReader> console ABSL_GUARDED_BY(mu);
  std::string shutdown_reason ABSL_GUARDED_BY(mu);  // of QEMU's last SHUTDOWN event: "guest-panic"
  std::set<std::string> deleted_devices ABSL_GUARDED_BY(mu);
  bool ended ABSL_GUARDED_BY(mu) = false;

  // In the event loop, once.
  std::string Describe(const ExitStatus& exit) {
    migration.Ended();
    absl::MutexLock lock(&mu);
    ended = true;
    if (console != nullptr) console->Drain();
    return absl::StrCat("qemu ended: ", exit.ToString(),
                        shutdown_reason.empty() ? "" : absl::StrCat(" (", shutdown_reason, ")"));
  }
};

absl::StatusOr<std::unique_ptr<QemuVm>> QemuVm::TakeNew(EventLoop& loop, const VmSpec& spec, LaunchedQemu launched) {
  auto remains = std::make_shared<Remains>(spec.id, spec.runtime_dir, std::move(launched.stderr_file));
  QemuRecord record = {spec.id,        spec.runtime_dir,  launched.process.identity(), spec.vcpus,
                       spec.max_vcpus, spec.memory_bytes, spec.max_memory_bytes,       spec.disk_slots};
  std::unique_ptr<QemuVm> vm(new QemuVm(loop, std::move(record), std::move(remains)));
  if (spec.boot == BootMode::kToBeTemplate) vm->template_to_be_ = spec.template_files;
  absl::Status started = vm->StartNew(launched.process, spec.boot);
  if (started.ok()) return vm;
  started = vm->Discard(launched.process, std::move(started));
  if (vm->template_to_be_.has_value()) RemoveTemplate(*vm->template_to_be_);
  return started;
}

absl::StatusOr<std::unique_ptr<QemuVm>> QemuVm::Adopt(EventLoop& loop, QemuRecord record, Process process,
                                                      UniqueFd stderr_file) {
  auto remains = std::make_shared<Remains>(record.id, record.runtime_dir, std::move(stderr_file));
  std::unique_ptr<QemuVm> vm(new QemuVm(loop, std::move(record), std::move(remains)));
  RETURN_IF_ERROR(vm->Open(process, absl::Now() + kVmmTimeout));
  RETURN_IF_ERROR(vm->disks_.Load());
  return vm;
}

absl::Status QemuVm::StartNew(Process& process, BootMode boot) {
  const absl::Time deadline = absl::Now() + kLaunchTimeout;
  RETURN_IF_ERROR(Open(process, deadline));
  if (!IsClone(boot)) return absl::OkStatus();
  const auto execute = [this](const std::string& command, json arguments, int fd) {
    return Execute(command, std::move(arguments), fd);
  };
  RETURN_IF_ERROR(remains_->migration.Load(execute, kDevicesFd, deadline), "load the template's devices");
  return absl::OkStatus();
}

absl::Status QemuVm::Discard(Process& process, absl::Status status) {
  // Why QEMU hung up stands in what it said, once it has ended; a QEMU that hangs is ended here.
  if (process_ == nullptr) {  // not even watched
    RETURN_IF_ERROR(process.Signal(SIGKILL), status.message());
    RETURN_IF_ERROR(process.Wait(absl::Now() + kKillTimeout).status(), status.message());
    return status;
  }
  const bool ended_by_itself = process_->WaitEnded(absl::Now() + absl::Seconds(1));
  const std::string tail = Explanation(ConsoleTail(kSearchedForErrors));
  const absl::Status stopped = Stop(absl::ZeroDuration());
  std::string message(status.message());
  if (ended_by_itself) message = process_->reason();
  absl::StrAppend(&message, tail.empty() ? "" : ": ", tail);
  if (!stopped.ok()) absl::StrAppend(&message, "; and then: ", stopped.message());
  return absl::Status(status.code(), message);
}

QemuVm::QemuVm(EventLoop& loop, QemuRecord record, std::shared_ptr<Remains> remains)
    : loop_(loop),
      record_(std::move(record)),
      remains_(std::move(remains)),
      disks_(
          record_.disk_slots,
          [this](const std::string& command, json arguments, int fd) {
            return Execute(command, std::move(arguments), fd);
          },
          [this](const std::string& device) { return WaitDeleted(device); }) {}

QemuVm::~QemuVm() {
  if (process_ != nullptr) process_->SetWatcher(nullptr);
  absl::MutexLock lock(&remains_->mu);
  remains_->console.reset();
}

absl::Status QemuVm::Open(Process& process, absl::Time deadline) {
  ASSIGN_OR_RETURN(process_, WatchedProcess::Watch(loop_, process, [remains = remains_](const ExitStatus& exit) {
                     return remains->Describe(exit);
                   }));
  RETURN_IF_ERROR(Client(deadline).status());
  ASSIGN_OR_RETURN(
      std::unique_ptr<ConsoleReader> console,
      ConsoleReader::Start(loop_, ConsoleSocketPath(record_.runtime_dir), ConsoleLogPath(record_.runtime_dir)));
  {
    absl::MutexLock lock(&remains_->mu);
    if (!remains_->ended) remains_->console = std::move(console);
  }
  return absl::OkStatus();
}

QmpClient::OnEvent QemuVm::EventHandler() {
  return [remains = remains_](const std::string& name, const json& data) {
    if (name == "MIGRATION") return remains->migration.Event(data);
    absl::MutexLock lock(&remains->mu);
    if (name == "SHUTDOWN") remains->shutdown_reason = QmpText(data, "reason").substr(0, kLongestName);
    // At most one of ours is waited for; a guest can't make devices that have an id, but one that broke into its QEMU
    // can tell of any number.
    const std::string device = name == "DEVICE_DELETED" ? QmpText(data, "device") : "";
    if (!device.empty() && device.size() <= kLongestName && remains->deleted_devices.size() < kMostDeletedDevices)
      remains->deleted_devices.insert(device);
  };
}

std::shared_ptr<QmpClient> QemuVm::OpenClient() {
  absl::MutexLock lock(&client_mu_);
  return client_ != nullptr && !client_->closed() ? client_ : nullptr;
}

absl::StatusOr<std::shared_ptr<QmpClient>> QemuVm::Client(absl::Time deadline) {
  if (auto client = OpenClient()) return client;
  absl::MutexLock connecting(&connect_mu_);
  if (auto client = OpenClient()) return client;
  if (process_->ended()) return EndedStatus();
  {
    absl::MutexLock lock(&client_mu_);
    client_.reset();  // QEMU serves one connection at a time
  }
  ASSIGN_OR_RETURN(std::shared_ptr<QmpClient> client,
                   QmpClient::Connect(loop_, QmpSocketPath(record_.runtime_dir), EventHandler(), deadline));
  absl::MutexLock lock(&client_mu_);
  client_ = client;
  return client;
}

absl::StatusOr<json> QemuVm::Execute(const std::string& command, json arguments, int fd) {
  const absl::Time deadline = absl::Now() + kVmmTimeout;
  ASSIGN_OR_RETURN(const std::shared_ptr<QmpClient> client, Client(deadline));
  return client->Execute(command, std::move(arguments), deadline, fd);
}

absl::Status QemuVm::WaitDeleted(const std::string& device) {
  struct Wanted {
    std::set<std::string>* deleted;
    const std::string* device;
  } wanted = {nullptr, &device};
  absl::MutexLock lock(&remains_->mu);
  wanted.deleted = &remains_->deleted_devices;
  const absl::Condition is_deleted(
      +[](Wanted* w) { return w->deleted->count(*w->device) > 0; }, &wanted);
  if (!remains_->mu.AwaitWithTimeout(is_deleted, kVmmTimeout))
    return absl::UnavailableError(absl::StrCat("device_del ", device, ": QEMU has not said that it is gone"));
  remains_->deleted_devices.erase(device);
  return absl::OkStatus();
}

absl::Status QemuVm::EndedStatus() {
  const std::string tail = Explanation(ConsoleTail(kSearchedForErrors));
  return absl::UnavailableError(absl::StrCat("sandbox ", record_.id, ": ", process_->reason(),
                                             tail.empty() ? "" : "; its console ends with: ", tail));
}

absl::Status QemuVm::Start() {
  if (process_->ended()) return EndedStatus();
  absl::Status started = Execute("cont", nullptr).status();
  // It may have ended meanwhile, and its end says more than a broken connection.
  if (absl::IsUnavailable(started) && process_->WaitEnded(absl::Now() + absl::Seconds(1))) return EndedStatus();
  return started;
}

absl::Status QemuVm::Pause() { return Execute("stop", nullptr).status(); }

absl::Status QemuVm::Resume() { return Execute("cont", nullptr).status(); }

absl::Status QemuVm::SaveTemplate() {
  if (!template_to_be_.has_value())
    return absl::FailedPreconditionError(
        absl::StrCat("sandbox ", record_.id, ": save a template: the VM was not made to become one"));
  absl::Status saved = process_->ended() ? EndedStatus() : SaveDevices(*template_to_be_);
  // Its end says more than a broken connection.
  if (absl::IsUnavailable(saved) && process_->WaitEnded(absl::Now() + absl::Seconds(1))) saved = EndedStatus();
  // No grace: all that counts has been written.
  absl::Status stopped = Stop(absl::ZeroDuration());
  if (saved.ok()) saved = std::move(stopped);
  if (saved.ok()) saved = CommitTemplate(*template_to_be_);
  if (!saved.ok()) RemoveTemplate(*template_to_be_);
  return saved;
}

absl::Status QemuVm::SaveDevices(const TemplateFiles& files) {
  ASSIGN_OR_RETURN(const UniqueFd devices, MakeDevicesFile(files), "sandbox ", record_.id);
  RETURN_IF_ERROR(Pause(), "sandbox ", record_.id);
  const auto execute = [this](const std::string& command, json arguments, int fd) {
    return Execute(command, std::move(arguments), fd);
  };
  RETURN_IF_ERROR(remains_->migration.Save(execute, devices.get(), absl::Now() + kSaveTimeout), "sandbox ", record_.id,
                  ": save a template");
  return absl::OkStatus();
}

absl::Status QemuVm::Stop(absl::Duration grace) {
  if (process_->ended()) return absl::OkStatus();
  const absl::Time quit_until = absl::Now() + grace;
  if (grace > absl::ZeroDuration()) {
    if (const auto client = OpenClient()) client->Post("quit");
    if (process_->WaitEnded(quit_until)) return absl::OkStatus();
  }
  RETURN_IF_ERROR(process_->Signal(SIGKILL), "sandbox ", record_.id);
  if (process_->WaitEnded(absl::Now() + kKillTimeout)) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("sandbox ", record_.id, ": QEMU (process ", record_.process.pid, ") outlives SIGKILL"));
}

absl::StatusOr<GuestDisk> QemuVm::AttachDisk(const DiskSpec& disk) {
  ASSIGN_OR_RETURN(GuestDisk attached, disks_.Attach(disk), "sandbox ", record_.id);
  return attached;
}

absl::Status QemuVm::DetachDisk(const std::string& disk_id) {
  if (process_->ended()) return absl::OkStatus();
  RETURN_IF_ERROR(disks_.Detach(disk_id), "sandbox ", record_.id);
  return absl::OkStatus();
}

absl::Status QemuVm::Resize(int vcpus, uint64_t memory_bytes) {
  const uint64_t max_memory = std::max(record_.memory_bytes, record_.max_memory_bytes);
  if (vcpus < 1 || vcpus > record_.max_vcpus || memory_bytes > max_memory)
    return absl::OutOfRangeError(absl::StrCat("sandbox ", record_.id, ": resize to ", vcpus, " vCPUs and ",
                                              memory_bytes, " bytes: the VM was made for at most ", record_.max_vcpus,
                                              " and ", max_memory));
  absl::MutexLock lock(&resize_mu_);
  RETURN_IF_ERROR(AddVcpus(vcpus), "sandbox ", record_.id);
  if (max_memory == record_.memory_bytes) return absl::OkStatus();
  const uint64_t wanted = memory_bytes > record_.memory_bytes ? memory_bytes - record_.memory_bytes : 0;
  const json arguments = {{"path", "/machine/peripheral/memory0"},
                          {"property", "requested-size"},
                          {"value", (wanted + kMemoryBlock - 1) / kMemoryBlock * kMemoryBlock}};
  RETURN_IF_ERROR(Execute("qom-set", arguments).status(), "sandbox ", record_.id);
  return absl::OkStatus();
}

// A vCPU that is there stays: taking one away needs the guest's consent.
absl::Status QemuVm::AddVcpus(int vcpus) {
  ASSIGN_OR_RETURN(const json answer, Execute("query-hotpluggable-cpus", nullptr));
  VcpuPlaces places = ReadVcpuPlaces(answer);
  for (json& arguments : places.free) {
    if (places.present >= vcpus) break;
    RETURN_IF_ERROR(Execute("device_add", std::move(arguments)).status(), "add a vCPU");
    ++places.present;
  }
  return absl::OkStatus();
}

GuestChannel QemuVm::agent_channel() const {
  GuestChannel channel;
  channel.kind = GuestChannel::Kind::kSerial;
  channel.path = AgentSocketPath(record_.runtime_dir);
  return channel;
}

std::string QemuVm::ConsoleTail(size_t max_bytes) {
  return TailOf(record_.runtime_dir, remains_->stderr_file.get(), max_bytes);
}

absl::StatusOr<VmUsage> QemuVm::Usage() {
  if (process_->ended()) return EndedStatus();
  std::set<uint64_t> guest_memory = {record_.memory_bytes};
  if (record_.max_memory_bytes > record_.memory_bytes)
    guest_memory.insert(record_.max_memory_bytes - record_.memory_bytes);
  ASSIGN_OR_RETURN(const VmUsage usage, ProcessUsage(record_.process.pid, guest_memory), "sandbox ", record_.id);
  return usage;
}

std::vector<pid_t> QemuVm::Pids() {
  if (process_->ended()) return {};
  return {record_.process.pid};
}

std::map<std::string, double> QemuVm::Metrics() {
  std::map<std::string, double> metrics;
  if (process_->ended()) return metrics;
  const absl::Time deadline = absl::Now() + kMetricsTimeout;
  const auto client = Client(deadline);
  if (!client.ok()) return metrics;
  if (const auto balloon = (*client)->Execute("query-balloon", nullptr, deadline); balloon.ok())
    metrics["balloon_actual_bytes"] = static_cast<double>(QmpNumber(*balloon, "actual", 0));
  if (const auto memory = (*client)->Execute("query-memory-size-summary", nullptr, deadline); memory.ok())
    metrics["memory_bytes"] = static_cast<double>(QmpNumber(*memory, "base-memory", 0)) +
                              static_cast<double>(QmpNumber(*memory, "plugged-memory", 0));
  if (const auto vcpus = (*client)->Execute("query-cpus-fast", nullptr, deadline); vcpus.ok())
    metrics["vcpus"] = static_cast<double>(vcpus->size());
  return metrics;
}

void QemuVm::WatchExit(std::function<void(std::string reason)> on_exit) { process_->SetWatcher(std::move(on_exit)); }

}  // namespace podvisor
