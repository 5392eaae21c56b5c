// How libFuzzer runs our fuzz targets: limits, and where it puts what it finds.
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace {

std::string Variable(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

}  // namespace

extern "C" {

// Found by name by the sanitizers' runtime and by libFuzzer.
const char* __asan_default_options();
const char* __ubsan_default_options();
int LLVMFuzzerInitialize(int* argc, char*** argv);

const char* __asan_default_options() {
  return "detect_container_overflow=0:quarantine_size_mb=32:detect_stack_use_after_return=1";
}

const char* __ubsan_default_options() { return "print_stacktrace=1"; }

// Adds arguments before those that there are: of two the last one counts, but new inputs go to the first folder.
int LLVMFuzzerInitialize(int* argc, char*** argv) {
  ::signal(SIGPIPE, SIG_IGN);  // as podvisord does
  static std::vector<std::string> arguments = {
      **argv,
      "-max_total_time=" + Variable("FUZZ_SECONDS", "10"),
      "-seed=" + Variable("FUZZ_SEED", "1"),  // a change's test must not fail by another one's luck
      "-timeout=20",
      "-rss_limit_mb=1024",
      "-malloc_limit_mb=64",
      "-print_final_stats=1",
      "-verbosity=" + Variable("FUZZ_VERBOSITY", "1"),
  };
  if (const std::string outputs = Variable("TEST_UNDECLARED_OUTPUTS_DIR", ""); !outputs.empty())
    arguments.push_back("-artifact_prefix=" + outputs + "/");
  bool one_file = false;
  for (int i = 1; i < *argc; ++i) one_file = one_file || std::filesystem::is_regular_file((*argv)[i]);
  if (const std::string temporary = Variable("FUZZ_NEW", Variable("TEST_TMPDIR", ""));
      !temporary.empty() && !one_file) {
    arguments.push_back(temporary + "/new_inputs");
    std::filesystem::create_directories(arguments.back());
  }
  // A file is an input to be run once; with it, folders would be taken for files.
  for (int i = 1; i < *argc; ++i)
    if (!one_file || !std::filesystem::is_directory((*argv)[i])) arguments.emplace_back((*argv)[i]);
  static std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  *argc = static_cast<int>(pointers.size());
  pointers.push_back(nullptr);
  *argv = pointers.data();
  return 0;
}
}
