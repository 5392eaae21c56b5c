// Network namespaces that outlive the process: each is held by a mount of its nsfs file on a file of ours.
#ifndef PODVISOR_NETNS_NAMESPACE_H_
#define PODVISOR_NETNS_NAMESPACE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace podvisor {

// Makes a namespace at `path` (a file in an existing folder, made if missing). Success if there is one already.
// The thread that calls stays where it is: a thread of its own enters the new namespace and ends.
absl::Status MountNewNamespace(const std::string& path);

// Whether `path` holds a namespace now. False also for a file whose mount a reboot took away.
bool IsNamespace(const std::string& path);

// Takes the mount (lazily: users keep what they have open) and the file away. Success if there is none.
absl::Status UnmountNamespace(const std::string& path);

// Runs `work` on a thread of its own that is in the namespace at `path`, and waits for it. Whatever else `work` does to
// its thread (unshare, setns) dies with that thread. kNotFound if there is no such namespace.
absl::Status RunInNamespace(const std::string& path, const std::function<absl::Status()>& work);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_NAMESPACE_H_
