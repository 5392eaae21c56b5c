#include "agent/protocol/serial_link.h"

#include <random>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = SerialEvent::Kind;

constexpr uint64_t kSession = 0x0123456789abcdef;

SerialEvent Data(std::string data) { return {.kind = Kind::kData, .data = std::move(data)}; }
SerialEvent Preamble(uint64_t session) { return {.kind = Kind::kPreamble, .data = "", .session = session}; }
SerialEvent Error() { return {.kind = Kind::kError, .data = ""}; }

std::string Stuffed(absl::string_view data) {
  std::string out;
  AppendStuffed(data, &out);
  return out;
}
std::string PreambleBytes(uint64_t session) {
  std::string out;
  AppendPreamble(session, &out);
  return out;
}

// Data events that touch become one, so that the cuts of the input do not show.
std::vector<SerialEvent> Joined(std::vector<SerialEvent> events) {
  std::vector<SerialEvent> joined;
  for (SerialEvent& event : events) {
    if (event.kind == Kind::kData && !joined.empty() && joined.back().kind == Kind::kData) {
      joined.back().data += event.data;
    } else {
      joined.push_back(std::move(event));
    }
  }
  return joined;
}

TEST(SerialLink, WireFormat) {
  EXPECT_EQ(PreambleBytes(kSession),
            "\xF5\x01"
            "0123456789abcdef");
  EXPECT_EQ(Stuffed(std::string("a\xF5\x01", 3)), std::string("a\xF5\0\x01", 4));
  EXPECT_EQ(Stuffed(""), "");
}

TEST(SerialLink, DecodesCutAtEveryByte) {
  const std::string bytes =
      Stuffed("a\xF5") + PreambleBytes(kSession) + Stuffed("\xF5\xF5z") + PreambleBytes(0) + Stuffed("end");
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    SerialDecoder decoder;
    std::vector<SerialEvent> events = decoder.Feed(absl::string_view(bytes).substr(0, cut));
    for (SerialEvent& event : decoder.Feed(absl::string_view(bytes).substr(cut))) events.push_back(std::move(event));
    EXPECT_THAT(Joined(events),
                ElementsAre(Data("a\xF5"), Preamble(kSession), Data("\xF5\xF5z"), Preamble(0), Data("end")))
        << "cut at " << cut;
  }
}

struct Garbage {
  const char* name;
  std::string bytes;
};

class SerialLinkGarbage : public testing::TestWithParam<Garbage> {};

TEST_P(SerialLinkGarbage, IsOneErrorAndThePreambleAfterItIsSeen) {
  SerialDecoder decoder;
  EXPECT_THAT(Joined(decoder.Feed("before" + GetParam().bytes + PreambleBytes(kSession) + "after")),
              ElementsAre(Data("before"), Error(), Preamble(kSession), Data("after")));
}

INSTANTIATE_TEST_SUITE_P(All, SerialLinkGarbage,
                         testing::Values(Garbage{"CutEscape", "\xF5"},
                                         Garbage{"CutPreamble",
                                                 "\xF5\x01"
                                                 "01ab"},
                                         Garbage{"UpperCase",
                                                 "\xF5\x01"
                                                 "0123456789ABCDEF"},
                                         Garbage{"UnknownEscape", "\xF5\x7f lost data"},
                                         Garbage{"TwoErrors", "\xF5\x7f lost \xF5\x7f"},
                                         Garbage{"LiteralAfterError", std::string("\xF5\x7f\xF5\0x", 5)},
                                         Garbage{"ManyEscapes", "\xF5\xF5\xF5\xF5"}),
                         [](const auto& info) { return std::string(info.param.name); });

// Whatever an old session leaves in the stream, cut anywhere, the new one is found.
TEST(SerialLink, PreambleIsFoundAfterAnyCut) {
  const std::string old = Stuffed("x\xF5y") + PreambleBytes(7) + Stuffed("\xF5");
  for (size_t cut = 0; cut <= old.size(); ++cut) {
    SerialDecoder decoder;
    const auto events = Joined(decoder.Feed(old.substr(0, cut) + PreambleBytes(kSession) + "new"));
    ASSERT_GE(events.size(), 2u) << "cut at " << cut;
    EXPECT_EQ(events[events.size() - 2], Preamble(kSession)) << "cut at " << cut;
    EXPECT_EQ(events.back(), Data("new")) << "cut at " << cut;
  }
}

