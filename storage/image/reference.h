// Names of images, as docker reads them (distribution's reference grammar).
#ifndef PODVISOR_STORAGE_IMAGE_REFERENCE_H_
#define PODVISOR_STORAGE_IMAGE_REFERENCE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/content/digest.h"

namespace podvisor {

// A normalised reference: "busybox" is docker.io / library/busybox : latest. Copyable value. Has a tag or a digest;
// where both are given the digest decides and the tag is dropped, as containerd does it.
struct ImageReference {
  std::string domain;  // "docker.io", "localhost:5000", "[::1]:5000"
  std::string path;    // "library/busybox"
  std::string tag;     // empty if there is a digest
  Digest digest;       // empty if there is a tag

  // kInvalidArgument, saying what is wrong with which part.
  static absl::StatusOr<ImageReference> Parse(absl::string_view text);

  std::string repository() const { return domain + "/" + path; }
  // "docker.io/library/busybox:latest" or "docker.io/library/busybox@sha256:...".
  std::string ToString() const;
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_REFERENCE_H_
