#include "cri/convert/image.h"

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "cri/convert/common.h"

namespace podvisor::cri {

void ImageToCri(const Image& image, ::runtime::v1::Image* out) {
  out->set_id(image.id);
  for (const std::string& tag : image.repo_tags) out->add_repo_tags(tag);
  for (const std::string& digest : image.repo_digests) out->add_repo_digests(digest);
  out->set_size(image.size_bytes);
  out->set_pinned(image.pinned);
  out->mutable_spec()->set_image(image.id);
  // The kubelet decides runAsNonRoot by it. No user at all is root, and neither field is set.
  const absl::string_view user = image.config.user;
  const absl::string_view name = user.substr(0, user.find(':'));
  int64_t uid = 0;
  if (absl::SimpleAtoi(name, &uid)) {
    out->mutable_uid()->set_value(uid);
  } else {
    out->set_username(ToValidUtf8(name));
  }
}

RegistryAuth AuthFromCri(const ::runtime::v1::AuthConfig& auth) {
  RegistryAuth out;
  out.username = auth.username();
  out.password = auth.password();
  out.auth = auth.auth();
  out.server_address = auth.server_address();
  out.identity_token = auth.identity_token();
  out.registry_token = auth.registry_token();
  return out;
}

}  // namespace podvisor::cri
