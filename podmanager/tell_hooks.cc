#include "podmanager/tell_hooks.h"

#include "absl/base/call_once.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor {

namespace {

absl::Time TimeOf(int64_t nanos) { return nanos == 0 ? absl::InfinitePast() : absl::FromUnixNanos(nanos); }

}  // namespace

HookPod ViewOf(const Sandbox& sandbox) {
  const SandboxRecord record = sandbox.record();
  HookPod pod;
  pod.id = record.id();
  pod.config = record.config();
  pod.runtime_handler = record.runtime_handler();
  pod.netns_path = record.netns_path();
  if (!record.cgroup().directories().empty()) pod.cgroup_path = record.cgroup().directories(0);
  pod.ips.assign(record.ips().begin(), record.ips().end());
  if (const std::shared_ptr<Vm> vm = sandbox.guest().vm) {
    const std::vector<pid_t> pids = vm->Pids();
    if (!pids.empty()) pod.pid = pids.front();
  }
  return pod;
}

HookContainer ViewOf(const Container& container) {
  const ContainerRecord record = container.record();
  HookContainer view;
  view.id = record.id();
  view.sandbox_id = record.sandbox_id();
  view.config = record.has_adjusted_config() ? record.adjusted_config() : record.config();
  view.state = ShownAs(FromRecord(record.phase()));
  view.created_at = TimeOf(record.created_at_ns());
  view.started_at = TimeOf(record.started_at_ns());
  view.finished_at = TimeOf(record.finished_at_ns());
  view.exit_code = record.exit_code();
  view.reason = record.reason();
  view.message = record.message();
  view.resources = record.resources();
  grpc::Process process;
  if (process.ParseFromString(record.process())) {
    view.args.assign(process.args().begin(), process.args().end());
    view.env.assign(process.env().begin(), process.env().end());
    view.uid = process.user().uid();
    view.gid = process.user().gid();
    view.groups.assign(process.user().additionalgids().begin(), process.user().additionalgids().end());
  }
  return view;
}

absl::Status TellRun(PodContext& context, const Sandbox& sandbox, const std::vector<std::string>& ips) {
  if (context.hooks == nullptr) return absl::OkStatus();
  HookPod pod = ViewOf(sandbox);
  pod.ips = ips;
  return context.hooks->OnRunSandbox(pod);
}

absl::Status TellUpdate(PodContext& context, const Sandbox& sandbox, const Resources& overhead,
                        const Resources& resources) {
  if (context.hooks == nullptr) return absl::OkStatus();
  return context.hooks->OnUpdateSandbox(ViewOf(sandbox), overhead, resources);
}

void TellUpdated(PodContext& context, const Sandbox& sandbox) {
  if (context.hooks != nullptr) context.hooks->AfterUpdateSandbox(ViewOf(sandbox));
}

void TellStopped(PodContext& context, Sandbox& sandbox) {
  if (context.hooks == nullptr) return;
  absl::call_once(sandbox.stop_told(), [&] { context.hooks->OnStopSandbox(ViewOf(sandbox)); });
}

void TellRemoved(PodContext& context, const Sandbox& sandbox) {
  if (context.hooks != nullptr) context.hooks->OnRemoveSandbox(ViewOf(sandbox));
}

void TellCreated(PodContext& context, const Container& container) {
  if (context.hooks != nullptr) context.hooks->AfterCreateContainer(ViewOf(*container.sandbox()), ViewOf(container));
}

absl::Status TellStart(PodContext& context, const Container& container) {
  if (context.hooks == nullptr) return absl::OkStatus();
  return context.hooks->OnStartContainer(ViewOf(*container.sandbox()), ViewOf(container));
}

void TellStarted(PodContext& context, const Container& container) {
  if (context.hooks != nullptr) context.hooks->AfterStartContainer(ViewOf(*container.sandbox()), ViewOf(container));
}

absl::Status TellUpdate(PodContext& context, const Container& container, Resources* update) {
  if (context.hooks == nullptr) return absl::OkStatus();
  return context.hooks->OnUpdateContainer(ViewOf(*container.sandbox()), ViewOf(container), update);
}

void TellUpdated(PodContext& context, const Container& container) {
  if (context.hooks != nullptr) context.hooks->AfterUpdateContainer(ViewOf(*container.sandbox()), ViewOf(container));
}

void TellStopped(PodContext& context, Container& container) {
  if (context.hooks == nullptr) return;
  absl::call_once(container.stop_told(),
                  [&] { context.hooks->OnStopContainer(ViewOf(*container.sandbox()), ViewOf(container)); });
}

void TellRemoved(PodContext& context, Container& container) {
  if (context.hooks == nullptr) return;
  // Its end comes first, even if whoever saw it has not come to tell yet.
  if (container.record().finished_at_ns() != 0) TellStopped(context, container);
  context.hooks->OnRemoveContainer(ViewOf(*container.sandbox()), ViewOf(container));
}

}  // namespace podvisor
