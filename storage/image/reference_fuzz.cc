// Names of images: a normalised one is normal.
#include "base/testing/fuzz_input.h"
#include "storage/image/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  const absl::StatusOr<ImageReference> parsed = ImageReference::Parse(FuzzInput(data, size).rest());
  if (!parsed.ok()) {
    Require(absl::IsInvalidArgument(parsed.status()), "what is no name is an invalid argument");
    Require(parsed.status().message().size() < 8192, "the message is bounded");
    return 0;
  }
  Require(parsed->tag.empty() != parsed->digest.empty(), "it has either tag or digest");
  Require(parsed->repository().find("..") == std::string::npos, "the name is no way out of a folder");
  const std::string text = parsed->ToString();
  const absl::StatusOr<ImageReference> again = ImageReference::Parse(text);
  Require(again.ok() && again->ToString() == text, "the normal form is a name, and normal");
  return 0;
}
