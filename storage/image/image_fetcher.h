// From a registry into the content store.
#ifndef PODVISOR_STORAGE_IMAGE_IMAGE_FETCHER_H_
#define PODVISOR_STORAGE_IMAGE_IMAGE_FETCHER_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/content/content_store.h"
#include "storage/content/keyed_gate.h"
#include "storage/image/image_catalog.h"
#include "storage/image/manifest.h"
#include "storage/image_store.h"
#include "storage/interruption.h"
#include "storage/registry/registry_client.h"

namespace podvisor {

// An image as its documents describe it; its layers may not be there yet.
struct ResolvedImage {
  Digest id;      // of the configuration
  Digest target;  // of what the reference names: a manifest or an index; empty if unknown (docker-archive)
  std::vector<Descriptor> layers;
  std::vector<Digest> diff_ids;
  std::vector<Digest> documents;  // configuration and manifests, all in the content store
  uint64_t size_bytes = 0;        // of configuration and layers
};

// Checks that a configuration fits this machine and the number of layers.
absl::Status CheckConfig(const ParsedConfig& config, size_t layer_count);

// Serves one pull. Everything it finds or fetches is pinned first. Not thread-safe, except Cancel flags.
class ImageFetcher {
 public:
  struct Context {
    ContentStore& content;
    KeyedGate& gate;  // of blobs
    ImageCatalog::Pins& pins;
    const PullOptions& options;
    int parallel_layers;
    absl::Duration stall_timeout;
  };
  ImageFetcher(Context context, RegistryClient& registry) : context_(context), registry_(registry) {}

  // Manifests and configuration. The registry is always asked, even if all is known: it decides who may pull.
  absl::StatusOr<ResolvedImage> Resolve(const std::string& tag_or_digest, const Interruption& interruption);

  // The layers that are missing, several at a time; each is fetched once, whoever wants it.
  absl::Status FetchLayers(const ResolvedImage& image, const Interruption& interruption);

 private:
  absl::StatusOr<std::string> FetchDocument(const Descriptor& descriptor, size_t limit,
                                            const Interruption& interruption);
  absl::Status FetchBlob(HttpClient& http, const Descriptor& descriptor, const Interruption& interruption);
  void AddBytes(int64_t bytes);
  void Report(const std::string& stage);

  Context context_;
  RegistryClient& registry_;
  absl::Mutex mu_;
  PullProgress progress_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_IMAGE_FETCHER_H_
