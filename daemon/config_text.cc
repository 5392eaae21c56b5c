// The configuration as people read it (YAML with comments) and as programs do (JSON).
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "daemon/config.h"
#include "daemon/config_keys.h"

namespace podvisor {
namespace {

constexpr size_t kWidth = 110;

std::string SizeText(uint64_t bytes) {
  if (bytes != 0 && bytes % (1 << 30) == 0) return absl::StrCat(bytes >> 30, "GiB");
  if (bytes != 0 && bytes % (1 << 20) == 0) return absl::StrCat(bytes >> 20, "MiB");
  return absl::StrCat(bytes);
}

// A JSON string is YAML's double-quoted scalar.
std::string Quoted(const std::string& text) { return nlohmann::json(text).dump(); }

class Printer final : public ConfigVisitor {
 public:
  Printer(std::string& out, std::string indent) : out_(out), indent_(std::move(indent)) {}

  void Text(const char* key, std::string& value, const char* doc) override { Line(key, Quoted(value), doc); }
  void Path(const char* key, std::string& value, const char* doc) override {
    Line(key, value.empty() ? "\"\"" : value, doc);
  }
  void OneOf(const char* key, std::string& value, const std::vector<const char*>& choices, const char* doc) override {
    // "on" and "off" are no booleans here.
    Line(key, Quoted(value), absl::StrCat(doc, " One of ", absl::StrJoin(choices, ", "), "."));
  }
  void Flag(const char* key, bool& value, const char* doc) override { Line(key, value ? "true" : "false", doc); }
  void Number(const char* key, int& value, int, int, const char* doc) override { Line(key, absl::StrCat(value), doc); }
  void Size(const char* key, uint64_t& value, const char* doc) override { Line(key, SizeText(value), doc); }
  void Time(const char* key, absl::Duration& value, const char* doc) override {
    Line(key, absl::FormatDuration(value), doc);
  }
  void TextList(const char* key, std::vector<std::string>& value, const char* doc) override {
    Line(key,
         absl::StrCat(
             "[",
             absl::StrJoin(value, ", ",
                           [](std::string* out, const std::string& text) { absl::StrAppend(out, Quoted(text)); }),
             "]"),
         doc);
  }
  void PathList(const char* key, std::vector<std::string>& value, const char* doc) override {
    Line(key, absl::StrCat("[", absl::StrJoin(value, ", "), "]"), doc);
  }
  void Section(const char* key, const char* doc, absl::FunctionRef<void(ConfigVisitor&)> keys) override {
    if (indent_.empty()) out_ += "\n";
    Line(key, "", doc);
    Printer inner(out_, indent_ + "  ");
    keys(inner);
  }
  void Sections(const char* key, const char* doc,
                absl::FunctionRef<void(const std::string& name, ConfigVisitor&)>) override {
    out_ += "\n";
    Line(key, "{}", doc);
  }
  void Unsupported(const char*, const char*) override {}

 private:
  void Line(const char* key, const std::string& value, absl::string_view doc) {
    std::string line = indent_ + "#";
    for (absl::string_view word : absl::StrSplit(doc, ' ', absl::SkipEmpty())) {
      if (line.size() + 1 + word.size() > kWidth) {
        absl::StrAppend(&out_, line, "\n");
        line = indent_ + "#";
      }
      absl::StrAppend(&line, " ", word);
    }
    absl::StrAppend(&out_, line, "\n", indent_, key, ":", value.empty() ? "" : " ", value, "\n");
  }

  std::string& out_;
  const std::string indent_;
};

class JsonMaker final : public ConfigVisitor {
 public:
  explicit JsonMaker(nlohmann::json& out) : out_(out) {}

  void Text(const char* key, std::string& value, const char*) override { out_[key] = value; }
  void Path(const char* key, std::string& value, const char*) override { out_[key] = value; }
  void OneOf(const char* key, std::string& value, const std::vector<const char*>&, const char*) override {
    out_[key] = value;
  }
  void Flag(const char* key, bool& value, const char*) override { out_[key] = value; }
  void Number(const char* key, int& value, int, int, const char*) override { out_[key] = value; }
  void Size(const char* key, uint64_t& value, const char*) override { out_[key] = value; }
  void Time(const char* key, absl::Duration& value, const char*) override { out_[key] = absl::FormatDuration(value); }
  void TextList(const char* key, std::vector<std::string>& value, const char*) override { out_[key] = value; }
  void PathList(const char* key, std::vector<std::string>& value, const char*) override { out_[key] = value; }
  void Section(const char* key, const char*, absl::FunctionRef<void(ConfigVisitor&)> keys) override {
    JsonMaker inner(out_[key]);
    keys(inner);
  }
  void Sections(const char*, const char*, absl::FunctionRef<void(const std::string& name, ConfigVisitor&)>) override {}
  void Unsupported(const char*, const char*) override {}

 private:
  nlohmann::json& out_;
};

}  // namespace

std::string DefaultConfigText() {
  Config config;
  std::string out = "# podvisord's configuration: every key is optional, these are the defaults.\n\n";
  Printer printer(out, "");
  VisitConfig(printer, config);
  printer.Sections(
      "runtimes",
      "Runtime handlers (RuntimeClasses) by name, besides the default: keys of the section hypervisor that "
      "differ.",
      [](const std::string&, ConfigVisitor&) {});
  return out;
}

std::string ConfigJson(const Config& config) {
  Config copy = config;  // visitors may write
  nlohmann::json json = nlohmann::json::object();
  JsonMaker maker(json);
  VisitConfig(maker, copy);
  json["runtimes"] = nlohmann::json::object();
  for (auto& [name, section] : copy.runtimes) {
    JsonMaker runtime(json["runtimes"][name]);
    VisitHypervisor(runtime, section);
  }
  // Where clients of containerd look for the folder that holds the state.
  json["stateDir"] = copy.state_dir;
  // Arguments and file names may be any bytes.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace podvisor
