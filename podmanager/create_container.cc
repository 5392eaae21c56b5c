// CreateContainer: from a configuration to a container in the guest that waits to be started.
#include <errno.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/rollback.h"
#include "base/status_macros.h"
#include "google/protobuf/empty.pb.h"
#include "google/protobuf/util/message_differencer.h"
#include "podmanager/container_operations.h"
#include "podmanager/ids.h"
#include "podmanager/image_volumes.h"
#include "podmanager/mount_owners.h"
#include "podmanager/paths.h"
#include "podmanager/spec/container_spec.h"
#include "podmanager/spec/guest_paths.h"
#include "podmanager/spec/sandbox_spec.h"
#include "podmanager/spec/seccomp.h"
#include "podmanager/tell_hooks.h"
#include "podmanager/validate.h"
#include "podmanager/vm_size.h"
#include "storage/shared_folder.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

namespace {

AgentKind ToAgentKind(AgentFlavor flavor) {
  return flavor == AGENT_PLAIN_KATA ? AgentKind::kPlainKata : AgentKind::kPodvisor;
}

// One CreateContainer. Lives as long as the call.
class Creation {
 public:
  Creation(PodContext& context, std::shared_ptr<Container> container)
      : context_(context),
        container_(std::move(container)),
        config_(container_->config()),
        rollback_(timeouts().rollback) {}

  absl::Status Run() {
    absl::Status status = Steps();
    if (status.ok()) {
      rollback_.Commit();
      return status;
    }
    status = Annotate(std::move(status), "container ", container_->config().metadata().name(), " in sandbox ",
                      container_->sandbox()->id());
    absl::Status undone = rollback_.Run();
    if (undone.ok()) {
      context_.containers.Erase(container_->id());
      return status;
    }
    // What could not be undone stays listed as exited, for the kubelet to remove.
    const std::string message = absl::StrCat(status.message(), "; ", undone.message());
    container_->Observe(ContainerPhase::kRemoving, [&](ContainerRecord& record) {
      record.set_reason("CreateError");
      record.set_message(message);
    });
    context_.Changed(*container_);
    return absl::Status(status.code(), message);
  }

 private:
  const RuntimeTimeouts& timeouts() const { return container_->sandbox()->timeouts(); }

  absl::Status Steps() {
    ASSIGN_OR_RETURN(guest_, ReadyGuest(*container_->sandbox()));
    ASSIGN_OR_RETURN(Image image, context_.images.Find(container_->config().image()));
    // Everything that can be found wrong without touching anything is found here.
    ASSIGN_OR_RETURN(int stop_signal, StopSignal(container_->config(), image.config));
    RETURN_IF_ERROR(RecordIntent());
    ASSIGN_OR_RETURN(RootfsLease lease, Lease());
    ASSIGN_OR_RETURN(grpc::CreateContainerRequest request, BuildRequest(lease));
    // The pod's own limits have sized the VM; where they do not cover the containers, it does what it can.
    if (absl::Status fitted = FitVm(context_, *container_->sandbox(), Fit::kGrow); !fitted.ok())
      spdlog::warn("container {}: the VM does not grow for it: {}", container_->id(), fitted.ToString());
    RETURN_IF_ERROR(CallAgent(request));
    return container_->TransitionTo(ContainerPhase::kCreated, [&](ContainerRecord& record) {
      record.set_image_id(lease.image.id);
      record.set_image_ref(lease.image.repo_digests.empty() ? lease.image.id : lease.image.repo_digests.front());
      record.set_stop_signal(stop_signal);
      record.set_disk_id(disk_.id);
      const grpc::Process& process = request.oci().process();
      record.set_process(process.SerializeAsString());
      record.set_uid(process.user().uid());
      record.set_gid(process.user().gid());
      for (uint32_t group : process.user().additionalgids()) record.add_supplemental_groups(group);
    });
  }

  // One row, before anything exists: see ContainerRecord. One undo step for all of it, since each part of it is a
  // success where there is nothing to undo.
  absl::Status RecordIntent() {
    rollback_.Add("delete record", [&context = context_, container = container_](absl::Time) {
      return context.store.DeleteContainer(container->id());
    });
    rollback_.Barrier();
    return container_->WriteRecord();
  }

  absl::StatusOr<RootfsLease> Lease() {
    rollback_.Add(
        "release lease, disk, mounts and guest's container",
        [&context = context_, container = container_](absl::Time) { return ReleaseContainer(context, *container); });
    ASSIGN_OR_RETURN(RootfsLease lease, context_.images.Lease(container_->config().image(), container_->id()));
    // The path is known only now, and comes to disk before the VMM has it.
    RETURN_IF_ERROR(container_->Update([&](ContainerRecord& record) { record.set_disk_path(lease.erofs_path); }));
    ASSIGN_OR_RETURN(disk_, container_->sandbox()->disks().Attach(*guest_.vm, lease.erofs_path, container_->id()));
    return lease;
  }

