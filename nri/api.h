// NRI's messages, under a short name.
#ifndef PODVISOR_NRI_API_H_
#define PODVISOR_NRI_API_H_

#include "third_party/wire/nri_messages.h"

namespace podvisor {

namespace nri_api = ::nri::pkg::api::v1alpha1;

}  // namespace podvisor

#endif  // PODVISOR_NRI_API_H_
