#include "podmanager/io/exec_stream.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "podmanager/io/run_in_loop.h"
#include "podmanager/io/testing/memory_guest.h"

namespace podvisor {
namespace {

using testing::ElementsAre;

constexpr auto kOut = OutputStream::kStdout;
constexpr size_t kPiece = 256 << 10;

// Takes what it gets of stdout when it is told to; nothing is written to stderr. In the event loop's thread.
class SlowPeer : public StreamPeer {
 public:
  void Write(PeerOutput output, std::string data, std::function<void()> taken) override {
    EXPECT_EQ(taken_, nullptr) << "a second Write() before the first was taken";
    EXPECT_FALSE(finish.has_value());
    EXPECT_EQ(output, PeerOutput::kStdout);
    out += data;
    sizes.push_back(data.size());
    taken_ = std::move(taken);
  }
  void End(PeerOutput output) override {
    EXPECT_FALSE(output == PeerOutput::kStdout && taken_ != nullptr) << "an end before the last Write() was taken";
    ended.push_back(output);
  }
  void Finish(absl::StatusOr<int> exit) override {
    EXPECT_EQ(taken_, nullptr) << "finished before the last Write() was taken";
    finish = std::move(exit);
  }
  // False if it has nothing.
  bool Take() {
    const std::function<void()> taken = std::exchange(taken_, nullptr);
    if (taken != nullptr) taken();
    return taken != nullptr;
  }

  std::string out;
  std::vector<size_t> sizes;
  std::vector<PeerOutput> ended;
  std::optional<absl::StatusOr<int>> finish;

 private:
  std::function<void()> taken_;
};

class ExecStreamTest : public testing::TestWithParam<MemoryGuest::Kind> {
 protected:
  ExecStreamTest() : guest_(std::make_shared<MemoryGuest>(loop_, GetParam())) {
    options_.sandbox_id = "s1";
    options_.container_id = "c1";
    options_.exec_id = "e1";
    options_.process.add_args("program");
    options_.want_stdout = options_.want_stderr = true;
  }
  ~ExecStreamTest() override {
    guest_->Close();
    Settle();
  }

  void Start() { session_ = StartExecStream(loop_, guest_, options_, peer_); }
  // The guest answers in the loop: what it had to do is done after some turns of it.
  void Settle() {
    for (int i = 0; i < 20; ++i) RunInLoop(loop_, [] {});
  }
  bool Take() {
    bool took = false;
    RunInLoop(loop_, [&] { took = peer_->Take(); });
    Settle();
    return took;
  }

  EventLoop loop_{"test"};
  std::shared_ptr<MemoryGuest> guest_;
  ExecStreamOptions options_;
  std::shared_ptr<SlowPeer> peer_ = std::make_shared<SlowPeer>();
  std::shared_ptr<StreamSession> session_;
};

TEST_P(ExecStreamTest, ASlowPeerGetsAllInOrderAndTheEndLast) {
  std::string text;
  for (int i = 0; text.size() < 5 * kPiece; ++i) text += std::to_string(i) + "\n";
  guest_->OnExec([&](const std::string& id) {
    guest_->Print(id, kOut, text);
    guest_->Exit(id, 3);
  });
  Start();
  Settle();
  // One piece is with the peer, one waits for it; no more is fetched.
  EXPECT_THAT(peer_->sizes, ElementsAre(kPiece));
  EXPECT_LE(guest_->acknowledged("e1", kOut), 2 * kPiece);
  while (Take()) EXPECT_LE(guest_->acknowledged("e1", kOut), peer_->out.size() + 2 * kPiece);
  EXPECT_EQ(peer_->out, text);
  EXPECT_THAT(peer_->ended, testing::UnorderedElementsAre(PeerOutput::kStdout, PeerOutput::kStderr));
  ASSERT_TRUE(peer_->finish.has_value());
  ASSERT_OK(*peer_->finish);
  EXPECT_EQ(**peer_->finish, 3);
}

TEST_P(ExecStreamTest, TheEndMayComeByItself) {
  guest_->OnExec([this](const std::string& id) { guest_->Print(id, kOut, "word"); });
  Start();
  Settle();
  EXPECT_EQ(peer_->out, "word");
  guest_->Exit("e1", 0);
  Settle();
  EXPECT_THAT(peer_->ended, testing::Not(testing::Contains(PeerOutput::kStdout)));
  EXPECT_FALSE(peer_->finish.has_value());
  EXPECT_TRUE(Take());
  EXPECT_THAT(peer_->ended, testing::Contains(PeerOutput::kStdout));
  ASSERT_TRUE(peer_->finish.has_value());
  ASSERT_OK(*peer_->finish);
  EXPECT_EQ(**peer_->finish, 0);
}

TEST_P(ExecStreamTest, APeerThatLeavesDoesNotHoldTheProgramUp) {
  guest_->OnExec([this](const std::string& id) {
    guest_->Print(id, kOut, std::string(5 * kPiece, 'x'));
    guest_->Exit(id, 0);
  });
  Start();
  Settle();
  RunInLoop(loop_, [this] { session_->Hangup(Leave::kClientGone); });
  Settle();
  EXPECT_EQ(guest_->acknowledged("e1", kOut), GetParam() == MemoryGuest::Kind::kPlainKata ? 5 * kPiece : 4 * kPiece);
  EXPECT_THAT(peer_->ended, ElementsAre(PeerOutput::kStderr));
  EXPECT_FALSE(peer_->finish.has_value());
  EXPECT_TRUE(Take());  // late, of what it had: nothing comes of it
  EXPECT_THAT(peer_->sizes, ElementsAre(kPiece));
}

INSTANTIATE_TEST_SUITE_P(Agents, ExecStreamTest,
                         testing::Values(MemoryGuest::Kind::kPodvisor, MemoryGuest::Kind::kPlainKata));

}  // namespace
}  // namespace podvisor
