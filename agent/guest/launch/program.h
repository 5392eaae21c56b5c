// Finding a program as a shell would, with Go's words for what is wrong: those that users of runc know.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_PROGRAM_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace podvisor::guest {

// The file that `name` means, by PATH of `environment` ("KEY=value").
// kNotFound: exec: "nosuch": executable file not found in $PATH
//            exec: "/nosuch": stat /nosuch: no such file or directory
// kPermissionDenied: exec: "/etc/passwd": permission denied
absl::StatusOr<std::string> FindProgram(const std::string& name, const std::vector<std::string>& environment);

// Does not return if it works.
absl::Status Execute(const std::string& program, const std::vector<std::string>& args,
                     const std::vector<std::string>& environment);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_PROGRAM_H_
