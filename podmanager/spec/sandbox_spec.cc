#include "podmanager/spec/sandbox_spec.h"

#include <arpa/inet.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "podmanager/spec/guest_paths.h"
#include "podmanager/spec/sysctls.h"
#include "podmanager/spec/user_mappings.h"

namespace podvisor {
namespace {

constexpr size_t kMaxHostname = 63;
constexpr size_t kEntropyBytes = 128;
constexpr uint64_t kDefaultShmBytes = 64 << 20;
constexpr uint32_t kRegularFile = 0100644;

absl::StatusOr<types::IPFamily> FamilyOf(const std::string& address) {
  unsigned char binary[sizeof(in6_addr)];
  if (inet_pton(AF_INET, address.c_str(), binary) == 1) return types::v4;
  if (inet_pton(AF_INET6, address.c_str(), binary) == 1) return types::v6;
  return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is not an IP address"));
}

struct Cidr {
  std::string address;
  std::string prefix;
  types::IPFamily family = types::v4;
};

absl::StatusOr<Cidr> ParseCidr(const std::string& text) {
  std::vector<std::string> parts = absl::StrSplit(text, '/');
  Cidr cidr;
  int prefix = -1;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[1], &prefix))
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not an address with a prefix length"));
  ASSIGN_OR_RETURN(cidr.family, FamilyOf(parts[0]));
  if (prefix < 0 || prefix > (cidr.family == types::v4 ? 32 : 128))
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" has a wrong prefix length"));
  cidr.address = parts[0];
  cidr.prefix = absl::StrCat(prefix);
  return cidr;
}

absl::StatusOr<types::Interface> ToInterface(const GuestInterface& interface) {
  types::Interface result;
  result.set_device(interface.name);
  result.set_name(interface.name);
  result.set_hwaddr(interface.mac);
  result.set_mtu(interface.mtu);
  for (const std::string& text : interface.addresses) {
    ASSIGN_OR_RETURN(Cidr cidr, ParseCidr(text), "interface ", interface.name);
    types::IPAddress& address = *result.add_ipaddresses();
    address.set_family(cidr.family);
    address.set_address(cidr.address);
    address.set_mask(cidr.prefix);
  }
  return result;
}

absl::StatusOr<types::Route> ToRoute(const GuestRoute& route) {
  ASSIGN_OR_RETURN(Cidr destination, ParseCidr(route.destination), "route");
  for (const std::string* address : {&route.gateway, &route.source})
    if (!address->empty()) RETURN_IF_ERROR(FamilyOf(*address).status(), "route to ", route.destination);
  types::Route result;
  result.set_dest(route.destination);
  result.set_gateway(route.gateway);
  result.set_device(route.device);
  result.set_source(route.source);
  result.set_scope(route.scope);
  result.set_family(destination.family);
  return result;
}

absl::Status AddNetwork(const PodNetworkResult& network, agent::v1::ConfigureSandboxRequest* request) {
  for (const GuestInterface& interface : network.interfaces) {
    ASSIGN_OR_RETURN(*request->add_interfaces(), ToInterface(interface));
  }
  // The kernel takes a gateway only when a route to it is there.
  std::vector<GuestRoute> routes = network.routes;
  std::stable_partition(routes.begin(), routes.end(), [](const GuestRoute& route) { return route.gateway.empty(); });
  for (const GuestRoute& route : routes) {
    ASSIGN_OR_RETURN(*request->add_routes(), ToRoute(route));
  }
  for (const GuestNeighbor& neighbor : network.neighbors) {
    types::ARPNeighbor& entry = *request->add_neighbors();
    ASSIGN_OR_RETURN(types::IPFamily family, FamilyOf(neighbor.address), "neighbor");
    entry.mutable_toipaddress()->set_family(family);
    entry.mutable_toipaddress()->set_address(neighbor.address);
    entry.set_device(neighbor.device);
    entry.set_lladdr(neighbor.mac);
    entry.set_state(static_cast<int32_t>(neighbor.state));
  }
  return absl::OkStatus();
}

