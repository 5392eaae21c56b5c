// The profile fields that CRI replaced by SecurityProfile messages: old clients still send them, so we still read them.
#ifndef PODVISOR_CRI_VALIDATE_DEPRECATED_H_
#define PODVISOR_CRI_VALIDATE_DEPRECATED_H_

#include <string>

namespace podvisor::cri {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

// Of a sandbox's or a container's security context. Used only where the message of the new form is absent.
template <typename Security>
const std::string& OldSeccompProfile(const Security& security) {
  return security.seccomp_profile_path();
}
template <typename Security>
const std::string& OldApparmorProfile(const Security& security) {
  return security.apparmor_profile();
}

#pragma GCC diagnostic pop

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_VALIDATE_DEPRECATED_H_
