#include "podmanager/show.h"

namespace podvisor {
namespace {

absl::Time TimeOf(int64_t nanos) { return nanos == 0 ? absl::InfinitePast() : absl::FromUnixNanos(nanos); }

}  // namespace

SandboxStatus ShowSandbox(const Sandbox& sandbox) {
  SandboxStatus status;
  status.id = sandbox.id();
  status.config = sandbox.shared_config();
  status.runtime_handler = sandbox.handler_name();
  sandbox.Look([&status](const SandboxRecord& record) {
    status.state = ShownAs(FromRecord(record.phase()));
    status.reason = record.reason();
    status.created_at = TimeOf(record.created_at_ns());
    status.ips.assign(record.ips().begin(), record.ips().end());
  });
  return status;
}

ContainerStatus ShowContainer(const Container& container) {
  ContainerStatus status;
  status.id = container.id();
  status.sandbox_id = container.sandbox()->id();
  status.config = container.shared_config();
  container.Look([&status](const ContainerRecord& record) {
    status.state = ShownAs(FromRecord(record.phase()));
    status.created_at = TimeOf(record.created_at_ns());
    const bool shown_started = status.state != ContainerState::kCreated;
    status.started_at = shown_started ? TimeOf(record.started_at_ns()) : absl::InfinitePast();
    status.finished_at = TimeOf(record.finished_at_ns());
    status.exit_code = record.exit_code();
    status.reason = record.reason();
    status.message = record.message();
    status.image_id = record.image_id();
    status.image_ref = record.image_ref();
    status.log_path = record.log_path();
    status.uid = record.uid();
    status.gid = record.gid();
    status.supplemental_groups.assign(record.supplemental_groups().begin(), record.supplemental_groups().end());
    status.resources = record.resources();
    for (const ContainerRecord::ImageVolume& volume : record.image_volumes())
      status.volume_image_ids[static_cast<int>(volume.mount())] = volume.image_id();
  });
  return status;
}

}  // namespace podvisor
