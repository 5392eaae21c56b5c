// That the fake behaves as the real agents do: through the client, as everybody meets it.
#include "agent/fake/fake_agent.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "agent/client/agent_client.h"
#include "base/status_matchers.h"
#include "third_party/wire/health.pb.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr absl::Duration kPatience = absl::Seconds(60);

class FakeAgentTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string path = absl::StrCat(testing::TempDir(), "/fake_test.sock");
    auto agent = FakeAgent::Create(agent_loop_, path);
    ASSERT_OK(agent);
    agent_ = *std::move(agent);
    client_ = AgentClient::Create(loop_, {.kind = GuestChannel::Kind::kUnix, .path = path});
  }

  absl::Status Do(absl::string_view method, const google::protobuf::MessageLite& request,
                  google::protobuf::MessageLite* response = nullptr) {
    grpc::CheckRequest nothing;
    return client_->Call(kAgentService, method, request, response == nullptr ? &nothing : response,
                         absl::Now() + kPatience);
  }
  absl::Status Extension(absl::string_view method, const google::protobuf::MessageLite& request,
                         google::protobuf::MessageLite* response) {
    return client_->Call(kExtensionService, method, request, response, absl::Now() + kPatience);
  }

  absl::Status Create(const std::string& id, const std::vector<std::string>& args) {
    grpc::CreateContainerRequest request;
    request.set_container_id(id);
    for (const std::string& arg : args) request.mutable_oci()->mutable_process()->add_args(arg);
    return Do("CreateContainer", request);
  }
  absl::Status Start(const std::string& id) {
    grpc::StartContainerRequest request;
    request.set_container_id(id);
    return Do("StartContainer", request);
  }
  absl::Status Remove(const std::string& id) {
    grpc::RemoveContainerRequest request;
    request.set_container_id(id);
    return Do("RemoveContainer", request);
  }
  absl::Status Exec(const std::string& id, const std::string& exec_id, const std::vector<std::string>& args) {
    grpc::ExecProcessRequest request;
    request.set_container_id(id);
    request.set_exec_id(exec_id);
    for (const std::string& arg : args) request.mutable_process()->add_args(arg);
    return Do("ExecProcess", request);
  }
  absl::Status Signal(const std::string& id, const std::string& exec_id, int signal) {
    grpc::SignalProcessRequest request;
    request.set_container_id(id);
    request.set_exec_id(exec_id);
    request.set_signal(static_cast<uint32_t>(signal));
    return Do("SignalProcess", request);
  }
  absl::StatusOr<agent::v1::ProcessState> WaitExit(const std::string& id, const std::string& exec_id,
                                                   uint32_t wait_ms) {
    agent::v1::WaitExitRequest request;
    request.set_container_id(id);
    request.set_exec_id(exec_id);
    request.set_wait_ms(wait_ms);
    agent::v1::ProcessState state;
    if (absl::Status status = Extension("WaitExit", request, &state); !status.ok()) return status;
    return state;
  }
  absl::StatusOr<agent::v1::ReadOutputResponse> ReadOutput(const std::string& id, agent::v1::Stream stream,
                                                           uint64_t offset, uint32_t wait_ms = 60000,
                                                           uint32_t max_bytes = 1 << 20) {
    agent::v1::ReadOutputRequest request;
    request.set_container_id(id);
    request.set_stream(stream);
    request.set_offset(offset);
    request.set_max_bytes(max_bytes);
    request.set_wait_ms(wait_ms);
    agent::v1::ReadOutputResponse response;
    if (absl::Status status = Extension("ReadOutput", request, &response); !status.ok()) return status;
    return response;
  }

  EventLoop agent_loop_{"fake-agent"};
  EventLoop loop_{"io"};
  std::unique_ptr<FakeAgent> agent_;
  std::unique_ptr<AgentClient> client_;
};

struct Program {
  std::string name;
  std::vector<std::string> args;
  int exit_code;
  std::string out, err;
};

class ProgramTest : public FakeAgentTest, public testing::WithParamInterface<Program> {};

