#ifndef PODVISOR_DAEMON_VERSION_H_
#define PODVISOR_DAEMON_VERSION_H_

namespace podvisor {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_VERSION_H_
