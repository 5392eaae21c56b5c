// GetUsage and ListUsage: see pod_manager.h.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "podmanager/container_operations.h"
#include "podmanager/pod_manager_impl.h"
#include "podmanager/show.h"
#include "podmanager/stats/guest_stats.h"

namespace podvisor {

namespace {

constexpr absl::Duration kFresh = absl::Seconds(1);
constexpr uint64_t kNanosPerMicro = 1000;

// A sandbox that is asked about.
struct Subject {
  std::shared_ptr<Sandbox> sandbox;
  Sandbox::Guest guest;
  std::vector<std::shared_ptr<Container>> containers;  // created or running
};

bool IsFresh(const Subject& subject, absl::Time now) {
  const std::shared_ptr<const UsageSample> newest = subject.sandbox->usage().Newest();
  if (newest == nullptr || now - newest->at >= kFresh) return false;
  for (const std::shared_ptr<Container>& container : subject.containers) {
    if (container->phase() == ContainerPhase::kRunning && newest->Find(container->id()) == nullptr) return false;
  }
  return true;
}

void Ask(const Subject& subject) {
  if (!subject.sandbox->usage().BeginAsking()) return;
  std::vector<std::string> ids;
  for (const std::shared_ptr<Container>& container : subject.containers) ids.push_back(container->id());
  AskGuestStats(subject.guest.agent, std::move(ids), absl::Now() + subject.sandbox->timeouts().agent_call,
                [weak = std::weak_ptr<Sandbox>(subject.sandbox)](absl::StatusOr<agent::v1::GetStatsResponse> answer) {
                  if (const auto sandbox = weak.lock()) sandbox->usage().Answer(std::move(answer), absl::Now());
                });
}

Usage MakeUsage(const UsageSample& sample, const std::string& id, const agent::v1::CgroupUsage& figures,
                absl::Time start) {
  Usage usage;
  usage.at = sample.at;
  usage.figures = figures;
  if (sample.figures.has_guest()) usage.guest_available_bytes = sample.figures.guest().memory_available_bytes();
  const auto rate = sample.nano_cores.find(id);
  if (rate != sample.nano_cores.end()) {
    usage.nano_cores = rate->second;
  } else if (start > absl::InfinitePast() && sample.at > start) {
    const double nanos = static_cast<double>(figures.cpu_usage_us()) * kNanosPerMicro;
    usage.nano_cores = static_cast<uint64_t>(nanos / absl::ToDoubleSeconds(sample.at - start));
  }
  return usage;
}

PodUsage Assemble(const Subject& subject, Detail detail) {
  PodUsage pod;
  pod.sandbox = ShowSandbox(*subject.sandbox);
  const std::shared_ptr<const UsageSample> sample = subject.sandbox->usage().Newest();
  if (sample != nullptr) {
    pod.usage = MakeUsage(*sample, "", sample->figures.pod(), pod.sandbox.created_at);
    for (const agent::v1::InterfaceUsage& interface : sample->figures.interfaces()) {
      if (interface.name() != "lo") pod.interfaces.push_back(interface);
    }
    if (sample->figures.has_guest()) pod.guest = sample->figures.guest();
  }
  for (const std::shared_ptr<Container>& container : subject.containers) {
    ContainerUsage& entry = pod.containers.emplace_back();
    entry.status = ShowContainer(*container);
    const agent::v1::ContainerUsage* rest = sample != nullptr ? sample->Find(container->id()) : nullptr;
    if (rest != nullptr) {
      entry.usage = MakeUsage(*sample, container->id(), rest->cgroup(), entry.status.started_at);
      entry.rest = *rest;
    } else if (sample != nullptr && entry.status.state == ContainerState::kCreated) {
      entry.usage.at = sample->at;  // its process does not exist yet, and uses nothing
    }
  }
  if (detail == Detail::kVerbose && subject.guest.vm != nullptr) {
    if (absl::StatusOr<VmUsage> vmm = subject.guest.vm->Usage(); vmm.ok()) pod.vmm = *vmm;
  }
  return pod;
}

std::vector<PodUsage> Collect(const std::vector<Subject>& subjects, Detail detail, absl::Time deadline) {
  const absl::Time now = absl::Now();
  deadline = std::min(deadline, now + kUsagePatience);
  std::vector<const Subject*> asked;
  for (const Subject& subject : subjects) {
    if (IsFresh(subject, now)) continue;
    Ask(subject);
    asked.push_back(&subject);
  }
  for (const Subject* subject : asked) subject->sandbox->usage().AwaitAnswer(deadline);
  std::vector<PodUsage> pods;
  pods.reserve(subjects.size());
  for (const Subject& subject : subjects) pods.push_back(Assemble(subject, detail));
  return pods;
}

void AddContainers(PodContext& context, std::vector<Subject>& subjects) {
  std::map<const Sandbox*, Subject*> by_sandbox;
  for (Subject& subject : subjects) by_sandbox[subject.sandbox.get()] = &subject;
  for (std::shared_ptr<Container>& container : context.containers.All()) {
    const auto subject = by_sandbox.find(container->sandbox().get());
    if (subject == by_sandbox.end()) continue;
    const ContainerState state = ShownAs(container->phase());
    if (container->phase() != ContainerPhase::kCreating &&
        (state == ContainerState::kCreated || state == ContainerState::kRunning)) {
      subject->second->containers.push_back(std::move(container));
    }
  }
}

}  // namespace

absl::StatusOr<PodUsage> PodManagerImpl::GetUsage(const std::string& sandbox_id, Detail detail, absl::Time deadline) {
  std::vector<Subject> subjects(1);
  ASSIGN_OR_RETURN(subjects[0].sandbox, FindSandbox(sandbox_id));
  ASSIGN_OR_RETURN(subjects[0].guest, ReadyGuest(*subjects[0].sandbox));
  AddContainers(context_, subjects);
  std::vector<PodUsage> pods = Collect(subjects, detail, deadline);
  if (pods[0].usage.at == absl::InfinitePast()) {
    return absl::UnavailableError(
        absl::StrCat("sandbox ", subjects[0].sandbox->id(), ": its guest does not say what it uses: try again"));
  }
  return std::move(pods[0]);
}

std::vector<PodUsage> PodManagerImpl::ListUsage(const SandboxFilter& filter, Detail detail, absl::Time deadline) {
  std::vector<Subject> subjects;
  for (const std::shared_ptr<Sandbox>& sandbox : context_.sandboxes.All()) {
    if (!Matches(*sandbox, filter)) continue;
    absl::StatusOr<Sandbox::Guest> guest = ReadyGuest(*sandbox);
    if (guest.ok()) subjects.push_back({.sandbox = sandbox, .guest = *std::move(guest), .containers = {}});
  }
  AddContainers(context_, subjects);
  return Collect(subjects, detail, deadline);
}

absl::StatusOr<std::unique_ptr<EventStream>> PodManagerImpl::SubscribeEvents() {
  RETURN_IF_ERROR(CheckAccepting());
  return context_.events.Subscribe();
}

}  // namespace podvisor
