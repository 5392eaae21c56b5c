#include "daemon/hypervisors.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "vmm/mock/mock_host.h"
#include "vmm/mock/mock_hypervisor.h"
#include "vmm/qemu/qemu.h"

namespace podvisor {
namespace {

absl::StatusOr<std::unique_ptr<Hypervisor>> MakeQemuDriver(EventLoop& loop, const HypervisorSection& section) {
  QemuOptions options;
  options.qemu_path = section.path;
  options.machine = section.machine_type;
  ASSIGN_OR_RETURN(options.accelerator, ParseAcceleratorChoice(section.accelerator));
  options.cpu_model = section.cpu_model;
  options.seccomp = section.seccomp_sandbox == "on" ? QemuSeccomp::kOn : QemuSeccomp::kOff;
  options.shared_folder = section.shared_fs == "none" ? QemuSharedFolder::kNone : QemuSharedFolder::k9p;
  options.confinement = section.confinement == "full" ? QemuConfinement::kFull : QemuConfinement::kNone;
  options.user = section.user;
  options.oom_score_adj = section.oom_score_adj;
  options.console = section.debug ? GuestConsole::kVerbose : GuestConsole::kQuiet;
  options.extra_args = section.hypervisor_params;
  return MakeQemu(loop, std::move(options));
}

// What a driver is made of: equal for sections that can share one.
std::string DriverKey(const HypervisorSection& section) {
  constexpr char kSeparator[] = "\n";
  return absl::StrCat(
      absl::StrJoin({section.type, section.path, section.machine_type, section.accelerator, section.cpu_model,
                     section.seccomp_sandbox, section.shared_fs, section.confinement, section.user},
                    kSeparator),
      kSeparator, section.oom_score_adj, section.debug ? " debug" : "", kSeparator,
      absl::StrJoin(section.hypervisor_params, kSeparator));
}

// A guest directory without one, of an earlier build, has templates and a pool all the same.
std::string RehearsalImage(const std::string& handler, const std::string& path) {
  if (path.empty() || ::access(path.c_str(), R_OK) == 0) return path;
  spdlog::warn("runtime handler \"{}\": rehearsal_image {} can't be read: its first containers start slower", handler,
               path);
  return "";
}

RuntimeHandler MakeHandler(const std::string& name, const HypervisorSection& section, const AgentSection& agent,
                           Hypervisor* hypervisor) {
  RuntimeHandler handler;
  handler.name = name;
  handler.hypervisor = hypervisor;
  handler.vcpus = section.default_vcpus;
  handler.memory_bytes = section.default_memory_bytes;
  handler.max_vcpus = section.default_max_vcpus;
  handler.max_memory_bytes = section.default_max_memory_bytes;
  handler.guest_overhead_bytes = section.guest_overhead_bytes;
  handler.kernel_path = section.kernel;
  handler.initrd_path = section.initrd;
  handler.kernel_params = section.kernel_params;
  handler.disk_slots = section.disk_slots;
  handler.factory = section.factory == "cold"       ? FactoryKind::kCold
                    : section.factory == "template" ? FactoryKind::kTemplate
                                                    : FactoryKind::kPool;
  handler.template_pages = section.template_pages == "copied" ? TemplatePages::kCopied : TemplatePages::kShared;
  handler.rehearsal_image = RehearsalImage(name, section.rehearsal_image);
  handler.timeouts.agent_ready = agent.ready_timeout;
  handler.timeouts.agent_call = agent.call_timeout;
  handler.timeouts.kill = agent.kill_timeout;
  return handler;
}

}  // namespace

struct Hypervisors::Mock {
  EventLoop loop{"podvisor-mock"};
  MockHost host{loop};
};

Hypervisors::Hypervisors() = default;
Hypervisors::~Hypervisors() = default;

absl::StatusOr<std::unique_ptr<Hypervisor>> Hypervisors::MakeDriver(EventLoop& loop, const HypervisorSection& section) {
  if (section.type == "qemu") return MakeQemuDriver(loop, section);
  if (mock_ == nullptr) mock_ = std::make_unique<Mock>();
  return MakeMockHypervisor(mock_->host);
}

absl::Status Hypervisors::Add(EventLoop& loop, const std::string& name, const HypervisorSection& section,
                              const AgentSection& agent) {
  std::unique_ptr<Hypervisor>& driver = drivers_[DriverKey(section)];
  if (driver == nullptr) {
    ASSIGN_OR_RETURN(driver, MakeDriver(loop, section), name.empty() ? "hypervisor" : absl::StrCat("runtimes.", name));
    spdlog::info("runtime handler \"{}\": {}", name, driver->Describe());
  }
  handlers_[name] = MakeHandler(name, section, agent, driver.get());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Hypervisors>> Hypervisors::Make(EventLoop& loop, const Config& config) {
  std::unique_ptr<Hypervisors> made(new Hypervisors());
  RETURN_IF_ERROR(made->Add(loop, "", config.hypervisor, config.agent));
  for (const auto& [name, section] : config.runtimes) {
    RETURN_IF_ERROR(made->Add(loop, name, section, config.agent));
  }
  return made;
}

}  // namespace podvisor