  // In the order of the mounts: the name of a host path in the sandbox's shared folder, the guest's path of an image
  // volume.
  std::vector<std::string> MountNames() const {
    std::vector<std::string> names;
    for (size_t i = 0; i < static_cast<size_t>(config_.mounts_size()); ++i) {
      const MountConfig& mount = config_.mounts(static_cast<int>(i));
      if (mount.image().empty()) {
        names.push_back(SharedMountName(container_->id(), i));
      } else {
        const std::string folder = GuestImageVolume(container_->id(), i);
        names.push_back(mount.image_sub_path().empty() ? folder : absl::StrCat(folder, "/", mount.image_sub_path()));
      }
    }
    return names;
  }

  // Those of host paths.
  absl::Status BindMounts(ContainerSpecInput* input) {
    for (size_t i = 0; i < input->mount_names.size(); ++i) {
      const MountConfig& mount = config_.mounts(static_cast<int>(i));
      if (!mount.image().empty()) continue;
      ASSIGN_OR_RETURN(const bool holds_mounts, BindHostPath(mount, input->mount_names[i]), "mount of ",
                       mount.host_path());
      if (holds_mounts) input->holding_mounts.insert(i);
    }
    return absl::OkStatus();
  }

  // Who makes the files that the guest asks for: of use only where their owners are mapped.
  absl::StatusOr<std::vector<FileMaker>> FileMakers(const MountConfig& mount) const {
    std::vector<FileMaker> makers;
    if (mount.uid_mappings().empty() && mount.gid_mappings().empty()) return makers;
    for (const pid_t pid : guest_.vm->Pids()) {
      ASSIGN_OR_RETURN(const std::string text, ReadFile(absl::StrCat("/proc/", pid, "/status"), 64 << 10));
      ASSIGN_OR_RETURN(makers.emplace_back(), ReadFileMaker(text));
    }
    return makers;
  }

  // True if there are mounts below it.
  absl::StatusOr<bool> BindHostPath(const MountConfig& mount, const std::string& name) {
    const Sandbox& sandbox = *container_->sandbox();
    if (!sandbox.handler()->hypervisor->capabilities().shared_folder) {
      return absl::UnimplementedError(absl::StrCat("mounts: the driver of runtime handler \"", sandbox.handler_name(),
                                                   "\" can't share folders with the guest"));
    }
    SharedFolder shared(SandboxSharedDir(context_.options.run_dir, sandbox.id()));
    RETURN_IF_ERROR(MakeMissing(mount.host_path()));
    ASSIGN_OR_RETURN(const std::vector<FileMaker> makers, FileMakers(mount));
    RETURN_IF_ERROR(shared.Bind(mount.host_path(), name, Access(mount), MountOwners(mount, makers)));
    return shared.HoldsMounts(name);
  }

