// A client's bytes on a SPDY connection: wherever they are cut, the same happens.
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/testing/fuzz_input.h"
#include "cri/streaming/spdy/connection.h"

namespace podvisor::spdy {
namespace {

// Answers as a server would, and writes down what it hears.
class Server final : public ConnectionEvents {
 public:
  absl::Status Feed(absl::string_view bytes, size_t piece_size) {
    absl::Status status;
    InPieces(bytes, piece_size, [&](absl::string_view piece) {
      status = connection_.Feed(piece);
      Require(connection_.streams() <= kMaxStreams, "no more streams than are allowed");
      sent_ += connection_.TakeOutput();
      return status.ok();
    });
    return status;
  }
  // What was heard, and what was sent.
  std::string story() const { return absl::StrCat(story_, "\nsent: ", sent_); }

 private:
  void OnStream(uint32_t id, const Headers& headers) override {
    Require(open_.insert(id).second, "a stream's number is new");
    Say(absl::StrCat("stream ", id));
    size_t bytes = 0;
    for (const auto& [name, value] : headers) {
      bytes += name.size() + value.size();
      Say(absl::StrCat(name, "=", value));
    }
    Require(bytes <= kMaxHeaderBytes, "headers are no larger than is allowed");
    switch (headers.size() % 3) {
      case 0:
        connection_.Reset(id, ResetReason::kRefusedStream);
        open_.erase(id);
        return;
      case 1:
        connection_.Reply(id);
        connection_.Data(id, "hello", Fin::kYes);
        return;
      default:
        connection_.Reply(id);
    }
  }
  void OnData(uint32_t id, absl::string_view data) override {
    Require(open_.count(id) > 0, "data are of an open stream");
    Require(!data.empty(), "data are never empty");
    if (data_of_ != id) Say(absl::StrCat("data of ", id));
    data_of_ = id;
    story_.append(data.data(), data.size());
  }
  void OnEnd(uint32_t id) override {
    Require(open_.count(id) > 0, "the end is that of an open stream");
    Say(absl::StrCat("end of ", id));
    connection_.Data(id, "", Fin::kYes);
    open_.erase(id);
  }
  void OnReset(uint32_t id) override {
    // One that has ended in both directions is forgotten, so its reset says nothing.
    Say(absl::StrCat("reset of ", id));
    open_.erase(id);
  }
  void OnGoAway() override {
    Say("go away");
    connection_.GoAway();
  }
  void Say(const std::string& what) {
    data_of_ = 0;
    absl::StrAppend(&story_, "\n", what, ": ");
  }

  Connection connection_{*this};
  std::string story_, sent_;
  uint32_t data_of_ = 0;
  std::set<uint32_t> open_;
};

}  // namespace
}  // namespace podvisor::spdy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  FuzzInput input(data, size);
  const size_t piece_size = input.TakeByte();
  spdy::Server whole, cut;
  const absl::Status at_once = whole.Feed(input.rest(), 0);
  const absl::Status in_pieces = cut.Feed(input.rest(), piece_size);
  Require(at_once == in_pieces, "cuts change no error");
  Require(whole.story() == cut.story(), "cuts change nothing");
  return 0;
}
