#include "cli/pull.h"

#include <unistd.h>

#include <iostream>

#include "absl/strings/str_format.h"

namespace podvisor::cli {

absl::StatusOr<std::string> PullWithProgress(const Client& client, const std::string& reference) {
  v1::AdminPullRequest request;
  request.set_image(reference);
  grpc::ClientContext context;
  auto stream = client.admin->PullImage(&context, request);
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  std::string stage;
  std::string id;
  v1::PullProgress progress;
  while (stream->Read(&progress)) {
    if (!progress.image_id().empty()) id = progress.image_id();
    if (terminal && progress.bytes_total() > 0)
      std::cerr << absl::StreamFormat("\r%s: %s %.1f of %.1f MiB\033[K", reference, progress.stage(),
                                      static_cast<double>(progress.bytes_done()) / (1 << 20),
                                      static_cast<double>(progress.bytes_total()) / (1 << 20))
                << std::flush;
    else if (progress.stage() != stage)
      std::cerr << (terminal ? "\r" : "") << reference << ": " << progress.stage() << (terminal ? "\033[K" : "\n")
                << std::flush;
    stage = progress.stage();
  }
  if (terminal) std::cerr << "\n";
  const grpc::Status status = stream->Finish();
  if (!status.ok()) return FromGrpc(status, client.socket);
  return id;
}

}  // namespace podvisor::cli
