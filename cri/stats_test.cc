#include <map>
#include <set>

#include "cri/testing/test_server.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;
using ::testing::SizeIs;

constexpr uint64_t kMiB = 1 << 20;

class StatsTest : public CriServerTest {
 protected:
  void SetUp() override {
    CriServerTest::SetUp();
    agent::v1::CgroupUsage figures;
    figures.set_cpu_usage_us(5'000'000);
    figures.set_memory_bytes(10 * kMiB);
    figures.set_memory_inactive_file_bytes(2 * kMiB);
    figures.set_memory_anon_bytes(6 * kMiB);
    figures.set_memory_limit_bytes(64 * kMiB);
    figures.set_swap_bytes(kMiB);
    figures.set_swap_limit_bytes(3 * kMiB);
    figures.set_memory_stall_us(42);
    figures.mutable_memory_stall()->set_avg60(1.5);
    figures.mutable_io_full_stall()->set_avg10(2.5);
    (*figures.mutable_hugetlb_bytes())["2MB"] = 4 * kMiB;
    pods_.SetUsage(figures);
    pod_ = RunPod("web");
    container_ = MakeContainer(pod_, "nginx");
  }

  std::string pod_, container_;
};

void ExpectFigures(const v1::ContainerStats& stats) {
  EXPECT_GT(stats.cpu().timestamp(), 0);
  EXPECT_EQ(stats.cpu().usage_core_nano_seconds().value(), 5'000'000'000u);
  EXPECT_EQ(stats.memory().usage_bytes().value(), 10 * kMiB);
  EXPECT_EQ(stats.memory().working_set_bytes().value(), 8 * kMiB);
  EXPECT_EQ(stats.memory().available_bytes().value(), 56 * kMiB);
  EXPECT_EQ(stats.memory().rss_bytes().value(), 6 * kMiB);
  EXPECT_EQ(stats.memory().psi().some().total(), 42u);
  EXPECT_EQ(stats.memory().psi().some().avg60(), 1.5);
  EXPECT_EQ(stats.io().psi().full().avg10(), 2.5);
  EXPECT_EQ(stats.swap().swap_usage_bytes().value(), kMiB);
  EXPECT_EQ(stats.swap().swap_available_bytes().value(), 2 * kMiB);
  EXPECT_EQ(stats.writable_layer().used_bytes().value(), 4096u);
}

TEST_F(StatsTest, OfAContainer) {
  v1::ContainerStatsRequest request;
  request.set_container_id(container_);
  v1::ContainerStatsResponse response;
  ASSERT_THAT(CALL(runtime_, ContainerStats, request, &response), GrpcOk());
  EXPECT_EQ(response.stats().attributes().id(), container_);
  EXPECT_EQ(response.stats().attributes().metadata().name(), "nginx");
  ExpectFigures(response.stats());

  request.set_container_id("nosuch");
  EXPECT_THAT(CALL(runtime_, ContainerStats, request, &response), GrpcStatusIs(grpc::StatusCode::NOT_FOUND, "nosuch"));
  request.set_container_id("");
  EXPECT_THAT(CALL(runtime_, ContainerStats, request, &response),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "container_id"));
  pods_.FailNext("GetUsage", absl::UnavailableError("the guest does not answer"));
  request.set_container_id(container_);
  EXPECT_THAT(CALL(runtime_, ContainerStats, request, &response),
              GrpcStatusIs(grpc::StatusCode::UNAVAILABLE, "does not answer"));
}

TEST_F(StatsTest, WithoutALimitTheGuestsMemoryIsWhatIsLeft) {
  agent::v1::CgroupUsage figures;
  figures.set_memory_bytes(10 * kMiB);
  pods_.SetUsage(figures);
  v1::ContainerStatsRequest request;
  request.set_container_id(container_);
  v1::ContainerStatsResponse response;
  ASSERT_THAT(CALL(runtime_, ContainerStats, request, &response), GrpcOk());
  EXPECT_EQ(response.stats().memory().available_bytes().value(), 123u);
}

