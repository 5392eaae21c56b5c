#include "agent/guest/bytes_field.h"

#include "gtest/gtest.h"
#include "third_party/wire/ttrpc.pb.h"

namespace podvisor::guest {
namespace {

constexpr int kPayload = ttrpc::Request::kPayloadFieldNumber;

ttrpc::Request SomeRequest(const std::string& payload) {
  ttrpc::Request request;
  request.set_service("grpc.AgentService");
  request.set_method("WriteStdin");
  request.set_payload(payload);
  request.set_timeout_nano(1'000'000'007);
  ttrpc::KeyValue* metadata = request.add_metadata();
  metadata->set_key("key");
  metadata->set_value("value");
  return request;
}

TEST(BytesField, IsTakenOutAndPutBack) {
  for (const size_t size : {1u, 127u, 128u, 1u << 20}) {
    ttrpc::Request request = SomeRequest(std::string(size, 'x'));
    const std::string message = request.SerializeAsString();
    SplitMessage split;
    ASSERT_TRUE(SplitBytesField(message, kPayload, &split));
    EXPECT_EQ(split.bytes, request.payload());
    EXPECT_GE(split.bytes.data(), message.data());  // not a copy
    EXPECT_LE(split.bytes.data() + size, message.data() + message.size());

    std::string whole = split.rest;
    AppendBytesFieldHead(kPayload, size, &whole);
    whole.append(split.bytes.data(), split.bytes.size());
    ttrpc::Request again;
    ASSERT_TRUE(again.ParseFromString(whole));
    EXPECT_EQ(again.SerializeAsString(), message);

    request.clear_payload();
    EXPECT_EQ(split.rest, request.SerializeAsString());
  }
}

TEST(BytesField, NeedNotBeThere) {
  SplitMessage split;
  ASSERT_TRUE(SplitBytesField("", kPayload, &split));
  EXPECT_EQ(split.rest, "");
  const std::string message = SomeRequest("").SerializeAsString();
  ASSERT_TRUE(SplitBytesField(message, kPayload, &split));
  EXPECT_EQ(split.rest, message);
  EXPECT_EQ(split.bytes, "");
}

TEST(BytesField, TheLastOneCounts) {
  std::string message;
  for (const absl::string_view content : {"one", "two"}) {
    AppendBytesFieldHead(kPayload, content.size(), &message);
    message.append(content.data(), content.size());
  }
  SplitMessage split;
  ASSERT_TRUE(SplitBytesField(message, kPayload, &split));
  EXPECT_EQ(split.bytes, "two");
  EXPECT_EQ(split.rest, "");
}

TEST(BytesField, OtherTypesAreKept) {
  // Numbers 9, 10 and 11: a varint, 8 bytes, 4 bytes.
  const std::string message("\x48\xff\x01\x51\x01\x02\x03\x04\x05\x06\x07\x08\x5d\x01\x02\x03\x04", 17);
  SplitMessage split;
  ASSERT_TRUE(SplitBytesField(message, kPayload, &split));
  EXPECT_EQ(split.rest, message);
}

TEST(BytesField, CutAnywhereIsRefusedOrAPrefix) {
  const std::string message = SomeRequest("payload").SerializeAsString();
  for (size_t size = 0; size < message.size(); ++size) {
    const absl::string_view cut(message.data(), size);
    SplitMessage split;
    ttrpc::Request request;
    EXPECT_EQ(SplitBytesField(cut, kPayload, &split), request.ParseFromArray(cut.data(), static_cast<int>(size)))
        << size << " bytes";
  }
}

TEST(BytesField, WhatIsNoMessageIsRefused) {
  for (const absl::string_view message :
       {absl::string_view("\x00\x00", 2), absl::string_view("\x1a\xff\xff\xff\xff\x0f"), absl::string_view("\x1b\x1c"),
        absl::string_view("\x1e"), absl::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")}) {
    SplitMessage split;
    EXPECT_FALSE(SplitBytesField(message, kPayload, &split));
  }
}

}  // namespace
}  // namespace podvisor::guest
