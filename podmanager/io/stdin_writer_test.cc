#include "podmanager/io/stdin_writer.h"

#include <stdlib.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "agent/protocol/extension.pb.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kGuestFolder[] = "/run/kata-containers/shared/containers";

// Keeps the calls; Answer() serves the oldest: it reads what it is told to, and answers.
class SlowGuest : public AgentClient {
 public:
  explicit SlowGuest(std::string folder) : folder_(std::move(folder)) {}

  absl::Status WaitReady(absl::Time) override { return absl::OkStatus(); }
  void CallAsync(absl::string_view, absl::string_view method, const google::protobuf::MessageLite& request, absl::Time,
                 Done done) override {
    methods.emplace_back(method);
    calls_.emplace_back(request.SerializeAsString(), std::move(done));
  }
  void Close() override { calls_.clear(); }

  void Answer(absl::Status status = absl::OkStatus()) {
    ASSERT_FALSE(calls_.empty());
    auto [request, done] = std::move(calls_.front());
    calls_.pop_front();
    if (status.ok() && methods[answered_] == "WriteStdinFile") TakeFile(request);
    if (status.ok() && methods[answered_] == "WriteStdin") {
      grpc::WriteStreamRequest write;
      ASSERT_TRUE(write.ParseFromString(request));
      sizes.push_back(write.data().size());
      input += write.data();
    }
    ++answered_;
    if (status.ok())
      done(std::string());
    else
      done(status);
  }
  bool idle() const { return calls_.empty(); }

  std::vector<std::string> methods;
  std::vector<size_t> sizes;
  std::string input;

 private:
  // By the descriptor that it keeps, as an agent does.
  void TakeFile(const std::string& bytes) {
    agent::v1::WriteStdinFileRequest request;
    ASSERT_TRUE(request.ParseFromString(bytes));
    ASSERT_EQ(request.path().rfind(std::string(kGuestFolder) + "/", 0), 0u);
    if (!file_.is_open()) file_.open(folder_ + request.path().substr(sizeof(kGuestFolder) - 1));
    ASSERT_TRUE(file_.is_open());
    std::string data(request.size(), '\0');
    ASSERT_TRUE(file_.seekg(static_cast<std::streamoff>(request.offset()))
                    .read(data.data(), static_cast<std::streamsize>(data.size())));
    file_.sync();  // what it has read ahead is not what is there next time
    sizes.push_back(data.size());
    input += data;
  }

  const std::string folder_;
  std::ifstream file_;
  size_t answered_ = 0;
  std::deque<std::pair<std::string, Done>> calls_;
};

class StdinWriterTest : public testing::Test {
 protected:
  StdinWriterTest() {
    char name[] = "/tmp/podvisor-stdin.XXXXXX";
    folder_ = ::mkdtemp(name);
    guest_ = std::make_shared<SlowGuest>(folder_);
  }
  ~StdinWriterTest() override { std::filesystem::remove_all(folder_); }

  std::shared_ptr<StdinWriter> Make(const std::string& folder) {
    return std::make_shared<StdinWriter>(guest_, "c1", "e1", folder);
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.push_back(entry.path().filename());
    return names;
  }
  static std::string Numbers(size_t bytes) {
    std::string text;
    for (int i = 0; text.size() < bytes; ++i) text += std::to_string(i) + " ";
    text.resize(bytes);
    return text;
  }

  std::string folder_;
  std::shared_ptr<SlowGuest> guest_;
};

TEST_F(StdinWriterTest, LargePiecesGoByAFileWithoutAName) {
  const auto writer = Make(folder_);
  const std::string text = Numbers(2 * kSharedPieceBytes + 100);
  bool taken = false;
  writer->Write(text, [&] { taken = true; });
  EXPECT_EQ(Names().size(), 1u);
  guest_->Answer();
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_FALSE(taken);
  EXPECT_EQ(guest_->methods.size(), 3u);  // two are under way
  guest_->Answer();
  EXPECT_TRUE(taken);
  guest_->Answer();
  EXPECT_TRUE(guest_->idle());
  EXPECT_EQ(guest_->input, text);
  EXPECT_THAT(guest_->sizes, ElementsAre(kSharedPieceBytes, kSharedPieceBytes, 100));
  EXPECT_THAT(guest_->methods, ElementsAre("WriteStdinFile", "WriteStdinFile", "WriteStdin"));
}