TEST_F(StatsTest, OfContainersByFilter) {
  const std::string other = MakeContainer(RunPod("db"), "postgres");
  const auto ids = [&](const std::function<void(v1::ContainerStatsFilter*)>& set) {
    v1::ListContainerStatsRequest request;
    set(request.mutable_filter());
    v1::ListContainerStatsResponse response;
    EXPECT_THAT(CALL(runtime_, ListContainerStats, request, &response), GrpcOk());
    std::set<std::string> found;
    for (const v1::ContainerStats& stats : response.stats()) found.insert(stats.attributes().id());
    return found;
  };
  using Ids = std::set<std::string>;
  EXPECT_EQ(ids([](auto*) {}), (Ids{container_, other}));
  EXPECT_EQ(ids([&](auto* filter) { filter->set_id(other); }), Ids{other});
  EXPECT_EQ(ids([&](auto* filter) { filter->set_pod_sandbox_id(pod_); }), Ids{container_});
  EXPECT_EQ(ids([](auto* filter) { (*filter->mutable_label_selector())["name"] = "postgres"; }), Ids{other});
  EXPECT_EQ(ids([](auto* filter) { (*filter->mutable_label_selector())["name"] = "mysql"; }), Ids{});
  pods_.Exit(other, 0);
  EXPECT_EQ(ids([](auto*) {}), Ids{container_}) << "what has exited uses nothing";
}

