// Tests of PodNetwork on a host of their own, with the plugins' programs or with those that are built in.
#ifndef PODVISOR_NETNS_TESTING_POD_NETWORK_FIXTURE_H_
#define PODVISOR_NETNS_TESTING_POD_NETWORK_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/state_db.h"
#include "gtest/gtest.h"
#include "netns/pod_network.h"

namespace podvisor {

enum class Plugins { kPrograms, kBuiltin };

// Of all tests in the binary: programs, unless //netns/testing:builtin_plugins is linked in.
Plugins& ChosenPlugins();

// Skips where there is no root or are no plugins. Removes all it made, and fails if the network under test left
// something.
class PodNetworkFixture : public testing::Test {
 protected:
  static constexpr char kBridge[] = "pvtest0";

  void SetUp() override;
  void TearDown() override;

  static bool IsBuiltin() { return ChosenPlugins() == Plugins::kBuiltin; }

  std::unique_ptr<PodNetwork> MakeNetwork(const std::string& interworking = "tcfilter",
                                          absl::Duration cni_timeout = absl::Minutes(1));

  // kNo where a test takes the interface away under the plugin: bridge then forgets its rules (1.1.1).
  enum class Masquerade { kYes, kNo };
  // The network "test": bridge (10.77.0.0/24, fd77::/64, MTU 1400) and portmap, then what is given (", {...}").
  void WriteConfig(const std::string& more_plugins = "", Masquerade masquerade = Masquerade::kYes);
  // Any other text in the place of that file.
  void WriteConfigText(const std::string& text);
  // A shell script in the first folder for plugins.
  void WritePlugin(const std::string& name, const std::string& script);

  // A request with a namespace for it, which the fixture takes down in the end.
  NetworkRequest MakeSandbox(const std::string& id);
  NetworkRequest Request(const std::string& id);

  // Waits for what networks do in the background.
  void Settle();

  // The host's state where a pod has come and gone: bridge and firewall chains stay by the plugins' design.
  std::string SnapshotAfterOnePod();
  std::string Snapshot();

  // Addresses that host-local has given away.
  std::vector<std::string> Leases();

  static absl::Time Soon() { return absl::Now() + absl::Minutes(2); }

  std::string dir_;
  std::unique_ptr<StateDb> db_;  // opened by MakeNetwork()
  std::unique_ptr<PodNetwork> network_;
  std::vector<NetworkRequest> requests_;
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_TESTING_POD_NETWORK_FIXTURE_H_
