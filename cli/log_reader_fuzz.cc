// A log file's bytes as `podvisor logs` reads them: wherever they are cut, the same comes out.
#include <string>

#include "absl/strings/str_cat.h"
#include "base/testing/fuzz_input.h"
#include "cli/log_reader.h"

namespace podvisor::cli {
namespace {

struct Output {
  std::string out, err;
};

Output Read(absl::string_view bytes, size_t piece_size) {
  Output output;
  LogParser parser([&](LogStream stream, absl::string_view text) {
    absl::StrAppend(stream == LogStream::kStdout ? &output.out : &output.err, text);
  });
  InPieces(bytes, piece_size, [&](absl::string_view piece) {
    parser.Take(piece);
    return true;
  });
  return output;
}

}  // namespace
}  // namespace podvisor::cli

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  FuzzInput input(data, size);
  const size_t piece_size = input.TakeByte();
  const cli::Output whole = cli::Read(input.rest(), 0), cut = cli::Read(input.rest(), piece_size);
  Require(whole.out == cut.out && whole.err == cut.err, "cuts change nothing");
  Require(whole.out.size() + whole.err.size() <= size, "no more comes out than the file holds");
  return 0;
}