absl::Status CheckWords(const std::vector<std::string>& words, absl::string_view field) {
  for (const std::string& word : words)
    if (word.empty() || std::any_of(word.begin(), word.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; }))
      return absl::InvalidArgumentError(absl::StrCat("dns ", field, " \"", word, "\" is empty or holds spaces"));
  return absl::OkStatus();
}

// Servers of the node that a VM can't reach: those on the node's own loopback.
bool IsLoopbackServer(absl::string_view line) {
  std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  return words.size() > 1 && words[0] == "nameserver" && (absl::StartsWith(words[1], "127.") || words[1] == "::1");
}

// Lines of resolv.conf: the pod's, else CNI's, else the node's, as containerd.
absl::StatusOr<std::vector<std::string>> DnsLines(const SandboxSpecInput& input) {
  const DnsConfig& dns = input.config->dns();
  std::vector<std::string> servers(dns.servers().begin(), dns.servers().end());
  std::vector<std::string> searches(dns.searches().begin(), dns.searches().end());
  std::vector<std::string> options(dns.options().begin(), dns.options().end());
  if (servers.empty() && searches.empty() && options.empty() && input.network != nullptr) {
    servers = input.network->dns_servers;
    searches = input.network->dns_searches;
    options = input.network->dns_options;
  }
  std::vector<std::string> lines;
  if (servers.empty() && searches.empty() && options.empty()) {
    for (absl::string_view line : absl::StrSplit(input.node_resolv_conf, '\n', absl::SkipWhitespace()))
      if (!IsLoopbackServer(line)) lines.emplace_back(line);
    return lines;
  }
  for (const std::string& server : servers) {
    RETURN_IF_ERROR(FamilyOf(server).status(), "dns server");
    lines.push_back(absl::StrCat("nameserver ", server));
  }
  RETURN_IF_ERROR(CheckWords(searches, "search"));
  RETURN_IF_ERROR(CheckWords(options, "option"));
  if (!searches.empty()) lines.push_back(absl::StrCat("search ", absl::StrJoin(searches, " ")));
  if (!options.empty()) lines.push_back(absl::StrCat("options ", absl::StrJoin(options, " ")));
  return lines;
}

std::vector<std::string> HostsLines(const SandboxSpecInput& input) {
  std::vector<std::string> lines = {"127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback",
                                    "fe00::0\tip6-localnet", "ff02::1\tip6-allnodes", "ff02::2\tip6-allrouters"};
  if (input.network != nullptr)
    for (const std::string& ip : input.network->ips) lines.push_back(absl::StrCat(ip, "\t", input.hostname));
  return lines;
}

absl::StatusOr<grpc::Storage> SharedFolderStorage(const std::string& filesystem) {
  grpc::Storage storage;
  storage.set_source(std::string(kSharedFolderTag));
  storage.set_fstype(filesystem);
  storage.set_mount_point(std::string(kGuestSharedFolder));
  if (filesystem == "9p") {
    storage.set_driver("9p");
    // cache=mmap keeps no names or attributes: a config map that the kubelet swaps is seen at once. Nor bytes that are
    // read: the agent relies on it (agent/guest/runtime/input.cc).
    for (const char* option : {"trans=virtio", "version=9p2000.L", "cache=mmap", "msize=262144", "nodev"})
      storage.add_options(option);
  } else if (filesystem == "virtiofs") {
    storage.set_driver("virtio-fs");
    storage.add_options("nodev");
  } else {
    return absl::InternalError(absl::StrCat("shared folder: unknown file system \"", filesystem, "\""));
  }
  return storage;
}

}  // namespace

std::string PodHostname(const SandboxConfig& config, const std::string& node_hostname) {
  std::string name = config.hostname();
  if (name.empty() && config.namespaces().network() == NODE) name = node_hostname;
  if (name.empty()) name = config.metadata().name();
  name = name.substr(0, kMaxHostname);
  while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  return name;
}

