// What is told of a sandbox or container, made of its record.
#ifndef PODVISOR_PODMANAGER_SHOW_H_
#define PODVISOR_PODMANAGER_SHOW_H_

#include "podmanager/container.h"
#include "podmanager/sandbox.h"
#include "podmanager/statuses.h"

namespace podvisor {

// As it is now, without `info`. A container that is being started is shown as created.
SandboxStatus ShowSandbox(const Sandbox& sandbox);
ContainerStatus ShowContainer(const Container& container);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SHOW_H_