TEST(SerialLink, RandomRoundTrip) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    std::string sent;
    std::string wire;
    for (int chunk = 0; chunk < 5; ++chunk) {
      std::string data(random() % 200, 0);
      // Few different bytes, so that escapes and what looks like a preamble are frequent.
      for (char& byte : data)
        byte =
            "\xF5\x01\x00\x02"
            "0af"[random() % 7];
      sent += data;
      AppendStuffed(data, &wire);
    }
    SerialDecoder decoder;
    std::vector<SerialEvent> events;
    for (size_t at = 0; at < wire.size();) {
      const size_t step = 1 + random() % 9;
      for (SerialEvent& event : decoder.Feed(absl::string_view(wire).substr(at, step))) {
        events.push_back(std::move(event));
      }
      at += step;
    }
    EXPECT_THAT(Joined(events), ElementsAre(Data(sent)));
  }
}

TEST(SerialHostLink, IgnoresEverythingUntilItsEcho) {
  SerialHostLink host(kSession);
  std::string data;
  EXPECT_OK(host.Receive("stale" + PreambleBytes(1) + "staler\xF5\x7f" + PreambleBytes(2) + "x", &data));
  EXPECT_FALSE(host.synchronized());
  EXPECT_EQ(data, "");
  EXPECT_OK(host.Receive(host.Preamble() + Stuffed("a\xF5") + host.Preamble() + "b", &data));
  EXPECT_TRUE(host.synchronized());
  EXPECT_EQ(data,
            "a\xF5"
            "b");
  EXPECT_THAT(host.Receive("\xF5\x02", &data), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(SerialGuestLink, NewSessionDropsWhatCameBefore) {
  SerialGuestLink guest;
  EXPECT_EQ(guest.Receive("noise").data, "");
  EXPECT_FALSE(guest.in_session());

  auto first = guest.Receive(PreambleBytes(1) + "half a requ");
  EXPECT_TRUE(first.new_session);
  EXPECT_EQ(first.reply, PreambleBytes(1));
  EXPECT_EQ(first.data, "half a requ");

  auto second = guest.Receive("est\xF5" + PreambleBytes(2) + "new");
  EXPECT_TRUE(second.new_session);
  EXPECT_EQ(second.reply, PreambleBytes(2));
  EXPECT_EQ(second.data, "new");
}

TEST(SerialGuestLink, SameSessionIsOnlyEchoed) {
  SerialGuestLink guest;
  guest.Receive(PreambleBytes(1) + "ab");
  const auto again = guest.Receive("cd" + PreambleBytes(1) + "ef");
  EXPECT_FALSE(again.new_session);
  EXPECT_EQ(again.reply, PreambleBytes(1));
  EXPECT_EQ(again.data, "cdef");
}

TEST(SerialGuestLink, LostBytesAreToldAndTheSessionStarts) {
  SerialGuestLink guest;
  guest.Receive(PreambleBytes(1));
  const auto lost = guest.Receive(
      "ab\xF5\x7f"
      "cd");
  EXPECT_EQ(lost.data, "");
  EXPECT_FALSE(guest.in_session());
  SerialHostLink host(1);
  std::string data;
  ASSERT_OK(host.Receive(PreambleBytes(1), &data));
  EXPECT_THAT(host.Receive(lost.reply, &data), StatusIs(absl::StatusCode::kDataLoss));
  // Even with the old number: half a request may be lying about.
  EXPECT_TRUE(guest.Receive(PreambleBytes(1)).new_session);
}

TEST(SerialLink, HostsComeAndGoAtAnyByte) {
  std::mt19937 random(3);
  SerialGuestLink guest;
  std::string from_guest;  // in flight, survives the host
  for (uint64_t session = 1; session < 300; ++session) {
    SerialHostLink host(session << 32 | random());
    std::string request = host.Preamble();
    const std::string message = "request " + std::to_string(session) + "\xF5";
    host.Send(message, &request);
    // The host dies after any number of bytes; what it wrote arrives in the guest.
    const bool dies = session % 3 == 0;
    const auto received = guest.Receive(request.substr(0, dies ? random() % request.size() : std::string::npos));
    if (received.new_session) from_guest.clear();
    from_guest += received.reply;
    guest.Send("answer to " + received.data, &from_guest);
    if (dies) {
      from_guest.resize(random() % (from_guest.size() + 1));  // partly read by the host that died, partly lost
      continue;
    }
    std::string data;
    ASSERT_OK(host.Receive(from_guest, &data));
    EXPECT_TRUE(host.synchronized());
    EXPECT_EQ(data, "answer to " + message);
    from_guest.clear();
  }
}

}  // namespace
}  // namespace podvisor
