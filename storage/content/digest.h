// Content digests: "sha256:" and 64 lower-case hexadecimal digits, the only algorithm that images use in practice.
#ifndef PODVISOR_STORAGE_CONTENT_DIGEST_H_
#define PODVISOR_STORAGE_CONTENT_DIGEST_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct evp_md_ctx_st;

namespace podvisor {

// A valid digest, or the empty one. Copyable value.
class Digest {
 public:
  Digest() = default;
  // kInvalidArgument for anything that is not "sha256:" and 64 digits; other algorithms are named in the error.
  static absl::StatusOr<Digest> Parse(absl::string_view text);
  static Digest Of(absl::string_view content);

  bool empty() const { return hex_.empty(); }
  const std::string& hex() const { return hex_; }  // safe as a file name
  std::string ToString() const { return "sha256:" + hex_; }

  friend bool operator==(const Digest&, const Digest&) = default;
  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  friend class Sha256;
  explicit Digest(std::string hex) : hex_(std::move(hex)) {}
  std::string hex_;
};

// SHA-256 of a stream. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void Update(absl::string_view data);
  // Of all data since construction or Reset(). Once.
  Digest Finish();
  void Reset();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_CONTENT_DIGEST_H_
