#include "agent/guest/runtime/usage.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/guest/text_file.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::CgroupUsage;
using podvisor::agent::v1::GuestUsage;
using podvisor::agent::v1::InterfaceUsage;

struct Counter {
  const char* key;
  void (CgroupUsage::*set)(uint64_t);
};
constexpr Counter kCpu[] = {{"usage_usec", &CgroupUsage::set_cpu_usage_us},
                            {"user_usec", &CgroupUsage::set_cpu_user_us},
                            {"system_usec", &CgroupUsage::set_cpu_system_us},
                            {"nr_periods", &CgroupUsage::set_cpu_periods},
                            {"nr_throttled", &CgroupUsage::set_cpu_throttled_periods},
                            {"throttled_usec", &CgroupUsage::set_cpu_throttled_us}};
constexpr Counter kMemory[] = {{"anon", &CgroupUsage::set_memory_anon_bytes},
                               {"file", &CgroupUsage::set_memory_file_bytes},
                               {"active_file", &CgroupUsage::set_memory_active_file_bytes},
                               {"inactive_file", &CgroupUsage::set_memory_inactive_file_bytes},
                               {"file_mapped", &CgroupUsage::set_memory_mapped_file_bytes},
                               {"kernel", &CgroupUsage::set_memory_kernel_bytes},
                               {"pgfault", &CgroupUsage::set_page_faults},
                               {"pgmajfault", &CgroupUsage::set_major_page_faults}};
constexpr Counter kMemoryEvents[] = {{"max", &CgroupUsage::set_memory_limit_hits},
                                     {"oom_kill", &CgroupUsage::set_oom_kills}};

template <size_t kCount>
void ReadInto(const std::string& path, const Counter (&counters)[kCount], CgroupUsage* usage) {
  for (const auto& [key, value] : ReadCounters(path)) {
    for (const Counter& counter : counters) {
      if (key == counter.key) (usage->*counter.set)(value);
    }
  }
}

uint64_t Number(const std::string& text) { return ::strtoull(text.c_str(), nullptr, 10); }

uint64_t ReadNumber(const std::string& path) { return Number(ReadTextOrEmpty(path)); }

// "max" is no limit.
std::optional<uint64_t> ReadLimit(const std::string& path) {
  uint64_t limit;
  if (!absl::SimpleAtoi(ReadTextOrEmpty(path), &limit)) return std::nullopt;
  return limit;
}

// Lines of "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234" and "full …".
uint64_t StallOf(const std::string& text, absl::string_view kind) {
  const size_t line = text.rfind(std::string(kind) + " ");
  const size_t total = line == std::string::npos ? line : text.find("total=", line);
  return total == std::string::npos ? 0 : Number(text.substr(total + 6));
}

void ReadStalls(const std::string& path, CgroupUsage* usage) {
  const std::string cpu = ReadTextOrEmpty(path + "/cpu.pressure");
  usage->set_cpu_stall_us(StallOf(cpu, "some"));
  usage->set_cpu_full_stall_us(StallOf(cpu, "full"));
  const std::string memory = ReadTextOrEmpty(path + "/memory.pressure");
  usage->set_memory_stall_us(StallOf(memory, "some"));
  usage->set_memory_full_stall_us(StallOf(memory, "full"));
  const std::string io = ReadTextOrEmpty(path + "/io.pressure");
  usage->set_io_stall_us(StallOf(io, "some"));
  usage->set_io_full_stall_us(StallOf(io, "full"));
}

// "253:0 rbytes=1 wbytes=2 rios=3 wios=4 …", a line for each device.
void ReadIo(const std::string& path, CgroupUsage* usage) {
  for (const std::string& word : SplitWords(ReadTextOrEmpty(path), " \n")) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) continue;
    const uint64_t value = Number(word.substr(equals + 1));
    const std::string key = word.substr(0, equals);
    if (key == "rbytes") usage->set_read_bytes(usage->read_bytes() + value);
    if (key == "wbytes") usage->set_write_bytes(usage->write_bytes() + value);
    if (key == "rios") usage->set_reads(usage->reads() + value);
    if (key == "wios") usage->set_writes(usage->writes() + value);
  }
}

