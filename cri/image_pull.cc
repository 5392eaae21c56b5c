#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/cancellation.h"
#include "cri/convert/image.h"
#include "cri/handlers.h"
#include "cri/validate/request.h"

namespace podvisor::cri {

absl::Status PullImage(const Backend& backend, Call& call, const ::runtime::v1::PullImageRequest& request,
                       ::runtime::v1::PullImageResponse* response) {
  RETURN_IF_ERROR(ValidateImageSpec(Field("image"), request.image()));
  RETURN_IF_ERROR(ValidateAuth(Field("auth"), request.auth()));
  call.subject = absl::StrCat("image ", request.image().image());
  const CancellationWatch watch(call.cancelled);
  PullOptions options;
  options.auth = AuthFromCri(request.auth());
  options.deadline = call.deadline;
  options.cancelled = &watch.cancelled();
  ASSIGN_OR_RETURN(std::string id, backend.images->Pull(request.image().image(), options));
  response->set_image_ref(std::move(id));
  return absl::OkStatus();
}

}  // namespace podvisor::cri
