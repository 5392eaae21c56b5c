#include "storage/registry/auth_challenge.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace podvisor {
namespace {

// A cursor over the header. No library at hand reads this grammar: libcurl keeps its own reader to itself.
class Scanner {
 public:
  explicit Scanner(absl::string_view text) : text_(text) {}

  bool done() const { return at_ >= text_.size(); }
  void SkipSpacesAndCommas() {
    while (!done() && (absl::ascii_isspace(text_[at_]) || text_[at_] == ',')) ++at_;
  }
  bool Consume(char c) {
    SkipSpaces();
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string Token() {
    SkipSpaces();
    std::string token;
    while (!done() && !absl::ascii_isspace(text_[at_]) && text_[at_] != ',' && text_[at_] != '=' && text_[at_] != '"')
      token += text_[at_++];
    return token;
  }
  std::optional<std::string> Value() {
    if (!Consume('"')) return Token();
    std::string value;
    while (!done() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      value += text_[at_++];
    }
    if (done()) return std::nullopt;  // no closing quote
    ++at_;
    return value;
  }

 private:
  void SkipSpaces() {
    while (!done() && absl::ascii_isspace(text_[at_])) ++at_;
  }
  absl::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::vector<AuthChallenge> ParseAuthChallenges(absl::string_view header) {
  std::vector<AuthChallenge> challenges;
  Scanner scanner(header);
  for (scanner.SkipSpacesAndCommas(); !scanner.done(); scanner.SkipSpacesAndCommas()) {
    const std::string token = absl::AsciiStrToLower(scanner.Token());
    if (token.empty()) break;
    if (!scanner.Consume('=')) {  // a scheme; what follows are its parameters
      challenges.push_back({.scheme = token, .parameters = {}});
      continue;
    }
    const std::optional<std::string> value = scanner.Value();
    if (challenges.empty() || !value.has_value()) break;
    challenges.back().parameters.emplace(token, *value);
  }
  return challenges;
}

}  // namespace podvisor
