#include "podmanager/testing/fake_pod_network.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {

std::vector<std::string> FakePodNetwork::Namespaces() {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> ids;
  for (const auto& [id, owed] : namespaces_) ids.push_back(id);
  return ids;
}

std::vector<std::string> FakePodNetwork::Networks() {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> ids;
  for (const auto& [id, result] : networks_) ids.push_back(id);
  return ids;
}

std::string FakePodNetwork::pod_cidr() {
  absl::MutexLock lock(&mu_);
  return pod_cidr_;
}

absl::StatusOr<std::string> FakePodNetwork::CreateNamespace(const std::string& sandbox_id) {
  RETURN_IF_ERROR(failpoints_.Enter("CreateNamespace"));
  absl::MutexLock lock(&mu_);
  namespaces_.try_emplace(sandbox_id, false);
  return absl::StrCat("/fake/netns/podvisor-", sandbox_id);
}

absl::StatusOr<UniqueFd> FakePodNetwork::OpenTap(const std::string& sandbox_id) {
  RETURN_IF_ERROR(failpoints_.Enter("OpenTap"));
  absl::MutexLock lock(&mu_);
  if (namespaces_.count(sandbox_id) == 0) return absl::NotFoundError(absl::StrCat("no namespace of ", sandbox_id));
  return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
}

absl::Status FakePodNetwork::DeleteNamespace(const std::string& sandbox_id) {
  RETURN_IF_ERROR(failpoints_.Enter("DeleteNamespace"));
  absl::MutexLock lock(&mu_);
  auto it = namespaces_.find(sandbox_id);
  if (it == namespaces_.end()) return absl::OkStatus();
  if (it->second) return absl::FailedPreconditionError(absl::StrCat("CNI DEL is owed in namespace of ", sandbox_id));
  namespaces_.erase(it);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FakePodNetwork::ListNamespaces() {
  RETURN_IF_ERROR(failpoints_.Enter("ListNamespaces"));
  return Namespaces();
}

absl::StatusOr<PodNetworkResult> FakePodNetwork::Setup(const NetworkRequest& request, absl::Time) {
  {
    absl::MutexLock lock(&mu_);
    auto it = namespaces_.find(request.sandbox_id);
    if (it == namespaces_.end()) return absl::NotFoundError(absl::StrCat("no namespace ", request.netns_path));
    it->second = true;
  }
  RETURN_IF_ERROR(failpoints_.Enter("Setup"));
  absl::MutexLock lock(&mu_);
  PodNetworkResult result;
  const std::string address = absl::StrCat("10.9.", next_address_ / 250, ".", next_address_ % 250);
  ++next_address_;
  result.interfaces.push_back(
      {.name = "eth0", .mac = "0a:58:0a:09:00:02", .mtu = 1500, .addresses = {absl::StrCat(address, "/16")}});
  result.routes.push_back({.destination = "0.0.0.0/0", .gateway = "10.9.0.1", .device = "eth0", .family = AF_INET});
  result.ips = {address};
  networks_[request.sandbox_id] = result;
  return result;
}

absl::Status FakePodNetwork::Teardown(const NetworkRequest& request, absl::Time) {
  RETURN_IF_ERROR(failpoints_.Enter("Teardown"));
  absl::MutexLock lock(&mu_);
  if (auto it = namespaces_.find(request.sandbox_id); it != namespaces_.end()) it->second = false;
  networks_.erase(request.sandbox_id);
  return absl::OkStatus();
}

absl::Status FakePodNetwork::Check(const NetworkRequest& request, absl::Time) { return Load(request).status(); }

absl::StatusOr<PodNetworkResult> FakePodNetwork::Load(const NetworkRequest& request) {
  absl::MutexLock lock(&mu_);
  auto it = networks_.find(request.sandbox_id);
  if (it == networks_.end()) return absl::NotFoundError(absl::StrCat("no network of ", request.sandbox_id));
  return it->second;
}

void FakePodNetwork::SetPodCidr(const std::string& cidr) {
  absl::MutexLock lock(&mu_);
  pod_cidr_ = cidr;
}

}  // namespace podvisor
