#include "daemon/config_reader.h"

#include <yaml-cpp/yaml.h>

#include <limits>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

std::string Quoted(absl::string_view text) { return absl::StrCat("\"", text, "\""); }

bool ParseSize(absl::string_view text, uint64_t& bytes) {
  static constexpr std::pair<absl::string_view, uint64_t> kUnits[] = {
      {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}, {"TiB", 1ULL << 40}};
  uint64_t unit = 1;
  for (const auto& [suffix, size] : kUnits) {
    if (absl::ConsumeSuffix(&text, suffix)) {
      unit = size;
      break;
    }
  }
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number > std::numeric_limits<uint64_t>::max() / unit) return false;
  bytes = number * unit;
  return true;
}

class Reader final : public ConfigVisitor {
 public:
  // `path` is the section's, with a dot at its end, or empty.
  Reader(const std::string& file, const YAML::Node& map, std::string path, std::vector<std::string>& errors)
      : file_(file), map_(map), path_(std::move(path)), errors_(errors) {}

  void Text(const char* key, std::string& value, const char*) override {
    if (const YAML::Node node = Scalar(key, "text")) value = node.Scalar();
  }

  void Path(const char* key, std::string& value, const char*) override {
    const YAML::Node node = Scalar(key, "an absolute path");
    if (!node) return;
    if (!node.Scalar().empty() && node.Scalar().front() != '/') {
      return Complain(node, key, absl::StrCat("must be an absolute path, not ", Quoted(node.Scalar())));
    }
    value = node.Scalar();
  }

  void OneOf(const char* key, std::string& value, const std::vector<const char*>& choices, const char*) override {
    const std::string allowed = absl::StrCat("one of ", absl::StrJoin(choices, ", "));
    const YAML::Node node = Scalar(key, allowed);
    if (!node) return;
    for (const char* choice : choices) {
      if (node.Scalar() == choice) {
        value = choice;
        return;
      }
    }
    Complain(node, key, absl::StrCat("must be ", allowed, ", not ", Quoted(node.Scalar())));
  }

  void Flag(const char* key, bool& value, const char*) override {
    const YAML::Node node = Scalar(key, "true or false");
    if (node && !YAML::convert<bool>::decode(node, value)) {
      Complain(node, key, absl::StrCat("must be true or false, not ", Quoted(node.Scalar())));
    }
  }

  void Number(const char* key, int& value, int min, int max, const char*) override {
    const std::string allowed = absl::StrCat("a number from ", min, " to ", max);
    const YAML::Node node = Scalar(key, allowed);
    if (!node) return;
    int number = 0;
    if (!absl::SimpleAtoi(node.Scalar(), &number) || number < min || number > max) {
      return Complain(node, key, absl::StrCat("must be ", allowed, ", not ", Quoted(node.Scalar())));
    }
    value = number;
  }

  void Size(const char* key, uint64_t& value, const char*) override {
    constexpr char kAllowed[] = "a size such as 512MiB";
    const YAML::Node node = Scalar(key, kAllowed);
    if (node && !ParseSize(node.Scalar(), value)) {
      Complain(node, key, absl::StrCat("must be ", kAllowed, ", not ", Quoted(node.Scalar())));
    }
  }

  void Time(const char* key, absl::Duration& value, const char*) override {
    constexpr char kAllowed[] = "a time such as 30s or 1m30s";
    const YAML::Node node = Scalar(key, kAllowed);
    if (!node) return;
    absl::Duration duration;
    if (!absl::ParseDuration(node.Scalar(), &duration) || duration <= absl::ZeroDuration() ||
        duration > absl::Hours(24)) {
      return Complain(node, key, absl::StrCat("must be ", kAllowed, ", up to 24h, not ", Quoted(node.Scalar())));
    }
    value = duration;
  }

  void TextList(const char* key, std::vector<std::string>& value, const char*) override {
    List(
        key, value, [](const std::string&) { return true; }, "a list of texts");
  }

  void PathList(const char* key, std::vector<std::string>& value, const char*) override {
    List(
        key, value, [](const std::string& text) { return !text.empty() && text.front() == '/'; },
        "a list of absolute paths");
  }

  void Section(const char* key, const char*, absl::FunctionRef<void(ConfigVisitor&)> keys) override {
    asked_.insert(key);
    const YAML::Node node = Take(key);
    if (!node || node.IsNull()) return;
    if (!node.IsMap()) return Complain(node, key, "must be a map of keys");
    ReadMap(node, absl::StrCat(path_, key, "."), keys);
  }

