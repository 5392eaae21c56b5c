#include <unistd.h>

#include "agent/guest/agent.h"
#include "agent/guest/entropy.h"
#include "agent/guest/guest_clock.h"
#include "agent/guest/services/names.h"
#include "agent/guest/text_file.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::Empty;

void Describe(const Agent& agent, grpc::GuestDetailsResponse* response) {
  response->set_mem_block_size_bytes(
      ::strtoull(ReadTextOrEmpty("/sys/devices/system/memory/block_size_bytes").c_str(), nullptr, 16));
  response->set_support_mem_hotplug_probe(::access("/sys/devices/system/memory/probe", F_OK) == 0);
  grpc::AgentDetails* details = response->mutable_agent_details();
  details->set_version(kAgentVersion);
  details->set_init_daemon(agent.role == Role::kInit);
  details->set_supports_seccomp(true);
  for (const std::string& driver : StorageDrivers()) details->add_storage_handlers(driver);
  details->add_device_handlers("blk");
  details->add_device_handlers("scsi");
  details->add_extra_features(std::string(kExtensionService));
}

// Resident memory and processor time of the agent itself, in Prometheus' text format.
std::string AgentMetrics() {
  const std::vector<std::string> pages = SplitWords(ReadTextOrEmpty("/proc/self/statm"), " ");
  const uint64_t resident = pages.size() > 1 ? ::strtoull(pages[1].c_str(), nullptr, 10) : 0;
  timespec cpu;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  std::string text =
      absl::StrCat("# TYPE podvisor_agent_resident_memory_bytes gauge\npodvisor_agent_resident_memory_bytes ",
                   resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)),
                   "\n# TYPE podvisor_agent_cpu_seconds_total counter\npodvisor_agent_cpu_seconds_total ",
                   static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9, "\n");
  absl::StrAppend(&text, "# TYPE podvisor_guest_memory_bytes gauge\n");
  for (const std::string& line : SplitWords(ReadTextOrEmpty("/proc/meminfo"), "\n")) {
    const std::vector<std::string> words = SplitWords(line, ": ");
    if (words.size() != 3) continue;
    absl::StrAppend(&text, "podvisor_guest_memory_bytes{item=\"", words[0], "\"} ",
                    ::strtoull(words[1].c_str(), nullptr, 10) * 1024, "\n");
  }
  return text;
}

// How many were brought online.
absl::StatusOr<uint32_t> BringOnline(const std::string& folder, const char* prefix, const char* file,
                                     const char* value) {
  uint32_t count = 0;
  for (const std::string& name : ListFolder(folder)) {
    if (name.rfind(prefix, 0) != 0) continue;
    const std::string path = absl::StrCat(folder, "/", name, "/", file);
    const std::string state = ReadTextOrEmpty(path);
    if (state != "0" && state != "offline") continue;
    RETURN_IF_ERROR(WriteTextFile(path, value));
    ++count;
  }
  return count;
}

// With `wait`, until as many processors as were plugged have come: an event tells of each.
void OnlineCpuMem(Agent& agent, const grpc::OnlineCPUMemRequest& request, const CallPtr& call) {
  constexpr int64_t kWaitMs = 10'000;
  const auto online = [request, count = uint32_t{0}]() mutable -> absl::StatusOr<std::string> {
    ASSIGN_OR_RETURN(const uint32_t more, BringOnline("/sys/devices/system/cpu", "cpu", "online", "1"), "processors");
    count += more;
    if (request.wait() && count < request.nb_cpus()) {
      return absl::NotFoundError(absl::StrCat(count, " of ", request.nb_cpus(), " processors have been plugged"));
    }
    if (request.cpu_only()) return std::string();
    RETURN_IF_ERROR(BringOnline("/sys/devices/system/memory", "memory", "state", "online").status(), "memory");
    return std::string();
  };
  agent.uevents.WaitFor(online, kWaitMs, [call](const absl::StatusOr<std::string>& result) {
    call->Finish(absl::IsNotFound(result.status()) ? absl::DeadlineExceededError(result.status().message())
                                                   : result.status());
  });
}

}  // namespace

void AddGuestCalls(Agent& agent) {
  Dispatcher& dispatcher = agent.dispatcher;
  dispatcher.OnSync<grpc::GuestDetailsRequest, grpc::GuestDetailsResponse>(
      kAgentService, "GetGuestDetails",
      [&agent](const grpc::GuestDetailsRequest&, grpc::GuestDetailsResponse* response) {
        Describe(agent, response);
        return absl::OkStatus();
      });
  dispatcher.OnSync<grpc::GetMetricsRequest, grpc::Metrics>(kAgentService, "GetMetrics",
                                                            [](const grpc::GetMetricsRequest&, grpc::Metrics* metrics) {
                                                              metrics->set_metrics(AgentMetrics());
                                                              return absl::OkStatus();
                                                            });
  dispatcher.OnSync<grpc::SetGuestDateTimeRequest, Empty>(kAgentService, "SetGuestDateTime",
                                                          [](const grpc::SetGuestDateTimeRequest& request, Empty*) {
                                                            return SetClock(request.sec(), request.usec() * 1000);
                                                          });
  dispatcher.OnSync<grpc::ReseedRandomDevRequest, Empty>(
      kAgentService, "ReseedRandomDev",
      [](const grpc::ReseedRandomDevRequest& request, Empty*) { return AddEntropy(request.data()); });
  dispatcher.On<grpc::OnlineCPUMemRequest>(
      kAgentService, "OnlineCPUMem",
      [&agent](const grpc::OnlineCPUMemRequest& request, const CallPtr& call) { OnlineCpuMem(agent, request, call); });
}

}  // namespace podvisor::guest
