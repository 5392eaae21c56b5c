// Whole images for tests, in a FakeRegistry or in files.
#ifndef PODVISOR_STORAGE_TESTING_IMAGE_BUILDER_H_
#define PODVISOR_STORAGE_TESTING_IMAGE_BUILDER_H_

#include <string>
#include <vector>

#include "storage/content/digest.h"
#include "storage/registry/fake_registry.h"
#include "storage/testing/tar_builder.h"

namespace podvisor {

struct TestImage {
  std::vector<std::string> layers;  // tars
  Compression compression = Compression::kGzip;
  enum class Form { kDocker, kOci, kDockerList, kOciIndex } form = Form::kOci;
  std::string architecture;  // empty: of this build
  std::string user;          // makes the configuration, and so the id, another
};

// The documents and blobs of an image.
struct BuiltImage {
  std::string config, manifest, manifest_type;
  std::vector<std::string> blobs;  // compressed layers
};
BuiltImage BuildImage(const TestImage& image);

// Writes an OCI layout to `folder` (made), with these annotations on its one manifest.
void WriteLayout(const BuiltImage& image, const std::string& folder,
                 const std::map<std::string, std::string>& annotations);

struct PushedImage {
  Digest id, manifest, target;  // target: the index if there is one, else the manifest
  std::vector<Digest> layers;   // compressed
  std::string config;
};

PushedImage PushImage(FakeRegistry& registry, const std::string& repository, const std::string& tag,
                      const TestImage& image);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_TESTING_IMAGE_BUILDER_H_
