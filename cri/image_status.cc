#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "cri/convert/common.h"
#include "cri/convert/image.h"
#include "cri/handlers.h"
#include "cri/validate/request.h"

namespace podvisor::cri {

absl::StatusOr<std::vector<Image>> ImagesMatching(const Backend& backend, const ::runtime::v1::ImageFilter& filter) {
  if (filter.image().image().empty()) return backend.images->List();
  absl::StatusOr<Image> image = backend.images->Find(filter.image().image());
  if (absl::IsNotFound(image.status())) return std::vector<Image>();
  RETURN_IF_ERROR(image.status());
  return std::vector<Image>{*std::move(image)};
}

absl::Status ListImages(const Backend& backend, Call&, const ::runtime::v1::ListImagesRequest& request,
                        ::runtime::v1::ListImagesResponse* response) {
  ASSIGN_OR_RETURN(const std::vector<Image> images, ImagesMatching(backend, request.filter()));
  for (const Image& image : images) ImageToCri(image, response->add_images());
  return absl::OkStatus();
}

// An image that is not there is no error: the response has none.
absl::Status ImageStatus(const Backend& backend, Call& call, const ::runtime::v1::ImageStatusRequest& request,
                         ::runtime::v1::ImageStatusResponse* response) {
  RETURN_IF_ERROR(ValidateImageSpec(Field("image"), request.image()));
  call.subject = absl::StrCat("image ", request.image().image());
  const absl::StatusOr<Image> image = backend.images->Find(request.image().image());
  if (absl::IsNotFound(image.status())) return absl::OkStatus();
  RETURN_IF_ERROR(image.status());
  ImageToCri(*image, response->mutable_image());
  // "info" with "imageSpec" inside is where crictl and kubectl's users look for the image's configuration.
  if (request.verbose() && !image->config_json.empty()) {
    (*response->mutable_info())["info"] = absl::StrCat("{\"imageSpec\":", ToValidUtf8(image->config_json), "}");
  }
  return absl::OkStatus();
}

absl::Status RemoveImage(const Backend& backend, Call& call, const ::runtime::v1::RemoveImageRequest& request,
                         ::runtime::v1::RemoveImageResponse*) {
  RETURN_IF_ERROR(ValidateImageSpec(Field("image"), request.image()));
  call.subject = absl::StrCat("image ", request.image().image());
  return backend.images->Remove(request.image().image());
}

// Images and containers' writable layers: the latter are in the guests' memory, so both are the store's file system.
absl::Status ImageFsInfo(const Backend& backend, Call&, const ::runtime::v1::ImageFsInfoRequest&,
                         ::runtime::v1::ImageFsInfoResponse* response) {
  ASSIGN_OR_RETURN(const ImageFsUsage usage, backend.images->FsUsage());
  ::runtime::v1::FilesystemUsage* out = response->add_image_filesystems();
  out->set_timestamp(absl::ToUnixNanos(absl::Now()));
  out->mutable_fs_id()->set_mountpoint(usage.mountpoint);
  out->mutable_used_bytes()->set_value(usage.used_bytes);
  out->mutable_inodes_used()->set_value(usage.inodes_used);
  *response->add_container_filesystems() = *out;
  return absl::OkStatus();
}

}  // namespace podvisor::cri
