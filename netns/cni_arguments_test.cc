#include "netns/cni_arguments.h"

#include <nlohmann/json.hpp>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

nlohmann::json Capabilities(const NetworkRequest& request, const std::string& pod_cidr = "") {
  return nlohmann::json::parse(BuildCapabilityArgs(request, pod_cidr));
}

TEST(CniArgumentsTest, NamesThePod) {
  NetworkRequest request;
  request.sandbox_id = "box1";
  request.pod_namespace = "default";
  request.pod_name = "web";
  request.pod_uid = "u-1";
  EXPECT_EQ(
      BuildCniArgs(request).value_or("error"),
      "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=box1;K8S_POD_UID=u-1");
  request.pod_name = "web;IP=10.0.0.1";
  EXPECT_THAT(BuildCniArgs(request), StatusIs(absl::StatusCode::kInvalidArgument, "K8S_POD_NAME"));
}

TEST(CniArgumentsTest, SaysNothingWhereThereIsNothingToSay) { EXPECT_EQ(BuildCapabilityArgs({}, ""), "{}"); }

TEST(CniArgumentsTest, PortMappings) {
  NetworkRequest request;
  request.port_mappings = {{"TCP", 80, 8080, ""}, {"udp", 53, 5353, "127.0.0.1"}, {"tcp", 90, 0, ""}};
  EXPECT_EQ(Capabilities(request), nlohmann::json::parse(R"({"portMappings": [
    {"protocol": "tcp", "containerPort": 80, "hostPort": 8080},
    {"protocol": "udp", "containerPort": 53, "hostPort": 5353, "hostIP": "127.0.0.1"}]})"));
}

TEST(CniArgumentsTest, Bandwidth) {
  NetworkRequest request;
  request.egress_bits_per_second = 1000000;
  EXPECT_EQ(Capabilities(request),
            nlohmann::json::parse(R"({"bandwidth": {"egressRate": 1000000, "egressBurst": 2147483647}})"));
  request.ingress_bits_per_second = 5;
  EXPECT_EQ(Capabilities(request)["bandwidth"]["ingressRate"], 5);
}

TEST(CniArgumentsTest, OneRangeSetPerPodNetwork) {
  EXPECT_EQ(Capabilities({}, "10.1.0.0/24, fd00::/64"),
            nlohmann::json::parse(R"({"ipRanges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]})"));
}

TEST(CniArgumentsTest, DnsAnnotationsAndCgroup) {
  NetworkRequest request;
  request.dns_servers = {"10.0.0.10"};
  request.dns_searches = {"svc.cluster.local"};
  request.annotations = {{"a/b", "c"}};
  request.cgroup_path = "/kubepods/pod1";
  EXPECT_EQ(Capabilities(request), nlohmann::json::parse(R"({
    "dns": {"servers": ["10.0.0.10"], "searches": ["svc.cluster.local"]},
    "io.kubernetes.cri.pod-annotations": {"a/b": "c"}, "cgroupPath": "/kubepods/pod1"})"));
}

}  // namespace
}  // namespace podvisor
