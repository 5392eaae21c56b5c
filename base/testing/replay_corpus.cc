// main() of a fuzz target in an ordinary build: gives it each file of the folders and files that are named.
#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void Try(const std::string& name, const std::vector<char>& input) {
  std::printf("%s: %zu bytes\n", name.c_str(), input.size());
  std::fflush(stdout);  // the last line names the input that ends the process
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);  // as podvisord does
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] == '-') continue;  // libFuzzer's
    if (!std::filesystem::is_directory(argv[i])) {
      files.emplace_back(argv[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i]))
      if (!entry.is_directory()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  Try("nothing", {});
  for (const std::filesystem::path& path : files) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "%s: can't be read\n", path.c_str());
      return 1;
    }
    Try(path.filename(), {std::istreambuf_iterator<char>(file), {}});
  }
  std::printf("%zu inputs\n", files.size());
  return files.empty() ? 1 : 0;
}