  void Sections(const char* key, const char*,
                absl::FunctionRef<void(const std::string& name, ConfigVisitor&)> entry) override {
    asked_.insert(key);
    const YAML::Node node = Take(key);
    if (!node || node.IsNull()) return;
    if (!node.IsMap()) return Complain(node, key, "must be a map from names to maps of keys");
    for (const auto& item : node) {
      const std::string name = item.first.Scalar();
      const std::string name_path = absl::StrCat(key, ".", name);
      if (name.empty()) return Complain(item.first, key, "must not have an empty name");
      if (!item.second.IsNull() && !item.second.IsMap()) {
        Complain(item.second, name_path.c_str(), "must be a map of keys");
        continue;
      }
      const YAML::Node map = item.second.IsMap() ? item.second : YAML::Node(YAML::NodeType::Map);
      ReadMap(map, absl::StrCat(path_, name_path, "."), [&](ConfigVisitor& keys) { entry(name, keys); });
    }
  }

  void Unsupported(const char* key, const char* why) override {
    if (const YAML::Node node = Take(key)) Complain(node, key, absl::StrCat(why, ": remove it"));
  }

  // After the visit: what it did not ask for.
  void ComplainOfUnknown() {
    std::vector<std::string> known(asked_.begin(), asked_.end());
    for (const auto& item : map_) {
      const std::string key = item.first.Scalar();
      if (every_.count(key) > 0) continue;
      Complain(item.first, key.c_str(), absl::StrCat("is no key: there are ", absl::StrJoin(known, ", ")));
    }
  }

 private:
  void ReadMap(const YAML::Node& map, const std::string& path, absl::FunctionRef<void(ConfigVisitor&)> keys) {
    Reader reader(file_, map, path, errors_);
    keys(reader);
    reader.ComplainOfUnknown();
  }

  // The value of `key`; false if there is none.
  YAML::Node Take(const char* key) {
    every_.insert(key);
    for (const auto& item : map_) {  // operator[] would make an entry
      if (item.first.Scalar() == key) return item.second;
    }
    return YAML::Node(YAML::NodeType::Undefined);
  }

  YAML::Node Scalar(const char* key, absl::string_view allowed) {
    asked_.insert(key);
    const YAML::Node node = Take(key);
    if (!node || node.IsScalar()) return node;
    Complain(node, key, absl::StrCat("must be ", allowed));
    return YAML::Node(YAML::NodeType::Undefined);
  }

  void List(const char* key, std::vector<std::string>& value, bool (*fits)(const std::string&), const char* allowed) {
    asked_.insert(key);
    const YAML::Node node = Take(key);
    if (!node) return;
    if (!node.IsSequence()) return Complain(node, key, absl::StrCat("must be ", allowed));
    std::vector<std::string> list;
    for (const YAML::Node& element : node) {
      if (!element.IsScalar() || !fits(element.Scalar())) {
        return Complain(element, key, absl::StrCat("must be ", allowed));
      }
      list.push_back(element.Scalar());
    }
    value = std::move(list);
  }

  void Complain(const YAML::Node& node, const char* key, absl::string_view what) {
    errors_.push_back(absl::StrCat(file_, ":", node.Mark().line + 1, ": ", path_, key, ": ", what));
  }

  const std::string& file_;
  const YAML::Node map_;
  const std::string path_;
  std::vector<std::string>& errors_;
  std::set<std::string> asked_;  // keys that can be set
  std::set<std::string> every_;  // and those that are refused by name
};

class YamlDocument final : public ConfigDocument {
 public:
  YamlDocument(std::string file, const YAML::Node& root) : file_(std::move(file)), root_(root) {}

  void Read(absl::FunctionRef<void(ConfigVisitor&)> visit, std::vector<std::string>& errors) override {
    Reader reader(file_, root_, "", errors);
    visit(reader);
    reader.ComplainOfUnknown();
  }

 private:
  const std::string file_;
  const YAML::Node root_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ConfigDocument>> ConfigDocument::Parse(const std::string& file) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxFileBytes), "configuration ", file);
  try {
    YAML::Node root = YAML::Load(text);
    if (root.IsNull()) root = YAML::Node(YAML::NodeType::Map);  // an empty file
    if (!root.IsMap()) return absl::InvalidArgumentError(absl::StrCat(file, ":1: must be a map of keys"));
    return std::make_unique<YamlDocument>(file, root);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(file, ":", error.mark.line + 1, ": is not YAML: ", error.msg));
  }
}

}  // namespace podvisor
