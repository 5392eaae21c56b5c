#include "storage/content/digest.h"

#include <openssl/evp.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace podvisor {

absl::StatusOr<Digest> Digest::Parse(absl::string_view text) {
  absl::string_view hex = text;
  const bool sha256 = absl::ConsumePrefix(&hex, "sha256:");
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (!sha256 || hex.size() != 64 || !std::all_of(hex.begin(), hex.end(), is_digit))
    return absl::InvalidArgumentError(absl::StrCat("digest \"", absl::CHexEscape(text.substr(0, 100)),
                                                   "\" is not sha256:<64 lower-case hex digits>"));
  return Digest(std::string(hex));
}

Digest Digest::Of(absl::string_view content) {
  Sha256 hash;
  hash.Update(content);
  return hash.Finish();
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) { Reset(); }
Sha256::~Sha256() = default;

// OpenSSL's digest calls fail only for want of memory, which nothing here survives anyway.
void Sha256::Reset() { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }

void Sha256::Update(absl::string_view data) { EVP_DigestUpdate(context_.get(), data.data(), data.size()); }

Digest Sha256::Finish() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(context_.get(), bytes, &size);
  return Digest(absl::BytesToHexString(absl::string_view(reinterpret_cast<char*>(bytes), size)));
}

}  // namespace podvisor
