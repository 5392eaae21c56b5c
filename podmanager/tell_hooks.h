// The calls of PodHooks, one line each for the operations. All are no-ops without hooks; all block as hooks do, so none
// may be called holding a lock.
#ifndef PODVISOR_PODMANAGER_TELL_HOOKS_H_
#define PODVISOR_PODMANAGER_TELL_HOOKS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "podmanager/hooks.h"
#include "podmanager/pod_context.h"

namespace podvisor {

// `ips`: the record does not have them yet.
absl::Status TellRun(PodContext& context, const Sandbox& sandbox, const std::vector<std::string>& ips);
// To be called around a change of the pod's own resources.
absl::Status TellUpdate(PodContext& context, const Sandbox& sandbox, const Resources& overhead,
                        const Resources& resources);
void TellUpdated(PodContext& context, const Sandbox& sandbox);
// The first call for a sandbox tells; others wait for its end.
void TellStopped(PodContext& context, Sandbox& sandbox);
void TellRemoved(PodContext& context, const Sandbox& sandbox);

void TellCreated(PodContext& context, const Container& container);
absl::Status TellStart(PodContext& context, const Container& container);
void TellStarted(PodContext& context, const Container& container);
absl::Status TellUpdate(PodContext& context, const Container& container, Resources* update);
void TellUpdated(PodContext& context, const Container& container);
// The first call for a container tells; others wait for its end.
void TellStopped(PodContext& context, Container& container);
void TellRemoved(PodContext& context, Container& container);

HookPod ViewOf(const Sandbox& sandbox);
HookContainer ViewOf(const Container& container);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_TELL_HOOKS_H_
