// Images between CRI's messages and the store's.
#ifndef PODVISOR_CRI_CONVERT_IMAGE_H_
#define PODVISOR_CRI_CONVERT_IMAGE_H_

#include "storage/image_store.h"
#include "third_party/wire/cri_messages.h"

namespace podvisor::cri {

void ImageToCri(const Image& image, ::runtime::v1::Image* out);
RegistryAuth AuthFromCri(const ::runtime::v1::AuthConfig& auth);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_CONVERT_IMAGE_H_
