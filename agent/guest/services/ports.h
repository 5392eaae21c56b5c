// Connections to listeners in the guest, on the host's behalf: agent/protocol/extension.proto, DialPort and its kin.
#ifndef PODVISOR_AGENT_GUEST_SERVICES_PORTS_H_
#define PODVISOR_AGENT_GUEST_SERVICES_PORTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/guest/call.h"
#include "agent/guest/loop.h"
#include "agent/protocol/extension.pb.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

// Keeps no bytes but those of a WritePort that waits for the kernel: who reads slowly holds up the sender.
class Ports {
 public:
  explicit Ports(Loop& loop) : loop_(loop) {}
  Ports(const Ports&) = delete;
  Ports& operator=(const Ports&) = delete;
  ~Ports() { CloseAll(); }

  void Dial(const podvisor::agent::v1::DialPortRequest& request, CallPtr call);
  void Read(const podvisor::agent::v1::ReadPortRequest& request, CallPtr call);
  void Write(podvisor::agent::v1::WritePortRequest&& request, CallPtr call);
  void Close(uint64_t id);

  // Closes those whose agent connection has ended.
  void Sweep();
  void CloseAll();

 private:
  struct Port {
    uint64_t id = 0;
    uint16_t number = 0;
    UniqueFd fd;
    uint32_t interest = 0;  // epoll's; 0: not watched
    CallOwner owner;
    CallPtr dialer;
    bool on_v6 = false;
    absl::Status v4_error;
    absl::Status error;  // of the connection: ends both directions
    CallPtr reader;
    size_t read_max = 0;
    Loop::TimerId timer = 0;  // of dialer or reader
    CallPtr writer;
    std::string data;
    size_t written = 0;
    bool end_after_data = false;
    bool write_ended = false;
  };
  using PortPtr = std::shared_ptr<Port>;

  absl::StatusOr<PortPtr> Find(uint64_t id) const;
  void Connect(const PortPtr& port);
  void FinishDial(const PortPtr& port, int error);
  void OnEvents(const PortPtr& port, uint32_t events);
  // False if there is nothing to say yet.
  bool TryRead(Port& port);
  bool TryWrite(Port& port);
  void Shut(Port& port, const absl::Status& status);
  void UpdateInterest(const PortPtr& port);

  Loop& loop_;
  uint64_t last_id_ = 0;
  std::map<uint64_t, PortPtr> ports_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_SERVICES_PORTS_H_
