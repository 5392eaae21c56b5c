// The services of CRI, and its messages: include this instead of cri.grpc.pb.h. See cri_messages.h.
#ifndef PODVISOR_THIRD_PARTY_WIRE_CRI_SERVICES_H_
#define PODVISOR_THIRD_PARTY_WIRE_CRI_SERVICES_H_

#include "third_party/wire/cri_messages.h"
// After the messages.
#include "third_party/wire/cri.grpc.pb.h"

#endif  // PODVISOR_THIRD_PARTY_WIRE_CRI_SERVICES_H_
