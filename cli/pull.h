// Pulling an image while a person watches.
#ifndef PODVISOR_CLI_PULL_H_
#define PODVISOR_CLI_PULL_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/client.h"

namespace podvisor::cli {

// Shows the progress on stderr if that is a terminal, a line per stage otherwise. Returns the image's id.
absl::StatusOr<std::string> PullWithProgress(const Client& client, const std::string& reference);

}  // namespace podvisor::cli

#endif  // PODVISOR_CLI_PULL_H_
