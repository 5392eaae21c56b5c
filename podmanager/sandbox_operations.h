// What is done to a sandbox. Each runs to its end in its caller's thread, within budgets of its own: PodManagerImpl
// makes it a task, so that a caller's deadline does not cut it off. All block; none may be called holding a lock.
#ifndef PODVISOR_PODMANAGER_SANDBOX_OPERATIONS_H_
#define PODVISOR_PODMANAGER_SANDBOX_OPERATIONS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "podmanager/pod_context.h"

namespace podvisor {

// A new sandbox, listed under its name, with its creation under way in a task; or the one that has that name. Wait for
// created().
std::shared_ptr<Sandbox> ReserveSandbox(PodContext& context, const SandboxConfig& config,
                                        const RuntimeHandler& handler);

// run_sandbox.cc: everything from the record of intent to phase kReady, with `reserved`, a VM of the pool whose id the
// sandbox has, or null. After an error nothing is left of it, unless an
// undo failed: then it is listed with phase kFailed.
absl::Status RunSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox,
                        const std::shared_ptr<ReservedVm>& reserved);

// configure_guest.cc: tells the agent what the pod is, as far as that needs no network: while CNI is at work. Returns
// which agent it turned out to be; a plain one has been told nothing yet.
absl::StatusOr<AgentFlavor> PrepareGuest(PodContext& context, const Sandbox& sandbox, AgentClient& agent);
// The rest.
absl::Status ConfigureGuest(PodContext& context, const Sandbox& sandbox, AgentClient& agent, AgentFlavor flavor,
                            const PodNetworkResult& network);

// stop_sandbox.cc: containers killed, VM, network, cgroup and files gone, record and containers kept. Idempotent.
absl::Status StopSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox);
// For who has the sandbox's turn already.
absl::Status StopSandboxInTurn(PodContext& context, const std::shared_ptr<Sandbox>& sandbox);

// remove_sandbox.cc: stopped first if need be; containers and record gone.
absl::Status RemoveSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox);

// update_container.cc: of the pod as a whole; its VM takes the size that follows.
absl::Status UpdateSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox, const Resources& overhead,
                           const Resources& resources);

// The VM ended by itself: the sandbox is kFailed, its containers have exited. Does not block for long.
void HandleVmExit(PodContext& context, const std::shared_ptr<Sandbox>& sandbox);
// Arms the VM's exit watch to do so.
void WatchVm(PodContext& context, const std::shared_ptr<Sandbox>& sandbox, Vm& vm);

// sandbox_resources.cc: single steps that undo what RunSandbox() does. Each is a success if there is nothing to undo.
absl::Status EndVm(PodContext& context, Sandbox& sandbox);
absl::Status EndNetwork(PodContext& context, const Sandbox& sandbox, absl::Time deadline);
absl::Status EndCgroup(const Sandbox& sandbox, absl::Time deadline);
absl::Status RemoveRuntimeFiles(PodContext& context, const std::string& sandbox_id);
// All of them, independent ones at once; the network namespace stays while CNI DEL is owed. `quiesce` runs beside the
// network's end and before the VM's, which stays if it fails.
absl::Status ReleaseSandbox(PodContext& context, Sandbox& sandbox,
                            const std::function<absl::Status()>& quiesce = nullptr);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SANDBOX_OPERATIONS_H_
