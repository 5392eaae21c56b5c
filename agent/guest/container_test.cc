// The real agent, outside of a VM, with real containers.
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "agent/guest/testing/agent_process.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

using absl::StatusCode;
using podvisor::agent::v1::STDERR;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ContainerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = AgentProcess::WhyNot(); !why.empty()) GTEST_SKIP() << why;
    agent_ = std::make_unique<AgentProcess>();
  }

  grpc::CreateContainerRequest Shell(const std::string& script) const {
    return agent_->Request("c1", {"sh", "-c", script});
  }
  // Creates, starts, waits; returns what it wrote.
  std::string Run(const grpc::CreateContainerRequest& request, int exit_code = 0) {
    EXPECT_OK(agent_->Create(request));
    EXPECT_OK(agent_->Start(request.container_id()));
    const std::string output = agent_->Output(request.container_id());
    EXPECT_EQ(agent_->WaitExit(request.container_id()).exit_code(), exit_code)
        << output << agent_->Output(request.container_id(), "", STDERR);
    return output;
  }
  void RunningSleeper() {
    ASSERT_OK(agent_->Create(agent_->Request("c1", {"sleep", "1000"})));
    ASSERT_OK(agent_->Start("c1"));
  }
  grpc::Process ExecOf(const std::vector<std::string>& args) const {
    return agent_->Request("x", args).oci().process();
  }

  std::unique_ptr<AgentProcess> agent_;
};

TEST_F(ContainerTest, RunsAndReportsOutputAndExitCode) {
  EXPECT_EQ(Run(Shell("echo out; echo err >&2; exit 7"), 7), "out\n");
  EXPECT_EQ(agent_->Output("c1", "", STDERR), "err\n");
  const auto state = agent_->WaitExit("c1");  // the result is kept
  EXPECT_EQ(state.exit_code(), 7);
  EXPECT_TRUE(state.started());
  EXPECT_GT(state.started_at_ns(), 0);
  EXPECT_GE(state.finished_at_ns(), state.started_at_ns());
  EXPECT_OK(agent_->Remove("c1"));
  EXPECT_THAT(agent_->Remove("c1"), StatusIs(StatusCode::kNotFound, "c1"));
}

TEST_F(ContainerTest, HasItsOwnPidAndMountNamespace) {
  const std::string output = Run(Shell("echo pid=$$; ls /; mount | grep -c kata-containers"), 1);
  EXPECT_THAT(output, HasSubstr("pid=1\n"));
  EXPECT_THAT(output, HasSubstr("\n0\n"));
  EXPECT_THAT(output, Not(HasSubstr("boot")));
}

TEST_F(ContainerTest, DevicesAndLinks) {
  EXPECT_EQ(
      Run(Shell("for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done;"
                "for l in ptmx fd stdout; do readlink /dev/$l; done; echo x > /dev/null; head -c 3 /dev/zero | wc -c")),
      "pts/ptmx\n/proc/self/fd\n/proc/self/fd/1\n3\n");
}

podvisor::agent::v1::RunExecRequest RunRequest(const grpc::Process& process, uint32_t wait_ms = 60'000) {
  podvisor::agent::v1::RunExecRequest request;
  request.mutable_exec()->set_container_id("c1");
  request.mutable_exec()->set_exec_id("run");
  *request.mutable_exec()->mutable_process() = process;
  request.set_wait_ms(wait_ms);
  return request;
}

TEST_F(ContainerTest, AnExecInOneCallHasOutputAndExitCode) {
  RunningSleeper();
  podvisor::agent::v1::RunExecResponse ran;
  // Nothing can be typed to it; its id is free after each.
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(agent_->RunExec(RunRequest(ExecOf({"sh", "-c", "cat; echo out; echo err >&2; exit 9"})), &ran));
    EXPECT_TRUE(ran.done());
    EXPECT_EQ(ran.exit_code(), 9);
    EXPECT_EQ(ran.stdout(), "out\n");
    EXPECT_EQ(ran.stderr(), "err\n");
  }
  ASSERT_OK(agent_->RunExec(RunRequest(ExecOf({"sh", "-c", "kill -9 $$"})), &ran));
  EXPECT_TRUE(ran.done());
  EXPECT_EQ(ran.exit_code(), 137);
}

