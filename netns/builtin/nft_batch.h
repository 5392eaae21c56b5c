// A transaction of nftables, by netlink: only what is done for every pod. Text goes through libnftables, which first
// reads every chain of the machine: milliseconds where kube-proxy has thousands.
#ifndef PODVISOR_NETNS_BUILTIN_NFT_BATCH_H_
#define PODVISOR_NETNS_BUILTIN_NFT_BATCH_H_

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct nl_sock;

namespace podvisor {

// An element of a map. Keys and data are as the kernel has them: concatenated fields, each padded to 4 bytes.
struct NftElement {
  std::string map;
  std::vector<uint8_t> key;
  std::vector<uint8_t> data;  // empty: the element jumps to `chain`
  std::string chain;
  friend auto operator<=>(const NftElement&, const NftElement&) = default;
};

// A socket of the calling thread's network namespace, for ever. Not thread-safe.
class NftSocket {
 public:
  static absl::StatusOr<NftSocket> Open();

  // All or nothing. kNotFound: table, map, chain or an element to be removed is not there; kAlreadyExists: the map has
  // the key with other data.
  absl::Status AddElements(int family, const std::string& table, const std::vector<NftElement>& elements);
  absl::Status RemoveElements(int family, const std::string& table, const std::vector<NftElement>& elements);
  // Success if there is none.
  absl::Status RemoveTable(int family, const std::string& table);

 private:
  explicit NftSocket(nl_sock* socket) : socket_(socket, Free) {}
  static void Free(nl_sock* socket);
  absl::Status ChangeElements(int family, const std::string& table, const std::vector<NftElement>& elements, int type);
  absl::Status Send(const std::vector<std::vector<uint8_t>>& messages);

  std::unique_ptr<nl_sock, void (*)(nl_sock*)> socket_;
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_NFT_BATCH_H_
