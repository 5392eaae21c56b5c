// A peer's ttrpc frames: wherever they are cut, the same frames come out, and encoding them gives the bytes again.
#include "base/testing/fuzz_input.h"
#include "base/ttrpc_frame.h"

namespace podvisor {
namespace {

absl::Status Feed(absl::string_view bytes, size_t piece_size, FrameDecoder& decoder, std::vector<Frame>& frames) {
  absl::Status status;
  InPieces(bytes, piece_size, [&](absl::string_view piece) {
    status = decoder.Feed(piece, &frames);
    Require(decoder.pending_bytes() <= kFrameHeaderBytes + kMaxFramePayloadBytes, "half a frame is bounded");
    return status.ok();
  });
  return status;
}

}  // namespace
}  // namespace podvisor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  FuzzInput input(data, size);
  const size_t piece_size = input.TakeByte();
  FrameDecoder whole, cut;
  std::vector<Frame> frames, frames_of_pieces;
  const absl::Status status = Feed(input.rest(), 0, whole, frames);
  Require(status == Feed(input.rest(), piece_size, cut, frames_of_pieces), "cuts change no error");
  Require(frames == frames_of_pieces, "cuts change no frame");
  std::string encoded;
  for (const Frame& frame : frames) Require(EncodeFrame(frame, &encoded).ok(), "what was decoded can be encoded");
  Require(input.rest().substr(0, encoded.size()) == encoded, "encoding gives the bytes again");
  if (status.ok()) Require(whole.pending_bytes() == input.rest().size() - encoded.size(), "the rest is half a frame");
  whole.Reset();
  Require(whole.Feed("", &frames).ok(), "Reset() forgets an error");
  return 0;
}