TEST_F(StdinWriterTest, PiecesDoNotOverwriteThoseThatAreNotReadYet) {
  const auto writer = Make(folder_);
  std::string text;
  size_t sent = 0;
  int taken = 0;
  for (int i = 0; i < 10; ++i) {
    // Of several sizes: some go in messages.
    text += Numbers(i % 3 == 2 ? 1000 : 100'000 + 50'000 * static_cast<size_t>(i % 4));
    writer->Write(text.substr(sent), [&] { ++taken; });
    sent = text.size();
    while (taken <= i) guest_->Answer();
  }
  while (!guest_->idle()) guest_->Answer();
  EXPECT_EQ(guest_->input, text);
}

TEST_F(StdinWriterTest, WithoutASharedFolderAllGoesInMessages) {
  const auto writer = Make("");
  writer->Write(Numbers(300'000), [] {});
  guest_->Answer();
  guest_->Answer();
  EXPECT_EQ(guest_->input, Numbers(300'000));
  EXPECT_THAT(guest_->methods, ElementsAre("WriteStdin", "WriteStdin"));
}

TEST_F(StdinWriterTest, AnAgentThatCannotReadFilesGetsTheSameBytesInMessages) {
  const auto writer = Make(folder_);
  bool taken = false;
  writer->Write(Numbers(100'000), [&] { taken = true; });
  guest_->Answer(absl::UnimplementedError("no such method"));
  guest_->Answer();
  EXPECT_TRUE(taken);
  EXPECT_EQ(guest_->input, Numbers(100'000));
  writer->Write("x" + Numbers(100'000), [] {});
  guest_->Answer();
  EXPECT_EQ(guest_->input, Numbers(100'000) + "x" + Numbers(100'000));
  EXPECT_THAT(guest_->methods, ElementsAre("WriteStdinFile", "WriteStdin", "WriteStdin"));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(StdinWriterTest, AFolderThatIsGoneIsGoneAround) {
  const auto writer = Make(folder_ + "/missing");
  writer->Write(Numbers(100'000), [] {});
  guest_->Answer();
  EXPECT_EQ(guest_->input, Numbers(100'000));
  EXPECT_THAT(guest_->methods, ElementsAre("WriteStdin"));
}

TEST_F(StdinWriterTest, AfterAnErrorWhatFollowsIsDropped) {
  const auto writer = Make(folder_);
  bool taken = false;
  writer->Write(Numbers(2 * kSharedPieceBytes), [&] { taken = true; });
  guest_->Answer(absl::FailedPreconditionError("the program has closed it"));
  EXPECT_TRUE(taken);
  EXPECT_TRUE(guest_->idle());
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(StdinWriterTest, AWriterThatEndsLeavesNoMemory) {
  auto writer = Make(folder_);
  writer->Write(Numbers(100'000), [] {});
  ASSERT_EQ(Names().size(), 1u);
  std::ifstream kept(folder_ + "/" + Names()[0]);
  guest_->Answer();
  EXPECT_EQ(kept.seekg(0, std::ios::end).tellg(), 100'000);
  writer = nullptr;
  EXPECT_EQ(kept.seekg(0, std::ios::end).tellg(), 0);
}

TEST_F(StdinWriterTest, AWriterThatEndsLeavesNoName) {
  Make(folder_)->Write(Numbers(100'000), [] {});
  EXPECT_EQ(Names().size(), 1u);
  guest_->Close();
  EXPECT_THAT(Names(), IsEmpty());
}

}  // namespace
}  // namespace podvisor
