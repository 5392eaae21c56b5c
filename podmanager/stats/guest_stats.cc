#include "podmanager/stats/guest_stats.h"

#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

constexpr uint64_t kNanosPerMicro = 1000;

uint64_t Stat(const grpc::MemoryStats& memory, const char* name) {
  const auto it = memory.stats().find(name);
  return it == memory.stats().end() ? 0 : it->second;
}

// Kata has no limit as the largest number.
bool IsLimit(uint64_t value) { return value != 0 && value < uint64_t{1} << 62; }

uint64_t SumOf(const google::protobuf::RepeatedPtrField<grpc::BlkioStatsEntry>& entries, const std::string& op) {
  uint64_t sum = 0;
  for (const grpc::BlkioStatsEntry& entry : entries) {
    if (entry.op() == op) sum += entry.value();
  }
  return sum;
}

agent::v1::CgroupUsage FromKata(const grpc::CgroupStats& stats) {
  agent::v1::CgroupUsage usage;
  const grpc::CpuUsage& cpu = stats.cpu_stats().cpu_usage();
  usage.set_cpu_usage_us(cpu.total_usage() / kNanosPerMicro);
  usage.set_cpu_user_us(cpu.usage_in_usermode() / kNanosPerMicro);
  usage.set_cpu_system_us(cpu.usage_in_kernelmode() / kNanosPerMicro);
  usage.set_cpu_periods(stats.cpu_stats().throttling_data().periods());
  usage.set_cpu_throttled_periods(stats.cpu_stats().throttling_data().throttled_periods());
  usage.set_cpu_throttled_us(stats.cpu_stats().throttling_data().throttled_time() / kNanosPerMicro);
  const grpc::MemoryStats& memory = stats.memory_stats();
  usage.set_memory_bytes(memory.usage().usage());
  usage.set_memory_peak_bytes(memory.usage().max_usage());
  if (IsLimit(memory.usage().limit())) usage.set_memory_limit_bytes(memory.usage().limit());
  usage.set_memory_limit_hits(memory.usage().failcnt());
  usage.set_memory_anon_bytes(Stat(memory, "anon"));
  usage.set_memory_file_bytes(Stat(memory, "file"));
  usage.set_memory_active_file_bytes(Stat(memory, "active_file"));
  usage.set_memory_inactive_file_bytes(Stat(memory, "inactive_file"));
  usage.set_memory_mapped_file_bytes(Stat(memory, "file_mapped"));
  usage.set_memory_kernel_bytes(Stat(memory, "kernel"));
  usage.set_page_faults(Stat(memory, "pgfault"));
  usage.set_major_page_faults(Stat(memory, "pgmajfault"));
  usage.set_swap_bytes(memory.swap_usage().usage());
  if (IsLimit(memory.swap_usage().limit())) usage.set_swap_limit_bytes(memory.swap_usage().limit());
  usage.set_processes(stats.pids_stats().current());
  if (IsLimit(stats.pids_stats().limit())) usage.set_processes_limit(stats.pids_stats().limit());
  usage.set_read_bytes(SumOf(stats.blkio_stats().io_service_bytes_recursive(), "Read"));
  usage.set_write_bytes(SumOf(stats.blkio_stats().io_service_bytes_recursive(), "Write"));
  usage.set_reads(SumOf(stats.blkio_stats().io_serviced_recursive(), "Read"));
  usage.set_writes(SumOf(stats.blkio_stats().io_serviced_recursive(), "Write"));
  return usage;
}

void AddTo(agent::v1::CgroupUsage& sum, const agent::v1::CgroupUsage& one) {
  sum.set_cpu_usage_us(sum.cpu_usage_us() + one.cpu_usage_us());
  sum.set_cpu_user_us(sum.cpu_user_us() + one.cpu_user_us());
  sum.set_cpu_system_us(sum.cpu_system_us() + one.cpu_system_us());
  sum.set_memory_bytes(sum.memory_bytes() + one.memory_bytes());
  sum.set_memory_anon_bytes(sum.memory_anon_bytes() + one.memory_anon_bytes());
  sum.set_memory_file_bytes(sum.memory_file_bytes() + one.memory_file_bytes());
  sum.set_memory_active_file_bytes(sum.memory_active_file_bytes() + one.memory_active_file_bytes());
  sum.set_memory_inactive_file_bytes(sum.memory_inactive_file_bytes() + one.memory_inactive_file_bytes());
  sum.set_memory_mapped_file_bytes(sum.memory_mapped_file_bytes() + one.memory_mapped_file_bytes());
  sum.set_memory_kernel_bytes(sum.memory_kernel_bytes() + one.memory_kernel_bytes());
  sum.set_page_faults(sum.page_faults() + one.page_faults());
  sum.set_major_page_faults(sum.major_page_faults() + one.major_page_faults());
  sum.set_swap_bytes(sum.swap_bytes() + one.swap_bytes());
  sum.set_processes(sum.processes() + one.processes());
}