uint64_t ClockUs(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000 + static_cast<uint64_t>(time.tv_nsec) / 1000;
}

// /proc/stat's first line: "cpu user nice system idle iowait irq softirq steal guest guest_nice", in ticks; the last
// two are in the first two already.
uint64_t BusyUs() {
  const std::string text = ReadTextOrEmpty("/proc/stat");
  const std::vector<std::string> words = SplitWords(absl::string_view(text).substr(0, text.find('\n')), " ");
  uint64_t ticks = 0;
  for (const size_t column : {1, 2, 3, 6, 7, 8}) ticks += column < words.size() ? Number(words[column]) : 0;
  return ticks * 1'000'000 / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

void ReadCgroupUsage(const std::string& path, CgroupUsage* usage) {
  ReadInto(path + "/cpu.stat", kCpu, usage);
  ReadInto(path + "/memory.stat", kMemory, usage);
  ReadInto(path + "/memory.events", kMemoryEvents, usage);
  usage->set_memory_bytes(ReadNumber(path + "/memory.current"));
  usage->set_memory_peak_bytes(ReadNumber(path + "/memory.peak"));
  usage->set_swap_bytes(ReadNumber(path + "/memory.swap.current"));
  usage->set_processes(ReadNumber(path + "/pids.current"));
  if (const auto limit = ReadLimit(path + "/memory.max")) usage->set_memory_limit_bytes(*limit);
  if (const auto limit = ReadLimit(path + "/memory.swap.max")) usage->set_swap_limit_bytes(*limit);
  if (const auto limit = ReadLimit(path + "/pids.max")) usage->set_processes_limit(*limit);
  ReadIo(path + "/io.stat", usage);
  ReadStalls(path, usage);
}

void ReadGuestUsage(GuestUsage* usage) {
  struct Item {
    const char* name;
    void (GuestUsage::*set)(uint64_t);
  };
  constexpr Item kItems[] = {{"MemTotal", &GuestUsage::set_memory_total_bytes},
                             {"MemFree", &GuestUsage::set_memory_free_bytes},
                             {"MemAvailable", &GuestUsage::set_memory_available_bytes},
                             {"SwapTotal", &GuestUsage::set_swap_total_bytes},
                             {"SwapFree", &GuestUsage::set_swap_free_bytes}};
  for (const std::string& line : SplitWords(ReadTextOrEmpty("/proc/meminfo"), "\n")) {
    const std::vector<std::string> words = SplitWords(line, ": ");
    for (const Item& item : kItems) {
      if (words.size() == 3 && words[0] == item.name) (usage->*item.set)(Number(words[1]) * 1024);
    }
  }
  usage->set_cpu_us(BusyUs());
  const std::vector<std::string> pages = SplitWords(ReadTextOrEmpty("/proc/self/statm"), " ");
  if (pages.size() > 1) {
    usage->set_agent_memory_bytes(Number(pages[1]) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
  }
  usage->set_agent_cpu_us(ClockUs(CLOCK_PROCESS_CPUTIME_ID));
  usage->set_processors(static_cast<uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
}

// /proc/net/dev: two lines of headings, then "eth0: rx_bytes packets errs drop fifo frame compressed multicast tx_bytes
// …".
void ReadInterfaceUsage(google::protobuf::RepeatedPtrField<InterfaceUsage>* interfaces) {
  for (const std::string& line : SplitWords(ReadTextOrEmpty("/proc/self/net/dev"), "\n")) {
    const std::vector<std::string> words = SplitWords(line, " :");
    if (words.size() < 17 || line.find('|') != std::string::npos) continue;
    InterfaceUsage* usage = interfaces->Add();
    usage->set_name(words[0]);
    usage->set_rx_bytes(Number(words[1]));
    usage->set_rx_packets(Number(words[2]));
    usage->set_rx_errors(Number(words[3]));
    usage->set_rx_dropped(Number(words[4]));
    usage->set_tx_bytes(Number(words[9]));
    usage->set_tx_packets(Number(words[10]));
    usage->set_tx_errors(Number(words[11]));
    usage->set_tx_dropped(Number(words[12]));
  }
}

}  // namespace podvisor::guest
