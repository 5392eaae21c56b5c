// Images: pulled or imported, kept as EROFS files, leased to containers.
#ifndef PODVISOR_STORAGE_IMAGE_STORE_H_
#define PODVISOR_STORAGE_IMAGE_STORE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/state_db.h"

namespace podvisor {

// The part of an OCI image configuration that runs a container.
struct ImageConfig {
  std::vector<std::string> entrypoint, cmd, env;
  std::string user;  // "UID", "NAME", "UID:GID", "NAME:GROUP"
  std::string working_dir;
  std::string stop_signal;           // "SIGQUIT", "3" or empty
  std::vector<std::string> volumes;  // paths
  std::map<std::string, std::string> labels;
};

struct Image {
  std::string id;                         // "sha256:...", the digest of the image configuration
  std::vector<std::string> repo_tags;     // "docker.io/library/busybox:latest", in full form
  std::vector<std::string> repo_digests;  // "docker.io/library/busybox@sha256:..."
  uint64_t size_bytes = 0;                // of the compressed blobs
  bool pinned = false;
  ImageConfig config;
  std::string config_json;  // as pulled, for verbose status
};

// What a container needs of its image. Valid until Release().
struct RootfsLease {
  std::string erofs_path;  // raw EROFS image, read-only
  std::string passwd;      // /etc/passwd of the image, at most 1 MiB; empty if it has none
  std::string group;       // /etc/group, likewise
  Image image;
};

struct RegistryAuth {  // CRI's AuthConfig
  std::string username, password;
  std::string auth;  // base64 of "user:password"
  std::string server_address;
  std::string identity_token;  // exchanged for a registry token
  std::string registry_token;  // sent as a bearer token
};

struct PullProgress {
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;  // of the layers known so far
  std::string stage;         // "resolving", "pulling", "unpacking", "done"
};

struct PullOptions {
  RegistryAuth auth;
  absl::Time deadline = absl::InfiniteFuture();
  const std::atomic<bool>* cancelled = nullptr;       // looked at often; may be null
  std::function<void(const PullProgress&)> progress;  // from any thread; may be empty
};

struct ImageFsUsage {
  std::string mountpoint;  // a folder that exists
  uint64_t used_bytes = 0;
  uint64_t inodes_used = 0;
};

struct ImageStoreOptions {
  std::string root;                // content, images, unpack folders
  std::string registry_certs_dir;  // containerd's certs.d: HOST/hosts.toml; read at each pull; may be empty
  std::string docker_config;       // path of a docker config.json; may be empty
  int parallel_layers = 3;
  absl::Duration stall_timeout = absl::Seconds(60);  // a transfer without a byte for so long is given up
  std::vector<std::string> pinned_images;
};

// Thread-safe. Pulls of the same image at the same time share the work. References are normalised as docker does it:
// "busybox" is "docker.io/library/busybox:latest".
//
// Errors: kInvalidArgument for a malformed reference, kNotFound for an image that the registry or the store lacks,
// kUnauthenticated or kPermissionDenied from the registry, kUnavailable if it can't be reached, kDeadlineExceeded,
// kCancelled, kDataLoss for a wrong digest, a truncated or malformed layer and names that lead out of the image,
// kUnimplemented for what is not supported (schema 1, foreign layers), kResourceExhausted for a full disk. After an
// error nothing of the pull is listed; verified blobs stay for the next try until garbage collection (at start, when an
// image's content goes, and when the disk is full).
class ImageStore {
 public:
  // Reads the records from `db` (which outlives the store) and removes what an interrupted pull or removal left.
  static absl::StatusOr<std::unique_ptr<ImageStore>> Create(ImageStoreOptions options, StateDb& db);
  virtual ~ImageStore() = default;

  // Returns the image's id.
  virtual absl::StatusOr<std::string> Pull(const std::string& reference, const PullOptions& options) = 0;

  // An OCI image layout (a folder or a tar archive of one) or a docker-archive. `name` overrides the reference found in
  // it. Returns the image's id.
  virtual absl::StatusOr<std::string> Import(const std::string& path, const std::string& name) = 0;

  // By id ("sha256:...", the bare digest, or an unambiguous beginning of it), tag or digest reference.
  virtual absl::StatusOr<Image> Find(const std::string& reference) = 0;
  virtual std::vector<Image> List() = 0;

  // Drops all names of the image at once; its content goes when the last lease ends. Success if there is no such image.
  virtual absl::Status Remove(const std::string& reference) = 0;

  // Keeps the image's content for `holder` (a container id), over restarts too, until Release(). Idempotent, even if
  // the image was removed meanwhile. One image per holder: kFailedPrecondition for another; a container that mounts
  // images as well needs a holder for each ("ID/volume/0").
  virtual absl::StatusOr<RootfsLease> Lease(const std::string& reference, const std::string& holder) = 0;
  virtual absl::Status Release(const std::string& holder) = 0;
  virtual std::vector<std::string> LeaseHolders() = 0;

  virtual absl::StatusOr<ImageFsUsage> FsUsage() = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_STORE_H_
