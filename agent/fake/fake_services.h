// From the names of ttrpc services and methods to a fake guest's functions.
#ifndef PODVISOR_AGENT_FAKE_FAKE_SERVICES_H_
#define PODVISOR_AGENT_FAKE_FAKE_SERVICES_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/fake/fake_guest.h"

namespace podvisor {

// Serves one call. kUnimplemented, as ttrpc words it, for a method that the fake does not have; kInvalidArgument for a
// payload that is no such request.
void ServeCall(FakeGuest& guest, absl::string_view service, absl::string_view method, const std::string& payload,
               std::function<void(absl::StatusOr<std::string>)> reply);

}  // namespace podvisor

#endif  // PODVISOR_AGENT_FAKE_FAKE_SERVICES_H_