// The answers of several StatsContainer, put together. Shared by their callbacks.
class KataAnswers {
 public:
  KataAnswers(size_t expected, GuestStatsDone done) : missing_(expected), done_(std::move(done)) {}

  void Add(const std::string& container_id, absl::StatusOr<std::string> answer) {
    {
      absl::MutexLock lock(&mu_);
      AddLocked(container_id, answer);
      if (--missing_ > 0) return;
    }
    if (!error_.ok() && stats_.containers().empty()) return done_(error_);
    done_(std::move(stats_));
  }

 private:
  void AddLocked(const std::string& container_id, const absl::StatusOr<std::string>& answer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!answer.ok()) {
      if (!absl::IsNotFound(answer.status())) error_ = answer.status();
      return;
    }
    grpc::StatsContainerResponse response;
    if (!response.ParseFromString(*answer)) {
      error_ = absl::DataLossError("StatsContainer: malformed answer");
      return;
    }
    agent::v1::ContainerUsage& container = *stats_.add_containers();
    container.set_container_id(container_id);
    *container.mutable_cgroup() = FromKata(response.cgroup_stats());
    AddTo(*stats_.mutable_pod(), container.cgroup());
    if (!stats_.interfaces().empty()) return;  // each answer has the pod's, which all share
    for (const grpc::NetworkStats& network : response.network_stats()) {
      agent::v1::InterfaceUsage& interface = *stats_.add_interfaces();
      interface.set_name(network.name());
      interface.set_rx_bytes(network.rx_bytes());
      interface.set_rx_packets(network.rx_packets());
      interface.set_rx_errors(network.rx_errors());
      interface.set_rx_dropped(network.rx_dropped());
      interface.set_tx_bytes(network.tx_bytes());
      interface.set_tx_packets(network.tx_packets());
      interface.set_tx_errors(network.tx_errors());
      interface.set_tx_dropped(network.tx_dropped());
    }
  }

  absl::Mutex mu_;
  size_t missing_ ABSL_GUARDED_BY(mu_);
  // Written under the lock, read by the last answer after it.
  agent::v1::GetStatsResponse stats_;
  absl::Status error_;
  const GuestStatsDone done_;
};

void AskKata(const std::shared_ptr<AgentClient>& agent, const std::vector<std::string>& container_ids,
             absl::Time deadline, GuestStatsDone done) {
  if (container_ids.empty()) return done(agent::v1::GetStatsResponse());
  auto answers = std::make_shared<KataAnswers>(container_ids.size(), std::move(done));
  for (const std::string& id : container_ids) {
    grpc::StatsContainerRequest request;
    request.set_container_id(id);
    agent->CallAsync(kAgentService, "StatsContainer", request, deadline,
                     [answers, id](absl::StatusOr<std::string> answer) { answers->Add(id, std::move(answer)); });
  }
}

}  // namespace

void AskGuestStats(std::shared_ptr<AgentClient> agent, std::vector<std::string> container_ids, absl::Time deadline,
                   GuestStatsDone done) {
  AgentClient& client = *agent;
  client.CallAsync(kExtensionService, "GetStats", agent::v1::GetStatsRequest(), deadline,
                   [weak = std::weak_ptr<AgentClient>(agent), ids = std::move(container_ids), deadline,
                    done = std::move(done)](absl::StatusOr<std::string> answer) mutable {
                     if (absl::IsUnimplemented(answer.status())) {
                       const std::shared_ptr<AgentClient> agent = weak.lock();
                       if (agent == nullptr) return done(absl::CancelledError("the guest is gone"));
                       return AskKata(agent, ids, deadline, std::move(done));
                     }
                     if (!answer.ok()) return done(std::move(answer).status());
                     agent::v1::GetStatsResponse response;
                     if (!response.ParseFromString(*answer))
                       return done(absl::DataLossError("GetStats: malformed answer"));
                     done(std::move(response));
                   });
}

}  // namespace podvisor
