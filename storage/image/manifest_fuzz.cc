// What a registry says of an image: manifests, indexes, configurations.
#include "base/testing/fuzz_input.h"
#include "storage/image/manifest.h"

namespace podvisor {
namespace {

// In the order of the choice that an input makes.
constexpr absl::string_view kTypes[] = {"", "application/vnd.oci.image.index.v1+json",
                                        "application/vnd.docker.distribution.manifest.v2+json; charset=utf-8",
                                        "application/vnd.docker.distribution.manifest.v1+prettyjws"};

void CheckManifest(absl::string_view content, absl::string_view type) {
  const auto parsed = ParseManifest(content, type);
  if (!parsed.ok()) {
    Require(absl::IsDataLoss(parsed.status()) || absl::IsUnimplemented(parsed.status()), "the code is a promised one");
  } else if (const auto* manifest = std::get_if<Manifest>(&*parsed)) {
    Require(!manifest->config.digest.empty(), "a configuration has a digest");
    Require(manifest->layers.size() <= 512, "layers are bounded");
    for (const Descriptor& layer : manifest->layers) Require(!layer.digest.empty(), "a layer has a digest");
  } else {
    const absl::StatusOr<Descriptor> chosen = SelectPlatform(std::get<ImageIndex>(*parsed), OwnPlatform());
    Require(chosen.ok() ? !chosen->digest.empty() : absl::IsNotFound(chosen.status()), "a choice, or not found");
  }
}

}  // namespace
}  // namespace podvisor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  FuzzInput input(data, size);
  const uint8_t choice = input.TakeByte();
  CheckManifest(input.rest(), kTypes[choice % std::size(kTypes)]);
  const absl::StatusOr<ParsedConfig> config = ParseImageConfig(input.rest());
  Require(config.ok() || absl::IsDataLoss(config.status()), "a configuration, or none");
  return 0;
}