TEST_P(ProgramTest, EndsByItself) {
  ASSERT_OK(Create("c", GetParam().args));
  ASSERT_OK(Start("c"));
  auto state = WaitExit("c", "", 60000);
  ASSERT_OK(state);
  EXPECT_TRUE(state->exited());
  EXPECT_EQ(state->exit_code(), GetParam().exit_code);
  EXPECT_GE(state->finished_at_ns(), state->started_at_ns());
  auto out = ReadOutput("c", agent::v1::STDOUT, 0);
  ASSERT_OK(out);
  EXPECT_EQ(out->data(), GetParam().out);
  EXPECT_TRUE(out->eof());
  EXPECT_EQ(ReadOutput("c", agent::v1::STDERR, 0)->data(), GetParam().err);
}

INSTANTIATE_TEST_SUITE_P(All, ProgramTest,
                         testing::Values(Program{"True", {"/bin/true"}, 0, "", ""},
                                         Program{"False", {"false"}, 1, "", ""},
                                         Program{"Exit", {"exit", "42"}, 42, "", ""},
                                         Program{"Echo", {"/bin/echo", "a", "b"}, 0, "a b\n", ""},
                                         Program{"Warn", {"warn", "oh"}, 0, "", "oh\n"},
                                         Program{"Sleep", {"sleep", "0.01"}, 0, "", ""},
                                         Program{"Spam", {"spam", "3", "6"}, 0, "0 xxx\n1 xxx\n2 xxx\n", ""}),
                         [](const testing::TestParamInfo<Program>& info) { return info.param.name; });

struct SignalCase {
  std::string name;
  std::vector<std::string> args;
  int signal;
  int exit_code;  // -1: runs on
};

class SignalTest : public FakeAgentTest, public testing::WithParamInterface<SignalCase> {};

