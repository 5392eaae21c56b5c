// What is done to a container: see sandbox_operations.h for how.
#ifndef PODVISOR_PODMANAGER_CONTAINER_OPERATIONS_H_
#define PODVISOR_PODMANAGER_CONTAINER_OPERATIONS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "podmanager/pod_context.h"

namespace podvisor {

// A new container, listed under its name, with its creation under way in a task; or the one that has that name.
std::shared_ptr<Container> ReserveContainer(PodContext& context, const std::shared_ptr<Sandbox>& sandbox,
                                            const ContainerConfig& config);

// create_container.cc: everything from the record of intent to phase kCreated; undone on an error.
absl::Status CreateContainerInGuest(PodContext& context, const std::shared_ptr<Container>& container);

// start_container.cc. A program that can't be started leaves the container EXITED with 128 and "StartError".
absl::Status StartContainerInGuest(PodContext& context, const std::shared_ptr<Container>& container);
// After a restart, for a container in phase kStarting: finds out from the guest whether it was started.
void ResolveStart(PodContext& context, const std::shared_ptr<Container>& container);
// Begins to read its output and makes ready to wait for its end: see ContainerExitWatch::Arm(). A container that runs
// already is waited for even if its log can't be written: kIsLogged.
enum class LogFailure { kIsError, kIsLogged };
absl::Status WatchContainer(PodContext& context, const std::shared_ptr<Container>& container, LogFailure log_failure);
void StopWatching(Container& container);

// stop_container.cc: stop signal, `grace`, SIGKILL. Returns when the exit is known.
absl::Status StopContainerInGuest(const std::shared_ptr<Container>& container, absl::Duration grace);

// Its sandbox has gone, with it the process. No effect if it has exited before.
void MarkContainerGone(PodContext& context, Container& container, int exit_code, const std::string& reason,
                       const std::string& message);

// remove_container.cc: killed first if need be.
absl::Status RemoveContainerFromGuest(PodContext& context, const std::shared_ptr<Container>& container);
// The single steps, each idempotent: agent, disk, host mounts, lease, checkpoint of the log.
absl::Status ReleaseContainer(PodContext& context, Container& container);

// update_container.cc. What hooks ask for themselves is not told to them again.
enum class Asker { kClient, kHook };
absl::Status UpdateContainerInGuest(PodContext& context, const std::shared_ptr<Container>& container,
                                    const Resources& resources, Asker asker = Asker::kClient);

std::vector<std::shared_ptr<Container>> ContainersOf(PodContext& context, const std::string& sandbox_id);

// The agent of a sandbox that is ready. kFailedPrecondition, naming the sandbox, if it is not.
absl::StatusOr<Sandbox::Guest> ReadyGuest(const Sandbox& sandbox);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_CONTAINER_OPERATIONS_H_
