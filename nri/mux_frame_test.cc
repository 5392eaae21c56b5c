#include "nri/mux_frame.h"

#include "base/status_matchers.h"
#include "base/ttrpc_frame.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::ElementsAre;

std::vector<MuxFrame> Decode(absl::string_view bytes, size_t step) {
  MuxDecoder decoder;
  std::vector<MuxFrame> frames;
  for (size_t at = 0; at < bytes.size(); at += step) EXPECT_OK(decoder.Feed(bytes.substr(at, step), &frames));
  EXPECT_EQ(decoder.pending_bytes(), 0u);
  return frames;
}

TEST(MuxFrameTest, HeaderIsStreamAndLengthInBigEndian) {
  std::string bytes;
  AppendMuxMessage(2, "abc", &bytes);
  EXPECT_EQ(bytes, std::string("\0\0\0\2\0\0\0\3abc", 11));
}

TEST(MuxFrameTest, CutAnywhere) {
  std::string bytes;
  AppendMuxMessage(1, "one", &bytes);
  AppendMuxMessage(2, "two!", &bytes);
  AppendMuxMessage(7, "x", &bytes);
  for (size_t step = 1; step <= bytes.size(); ++step) {
    EXPECT_THAT(Decode(bytes, step), ElementsAre(MuxFrame{1, "one"}, MuxFrame{2, "two!"}, MuxFrame{7, "x"})) << step;
  }
}

TEST(MuxFrameTest, LongMessageHasAShortFirstFrame) {
  std::string bytes;
  const std::string message(10000, 'm');
  AppendMuxMessage(1, message, &bytes);
  EXPECT_THAT(Decode(bytes, 777), ElementsAre(MuxFrame{1, message.substr(0, 4096)}, MuxFrame{1, message.substr(4096)}));
}

TEST(MuxFrameTest, EmptyFrameIsAFrame) { EXPECT_THAT(Decode(std::string(8, '\0'), 8), ElementsAre(MuxFrame{0, ""})); }

TEST(MuxFrameTest, LongestMessagePassesAndOneByteMoreEndsTheStream) {
  std::vector<MuxFrame> frames;
  MuxDecoder longest;
  const uint32_t length = kFrameHeaderBytes + kMaxFramePayloadBytes;
  std::string header = {0, 0, 0, 1};
  for (int shift = 24; shift >= 0; shift -= 8) header.push_back(static_cast<char>(length >> shift));
  EXPECT_OK(longest.Feed(header, &frames));
  ++header.back();
  MuxDecoder decoder;
  EXPECT_THAT(decoder.Feed(header, &frames), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(decoder.Feed(std::string(8, '\0'), &frames), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(decoder.pending_bytes(), 0u);
}

}  // namespace
}  // namespace podvisor
