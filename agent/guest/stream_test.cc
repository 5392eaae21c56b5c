// Output, input, terminals and waiting, with the real agent outside of a VM.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "agent/guest/testing/agent_process.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "third_party/wire/health.pb.h"

namespace podvisor::guest {
namespace {

using absl::StatusCode;
using podvisor::agent::v1::STDERR;
using testing::HasSubstr;

constexpr char kService[] = "grpc.AgentService";
constexpr char kExtension[] = "podvisor.agent.v1.Extension";

class StreamTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = AgentProcess::WhyNot(); !why.empty()) GTEST_SKIP() << why;
    agent_ = std::make_unique<AgentProcess>();
  }

  void Run(const std::string& script) {
    ASSERT_OK(agent_->Create(agent_->Request("c1", {"sh", "-c", script})));
    ASSERT_OK(agent_->Start("c1"));
  }
  static grpc::ReadStreamRequest ReadRequest(uint32_t len) {
    grpc::ReadStreamRequest request;
    request.set_container_id("c1");
    request.set_len(len);
    return request;
  }
  absl::Status WriteStdin(const std::string& data) {
    grpc::WriteStreamRequest request;
    request.set_container_id("c1");
    request.set_data(data);
    grpc::WriteStreamResponse response;
    const absl::Status status = agent_->client().Call(kService, "WriteStdin", request, &response);
    if (status.ok()) {
      EXPECT_EQ(response.len(), data.size());
    }
    return status;
  }
  absl::Status WriteStdinFile(const std::string& path, size_t size, uint64_t offset = 0) {
    podvisor::agent::v1::WriteStdinFileRequest request;
    request.set_container_id("c1");
    request.set_path(path);
    request.set_offset(offset);
    request.set_size(static_cast<uint32_t>(size));
    podvisor::agent::v1::WriteStdinFileResponse response;
    const absl::Status status = agent_->client().Call(kExtension, "WriteStdinFile", request, &response);
    if (status.ok()) {
      EXPECT_EQ(response.len(), size);
    }
    return status;
  }
  absl::Status CloseStdin() {
    grpc::CloseStdinRequest request;
    request.set_container_id("c1");
    return agent_->Do("CloseStdin", request);
  }
  // ReadStdout until the end.
  std::string TakeAll() {
    std::string output;
    grpc::ReadStreamResponse response;
    while (agent_->client().Call(kService, "ReadStdout", ReadRequest(65536), &response).ok()) output += response.data();
    return output;
  }

  std::unique_ptr<AgentProcess> agent_;
};