TEST_F(ContainerTest, AnExecInOneCallGivesMuchOutputToReaders) {
  RunningSleeper();
  podvisor::agent::v1::RunExecResponse ran;
  ASSERT_OK(agent_->RunExec(RunRequest(ExecOf({"sh", "-c", "yes | head -c 3000000; exit 4"})), &ran));
  EXPECT_FALSE(ran.done());
  EXPECT_EQ(ran.stdout(), "");
  EXPECT_EQ(agent_->Output("c1", "run").size(), 3'000'000u);
  EXPECT_EQ(agent_->WaitExit("c1", "run").exit_code(), 4);
}

TEST_F(ContainerTest, AnExecInOneCallIsLeftRunning) {
  RunningSleeper();
  podvisor::agent::v1::RunExecResponse ran;
  ASSERT_OK(agent_->RunExec(RunRequest(ExecOf({"sh", "-c", "echo early; sleep 1000"}), 1), &ran));
  EXPECT_FALSE(ran.done());
  EXPECT_EQ(agent_->ReadOutput("c1", "run", 0, 100, 60'000).data(), "early\n");
  ASSERT_OK(agent_->Signal("c1", "run", SIGKILL));
  EXPECT_EQ(agent_->WaitExit("c1", "run").exit_code(), 137);
}

// It has ended, but what it left behind may still write.
TEST_F(ContainerTest, AnExecInOneCallWithOpenOutputIsNotDone) {
  RunningSleeper();
  podvisor::agent::v1::RunExecResponse ran;
  ASSERT_OK(agent_->RunExec(RunRequest(ExecOf({"sh", "-c", "sleep 1000 & echo $!; exit 2"})), &ran));
  EXPECT_FALSE(ran.done());
  EXPECT_EQ(agent_->WaitExit("c1", "run").exit_code(), 2);
  EXPECT_THAT(agent_->ReadOutput("c1", "run", 0, 100, 60'000).data(), Not(testing::IsEmpty()));
}

struct BadProgram {
  const char* name;
  std::vector<std::string> args;
  StatusCode code;
  const char* message;
};

class BadProgramTest : public ContainerTest, public testing::WithParamInterface<BadProgram> {};

TEST_P(BadProgramTest, IsReportedByStartAndByExecs) {
  ASSERT_OK(agent_->Create(agent_->Request("bad", GetParam().args)));
  EXPECT_THAT(agent_->Start("bad"), StatusIs(GetParam().code, GetParam().message));
  EXPECT_OK(agent_->Remove("bad"));
  RunningSleeper();
  EXPECT_THAT(agent_->Exec("c1", "e1", ExecOf(GetParam().args)), StatusIs(GetParam().code, GetParam().message));
  podvisor::agent::v1::RunExecResponse ran;
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(agent_->RunExec(RunRequest(ExecOf(GetParam().args)), &ran),
                StatusIs(GetParam().code, GetParam().message));
  }
  // Its id is free again.
  EXPECT_OK(agent_->Exec("c1", "e1", ExecOf({"true"})));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadProgramTest,
    testing::Values(BadProgram{"NotInPath",
                               {"nosuch"},
                               StatusCode::kNotFound,
                               "exec: \"nosuch\": executable file not found in $PATH"},
                    BadProgram{"NoSuchFile",
                               {"/no/such"},
                               StatusCode::kNotFound,
                               "exec: \"/no/such\": stat /no/such: no such file or directory"},
                    BadProgram{"NotExecutable",
                               {"/etc/notexecutable"},
                               StatusCode::kPermissionDenied,
                               "exec: \"/etc/notexecutable\": permission denied"},
                    BadProgram{"Folder", {"/etc"}, StatusCode::kPermissionDenied, "exec: \"/etc\": is a directory"},
                    BadProgram{"Garbage", {"/bin/garbage"}, StatusCode::kInvalidArgument, "exec format error"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(ContainerTest, WorkingDirectoryIsMadeOrRefused) {
  auto request = Shell("pwd");
  request.mutable_oci()->mutable_process()->set_cwd("/made/for/it");
  EXPECT_EQ(Run(request), "/made/for/it\n");
  request.set_container_id("c2");
  request.mutable_oci()->mutable_process()->set_cwd("/etc/passwd");
  ASSERT_OK(agent_->Create(request));
  EXPECT_THAT(agent_->Start("c2").message(), HasSubstr("/etc/passwd"));
}

TEST_F(ContainerTest, UserByNumber) {
  auto request = Shell("id -u; id -g; id -G; echo $HOME; echo x > /dev/stdout");
  grpc::User* user = request.mutable_oci()->mutable_process()->mutable_user();
  user->set_uid(1000);
  user->set_gid(1000);
  user->add_additionalgids(7);
  EXPECT_EQ(Run(request), "1000\n1000\n1000 7\n/home/alice\nx\n");
}

TEST_F(ContainerTest, UserByNameOfTheImage) {
  auto request = Shell("id -u; id -g; id -G");
  request.mutable_oci()->mutable_process()->mutable_user()->set_username("alice");
  EXPECT_EQ(Run(request), "1000\n1000\n1000 50\n");
  request.set_container_id("c2");
  request.mutable_oci()->mutable_process()->mutable_user()->set_username("alice:staff");
  EXPECT_THAT(Run(request), HasSubstr("1000\n50\n"));
  request.set_container_id("c3");
  request.mutable_oci()->mutable_process()->mutable_user()->set_username("nobody-here");
  ASSERT_OK(agent_->Create(request));
  EXPECT_THAT(agent_->Start("c3"), StatusIs(StatusCode::kInvalidArgument, "unable to find user nobody-here"));
}

TEST_F(ContainerTest, CapabilitiesAreDropped) {
  auto request = Shell("grep Cap /proc/self/status; hostname x 2>/dev/null && echo may");
  const std::string output = Run(request, 1);
  EXPECT_THAT(output, HasSubstr("CapEff:\t00000000a80425fb"));
  EXPECT_THAT(output, HasSubstr("CapBnd:\t00000000a80425fb"));
  EXPECT_THAT(output, Not(HasSubstr("may")));

  request = Shell("grep -E 'CapEff|CapAmb|NoNew' /proc/self/status");
  request.set_container_id("c2");
  grpc::Process* process = request.mutable_oci()->mutable_process();
  process->mutable_user()->set_uid(1000);
  process->set_nonewprivileges(true);
  process->mutable_capabilities()->add_inheritable("CAP_NET_RAW");
  process->mutable_capabilities()->add_ambient("CAP_NET_RAW");
  EXPECT_EQ(Run(request), "CapEff:\t0000000000002000\nCapAmb:\t0000000000002000\nNoNewPrivs:\t1\n");
}

TEST_F(ContainerTest, SeccompFilterOfTheSpec) {
  for (const bool no_new_privileges : {false, true}) {
    auto request = Shell("mkdir /tmp/x$$ 2>&1; grep Seccomp: /proc/self/status");
    request.set_container_id(no_new_privileges ? "with" : "without");
    request.mutable_oci()->mutable_process()->set_nonewprivileges(no_new_privileges);
    grpc::LinuxSeccomp* seccomp = request.mutable_oci()->mutable_linux()->mutable_seccomp();
    seccomp->set_defaultaction("SCMP_ACT_ALLOW");
    seccomp->add_architectures("SCMP_ARCH_X86_64");
    grpc::LinuxSyscall* rule = seccomp->add_syscalls();
    rule->add_names("mkdir");
    rule->add_names("mkdirat");
    rule->add_names("no_such_call_yet");
    rule->set_action("SCMP_ACT_ERRNO");
    rule->set_errnoret(EXDEV);
    const std::string output = Run(request);
    EXPECT_THAT(output, HasSubstr("link"));  // Invalid cross-device link
    EXPECT_THAT(output, HasSubstr("Seccomp:\t2"));
  }
  auto request = Shell("true");
  request.mutable_oci()->mutable_linux()->mutable_seccomp()->set_defaultaction("SCMP_ACT_WHATEVER");
  EXPECT_THAT(agent_->Create(request), StatusIs(StatusCode::kInvalidArgument, "SCMP_ACT_WHATEVER"));
}

TEST_F(ContainerTest, ReadOnlyRootMaskedAndReadOnlyPaths) {
  auto request = Shell(
      "touch /x 2>/dev/null && echo root writable; touch /tmp/y && echo tmp writable;"
      "cat /etc/group; ls /proc/scsi /home | wc -l; echo 1 > /proc/sys/vm/compact_memory 2>/dev/null && echo sys;"
      "touch /tmp/ro/x 2>/dev/null || echo ro");
  grpc::Spec* spec = request.mutable_oci();
  spec->mutable_root()->set_readonly(true);
  grpc::Mount* tmp = spec->add_mounts();
  tmp->set_destination("/tmp");
  tmp->set_type("tmpfs");
  const std::string shared = agent_->folder() + "/shared";
  std::filesystem::create_directories(shared);
  grpc::Mount* bound = spec->add_mounts();
  bound->set_destination("/tmp/ro");
  bound->set_source(shared);
  bound->add_options("rbind");
  bound->add_options("ro");
  for (const char* path : {"/etc/group", "/home", "/proc/no-such-file"}) spec->mutable_linux()->add_maskedpaths(path);
  spec->mutable_linux()->add_readonlypaths("/proc/sys");
  const std::string output = Run(request);
  EXPECT_THAT(output, StartsWith("tmp writable\n"));
  EXPECT_THAT(output, Not(HasSubstr("root writable")));
  EXPECT_THAT(output, Not(HasSubstr("alice")));
  EXPECT_THAT(output, Not(HasSubstr("sys\n")));
  EXPECT_THAT(output, HasSubstr("ro\n"));
}

TEST_F(ContainerTest, BindMountsOfFilesAndFolders) {
  const std::string file = agent_->folder() + "/hosts";
  std::ofstream(file) << "1.2.3.4 somewhere\n";
  auto request = Shell("cat /etc/hosts; echo more >> /etc/hosts");
  grpc::Mount* mount = request.mutable_oci()->add_mounts();
  mount->set_destination("/etc/hosts");
  mount->set_type("bind");
  mount->set_source(file);
  mount->add_options("rprivate");
  EXPECT_EQ(Run(request), "1.2.3.4 somewhere\n");
  std::string text((std::istreambuf_iterator<char>(std::ifstream(file).rdbuf())), {});
  EXPECT_THAT(text, HasSubstr("more"));

  request.set_container_id("c2");
  request.mutable_oci()->mutable_mounts(request.oci().mounts_size() - 1)->set_source("/no/such/source");
  EXPECT_THAT(agent_->Create(request), StatusIs(StatusCode::kNotFound, "/no/such/source"));
  // Nothing is left of it.
  EXPECT_THAT(agent_->Remove("c2"), StatusIs(StatusCode::kNotFound));
}

TEST_F(ContainerTest, MountDestinationsStayInside) {
  std::filesystem::create_symlink("/../../../../tmp", agent_->rootfs() + "/escape");
  auto request = Shell("ls /tmp; echo; cat /proc/mounts | grep inside");
  grpc::Mount* mount = request.mutable_oci()->add_mounts();
  mount->set_destination("/escape/inside");
  mount->set_type("tmpfs");
  mount->set_source("inside");
  EXPECT_THAT(Run(request), StartsWith("inside\n"));
  EXPECT_FALSE(std::filesystem::exists("/tmp/inside"));
}

TEST_F(ContainerTest, RlimitsOomScoreHostnameSysctl) {
  auto request = Shell("ulimit -n; cat /proc/self/oom_score_adj; hostname; cat /proc/sys/kernel/shm_rmid_forced");
  grpc::Spec* spec = request.mutable_oci();
  grpc::POSIXRlimit* limit = spec->mutable_process()->add_rlimits();
  limit->set_type("RLIMIT_NOFILE");
  limit->set_soft(77);
  limit->set_hard(99);
  spec->mutable_process()->set_oomscoreadj(321);
  spec->set_hostname("my-pod");
  (*spec->mutable_linux()->mutable_sysctl())["kernel.shm_rmid_forced"] = "1";
  EXPECT_EQ(Run(request), "77\n321\nmy-pod\n1\n");
}

TEST_F(ContainerTest, SignalsAndStates) {
  EXPECT_THAT(agent_->Start("c1"), StatusIs(StatusCode::kNotFound, "c1"));
  const auto request = agent_->Request("c1", {"sleep", "1000"});
  ASSERT_OK(agent_->Create(request));
  EXPECT_THAT(agent_->Create(request), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(agent_->Exec("c1", "e", ExecOf({"true"})), StatusIs(StatusCode::kFailedPrecondition, "created"));
  ASSERT_OK(agent_->Start("c1"));
  EXPECT_THAT(agent_->Start("c1"), StatusIs(StatusCode::kFailedPrecondition, "running"));
  EXPECT_THAT(agent_->Signal("c1", "", 99), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_OK(agent_->Signal("c1", "c1", SIGKILL));
  EXPECT_EQ(agent_->WaitExit("c1").exit_code(), 137);
  EXPECT_OK(agent_->Signal("c1", "", SIGKILL));
  EXPECT_THAT(agent_->Exec("c1", "e", ExecOf({"true"})), StatusIs(StatusCode::kFailedPrecondition, "exited"));
}

TEST_F(ContainerTest, RefusesBadRequests) {
  EXPECT_THAT(agent_->Create(agent_->Request("../x", {"true"})), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(agent_->Create(agent_->Request("", {"true"})), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(agent_->Create(agent_->Request("c1", {})), StatusIs(StatusCode::kInvalidArgument, "no arguments"));
  auto request = agent_->Request("c1", {"true"});
  request.mutable_oci()->mutable_hooks()->add_prestart()->set_path("/hook");
  EXPECT_THAT(agent_->Create(request), StatusIs(StatusCode::kUnimplemented, "hooks"));
  request = agent_->Request("c1", {"true"});
  request.add_storages()->set_driver("teleport");
  EXPECT_THAT(agent_->Create(request), StatusIs(StatusCode::kInvalidArgument, "teleport"));
  request = agent_->Request("c1", {"true"});
  request.mutable_oci()->mutable_root()->set_path(agent_->folder() + "/nosuch");
  EXPECT_THAT(agent_->Create(request), StatusIs(StatusCode::kNotFound, "nosuch"));
}

TEST_F(ContainerTest, KilledContainerTakesItsChildrenAlong) {
  ASSERT_OK(agent_->Create(Shell("sleep 1000 & sleep 1000 & echo started; wait")));
  ASSERT_OK(agent_->Start("c1"));
  EXPECT_EQ(agent_->ReadOutput("c1", "", 0, 100, 60'000).data(), "started\n");
  ASSERT_OK(agent_->Signal("c1", "", SIGKILL));
  // The children hold the output open: it ends because they do.
  EXPECT_EQ(agent_->Output("c1"), "started\n");
  EXPECT_EQ(agent_->WaitExit("c1").exit_code(), 137);
}

TEST_F(ContainerTest, SharedPidNamespace) {
  auto first = agent_->Request("first", {"sleep", "12345"});
  auto second = agent_->Request("second", {"sh", "-c", "echo me=$$; ps | grep -c 'sleep 1234[5]'; sleep 77 & exit 3"});
  first.set_sandbox_pidns(true);
  second.set_sandbox_pidns(true);
  ASSERT_OK(agent_->Create(first));
  ASSERT_OK(agent_->Start("first"));
  const std::string output = Run(second, 3);  // the sleep it leaves behind does not keep its output open
  EXPECT_THAT(output, Not(HasSubstr("me=1\n")));
  EXPECT_THAT(output, HasSubstr("\n1\n"));
  EXPECT_OK(agent_->Remove("second"));
  EXPECT_OK(agent_->Remove("first"));
}

TEST_F(ContainerTest, OverlayRootOnMissingFolders) {
  auto request = Shell("echo changed > /etc/motd; cat /etc/motd; ls /bin/busybox");
  grpc::Storage* storage = request.add_storages();
  const std::string base = "/run/kata-containers/c1";
  storage->set_driver("overlayfs");
  storage->set_source("overlay");
  storage->set_fstype("overlay");
  storage->set_mount_point(base + "/rootfs");
  storage->add_options("lowerdir=" + agent_->rootfs());
  storage->add_options("upperdir=" + base + "/upper");
  storage->add_options("workdir=" + base + "/work");
  request.mutable_oci()->mutable_root()->set_path(base + "/rootfs");
  EXPECT_EQ(Run(request), "changed\n/bin/busybox\n");
  EXPECT_FALSE(std::filesystem::exists(agent_->rootfs() + "/etc/motd"));
  EXPECT_OK(agent_->Remove("c1"));
  // A new one does not see what the old one wrote.
  request.mutable_oci()->mutable_process()->set_args(2, "cat /etc/motd");
  Run(request, 1);
}

TEST_F(ContainerTest, DeviceRulesAreKept) {
  const auto add = [](grpc::CreateContainerRequest* request, bool allow, const char* type, int64_t major, int64_t minor,
                      const char* access) {
    grpc::LinuxDeviceCgroup* rule = request->mutable_oci()->mutable_linux()->mutable_resources()->add_devices();
    rule->set_allow(allow);
    rule->set_type(type);
    rule->set_major(major);
    rule->set_minor(minor);
    rule->set_access(access);
  };
  const std::string script =
      "head -c1 /dev/zero >/dev/null && echo zero; head -c1 /dev/full 2>/dev/null && echo full;"
      "echo x >/dev/null && echo null; mknod /dev/mine c 1 7 && echo made; mknod /dev/disk b 7 0 2>/dev/null || echo "
      "no";
  auto request = agent_->Request("c1", {"sh", "-c", script});
  add(&request, false, "a", -1, -1, "rwm");
  add(&request, true, "c", -1, -1, "m");
  add(&request, true, "c", 1, 3, "rwm");
  add(&request, true, "c", 1, 5, "r");
  ASSERT_OK(agent_->Create(request));
  ASSERT_OK(agent_->Start("c1"));
  EXPECT_EQ(agent_->Output("c1"), "zero\nnull\nmade\nno\n");
  request.set_container_id("c2");
  add(&request, true, "a", -1, -1, "rwm");
  request.mutable_oci()->mutable_process()->set_args(2, "head -c1 /dev/full >/dev/null && echo full");
  ASSERT_OK(agent_->Create(request));
  ASSERT_OK(agent_->Start("c2"));
  EXPECT_EQ(agent_->Output("c2"), "full\n");
  request.set_container_id("c3");
  add(&request, true, "x", 1, 3, "rwm");
  EXPECT_THAT(agent_->Create(request), StatusIs(absl::StatusCode::kInvalidArgument, "device type"));
}

TEST_F(ContainerTest, AllDevicesOfTheGuestWhereAsked) {
  auto request = agent_->Request("c1", {"sh", "-c", "ls /dev/net/tun /dev/urandom; stat -c %t:%T /dev/net/tun"});
  (*request.mutable_oci()->mutable_annotations())["podvisor.guest-devices"] = "all";
  ASSERT_OK(agent_->Create(request));
  ASSERT_OK(agent_->Start("c1"));
  EXPECT_EQ(agent_->Output("c1"), "/dev/net/tun\n/dev/urandom\na:c8\n");
}

TEST_F(ContainerTest, PidNamespaceOfAnotherContainer) {
  auto request = agent_->Request("c2", {"sh", "-c", "cat /proc/1/cmdline"});
  grpc::LinuxNamespace* space = nullptr;
  for (grpc::LinuxNamespace& each : *request.mutable_oci()->mutable_linux()->mutable_namespaces()) {
    if (each.type() == "pid") space = &each;
  }
  ASSERT_NE(space, nullptr);
  space->set_path("container:c1");
  EXPECT_THAT(agent_->Create(request), StatusIs(absl::StatusCode::kNotFound, "c1"));
  ASSERT_OK(agent_->Create(agent_->Request("c1", {"sleep", "1234"})));
  EXPECT_THAT(agent_->Create(request), StatusIs(absl::StatusCode::kFailedPrecondition, "it is created"));
  ASSERT_OK(agent_->Start("c1"));
  ASSERT_OK(agent_->Create(request));
  ASSERT_OK(agent_->Start("c2"));
  EXPECT_EQ(agent_->Output("c2"), std::string("sleep\0"
                                              "1234\0",
                                              11));
}

TEST_F(ContainerTest, PauseStopsAndResumeGoesOn) {
  ASSERT_OK(agent_->Create(agent_->Request("c1", {"sh", "-c", "while read line; do echo $line; done"})));
  grpc::PauseContainerRequest pause;
  pause.set_container_id("c1");
  grpc::ResumeContainerRequest resume;
  resume.set_container_id("c1");
  EXPECT_THAT(agent_->Do("PauseContainer", pause), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(agent_->Start("c1"));
  ASSERT_OK(agent_->Do("PauseContainer", pause));
  grpc::WriteStreamRequest write;
  write.set_container_id("c1");
  write.set_data("hello\n");
  grpc::WriteStreamResponse written;
  ASSERT_OK(agent_->client().Call("grpc.AgentService", "WriteStdin", write, &written));
  EXPECT_EQ(agent_->ReadOutput("c1", "", 0, 100, 200).data(), "");
  ASSERT_OK(agent_->Do("ResumeContainer", resume));
  EXPECT_EQ(agent_->ReadOutput("c1", "", 0, 100, 60'000).data(), "hello\n");
  ASSERT_OK(agent_->Do("PauseContainer", pause));
  ASSERT_OK(agent_->Remove("c1"));
}

TEST_F(ContainerTest, CgroupFilesThatAreNone) {
  auto request = agent_->Request("c1", {"true"});
  (*request.mutable_oci()->mutable_annotations())["podvisor.cgroup.unified/../cgroup.procs"] = "1";
  EXPECT_THAT(agent_->Create(request), StatusIs(absl::StatusCode::kInvalidArgument, "../cgroup.procs"));
  request.mutable_oci()->clear_annotations();
  (*request.mutable_oci()->mutable_annotations())["podvisor.cgroup.unified/cgroup.kill"] = "1";
  EXPECT_THAT(agent_->Create(request), StatusIs(absl::StatusCode::kInvalidArgument, "cgroup.kill"));
}

}  // namespace
}  // namespace podvisor::guest
