// Layers of an image: whatever a tar says, nothing outside its tree is touched.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/testing/fuzz_input.h"
#include "base/testing/only_writable.h"
#include "storage/content/durable_file.h"
#include "storage/image/layer_unpacker.h"

namespace podvisor {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The folder that can be written, or empty for want of rights. It holds tree/, layer and outside, no more.
std::string Prepare() {
  std::vector<std::string> kept;
  for (const char* name : {"TEST_TMPDIR", "TEST_UNDECLARED_OUTPUTS_DIR"})
    if (const std::string path = Variable(name); !path.empty()) kept.push_back(path);
  std::string folder = absl::StrCat(kept.empty() ? "/tmp" : kept[0], "/layer-fuzz.XXXXXX");
  Require(::mkdtemp(folder.data()) != nullptr, "a folder can be made");
  if (kept.empty()) kept.push_back(std::filesystem::current_path());  // where libFuzzer leaves its artifacts
  const absl::Status made = MakeOnlyWritable(folder, kept);
  if (!made.ok()) {
    std::fprintf(stderr, "skipped, unpacking needs root: %s\n", std::string(made.message()).c_str());
    return "";
  }
  return folder;
}

void Write(const std::string& path, absl::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  Require(fd >= 0 && ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "write");
  ::close(fd);
}

void CheckOutside(const std::string& folder) {
  size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    ++entries;
    Require(entry.path().filename() != "outside" || entry.file_size() == 4, "the file outside is as it was");
  }
  Require(entries == 3, "nothing was made or removed outside the tree");
}

// Two layers, so that there is a lower one for whiteouts and links.
void Unpack(const std::string& folder, absl::string_view first, absl::string_view second) {
  const std::string root = folder + "/tree", file = folder + "/layer";
  absl::StatusOr<LayerTree> tree = LayerTree::Create(root);
  Require(tree.ok(), "the tree can be made");
  for (const absl::string_view layer : {first, second}) {
    Write(file, layer);
    const absl::StatusOr<Digest> digest = ApplyLayer(file, folder, *tree, Interruption());
    Require(!absl::StrContains(digest.status().message(), "Read-only file system"), "nothing leads out of the tree");
    CheckOutside(folder);
    if (!digest.ok()) break;
  }
  (void)tree->ApplyFolderTimes();
  for (const char* name : {"etc/passwd", "a", "d/f"}) (void)tree->ReadFile(name, 4096);
  Require(RemoveTree(root).ok(), "the tree can be removed");
}

}  // namespace
}  // namespace podvisor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  static const std::string folder = Prepare();
  if (folder.empty()) return 0;
  FuzzInput input(data, size);
  const size_t blocks = input.TakeByte();
  const absl::string_view bytes = input.rest();
  const size_t first = std::min<size_t>(bytes.size(), 512 * blocks);
  Write(folder + "/outside", "here");
  Unpack(folder, bytes.substr(0, first), bytes.substr(first));
  return 0;
}
