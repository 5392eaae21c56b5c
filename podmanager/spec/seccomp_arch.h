// Names of this machine's architecture (the guest's is the same) in seccomp profiles.
#ifndef PODVISOR_PODMANAGER_SPEC_SECCOMP_ARCH_H_
#define PODVISOR_PODMANAGER_SPEC_SECCOMP_ARCH_H_

namespace podvisor {

#if defined(__x86_64__)
inline constexpr char kSeccompArch[] = "SCMP_ARCH_X86_64";
inline constexpr const char* kSeccompSubArchs[] = {"SCMP_ARCH_X86", "SCMP_ARCH_X32"};
inline constexpr char kSeccompGoArch[] = "amd64";
#elif defined(__aarch64__)
inline constexpr char kSeccompArch[] = "SCMP_ARCH_AARCH64";
inline constexpr const char* kSeccompSubArchs[] = {"SCMP_ARCH_ARM"};
inline constexpr char kSeccompGoArch[] = "arm64";
#else
#error "name the architecture here"
#endif

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_SECCOMP_ARCH_H_
