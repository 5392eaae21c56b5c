// A pod's network: a namespace, what CNI put into it, and the tap that leads from there to the VM.
#ifndef PODVISOR_NETNS_POD_NETWORK_H_
#define PODVISOR_NETNS_POD_NETWORK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace podvisor {

class StateDb;

struct PortMapping {
  std::string protocol;  // "tcp", "udp", "sctp"
  uint16_t container_port = 0;
  uint16_t host_port = 0;
  std::string host_ip;  // empty: all
};

// Who asks for a network. The same value is given to Teardown().
struct NetworkRequest {
  std::string sandbox_id;                        // CNI's container id
  std::string pod_namespace, pod_name, pod_uid;  // K8S_POD_* in CNI_ARGS
  std::string netns_path;
  std::vector<PortMapping> port_mappings;
  // What the pod's interface may receive and send.
  uint64_t ingress_bits_per_second = 0;  // 0: unlimited; capability bandwidth
  uint64_t egress_bits_per_second = 0;
  std::string cgroup_path;
  std::map<std::string, std::string> annotations;
  std::vector<std::string> dns_servers, dns_searches, dns_options;  // the pod's; capability dns
};

// The pod's interface, CNI_IFNAME, and the tap that belongs to it (for VMMs that open taps by name).
inline constexpr char kPodInterface[] = "eth0";
inline constexpr char kPodTap[] = "tap0_pv";

// What the guest's interface has to look like, read from the namespace after CNI ADD.
struct GuestInterface {
  std::string name;  // "eth0"
  std::string mac;
  uint32_t mtu = 1500;
  std::vector<std::string> addresses;  // "10.1.0.5/16", "fd00::5/64"; those of CNI's result first
};

struct GuestRoute {
  std::string destination;  // "10.0.0.0/8"; "default" or "" never: "0.0.0.0/0", "::/0"
  std::string gateway;      // empty: on link
  std::string device;
  std::string source;
  uint32_t scope = 0;   // RT_SCOPE_*
  uint32_t family = 0;  // AF_INET, AF_INET6
};

struct GuestNeighbor {
  std::string address;
  std::string mac;
  std::string device;
  uint32_t state = 0;  // NUD_*
};

struct PodNetworkResult {
  std::vector<GuestInterface> interfaces;  // empty: no network
  std::vector<GuestRoute> routes;
  std::vector<GuestNeighbor> neighbors;
  std::vector<std::string> dns_servers, dns_searches, dns_options;  // CNI's, used where the pod names none
  std::vector<std::string> ips;  // the pod's addresses without prefix length, the primary one first
};

struct PodNetworkOptions {
  std::string cni_conf_dir;                        // the first *.conf, *.conflist or *.json by name is the network
  std::vector<std::string> cni_bin_dirs;           // searched in order
  std::string cni_cache_dir;                       // results, for DEL and CHECK
  std::string netns_dir;                           // where namespaces are mounted: DIR/podvisor-<sandbox id>
  absl::Duration cni_timeout = absl::Seconds(60);  // of one plugin; a shorter deadline of the caller wins
  // "tcfilter": tap and the CNI interface redirect each other at ingress. "macvtap": the tap sits on the CNI interface.
  // "none": there is no tap and the guest gets no interface; the result has the pod's addresses all the same.
  std::string interworking = "tcfilter";
  // Whether new pods get the daemon's own bridge, host-local, portmap and loopback instead of the programs of those
  // names. Pods that are there keep what they have.
  bool cni_builtin = false;
  // Where the built-in plugins keep addresses and host ports. Outlives the network; null: there are none built in.
  StateDb* state_db = nullptr;
};

// The ids that name namespaces may be others than those of sandboxes (a pool's): Setup() finds its namespace by
// NetworkRequest::netns_path. Both are letters, digits, and _ . - inside.
//
// Thread-safe: calls for different sandboxes run at once, those for one sandbox are made one after the other. Nothing
// is kept in memory that can't be found again from the file system, so a restarted daemon goes on with the same calls.
class PodNetwork {
 public:
  static absl::StatusOr<std::unique_ptr<PodNetwork>> Create(PodNetworkOptions options);
  virtual ~PodNetwork() = default;

  // Whether a network is configured and its plugins exist: CRI's condition NetworkReady. kFailedPrecondition says why
  // not.
  virtual absl::Status Ready() = 0;

  // Makes a namespace with loopback up and a tap in it that nothing is joined to yet: a VM can start on the tap while
  // Setup() runs. Returns the namespace's path. Success if it is there already. Undone by DeleteNamespace().
  virtual absl::StatusOr<std::string> CreateNamespace(const std::string& sandbox_id) = 0;
  // The tap of the namespace, for the VMM: every call opens the same queue, so one user at a time (kUnavailable while
  // there is another). It is non-blocking; frames have a virtio-net header of 10 bytes, offloads are off. With
  // interworking "macvtap" the tap is made by Setup(), with "none" there is none: kFailedPrecondition.
  virtual absl::StatusOr<UniqueFd> OpenTap(const std::string& sandbox_id) = 0;
  // Removes the namespace and all links in it, in the background: the kernel takes tens of milliseconds. A daemon that
  // is killed before, or can't do it, finds it again by ListNamespaces() when it starts. Success if there is none.
  virtual absl::Status DeleteNamespace(const std::string& sandbox_id) = 0;
  // Ids of the sandboxes that have a namespace: to find what a killed daemon left. Waits for what is being removed in
  // the background.
  virtual absl::StatusOr<std::vector<std::string>> ListNamespaces() = 0;

  // CNI ADD of every plugin in order, then joins the interface to the tap. If it fails, what was done has been undone
  // by DEL as far as that worked; Teardown() may be called again. kUnavailable where a retry may help (a plugin's "try
  // again later", time-outs are kDeadlineExceeded), kFailedPrecondition where configuration is at fault.
  virtual absl::StatusOr<PodNetworkResult> Setup(const NetworkRequest& request, absl::Time deadline) = 0;

  // CNI DEL in reverse, by the configuration that ADD was done with. Success if nothing was set up. Works when the
  // namespace is gone (a reboot): plugins still give addresses and rules back. After an error the namespace has to
  // stay, and the call is to be repeated.
  virtual absl::Status Teardown(const NetworkRequest& request, absl::Time deadline) = 0;

  // CNI CHECK of every plugin: whether what Setup() made is still there. Success for networks whose version has no
  // CHECK (before 0.4.0) or that disable it. kNotFound if nothing was set up.
  virtual absl::Status Check(const NetworkRequest& request, absl::Time deadline) = 0;

  // The result of a Setup() of an earlier daemon, from the cache and the namespace. kNotFound if there is none or it
  // never ended; other errors: what it made is damaged. In both cases Setup() makes it anew.
  virtual absl::StatusOr<PodNetworkResult> Load(const NetworkRequest& request) = 0;

  // UpdateRuntimeConfig's pod CIDR (several with commas), given to plugins that declare the capability ipRanges; "" if
  // none came. Survives a restart.
  virtual void SetPodCidr(const std::string& cidr) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_POD_NETWORK_H_
