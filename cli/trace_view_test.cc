#include "cli/trace_view.h"

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor::cli {
namespace {

TEST(TraceViewTest, StagesStandInTheOrderOfTheirStarts) {
  const auto view = TraceView(
      R"([{"stage": "configure", "offset_ms": 30, "duration_ms": 10}, {"stage": "cni", "offset_ms": 0, "duration_ms": 30}])",
      20);
  ASSERT_OK(view);
  EXPECT_EQ(*view,
            "STAGE                AT ms   TOOK ms\n"
            "cni                    0.0      30.0  ###############\n"
            "configure             30.0      10.0                 #####\n");
}

TEST(TraceViewTest, WhatTookNoTimeHasABarToo) {
  const auto view = TraceView(R"([{"stage": "a", "offset_ms": 5, "duration_ms": 0}])", 10);
  ASSERT_OK(view);
  EXPECT_NE(view->find('#'), std::string::npos);
}

TEST(TraceViewTest, OtherTextIsAnError) {
  for (const char* text :
       {"", "{}", "[1]", R"([{"stage": "a"}])", R"([{"stage": 1, "offset_ms": 1, "duration_ms": 1}])"}) {
    EXPECT_EQ(TraceView(text, 10).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace podvisor::cli
