// What a client has been allowed to do by one of CRI's calls Exec, Attach and PortForward.
#ifndef PODVISOR_CRI_STREAMING_STREAM_REQUEST_H_
#define PODVISOR_CRI_STREAMING_STREAM_REQUEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "podmanager/stream_session.h"

namespace podvisor::cri {

enum class StreamKind { kExec, kAttach, kPortForward };

struct StreamRequest {
  StreamKind kind = StreamKind::kExec;
  std::string id;                    // of the container, or of the sandbox for kPortForward
  std::vector<std::string> command;  // kExec
  StreamOptions options;             // kExec, kAttach
  std::vector<uint16_t> ports;       // kPortForward: for clients that can't name theirs; others may take any
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_STREAM_REQUEST_H_