TEST_F(StreamTest, UnacknowledgedOutputSurvivesTheClient) {
  Run("echo one; echo two");
  EXPECT_EQ(agent_->WaitExit("c1").exit_code(), 0);
  EXPECT_EQ(agent_->ReadOutput("c1", "", 0, 4, 60'000).data(), "one\n");
  const auto second = agent_->Connect();
  podvisor::agent::v1::ReadOutputRequest request;
  request.set_container_id("c1");
  request.set_max_bytes(100);
  podvisor::agent::v1::ReadOutputResponse response;
  ASSERT_OK(second->Call(kExtension, "ReadOutput", request, &response));
  EXPECT_EQ(response.data(), "one\ntwo\n");
  EXPECT_TRUE(response.eof());
  // Asking for byte 4 gives up those before it.
  EXPECT_EQ(agent_->ReadOutput("c1", "", 4, 100, 0).data(), "two\n");
  const auto again = agent_->ReadOutput("c1", "", 0, 100, 0);
  EXPECT_EQ(again.offset(), 4u);
  EXPECT_EQ(again.data(), "two\n");
  request.set_offset(9);
  EXPECT_THAT(second->Call(kExtension, "ReadOutput", request, &response), StatusIs(StatusCode::kOutOfRange));
}

TEST_F(StreamTest, MegabyteComesThroughInOrder) {
  Run("seq 1 150000");
  std::string expected;
  for (int i = 1; i <= 150000; ++i) expected += std::to_string(i) + "\n";
  EXPECT_EQ(agent_->Output("c1"), expected);
}

TEST_F(StreamTest, FullBufferHoldsTheProgramBack) {
  Run("seq 1 150000; echo done >&2");
  // The program writes about 940 kB; 512 KiB and the pipe of 256 KiB is all that fits before somebody reads.
  podvisor::agent::v1::ReadOutputRequest request;
  request.set_container_id("c1");
  request.set_stream(STDERR);
  request.set_max_bytes(10);
  request.set_wait_ms(300);
  podvisor::agent::v1::ReadOutputResponse response;
  ASSERT_OK(agent_->client().Call(kExtension, "ReadOutput", request, &response));
  EXPECT_EQ(response.data(), "");
  EXPECT_FALSE(response.eof());
  EXPECT_EQ(TakeAll().size(), 938'895u);
  EXPECT_EQ(agent_->Output("c1", "", STDERR), "done\n");
}

TEST_F(StreamTest, PlainReadBlocksUntilDataAndThenEnds) {
  Run("cat");
  const auto reader = agent_->Connect();
  const uint32_t call = reader->Send(kService, "ReadStdout", ReadRequest(100));
  ASSERT_OK(WriteStdin("hello\n"));
  grpc::ReadStreamResponse response;
  ASSERT_OK(reader->Receive(call, &response));
  EXPECT_EQ(response.data(), "hello\n");
  ASSERT_OK(CloseStdin());
  EXPECT_THAT(reader->Call(kService, "ReadStdout", ReadRequest(100), &response),
              StatusIs(StatusCode::kInvalidArgument, "eof"));
  EXPECT_EQ(agent_->WaitExit("c1").exit_code(), 0);
  EXPECT_THAT(WriteStdin("more"), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(StreamTest, ReaderThatWentAwayTakesNothing) {
  Run("cat");
  {
    const auto reader = agent_->Connect();
    reader->Send(kService, "ReadStdout", ReadRequest(100));
    grpc::HealthCheckResponse health;  // the agent has the read, too
    ASSERT_OK(reader->Call("grpc.Health", "Check", grpc::CheckRequest(), &health));
  }
  ASSERT_OK(WriteStdin("precious\n"));
  ASSERT_OK(CloseStdin());
  EXPECT_EQ(TakeAll(), "precious\n");
}

TEST_F(StreamTest, LargeInputIsWrittenAsTheProgramReads) {
  Run("sleep 0.2; wc -c");
  ASSERT_OK(WriteStdin(std::string(3'000'000, 'x')));
  ASSERT_OK(CloseStdin());
  EXPECT_EQ(agent_->Output("c1"), "3000000\n");
}

TEST_F(StreamTest, InputOfAFileComesInOrderWithTheRest) {
  // Slow at first: the pieces do not fit into the pipe.
  Run("sleep 0.2; cat >/all; wc -c </all; md5sum </all");
  const std::string path = agent_->folder() + "/piece";
  std::string all;
  for (int i = 0; i < 6; ++i) {
    std::string piece;
    while (piece.size() < 250'000) piece += std::to_string(i * 1'000'000 + static_cast<int>(piece.size())) + "\n";
    std::ofstream(path) << piece << "left over";  // over the last one, while the agent has it open
    ASSERT_OK(WriteStdinFile(path, piece.size()));
    ASSERT_OK(WriteStdin("between\n"));
    all += piece + "between\n";
  }
  ASSERT_OK(CloseStdin());
  std::ofstream(agent_->folder() + "/expected") << all;
  EXPECT_EQ(agent_->Output("c1").substr(0, 8), std::to_string(all.size()) + "\n");
  std::ifstream got(agent_->rootfs() + "/all");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(got), {}), all);
}

TEST_F(StreamTest, AFileStaysOpenWithoutItsName) {
  Run("cat");
  const std::string path = agent_->folder() + "/piece";
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::pwrite(file, "one\n", 4, 0), 4);
  ASSERT_OK(WriteStdinFile(path, 4));
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::pwrite(file, "two\n", 4, 0), 4);
  ASSERT_OK(WriteStdinFile(path, 4));
  ASSERT_OK(WriteStdinFile(path, 3, 1));
  ASSERT_OK(CloseStdin());
  EXPECT_EQ(agent_->Output("c1"), "one\ntwo\nwo\n");
  EXPECT_THAT(WriteStdinFile(path, 4), StatusIs(StatusCode::kFailedPrecondition, "closed"));
  ::close(file);
}

TEST_F(StreamTest, AFileThatCannotBeReadIsWrittenByNobody) {
  Run("cat");
  const std::string path = agent_->folder() + "/piece";
  EXPECT_THAT(WriteStdinFile(path, 4), StatusIs(StatusCode::kUnimplemented, path));
  EXPECT_THAT(WriteStdinFile(agent_->folder(), 4), StatusIs(StatusCode::kUnimplemented));
  std::ofstream(path) << "short";
  EXPECT_THAT(WriteStdinFile(path, 6), StatusIs(StatusCode::kUnimplemented, "5 bytes from 0 on, not 6"));
  EXPECT_THAT(WriteStdinFile(path, 2 << 20), StatusIs(StatusCode::kInvalidArgument, "at most"));
  ASSERT_OK(WriteStdin("and on\n"));
  ASSERT_OK(CloseStdin());
  EXPECT_EQ(agent_->Output("c1"), "and on\n");
}

TEST_F(StreamTest, AProgramThatDoesNotReadFailsTheFile) {
  Run("exec <&-; echo closed; sleep 100");
  EXPECT_EQ(agent_->ReadOutput("c1", "", 0, 7, 60'000).data(), "closed\n");
  const std::string path = agent_->folder() + "/piece";
  std::ofstream(path) << "word";
  EXPECT_THAT(WriteStdinFile(path, 4), StatusIs(StatusCode::kFailedPrecondition, "closed"));
}

TEST_F(StreamTest, TerminalOfAContainer) {
  auto request = agent_->Request("c1", {"sh", "-c",
                                        "test -t 0 && echo tty; stty size; test -c /dev/console && read x;"
                                        "echo got $x; stty size"});
  grpc::Process* process = request.mutable_oci()->mutable_process();
  process->set_terminal(true);
  process->mutable_consolesize()->set_height(33);
  process->mutable_consolesize()->set_width(99);
  ASSERT_OK(agent_->Create(request));
  ASSERT_OK(agent_->Start("c1"));
  std::string output;
  while (output.find("33 99\r\n") == std::string::npos) {
    const auto more = agent_->ReadOutput("c1", "", output.size(), 1000, 60'000);
    ASSERT_FALSE(more.eof()) << output;
    output += more.data();
  }
  EXPECT_THAT(output, HasSubstr("tty\r\n"));
  grpc::TtyWinResizeRequest resize;
  resize.set_container_id("c1");
  resize.set_row(11);
  resize.set_column(22);
  ASSERT_OK(agent_->Do("TtyWinResize", resize));
  EXPECT_THAT(WriteStdinFile("/dev/null", 1), StatusIs(StatusCode::kUnimplemented, "terminal"));
  ASSERT_OK(WriteStdin("word\n"));
  std::string rest;
  podvisor::agent::v1::ReadOutputResponse more;
  while (!more.eof()) {
    more = agent_->ReadOutput("c1", "", output.size() + rest.size(), 1000, 60'000);
    rest += more.data();
  }
  EXPECT_THAT(rest, HasSubstr("got word\r\n11 22\r\n"));
}

TEST_F(StreamTest, TerminalOfAnExec) {
  Run("sleep 1000");
  grpc::Process process = agent_->Request("x", {"sh", "-c", "test -t 1 && echo tty; ps | wc -l"}).oci().process();
  process.set_terminal(true);
  ASSERT_OK(agent_->Exec("c1", "e1", process));
  EXPECT_THAT(agent_->Output("c1", "e1"), HasSubstr("tty\r\n"));
  grpc::TtyWinResizeRequest resize;
  resize.set_container_id("c1");
  EXPECT_THAT(agent_->Do("TtyWinResize", resize), StatusIs(StatusCode::kFailedPrecondition, "no terminal"));
}

TEST_F(StreamTest, ExecSeesTheContainerAndItsStatusIsTakenOnce) {
  Run("echo $$ > /tmp/init; sleep 1000");
  auto process = agent_->Request("x", {"sh", "-c", "cat /proc/1/cmdline; exit 9"}).oci().process();
  ASSERT_OK(agent_->Exec("c1", "e1", process));
  EXPECT_THAT(agent_->Exec("c1", "e1", process), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(agent_->Output("c1", "e1"), HasSubstr("sleep"));
  grpc::WaitProcessRequest wait;
  wait.set_container_id("c1");
  wait.set_exec_id("e1");
  grpc::WaitProcessResponse response;
  ASSERT_OK(agent_->client().Call(kService, "WaitProcess", wait, &response));
  EXPECT_EQ(response.status(), 9);
  EXPECT_THAT(agent_->client().Call(kService, "WaitProcess", wait, &response), StatusIs(StatusCode::kNotFound, "e1"));
}

TEST_F(StreamTest, WaitersOfOneConnectionDoNotBlockIt) {
  Run("read line; exit 4");
  TtrpcTestClient& client = agent_->client();
  grpc::WaitProcessRequest wait;
  wait.set_container_id("c1");
  const uint32_t waiting = client.Send(kService, "WaitProcess", wait);
  const uint32_t reading = client.Send(kService, "ReadStdout", ReadRequest(10));
  ASSERT_OK(WriteStdin("x\n"));
  grpc::WaitProcessResponse response;
  ASSERT_OK(client.Receive(waiting, &response));
  EXPECT_EQ(response.status(), 4);
  grpc::ReadStreamResponse read;
  EXPECT_THAT(client.Receive(reading, &read), StatusIs(StatusCode::kInvalidArgument));
  // A container's own status may be asked for again.
  EXPECT_OK(client.Call(kService, "WaitProcess", wait, &response));
}

TEST_F(StreamTest, ListAndRelease) {
  Run("sleep 1000");
  ASSERT_OK(agent_->Exec("c1", "e1", agent_->Request("x", {"sleep", "1000"}).oci().process()));
  podvisor::agent::v1::ReleaseExecRequest release;
  release.set_container_id("c1");
  release.set_exec_id("e1");
  podvisor::agent::v1::Empty empty;
  EXPECT_THAT(agent_->client().Call(kExtension, "ReleaseExec", release, &empty),
              StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_OK(agent_->Signal("c1", "e1", SIGTERM));
  EXPECT_EQ(agent_->WaitExit("c1", "e1").exit_code(), 143);
  podvisor::agent::v1::ListProcessesResponse list;
  ASSERT_OK(agent_->client().Call(kExtension, "ListProcesses", podvisor::agent::v1::ListProcessesRequest(), &list));
  ASSERT_EQ(list.processes_size(), 2);
  EXPECT_FALSE(list.processes(0).exited());
  EXPECT_TRUE(list.processes(1).exited());
  EXPECT_OK(agent_->client().Call(kExtension, "ReleaseExec", release, &empty));
  EXPECT_OK(agent_->client().Call(kExtension, "ReleaseExec", release, &empty));  // unknown: success
}

}  // namespace
}  // namespace podvisor::guest
