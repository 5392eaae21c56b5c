// What the pod's containers share: names, resolver, /dev/shm, the pod's storages.
#ifndef PODVISOR_AGENT_GUEST_SANDBOX_H_
#define PODVISOR_AGENT_GUEST_SANDBOX_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/guest/folders.h"
#include "agent/guest/identity.h"
#include "agent/guest/launch/pod_users.h"
#include "agent/guest/storages/storages.h"
#include "agent/guest/uevents.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor::guest {

struct SandboxFiles {
  uint64_t shm_bytes = 64 << 20;
  std::vector<std::string> hosts;  // lines; none: localhost and the host name
};

class Sandbox {
 public:
  // `users` are those that the pod has when Create() is called; borrowed.
  Sandbox(Uevents& uevents, const PodUsers& users) : uevents_(uevents), users_(users) {}

  // What Create() says first of an id.
  absl::Status CheckId(const std::string& id) const;
  // kAlreadyExists for a second sandbox of another id; the same one again is carried out again, storages apart.
  void Create(const grpc::CreateSandboxRequest& request, const SandboxFiles& files,
              std::function<void(const absl::Status&)> done);
  // Unmounts and removes everything below kRunFolder, and is nobody's again.
  void Destroy();

  const std::string& id() const { return id_; }
  const Identity& identity() const { return identity_; }

 private:
  absl::Status WriteFiles(const grpc::CreateSandboxRequest& request, const SandboxFiles& files);
  absl::Status WriteFile(const std::string& name, const std::string& text);
  absl::Status MountShm(uint64_t bytes);

  Uevents& uevents_;
  const PodUsers& users_;
  bool created_ = false;
  std::string id_;
  Identity identity_;
  std::shared_ptr<MountSet> mounts_ = std::make_shared<MountSet>();
  uint64_t shm_bytes_ = 0;                    // 0: not mounted
  std::map<std::string, std::string> files_;  // in kSandboxFolder, as written
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_SANDBOX_H_
