// stage_times [PODS]: how long each step of a pod's network takes, with built-in plugins and with programs, on a host
// of its own. Milliseconds; needs root and the CNI plugins.

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/state_db.h"
#include "netns/pod_network.h"
#include "netns/testing/private_host.h"
#include "spdlog/spdlog.h"

namespace podvisor {
namespace {

constexpr char kNetwork[] = R"({"cniVersion": "1.0.0", "name": "times", "plugins": [
  {"type": "bridge", "bridge": "times0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "DIR/ipam", "ranges": [[{"subnet": "10.79.0.0/16"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]})";

class Times {
 public:
  template <typename Work>
  auto Of(const std::string& stage, const Work& work) {
    const absl::Time begin = absl::Now();
    auto result = work();
    samples_[stage].push_back(absl::ToDoubleMilliseconds(absl::Now() - begin));
    if (!result.ok()) std::cerr << stage << " failed\n";
    return result;
  }
  void Print(const std::string& title) {
    for (auto& [stage, values] : samples_) {
      std::sort(values.begin(), values.end());
      std::cout << absl::StreamFormat("%-10s %-22s min %6.2f  median %6.2f  p95 %6.2f\n", title, stage, values[0],
                                      values[values.size() / 2], values[values.size() * 95 / 100]);
    }
  }

 private:
  std::map<std::string, std::vector<double>> samples_;
};

absl::Status Measure(const std::string& dir, bool builtin, int pods) {
  auto db = StateDb::Open(absl::StrCat(dir, "/state.db"));
  if (!db.ok()) return db.status();
  PodNetworkOptions options;
  options.cni_conf_dir = absl::StrCat(dir, "/conf");
  options.cni_bin_dirs = {"/usr/lib/cni"};
  options.cni_cache_dir = absl::StrCat(dir, "/cache");
  options.netns_dir = absl::StrCat(dir, "/netns");
  options.cni_builtin = builtin;
  options.state_db = db->get();
  auto network = PodNetwork::Create(options);
  if (!network.ok()) return network.status();
  Times times;
  // One that stays: bridge and tables are there.
  for (int i = -1; i < pods; ++i) {
    Times ignored;
    Times& into = i < 0 ? ignored : times;
    NetworkRequest request;
    request.sandbox_id = absl::StrCat("pod", i + 1);
    const auto path = into.Of("1 CreateNamespace", [&] { return (*network)->CreateNamespace(request.sandbox_id); });
    if (!path.ok()) return path.status();
    request.netns_path = *path;
    request.port_mappings = {{"tcp", 80, static_cast<uint16_t>(20000 + i), ""}};
    (void)into.Of("2 OpenTap", [&] { return (*network)->OpenTap(request.sandbox_id); });
    const auto result = into.Of("3 Setup", [&] { return (*network)->Setup(request, absl::InfiniteFuture()); });
    if (!result.ok()) return result.status();
    if (i < 0) continue;
    (void)into.Of("4 Teardown", [&] { return (*network)->Teardown(request, absl::InfiniteFuture()); });
    (void)into.Of("5 DeleteNamespace", [&] { return (*network)->DeleteNamespace(request.sandbox_id); });
    (void)into.Of("6 background", [&] { return (*network)->ListNamespaces(); });
  }
  NetworkRequest first;
  first.sandbox_id = "pod0";
  (*network)->Teardown(first, absl::InfiniteFuture()).IgnoreError();
  (*network)->DeleteNamespace("pod0").IgnoreError();
  times.Print(builtin ? "built-in" : "programs");
  return absl::OkStatus();
}

int Main(int pods) {
  spdlog::set_level(spdlog::level::warn);
  absl::Status status = EnterPrivateHost();
  const std::string dir = absl::StrCat("/tmp/stage_times.", ::getpid());
  std::filesystem::create_directories(absl::StrCat(dir, "/conf"));
  std::ofstream(absl::StrCat(dir, "/conf/10-times.conflist")) << absl::StrReplaceAll(kNetwork, {{"DIR", dir}});
  for (const bool builtin : {true, false})
    if (status.ok()) status = Measure(dir, builtin, pods);
  std::filesystem::remove_all(dir);
  if (status.ok()) return 0;
  std::cerr << "stage_times: " << status << "\n";
  return 1;
}

}  // namespace
}  // namespace podvisor

int main(int argc, char** argv) {
  int pods = 30;
  if (argc > 2 || (argc == 2 && (!absl::SimpleAtoi(argv[1], &pods) || pods < 1))) {
    std::cerr << "usage: stage_times [PODS]\n";
    return 2;
  }
  return podvisor::Main(pods);
}
