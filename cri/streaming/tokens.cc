#include "cri/streaming/tokens.h"

#include <errno.h>
#include <sys/random.h>

#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace podvisor::cri {

absl::StatusOr<std::string> Tokens::Issue(StreamRequest request, absl::Time now) {
  std::array<char, 16> random;
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    return ErrnoStatus(errno, "getrandom");
  const std::string token = absl::BytesToHexString(absl::string_view(random.data(), random.size()));
  absl::MutexLock lock(&mu_);
  for (auto entry = entries_.begin(); entry != entries_.end();)
    entry = entry->second.expires <= now ? entries_.erase(entry) : std::next(entry);
  if (entries_.size() >= kMaxTokens)
    return absl::ResourceExhaustedError(
        absl::StrCat(kMaxTokens, " streaming requests wait for their clients: try again in a minute"));
  entries_[token] = {.request = std::move(request), .expires = now + kLifetime};
  return token;
}

std::optional<StreamRequest> Tokens::Redeem(const std::string& token, StreamKind kind, absl::Time now) {
  absl::MutexLock lock(&mu_);
  const auto found = entries_.find(token);
  if (found == entries_.end() || found->second.expires <= now || found->second.request.kind != kind)
    return std::nullopt;
  StreamRequest request = std::move(found->second.request);
  entries_.erase(found);
  return request;
}

}  // namespace podvisor::cri
