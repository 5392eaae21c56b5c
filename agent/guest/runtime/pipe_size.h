// Pipes of programs that bring or take much.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_PIPE_SIZE_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_PIPE_SIZE_H_

#include <fcntl.h>

namespace podvisor::guest {

// Lets a pipe hold 256 KiB instead of 64: each turn between agent and program costs the same, however much it moves.
// Nothing happens to what is no pipe, or where the kernel refuses.
inline void GrowPipe(int fd) { ::fcntl(fd, F_SETPIPE_SZ, 256 << 10); }

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_PIPE_SIZE_H_