  // They see the process as it would be, and may change what it is made of.
  absl::Status AskHooks(const ContainerSpecInput& input) {
    if (context_.hooks == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(const grpc::CreateContainerRequest planned, BuildCreateContainer(input));
    const grpc::Process& process = planned.oci().process();
    HookContainer view = ViewOf(*container_);
    view.args.assign(process.args().begin(), process.args().end());
    view.env.assign(process.env().begin(), process.env().end());
    view.uid = process.user().uid();
    view.gid = process.user().gid();
    view.groups.assign(process.user().additionalgids().begin(), process.user().additionalgids().end());
    rollback_.Add("tell hooks of the removal", [&context = context_, container = container_](absl::Time) {
      TellRemoved(context, *container);
      return absl::OkStatus();
    });
    const ContainerConfig before = config_;
    RETURN_IF_ERROR(context_.hooks->OnCreateContainer(ViewOf(*container_->sandbox()), view, &config_));
    if (google::protobuf::util::MessageDifferencer::Equals(before, config_)) return absl::OkStatus();
    RETURN_IF_ERROR(ValidateContainerConfig(config_), "as changed by hooks");
    return container_->Update([this](ContainerRecord& record) {
      *record.mutable_adjusted_config() = config_;
      *record.mutable_resources() = config_.resources();
    });
  }

  static MountAccess Access(const MountConfig& mount) {
    if (!mount.readonly()) return MountAccess::kReadWrite;
    return mount.recursive_read_only() ? MountAccess::kRecursiveReadOnly : MountAccess::kReadOnly;
  }

  // A host path that does not exist becomes a folder, as with containerd.
  static absl::Status MakeMissing(const std::string& path) {
    std::error_code error;
    if (std::filesystem::exists(std::filesystem::symlink_status(path, error))) return absl::OkStatus();
    std::filesystem::create_directories(path, error);
    return error ? ErrnoStatus(error.value(), absl::StrCat("make ", path)) : absl::OkStatus();
  }

  absl::StatusOr<grpc::CreateContainerRequest> BuildRequest(const RootfsLease& lease) {
    const Sandbox& sandbox = *container_->sandbox();
    ContainerSpecInput input;
    input.container_id = container_->id();
    input.sandbox = &sandbox.config();
    input.config = &config_;
    input.image = &lease.image.config;
    input.passwd = &lease.passwd;
    input.group = &lease.group;
    input.disk = disk_;
    input.mount_names = MountNames();
    input.hostname = PodHostname(sandbox.config(), context_.options.node_hostname);
    if (config_.seccomp().type() == SecurityProfile::LOCALHOST) {
      ASSIGN_OR_RETURN(input.seccomp_json, LoadSeccompProfile(config_.seccomp().localhost_ref()));
    }
    input.agent = ToAgentKind(sandbox.record().agent());
    RETURN_IF_ERROR(AskHooks(input));
    input.mount_names = MountNames();
    RETURN_IF_ERROR(BindMounts(&input));
    ASSIGN_OR_RETURN(input.volume_disks, AttachImageVolumes(context_, *container_, *guest_.vm));
    return BuildCreateContainer(input);
  }

  absl::Status CallAgent(const grpc::CreateContainerRequest& request) {
    google::protobuf::Empty empty;
    return Annotate(
        guest_.agent->Call(kAgentService, "CreateContainer", request, &empty, absl::Now() + timeouts().agent_call),
        "the guest could not make it");
  }

  PodContext& context_;
  const std::shared_ptr<Container> container_;
  ContainerConfig config_;  // what is carried out
  Rollback rollback_;
  Sandbox::Guest guest_;
  GuestDisk disk_;
};

std::string LogPath(const Sandbox& sandbox, const ContainerConfig& config) {
  if (config.log_path().empty() || sandbox.config().log_directory().empty()) return "";
  return absl::StrCat(absl::StripSuffix(sandbox.config().log_directory(), "/"), "/", config.log_path());
}

}  // namespace

std::shared_ptr<Container> ReserveContainer(PodContext& context, const std::shared_ptr<Sandbox>& sandbox,
                                            const ContainerConfig& config) {
  ContainerRecord record;
  record.set_id(RandomId());
  record.set_sandbox_id(sandbox->id());
  *record.mutable_config() = config;
  record.set_phase(ContainerRecord::CREATING);
  record.set_created_at_ns(absl::ToUnixNanos(context.timestamps.Next()));
  record.set_log_path(LogPath(*sandbox, config));
  *record.mutable_resources() = config.resources();
  auto container = std::make_shared<Container>(std::move(record), sandbox, context.store);
  if (auto holder = context.containers.InsertOrFindHolder(ContainerName(sandbox->id(), config), container)) {
    return holder;
  }
  context.tasks.Run([&context, container] {
    const RequestGate::Pass pass(context.requests);
    container->created().Set(CreateContainerInGuest(context, container));
  });
  return container;
}

absl::Status CreateContainerInGuest(PodContext& context, const std::shared_ptr<Container>& container) {
  ASSIGN_OR_RETURN(Turn turn, container->turns().Take(absl::InfiniteFuture(), "container " + container->id()));
  absl::StatusOr<Gate::Pass> pass = container->sandbox()->containers().Enter("sandbox " + container->sandbox()->id());
  if (!pass.ok()) {
    context.containers.Erase(container->id());
    return std::move(pass).status();
  }
  RETURN_IF_ERROR(Creation(context, container).Run());
  spdlog::info("container {}: created in sandbox {}: {}", container->id(), container->sandbox()->id(),
               container->config().metadata().name());
  TellCreated(context, *container);
  context.Changed(*container);
  return absl::OkStatus();
}

std::vector<std::shared_ptr<Container>> ContainersOf(PodContext& context, const std::string& sandbox_id) {
  std::vector<std::shared_ptr<Container>> found;
  for (std::shared_ptr<Container>& container : context.containers.All()) {
    if (container->sandbox()->id() == sandbox_id) found.push_back(std::move(container));
  }
  return found;
}

absl::StatusOr<Sandbox::Guest> ReadyGuest(const Sandbox& sandbox) {
  const SandboxPhase phase = sandbox.phase();
  Sandbox::Guest guest = sandbox.guest();
  if (phase != SandboxPhase::kReady || guest.vm == nullptr || guest.agent == nullptr) {
    const std::string reason = sandbox.record().reason();
    return absl::FailedPreconditionError(absl::StrCat("sandbox ", sandbox.id(), " is not ready: it is ", Name(phase),
                                                      reason.empty() ? "" : ": ", reason));
  }
  return guest;
}

}  // namespace podvisor
