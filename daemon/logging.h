// Where log lines go.
#ifndef PODVISOR_DAEMON_LOGGING_H_
#define PODVISOR_DAEMON_LOGGING_H_

#include <string>

namespace podvisor {

// To stderr, from `level` ("info") up, with what gRPC has to say. Call it before anything logs.
void SetUpLogging(const std::string& level);

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_LOGGING_H_
