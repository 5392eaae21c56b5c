// A "host" that belongs to the test: bridges, firewall rules and mounts never touch the machine's own.
#ifndef PODVISOR_NETNS_TESTING_PRIVATE_HOST_H_
#define PODVISOR_NETNS_TESTING_PRIVATE_HOST_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace podvisor {

// Moves the calling thread, and so all it starts later, to network and mount namespaces of their own, with loopback up
// and an empty /run. Once per process, before other threads exist. kPermissionDenied without root.
absl::Status EnterPrivateHost();

// Runs a program to its end, in the network namespace at `netns` if given; what it printed. Any other exit than 0 is an
// error with its stderr.
absl::StatusOr<std::string> RunTool(std::vector<std::string> argv, const std::string& netns = "");

// All that pods may leave on a host, one per line: links, mounts, firewall rules, and the files under `folder` (names).
std::string HostSnapshot(const std::string& folder);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_TESTING_PRIVATE_HOST_H_
