#include "cri/admin_service.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/cancellation.h"
#include "cri/progress_stream.h"
#include "cri/validate/field.h"

namespace podvisor::cri {
namespace {

constexpr size_t kMaxReferenceBytes = 1024;

absl::Status Import(const Backend& backend, Call& call, const podvisor::v1::ImportImageRequest& request,
                    podvisor::v1::ImportImageResponse* response) {
  RETURN_IF_ERROR(AbsolutePath(Field("path"), request.path()));
  RETURN_IF_ERROR(NoLongerThan(Field("name"), request.name(), kMaxReferenceBytes));
  RETURN_IF_ERROR(Printable(Field("name"), request.name()));
  call.subject = absl::StrCat("image of ", request.path());
  ASSIGN_OR_RETURN(const std::string id, backend.images->Import(request.path(), request.name()));
  ASSIGN_OR_RETURN(const Image image, backend.images->Find(id));
  response->set_image_id(id);
  for (const std::string& tag : image.repo_tags) response->add_repo_tags(tag);
  return absl::OkStatus();
}

absl::Status Pull(const Backend& backend, Call& call, const podvisor::v1::AdminPullRequest& request,
                  grpc::ServerWriter<podvisor::v1::PullProgress>* writer) {
  const Field image("image");
  RETURN_IF_ERROR(NotEmpty(image, request.image()));
  RETURN_IF_ERROR(NoLongerThan(image, request.image(), kMaxReferenceBytes));
  RETURN_IF_ERROR(Printable(image, request.image()));
  call.subject = absl::StrCat("image ", request.image());

  podvisor::v1::PullProgress message;  // of the stream's thread until Finish()
  ProgressStream stream([&](const PullProgress& progress) {
    message.set_stage(progress.stage);
    message.set_bytes_done(progress.bytes_done);
    message.set_bytes_total(progress.bytes_total);
    writer->Write(message);
  });
  const CancellationWatch watch(call.cancelled);
  PullOptions options;
  options.deadline = call.deadline;
  options.cancelled = &watch.cancelled();
  options.progress = [&stream](const PullProgress& progress) { stream.Update(progress); };
  absl::StatusOr<std::string> id = backend.images->Pull(request.image(), options);
  stream.Finish();
  RETURN_IF_ERROR(id.status());
  message.set_stage("done");
  message.set_image_id(*std::move(id));
  writer->Write(message);
  return absl::OkStatus();
}

}  // namespace

grpc::Status AdminService::ImportImage(grpc::ServerContext* context, const podvisor::v1::ImportImageRequest* request,
                                       podvisor::v1::ImportImageResponse* response) {
  return edge_.Serve("ImportImage", Chatter::kEvent, context,
                     [&](Call& call) { return Import(backend_, call, *request, response); });
}

grpc::Status AdminService::PullImage(grpc::ServerContext* context, const podvisor::v1::AdminPullRequest* request,
                                     grpc::ServerWriter<podvisor::v1::PullProgress>* writer) {
  return edge_.Serve("PullImage", Chatter::kEvent, context,
                     [&](Call& call) { return Pull(backend_, call, *request, writer); });
}

}  // namespace podvisor::cri