TEST_P(SignalTest, EndsAsAProgramWould) {
  ASSERT_OK(Create("c", GetParam().args));
  ASSERT_OK(Start("c"));
  EXPECT_OK(Signal("c", "", GetParam().signal));
  auto state = WaitExit("c", "c", 0);
  ASSERT_OK(state);
  EXPECT_EQ(state->exited(), GetParam().exit_code >= 0);
  if (state->exited()) {
    EXPECT_EQ(state->exit_code(), GetParam().exit_code);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SignalTest,
                         testing::Values(SignalCase{"Term", {"sleep", "inf"}, 15, 143},
                                         SignalCase{"Kill", {"nginx"}, 9, 137}, SignalCase{"Winch", {"nginx"}, 28, -1},
                                         SignalCase{"Null", {"nginx"}, 0, -1},
                                         SignalCase{"StubbornTerm", {"stubborn"}, 15, -1},
                                         SignalCase{"StubbornKill", {"stubborn"}, 9, 137}),
                         [](const testing::TestParamInfo<SignalCase>& info) { return info.param.name; });

TEST_F(FakeAgentTest, ContainersHaveStates) {
  EXPECT_THAT(Start("c"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Remove("c"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Create("c", {}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_OK(Create("c", {"sleep", "inf"}));
  EXPECT_THAT(Create("c", {"sleep", "inf"}), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(Signal("c", "", 15), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Exec("c", "e", {"true"}), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_FALSE(WaitExit("c", "", 0)->started());
  EXPECT_OK(Start("c"));
  EXPECT_THAT(Start("c"), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_TRUE(WaitExit("c", "", 0)->started());
  EXPECT_THAT(WaitExit("c", "e", 0), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(Remove("c"));
  EXPECT_THAT(WaitExit("c", "", 0), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(agent_->Containers(), IsEmpty());
}

TEST_F(FakeAgentTest, RequestsCanBeLookedAt) {
  grpc::CreateContainerRequest request;
  request.set_container_id("c");
  request.mutable_oci()->mutable_process()->add_args("true");
  request.mutable_oci()->mutable_root()->set_path("/r");
  EXPECT_OK(Do("CreateContainer", request));
  EXPECT_EQ(agent_->ContainerRequest("c")->oci().root().path(), "/r");
  grpc::UpdateContainerRequest update;
  update.set_container_id("c");
  update.mutable_resources()->mutable_cpu()->set_shares(7);
  EXPECT_OK(Do("UpdateContainer", update));
  EXPECT_EQ(agent_->ContainerResources("c")->cpu().shares(), 7u);
  EXPECT_THAT(agent_->ContainerRequest("d"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(FakeAgentTest, ExecsEndWithTheContainer) {
  ASSERT_OK(Create("c", {"sleep", "inf"}));
  ASSERT_OK(Start("c"));
  EXPECT_OK(Exec("c", "e", {"sleep", "inf"}));
  EXPECT_THAT(Exec("c", "e", {"true"}), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(Exec("c", "f", {"notfound"}), StatusIs(absl::StatusCode::kInternal, "executable file not found"));
  EXPECT_OK(Exec("c", "g", {"exit", "3"}));
  EXPECT_EQ(WaitExit("c", "g", 60000)->exit_code(), 3);
  agent::v1::ReleaseExecRequest release;
  agent::v1::Empty empty;
  release.set_container_id("c");
  release.set_exec_id("e");
  EXPECT_THAT(Extension("ReleaseExec", release, &empty), StatusIs(absl::StatusCode::kFailedPrecondition));
  release.set_exec_id("g");
  EXPECT_OK(Extension("ReleaseExec", release, &empty));
  EXPECT_OK(Extension("ReleaseExec", release, &empty));
  EXPECT_OK(agent_->ExitProcess("c", "", 5));
  agent::v1::ListProcessesResponse list;
  EXPECT_OK(Extension("ListProcesses", agent::v1::ListProcessesRequest(), &list));
  std::vector<std::string> seen;
  for (const auto& process : list.processes())
    seen.push_back(absl::StrCat(process.exec_id(), "=", process.exit_code()));
  EXPECT_THAT(seen, ElementsAre("=5", "e=137"));
}

TEST_F(FakeAgentTest, AnExecInOneCall) {
  ASSERT_OK(Create("c", {"sleep", "inf"}));
  ASSERT_OK(Start("c"));
  agent::v1::RunExecRequest request;
  request.mutable_exec()->set_container_id("c");
  request.mutable_exec()->set_exec_id("e");
  request.set_wait_ms(60'000);
  const auto run = [&](const std::vector<std::string>& args) -> absl::StatusOr<agent::v1::RunExecResponse> {
    grpc::Process* process = request.mutable_exec()->mutable_process();
    process->clear_args();
    for (const std::string& arg : args) process->add_args(arg);
    agent::v1::RunExecResponse response;
    if (absl::Status status = Extension("RunExec", request, &response); !status.ok()) return status;
    return response;
  };
  for (int i = 0; i < 2; ++i) {
    auto ran = run({"echo", "hello"});
    ASSERT_OK(ran);
    EXPECT_TRUE(ran->done());
    EXPECT_EQ(ran->stdout(), "hello\n");
    EXPECT_THAT(WaitExit("c", "e", 0), StatusIs(absl::StatusCode::kNotFound));
  }
  EXPECT_THAT(run({"notfound"}), StatusIs(absl::StatusCode::kInternal, "executable file not found"));
  auto ran = run({"spam", "100000", "100"});
  ASSERT_OK(ran);
  EXPECT_FALSE(ran->done());
  request.set_wait_ms(1);
  request.mutable_exec()->set_exec_id("f");
  ran = run({"sleep", "inf"});
  ASSERT_OK(ran);
  EXPECT_FALSE(ran->done());
  EXPECT_FALSE(WaitExit("c", "f", 0)->exited());
}

TEST_F(FakeAgentTest, WaitersAreAnsweredAtTheExit) {
  ASSERT_OK(Create("c", {"sleep", "inf"}));
  ASSERT_OK(Start("c"));
  EXPECT_FALSE(WaitExit("c", "", 1)->exited());
  absl::Notification told;
  grpc::WaitProcessRequest wait;
  wait.set_container_id("c");
  client_->CallAsync(kAgentService, "WaitProcess", wait, absl::InfiniteFuture(),
                     [&](absl::StatusOr<std::string> answer) {
                       grpc::WaitProcessResponse response;
                       EXPECT_TRUE(answer.ok() && response.ParseFromString(*answer));
                       EXPECT_EQ(response.status(), 9);
                       told.Notify();
                     });
  ASSERT_TRUE(agent_->AwaitCalls("WaitProcess", 1, kPatience));
  EXPECT_OK(agent_->ExitProcess("c", "", 9));
  told.WaitForNotification();
  EXPECT_EQ(WaitExit("c", "", 0)->exit_code(), 9) << "may be asked again";
}

TEST_F(FakeAgentTest, OutputByOffsets) {
  ASSERT_OK(Create("c", {"sleep", "inf"}));
  ASSERT_OK(Start("c"));
  EXPECT_EQ(ReadOutput("c", agent::v1::STDOUT, 0, 1)->data(), "");
  EXPECT_OK(agent_->WriteOutput("c", "", FakeProcess::Stream::kStdout, "hello"));
  EXPECT_EQ(ReadOutput("c", agent::v1::STDOUT, 0)->data(), "hello");
  EXPECT_EQ(ReadOutput("c", agent::v1::STDOUT, 0)->data(), "hello") << "nothing was acknowledged";
  EXPECT_EQ(ReadOutput("c", agent::v1::STDOUT, 2, 0, 2)->data(), "ll");
  auto late = ReadOutput("c", agent::v1::STDOUT, 0);
  EXPECT_EQ(late->data(), "llo");
  EXPECT_EQ(late->offset(), 2u);
  EXPECT_FALSE(late->eof());
  EXPECT_OK(agent_->ExitProcess("c", "", 0));
  EXPECT_TRUE(ReadOutput("c", agent::v1::STDOUT, 5)->eof());
}

TEST_F(FakeAgentTest, SpamWaitsForItsReader) {
  constexpr int kLines = 40000, kBytes = 100;
  ASSERT_OK(Create("c", {"spam", std::to_string(kLines), std::to_string(kBytes)}));
  ASSERT_OK(Start("c"));
  EXPECT_FALSE(WaitExit("c", "", 0)->exited());
  std::string all;
  for (bool eof = false; !eof;) {
    auto read = ReadOutput("c", agent::v1::STDOUT, all.size());
    ASSERT_OK(read);
    ASSERT_EQ(read->offset(), all.size());
    all += read->data();
    eof = read->eof();
  }
  EXPECT_EQ(all.size(), static_cast<size_t>(kLines) * kBytes);
  EXPECT_EQ(all.substr(all.size() - kBytes, 7), "39999 x");
  EXPECT_EQ(WaitExit("c", "", 0)->exit_code(), 0);
}

TEST_F(FakeAgentTest, StockAgentHasNoExtension) {
  agent_->SetExtension(ExtensionService::kAbsent);
  ASSERT_OK(Create("c", {"spam", "4000", "100"}));
  ASSERT_OK(Start("c"));
  EXPECT_THAT(WaitExit("c", "", 0), StatusIs(absl::StatusCode::kUnimplemented));
  grpc::ReadStreamRequest read;
  read.set_container_id("c");
  read.set_len(100000);
  std::string all;
  while (true) {
    grpc::ReadStreamResponse response;
    absl::Status status = Do("ReadStdout", read, &response);
    if (!status.ok()) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "eof"));
      break;
    }
    all += response.data();
  }
  EXPECT_EQ(all.size(), 400000u);
}

TEST_F(FakeAgentTest, Stdin) {
  ASSERT_OK(Create("c", {"cat"}));
  ASSERT_OK(Start("c"));
  grpc::WriteStreamRequest write;
  write.set_container_id("c");
  write.set_data("abc");
  grpc::WriteStreamResponse written;
  EXPECT_OK(Do("WriteStdin", write, &written));
  EXPECT_EQ(written.len(), 3u);
  EXPECT_EQ(ReadOutput("c", agent::v1::STDOUT, 0)->data(), "abc");
  grpc::CloseStdinRequest close;
  close.set_container_id("c");
  EXPECT_OK(Do("CloseStdin", close));
  EXPECT_EQ(WaitExit("c", "", 60000)->exit_code(), 0);
  EXPECT_THAT(Do("WriteStdin", write, &written), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(FakeAgentTest, SandboxAndNetworkAreKept) {
  agent::v1::ConfigureSandboxRequest configure;
  configure.mutable_sandbox()->set_hostname("pod");
  configure.add_interfaces()->set_name("eth0");
  configure.add_routes()->set_gateway("10.0.0.1");
  agent::v1::Empty empty;
  EXPECT_OK(Extension("ConfigureSandbox", configure, &empty));
  EXPECT_EQ(agent_->Sandbox().hostname(), "pod");
  ASSERT_EQ(agent_->Interfaces().interfaces_size(), 1);
  EXPECT_EQ(agent_->Interfaces().interfaces(0).name(), "eth0");
  EXPECT_EQ(agent_->Routes().routes(0).gateway(), "10.0.0.1");
  EXPECT_OK(Do("DestroySandbox", grpc::DestroySandboxRequest()));
  EXPECT_EQ(agent_->Interfaces().interfaces_size(), 0);
}

TEST_F(FakeAgentTest, OomKillIsTold) {
  ASSERT_OK(Create("c", {"sleep", "inf"}));
  ASSERT_OK(Start("c"));
  EXPECT_OK(agent_->OomKill("c"));
  EXPECT_THAT(agent_->OomKill("d"), StatusIs(absl::StatusCode::kNotFound));
  grpc::OOMEvent event;
  EXPECT_OK(Do("GetOOMEvent", grpc::GetOOMEventRequest(), &event));
  EXPECT_EQ(event.container_id(), "c");
  auto state = WaitExit("c", "", 0);
  EXPECT_TRUE(state->oom_killed());
  EXPECT_EQ(state->exit_code(), 137);
}

TEST_F(FakeAgentTest, PortsSendBackWhatTheyGet) {
  agent::v1::DialPortRequest dial;
  agent::v1::DialPortResponse dialled;
  dial.set_port(1);
  EXPECT_THAT(Extension("DialPort", dial, &dialled), StatusIs(absl::StatusCode::kUnavailable));
  dial.set_port(80);
  ASSERT_OK(Extension("DialPort", dial, &dialled));
  agent::v1::WritePortRequest write;
  write.set_id(dialled.id());
  write.set_data("hello");
  write.set_eof(true);
  agent::v1::Empty empty;
  ASSERT_OK(Extension("WritePort", write, &empty));
  agent::v1::ReadPortRequest read;
  read.set_id(dialled.id());
  read.set_wait_ms(1000);
  agent::v1::ReadPortResponse got;
  ASSERT_OK(Extension("ReadPort", read, &got));
  EXPECT_EQ(got.data(), "hello");
  ASSERT_OK(Extension("ReadPort", read, &got));
  EXPECT_TRUE(got.eof());
  agent::v1::ClosePortRequest close;
  close.set_id(dialled.id());
  ASSERT_OK(Extension("ClosePort", close, &empty));
  EXPECT_THAT(Extension("ReadPort", read, &got), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(FakeAgentTest, StatsOfAll) {
  ASSERT_OK(Create("c", {"sleep", "inf"}));
  ASSERT_OK(Start("c"));
  agent::v1::GetStatsResponse stats;
  ASSERT_OK(Extension("GetStats", agent::v1::GetStatsRequest(), &stats));
  ASSERT_EQ(stats.containers_size(), 1);
  EXPECT_GT(stats.containers(0).cgroup().memory_bytes(), 0u);
}

TEST_F(FakeAgentTest, RebootForgetsAll) {
  ASSERT_OK(Create("c", {"sleep", "inf"}));
  agent::v1::HelloResponse before, again, after;
  EXPECT_OK(Extension("Hello", agent::v1::HelloRequest(), &before));
  EXPECT_OK(Extension("Hello", agent::v1::HelloRequest(), &again));
  EXPECT_EQ(before.boot_id(), again.boot_id());
  agent_->Reboot();
  ASSERT_OK(client_->WaitReady(absl::Now() + kPatience));
  EXPECT_OK(Extension("Hello", agent::v1::HelloRequest(), &after));
  EXPECT_NE(before.boot_id(), after.boot_id());
  EXPECT_THAT(agent_->Containers(), IsEmpty());
}

TEST_F(FakeAgentTest, HungCallsAreReleasedOrLost) {
  agent_->HangNext("CreateContainer", 2);
  absl::Notification done;
  grpc::CreateContainerRequest request;
  request.set_container_id("c");
  request.mutable_oci()->mutable_process()->add_args("true");
  client_->CallAsync(kAgentService, "CreateContainer", request, absl::InfiniteFuture(),
                     [&](const absl::StatusOr<std::string>& answer) {
                       EXPECT_OK(answer);
                       done.Notify();
                     });
  ASSERT_TRUE(agent_->AwaitCalls("CreateContainer", 1, kPatience));
  EXPECT_THAT(agent_->Containers(), IsEmpty());
  // Counted before it is put aside, and both happen in the loop: this call comes after.
  EXPECT_OK(Do("GetMetrics", grpc::GetMetricsRequest()));
  agent_->ReleaseHung(HangOutcome::kAnswered);
  done.WaitForNotification();
  EXPECT_THAT(agent_->Containers(), ElementsAre("c"));
}

}  // namespace
}  // namespace podvisor
