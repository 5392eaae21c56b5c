#include "storage/image/image_fetcher.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/content/durable_file.h"

namespace podvisor {
namespace {

constexpr int kMaxIndexDepth = 3;

}  // namespace

absl::Status CheckConfig(const ParsedConfig& config, size_t layer_count) {
  const Platform own = OwnPlatform();
  const bool stated = !config.platform.os.empty() || !config.platform.architecture.empty();
  if (stated && (config.platform.os != own.os || config.platform.architecture != own.architecture))
    return absl::NotFoundError(absl::StrCat("the image is made for ", config.platform.os, "/",
                                            config.platform.architecture, ", not for ", own.os, "/", own.architecture));
  if (config.diff_ids.size() != layer_count)
    return absl::DataLossError(absl::StrCat("the manifest has ", layer_count, " layers, the configuration ",
                                            config.diff_ids.size(), " diff_ids"));
  return absl::OkStatus();
}

void ImageFetcher::AddBytes(int64_t bytes) {
  PullProgress copy;
  {
    absl::MutexLock lock(&mu_);
    progress_.bytes_done += static_cast<uint64_t>(bytes);  // wraps back for what is taken back
    copy = progress_;
  }
  if (context_.options.progress) context_.options.progress(copy);
}

void ImageFetcher::Report(const std::string& stage) {
  PullProgress copy;
  {
    absl::MutexLock lock(&mu_);
    progress_.stage = stage;
    copy = progress_;
  }
  if (context_.options.progress) context_.options.progress(copy);
}

absl::Status ImageFetcher::FetchBlob(HttpClient& http, const Descriptor& descriptor, const Interruption& interruption) {
  ContentStore& content = context_.content;
  context_.pins.Add(descriptor.digest);
  ASSIGN_OR_RETURN(const KeyedGate::Pass pass, context_.gate.Enter(descriptor.digest.hex(), interruption));
  if (content.Has(descriptor.digest)) {
    AddBytes(static_cast<int64_t>(descriptor.size));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer, content.Begin(descriptor.digest, descriptor.size));
  return registry_.FetchBlob(
      http, descriptor.digest, *writer, [this](int64_t bytes) { AddBytes(bytes); }, interruption);
}

absl::StatusOr<std::string> ImageFetcher::FetchDocument(const Descriptor& descriptor, size_t limit,
                                                        const Interruption& interruption) {
  if (descriptor.size > limit)
    return absl::DataLossError(absl::StrCat("blob ", descriptor.digest.ToString(), ": more than ", limit, " bytes"));
  HttpClient http(context_.stall_timeout);
  RETURN_IF_ERROR(FetchBlob(http, descriptor, interruption));
  return context_.content.Read(descriptor.digest, limit);
}

absl::StatusOr<ResolvedImage> ImageFetcher::Resolve(const std::string& tag_or_digest,
                                                    const Interruption& interruption) {
  Report("resolving");
  ContentStore& content = context_.content;
  HttpClient http(context_.stall_timeout);
  ASSIGN_OR_RETURN(FetchedManifest fetched, registry_.FetchManifest(http, tag_or_digest, interruption));
  ResolvedImage image;
  image.target = fetched.digest;
  for (int depth = 0;; ++depth) {
    context_.pins.Add(fetched.digest);
    RETURN_IF_ERROR(content.Put(fetched.digest, fetched.content));
    image.documents.push_back(fetched.digest);
    ASSIGN_OR_RETURN(const auto parsed, ParseManifest(fetched.content, fetched.media_type), "manifest ",
                     fetched.digest.ToString());
    if (const Manifest* manifest = std::get_if<Manifest>(&parsed)) {
      image.id = manifest->config.digest;
      image.layers = manifest->layers;
      image.size_bytes = manifest->config.size;
      ASSIGN_OR_RETURN(const std::string text, FetchDocument(manifest->config, kMaxConfigBytes, interruption),
                       "image configuration");
      ASSIGN_OR_RETURN(const ParsedConfig config, ParseImageConfig(text), "image ", image.id.ToString());
      RETURN_IF_ERROR(CheckConfig(config, image.layers.size()));
      image.diff_ids = config.diff_ids;
      break;
    }
    if (depth == kMaxIndexDepth) return absl::DataLossError("indexes of images nested too deep");
    ASSIGN_OR_RETURN(const Descriptor chosen, SelectPlatform(std::get<ImageIndex>(parsed), OwnPlatform()));
    context_.pins.Add(chosen.digest);
    if (content.Has(chosen.digest)) {
      ASSIGN_OR_RETURN(fetched.content, content.Read(chosen.digest, kMaxManifestBytes));
      fetched.digest = chosen.digest;
      fetched.media_type = chosen.media_type;
    } else {
      ASSIGN_OR_RETURN(fetched, registry_.FetchManifest(http, chosen.digest.ToString(), interruption));
    }
  }
  image.documents.push_back(image.id);
  for (const Descriptor& layer : image.layers) image.size_bytes += layer.size;
  absl::MutexLock lock(&mu_);
  progress_.bytes_total = image.size_bytes;
  return image;
}

absl::Status ImageFetcher::FetchLayers(const ResolvedImage& image, const Interruption& interruption) {
  Report("pulling");
  uint64_t missing = 0;
  for (const Descriptor& layer : image.layers)
    if (!context_.content.Has(layer.digest)) missing += layer.size;
  ASSIGN_OR_RETURN(const uint64_t available, AvailableBytes(context_.content.folder()));
  if (missing > available)
    return absl::ResourceExhaustedError(absl::StrCat("the layers have ", missing,
                                                     " bytes, but the disk of the image store has only ", available,
                                                     " left: remove images or make room"));
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  absl::Mutex mu;
  absl::Status first;
  Interruption shared = interruption;
  shared.sibling_failed = &failed;
  const auto work = [&] {
    HttpClient http(context_.stall_timeout);
    for (size_t i; (i = next++) < image.layers.size() && !failed;) {
      absl::Status status = FetchBlob(http, image.layers[i], shared);
      if (status.ok()) continue;
      absl::MutexLock lock(&mu);
      if (first.ok()) first = std::move(status);  // the others then fail because of it
      failed = true;
    }
  };
  const size_t count = std::min(image.layers.size(), static_cast<size_t>(std::max(context_.parallel_layers, 1)));
  std::vector<std::thread> threads;
  for (size_t i = 1; i < count; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return first;
}

}  // namespace podvisor
