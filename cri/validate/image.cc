#include "base/status_macros.h"
#include "cri/validate/request.h"

namespace podvisor::cri {
namespace {

constexpr size_t kMaxReferenceBytes = 1024;
constexpr size_t kMaxSecretBytes = 64 << 10;

}  // namespace

absl::Status ValidateImageSpec(const Field& field, const ::runtime::v1::ImageSpec& image) {
  const Field name = field / "image";
  RETURN_IF_ERROR(NotEmpty(name, image.image()));
  RETURN_IF_ERROR(NoLongerThan(name, image.image(), kMaxReferenceBytes));
  RETURN_IF_ERROR(Printable(name, image.image()));
  RETURN_IF_ERROR(NoLongerThan(field / "user_specified_image", image.user_specified_image(), kMaxReferenceBytes));
  return ValidateAnnotations(field / "annotations", image.annotations());
}

// Never quotes a value: they are secrets.
absl::Status ValidateAuth(const Field& field, const ::runtime::v1::AuthConfig& auth) {
  for (const auto& [name, value] : {std::pair<const char*, const std::string&>{"username", auth.username()},
                                    {"password", auth.password()},
                                    {"auth", auth.auth()},
                                    {"server_address", auth.server_address()},
                                    {"identity_token", auth.identity_token()},
                                    {"registry_token", auth.registry_token()}}) {
    RETURN_IF_ERROR(NoLongerThan(field / name, value, kMaxSecretBytes));
    RETURN_IF_ERROR(Printable(field / name, value));  // or it could end a header
  }
  return absl::OkStatus();
}

}  // namespace podvisor::cri