absl::StatusOr<std::string> FreshEntropy() {
  std::string bytes(kEntropyBytes, '\0');
  // Up to 256 bytes come whole once the kernel's generator is ready.
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return ErrnoStatus(errno, "getrandom");
  return bytes;
}

absl::StatusOr<agent::v1::ConfigureSandboxRequest> BuildConfigureSandbox(const SandboxSpecInput& input) {
  agent::v1::ConfigureSandboxRequest request;
  grpc::CreateSandboxRequest& sandbox = *request.mutable_sandbox();
  sandbox.set_sandbox_id(input.sandbox_id);
  sandbox.set_hostname(input.hostname);
  const NamespaceMode pid = input.config->namespaces().pid();
  sandbox.set_sandbox_pidns(pid == POD || pid == NODE);
  ASSIGN_OR_RETURN(std::vector<std::string> dns, DnsLines(input), "sandbox ", input.sandbox_id);
  for (std::string& line : dns) sandbox.add_dns(std::move(line));
  if (!input.shared_folder_fs.empty()) {
    ASSIGN_OR_RETURN(*sandbox.add_storages(), SharedFolderStorage(input.shared_folder_fs));
  }
  if (input.network != nullptr)
    RETURN_IF_ERROR(AddNetwork(*input.network, &request), "sandbox ", input.sandbox_id, ": network");
  request.set_unix_time_ns(absl::ToUnixNanos(input.now));
  request.set_entropy(input.entropy);
  ASSIGN_OR_RETURN(*request.mutable_sysctls(), PodSysctls(*input.config), "sandbox ", input.sandbox_id);
  request.set_shm_bytes(input.shm_bytes);
  CopyMappings(input.config->namespaces().uids(), request.mutable_uid_mappings());
  CopyMappings(input.config->namespaces().gids(), request.mutable_gid_mappings());
  for (std::string& line : HostsLines(input)) request.add_hosts(std::move(line));
  return request;
}

PlainSandboxCalls ToPlainCalls(const agent::v1::ConfigureSandboxRequest& request) {
  PlainSandboxCalls calls;
  calls.time.set_sec(request.unix_time_ns() / 1'000'000'000);
  calls.time.set_usec(request.unix_time_ns() % 1'000'000'000 / 1000);
  calls.entropy.set_data(request.entropy());
  for (const types::Interface& interface : request.interfaces())
    *calls.interfaces.emplace_back().mutable_interface() = interface;
  for (const types::Route& route : request.routes()) *calls.routes.mutable_routes()->add_routes() = route;
  for (const types::ARPNeighbor& neighbor : request.neighbors())
    *calls.neighbors.mutable_neighbors()->add_arpneighbors() = neighbor;

  calls.sandbox = request.sandbox();
  grpc::Storage& shm = *calls.sandbox.add_storages();
  shm.set_driver("ephemeral");
  shm.set_source("shm");
  shm.set_fstype("tmpfs");
  shm.set_mount_point(std::string(kGuestShm));
  const uint64_t bytes = request.shm_bytes() != 0 ? request.shm_bytes() : kDefaultShmBytes;
  for (std::string option : {std::string("noexec"), std::string("nosuid"), std::string("nodev"),
                             std::string("mode=1777"), absl::StrCat("size=", bytes)})
    shm.add_options(std::move(option));

  const auto add_file = [&calls](absl::string_view name, std::string content) {
    grpc::CopyFileRequest& file = calls.pod_files.emplace_back();
    file.set_path(absl::StrCat(kGuestPodFiles, "/", name));
    file.set_file_size(static_cast<int64_t>(content.size()));
    file.set_file_mode(kRegularFile);
    file.set_dir_mode(0755);
    file.set_data(std::move(content));
  };
  const auto lines = [](const auto& list) {
    return list.empty() ? std::string() : absl::StrCat(absl::StrJoin(list, "\n"), "\n");
  };
  add_file("hostname", absl::StrCat(request.sandbox().hostname(), "\n"));
  add_file("hosts", lines(request.hosts()));
  add_file("resolv.conf", lines(request.sandbox().dns()));
  return calls;
}

}  // namespace podvisor
