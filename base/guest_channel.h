// Where the agent of a guest is reached: stated by a hypervisor driver, used by the agent's client.
#ifndef PODVISOR_BASE_GUEST_CHANNEL_H_
#define PODVISOR_BASE_GUEST_CHANNEL_H_

#include <cstdint>
#include <string>

namespace podvisor {

// Copyable value. `path` and (`cid`, `port`) are used as the kind says.
struct GuestChannel {
  enum class Kind {
    kUnix,         // plain Unix socket at `path`, one connection per client: an agent outside a VM, tests
    kSerial,       // Unix socket at `path` that is the host end of a virtio-serial port: one byte stream for ever, so
                   // both sides resynchronise after a reconnect (agent/protocol/serial_link.h)
    kHybridVsock,  // Unix socket at `path`, then "CONNECT <port>\n" and "OK <n>\n"
    kVsock,        // AF_VSOCK `cid`:`port`
  };
  Kind kind = Kind::kUnix;
  std::string path;
  uint32_t cid = 0;
  uint32_t port = 0;

  friend bool operator==(const GuestChannel&, const GuestChannel&) = default;
};

}  // namespace podvisor

#endif  // PODVISOR_BASE_GUEST_CHANNEL_H_
