#include "base/ttrpc_frame.h"

#include <random>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string Encoded(const std::vector<Frame>& frames) {
  std::string bytes;
  for (const Frame& frame : frames) EXPECT_OK(EncodeFrame(frame, &bytes));
  return bytes;
}

TEST(TtrpcFrame, HeaderIsBigEndian) {
  EXPECT_EQ(Encoded({{.stream_id = 0x01020304, .type = FrameType::kResponse, .flags = 5, .payload = "abc"}}),
            std::string("\0\0\0\x03\x01\x02\x03\x04\x02\x05"
                        "abc",
                        13));
}

TEST(TtrpcFrame, DecodesCutAtEveryByte) {
  const std::vector<Frame> frames = {{.stream_id = 1, .type = FrameType::kRequest, .payload = "first"},
                                     {.stream_id = 3, .type = FrameType::kResponse, .payload = ""},
                                     {.stream_id = 5, .type = FrameType::kData, .flags = 1, .payload = "third"}};
  const std::string bytes = Encoded(frames);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    FrameDecoder decoder;
    std::vector<Frame> got;
    EXPECT_OK(decoder.Feed(absl::string_view(bytes).substr(0, cut), &got));
    EXPECT_OK(decoder.Feed(absl::string_view(bytes).substr(cut), &got));
    EXPECT_EQ(got, frames) << "cut at " << cut;
    EXPECT_EQ(decoder.pending_bytes(), 0u);
  }
}

TEST(TtrpcFrame, RandomRoundTrip) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Frame> frames(random() % 8);
    for (Frame& frame : frames) {
      frame = {.stream_id = static_cast<uint32_t>(random()),
               .type = static_cast<FrameType>(1 + random() % 3),
               .flags = static_cast<uint8_t>(random()),
               .payload = std::string(random() % 3000, 'x')};
      for (char& byte : frame.payload) byte = static_cast<char>(random());
    }
    const std::string bytes = Encoded(frames);
    FrameDecoder decoder;
    std::vector<Frame> got;
    for (size_t at = 0; at < bytes.size();) {
      const size_t step = 1 + random() % 700;
      ASSERT_OK(decoder.Feed(absl::string_view(bytes).substr(at, step), &got));
      at += step;
    }
    EXPECT_EQ(got, frames);
  }
}

TEST(TtrpcFrame, LargestAndTooLarge) {
  Frame frame{.stream_id = 1, .payload = std::string(kMaxFramePayloadBytes, 'x')};
  std::vector<Frame> got;
  FrameDecoder decoder;
  EXPECT_OK(decoder.Feed(Encoded({frame}), &got));
  EXPECT_THAT(got, ElementsAre(frame));

  frame.payload.push_back('x');
  std::string out = "kept";
  EXPECT_THAT(EncodeFrame(frame, &out), StatusIs(absl::StatusCode::kInvalidArgument, "larger than the limit"));
  EXPECT_EQ(out, "kept");
}

struct Malformed {
  const char* name;
  std::string bytes;
  const char* message;
};

class TtrpcFrameMalformed : public testing::TestWithParam<Malformed> {};

TEST_P(TtrpcFrameMalformed, FailsForGoodUntilReset) {
  FrameDecoder decoder;
  std::vector<Frame> got;
  EXPECT_THAT(decoder.Feed(GetParam().bytes, &got), StatusIs(absl::StatusCode::kInvalidArgument, GetParam().message));
  const Frame good{.stream_id = 1, .payload = "good"};
  EXPECT_THAT(decoder.Feed(Encoded({good}), &got), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(got, IsEmpty());
  decoder.Reset();
  EXPECT_OK(decoder.Feed(Encoded({good}), &got));
  EXPECT_THAT(got, ElementsAre(good));
}

INSTANTIATE_TEST_SUITE_P(
    All, TtrpcFrameMalformed,
    testing::Values(Malformed{"TooLong", std::string("\0\x40\0\x01\0\0\0\x01\x01\0", 10), "announces 4194305 bytes"},
                    Malformed{"Huge", std::string("\xff\xff\xff\xff\0\0\0\x01\x01\0", 10), "announces 4294967295"},
                    Malformed{"TypeZero", std::string("\0\0\0\x01\0\0\0\x01\0\0", 10), "unknown type 0"},
                    Malformed{"TypeFour", std::string("\0\0\0\x01\0\0\0\x01\x04\0", 10), "unknown type 4"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(TtrpcFrame, FramesBeforeTheErrorAreKept) {
  const Frame good{.stream_id = 1, .payload = "good"};
  FrameDecoder decoder;
  std::vector<Frame> got;
  EXPECT_THAT(decoder.Feed(Encoded({good}) + std::string(10, '\x7f'), &got),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(got, ElementsAre(good));
}

}  // namespace
}  // namespace podvisor
