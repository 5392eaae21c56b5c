// A network without a kernel: namespaces and addresses in memory.
#ifndef PODVISOR_PODMANAGER_TESTING_FAKE_POD_NETWORK_H_
#define PODVISOR_PODMANAGER_TESTING_FAKE_POD_NETWORK_H_

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "netns/pod_network.h"
#include "podmanager/testing/call_failpoints.h"

namespace podvisor {

// Outlives "daemons", as the kernel does. Strict where the real one would leak: a namespace that CNI DEL is owed for
// can't be deleted, and nothing is set up in one that does not exist. A failed Setup() leaves the network half made, as
// a killed plugin does. Thread-safe.
class FakePodNetwork final : public PodNetwork {
 public:
  CallFailpoints& failpoints() { return failpoints_; }
  std::vector<std::string> Namespaces();
  std::vector<std::string> Networks();  // sandboxes with CNI ADD done
  std::string pod_cidr();

  absl::Status Ready() override { return failpoints_.Enter("Ready"); }
  absl::StatusOr<std::string> CreateNamespace(const std::string& sandbox_id) override;
  absl::StatusOr<UniqueFd> OpenTap(const std::string& sandbox_id) override;
  absl::Status DeleteNamespace(const std::string& sandbox_id) override;
  absl::StatusOr<std::vector<std::string>> ListNamespaces() override;
  absl::StatusOr<PodNetworkResult> Setup(const NetworkRequest& request, absl::Time deadline) override;
  absl::Status Teardown(const NetworkRequest& request, absl::Time deadline) override;
  absl::Status Check(const NetworkRequest& request, absl::Time deadline) override;
  absl::StatusOr<PodNetworkResult> Load(const NetworkRequest& request) override;
  void SetPodCidr(const std::string& cidr) override;

 private:
  CallFailpoints failpoints_;
  absl::Mutex mu_;
  std::map<std::string, bool> namespaces_ ABSL_GUARDED_BY(mu_);  // by id: whether CNI DEL is owed
  std::map<std::string, PodNetworkResult> networks_ ABSL_GUARDED_BY(mu_);
  int next_address_ ABSL_GUARDED_BY(mu_) = 2;
  std::string pod_cidr_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_TESTING_FAKE_POD_NETWORK_H_