TEST_F(StatsTest, OfPods) {
  v1::PodSandboxStatsRequest request;
  request.set_pod_sandbox_id(pod_);
  v1::PodSandboxStatsResponse response;
  ASSERT_THAT(CALL(runtime_, PodSandboxStats, request, &response), GrpcOk());
  const v1::LinuxPodSandboxStats& stats = response.stats().linux();
  EXPECT_EQ(response.stats().attributes().metadata().name(), "web");
  EXPECT_EQ(stats.cpu().usage_core_nano_seconds().value(), 5'000'000'000u);
  EXPECT_EQ(stats.network().default_interface().name(), "eth0");
  EXPECT_EQ(stats.network().default_interface().rx_bytes().value(), 100u);
  ASSERT_EQ(stats.network().interfaces_size(), 1);
  EXPECT_EQ(stats.network().interfaces(0).name(), "eth1");
  EXPECT_EQ(stats.process().process_count().value(), 3u);
  ASSERT_EQ(stats.containers_size(), 1);
  ExpectFigures(stats.containers(0));

  v1::ListPodSandboxStatsRequest list;
  (*list.mutable_filter()->mutable_label_selector())["app"] = "web";
  v1::ListPodSandboxStatsResponse listed;
  ASSERT_THAT(CALL(runtime_, ListPodSandboxStats, list, &listed), GrpcOk());
  ASSERT_EQ(listed.stats_size(), 1);
  (*list.mutable_filter()->mutable_label_selector())["app"] = "nosuch";
  ASSERT_THAT(CALL(runtime_, ListPodSandboxStats, list, &listed), GrpcOk());
  EXPECT_EQ(listed.stats_size(), 0);
}

TEST_F(StatsTest, MetricsHaveADescriptorAndItsLabels) {
  v1::ListMetricDescriptorsResponse described;
  ASSERT_THAT(CALL(runtime_, ListMetricDescriptors, v1::ListMetricDescriptorsRequest(), &described), GrpcOk());
  std::map<std::string, v1::MetricDescriptor> descriptors;
  for (const v1::MetricDescriptor& descriptor : described.descriptors()) {
    EXPECT_FALSE(descriptor.help().empty()) << descriptor.name();
    EXPECT_TRUE(descriptors.emplace(descriptor.name(), descriptor).second) << descriptor.name() << " twice";
  }
  EXPECT_GE(descriptors.size(), 50u);

  v1::ListPodSandboxMetricsResponse response;
  ASSERT_THAT(CALL(runtime_, ListPodSandboxMetrics, v1::ListPodSandboxMetricsRequest(), &response), GrpcOk());
  ASSERT_EQ(response.pod_metrics_size(), 1);
  const v1::PodSandboxMetrics& pod = response.pod_metrics(0);
  EXPECT_EQ(pod.pod_sandbox_id(), pod_);
  ASSERT_EQ(pod.container_metrics_size(), 1);
  std::map<std::string, v1::Metric> last;
  const auto check = [&](const auto& metrics) {
    for (const v1::Metric& metric : metrics) {
      const auto descriptor = descriptors.find(metric.name());
      ASSERT_NE(descriptor, descriptors.end()) << metric.name();
      EXPECT_EQ(metric.label_values_size(), descriptor->second.label_keys_size()) << metric.name();
      EXPECT_GT(metric.timestamp(), 0) << metric.name();
      last[metric.name()] = metric;
    }
  };
  check(pod.metrics());
  EXPECT_EQ(last.at("podvisor_vmm_memory_bytes").value().value(), 77u);
  EXPECT_EQ(last.at("podvisor_vmm_cpu_seconds_total").value().value(), 9u);
  EXPECT_EQ(last.at("container_network_receive_bytes_total").value().value(), 100u);
  check(pod.container_metrics(0).metrics());
  const v1::Metric& cpu = last.at("container_cpu_usage_seconds_total");
  EXPECT_EQ(cpu.value().value(), 5u);
  EXPECT_EQ(cpu.metric_type(), v1::COUNTER);
  EXPECT_EQ(cpu.label_values(0), "nginx");
  EXPECT_EQ(cpu.label_values(5), "web");
  EXPECT_EQ(last.at("container_processes").value().value(), 3u);
  EXPECT_EQ(last.at("container_hugetlb_usage_bytes").value().value(), 4 * kMiB);
  EXPECT_EQ(last.at("container_hugetlb_usage_bytes").label_values(6), "2MB");
  EXPECT_EQ(last.at("container_ulimits_soft").value().value(), 1024u);
  EXPECT_EQ(last.at("container_ulimits_soft").label_values(6), "max_open_files");
  EXPECT_EQ(last.at("container_spec_memory_reservation_limit_bytes").value().value(), 0u);
  EXPECT_EQ(last.count("container_sockets"), 0u) << "what the guest does not count is not made up";
}

TEST_F(StatsTest, ResourcesOfAPodAndNoCheckpoint) {
  v1::UpdatePodSandboxResourcesRequest update;
  update.set_pod_sandbox_id(pod_);
  update.mutable_resources()->set_memory_limit_in_bytes(64 << 20);
  v1::UpdatePodSandboxResourcesResponse updated;
  ASSERT_THAT(CALL(runtime_, UpdatePodSandboxResources, update, &updated), GrpcOk());
  EXPECT_EQ(pods_.sandbox_resources().memory_limit_bytes(), 64 << 20);
  update.mutable_overhead()->set_cpu_shares(-1);
  EXPECT_THAT(CALL(runtime_, UpdatePodSandboxResources, update, &updated),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "overhead.cpu_shares"));

  v1::CheckpointContainerRequest checkpoint;
  checkpoint.set_container_id(container_);
  v1::CheckpointContainerResponse none;
  EXPECT_THAT(CALL(runtime_, CheckpointContainer, checkpoint, &none),
              GrpcStatusIs(grpc::StatusCode::FAILED_PRECONDITION, "can't be checkpointed"));
  checkpoint.set_container_id("nosuch");
  EXPECT_THAT(CALL(runtime_, CheckpointContainer, checkpoint, &none),
              GrpcStatusIs(grpc::StatusCode::NOT_FOUND, "nosuch"));
}

}  // namespace
}  // namespace podvisor::cri
