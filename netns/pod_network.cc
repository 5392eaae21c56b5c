#include "netns/pod_network.h"

#include <dirent.h>
#include <errno.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "netns/background.h"
#include "netns/builtin/builtin_plugins.h"
#include "netns/cni_arguments.h"
#include "netns/cni_cache.h"
#include "netns/cni_config.h"
#include "netns/cni_network.h"
#include "netns/cni_result.h"
#include "netns/cni_versions.h"
#include "netns/namespace.h"
#include "netns/pod_namespace.h"

namespace podvisor {
namespace {

constexpr absl::string_view kNamespacePrefix = "podvisor-";
constexpr size_t kMaxIdBytes = 128;
constexpr char kPodCidrFile[] = "pod-cidr";

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("make folder ", path));
  return absl::OkStatus();
}

// Ids become names of files and parts of CNI_ARGS.
absl::Status CheckId(const std::string& id) {
  const bool good = !id.empty() && id.size() <= kMaxIdBytes && absl::ascii_isalnum(static_cast<unsigned char>(id[0])) &&
                    std::all_of(id.begin(), id.end(), [](unsigned char c) {
                      return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
                    });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("network: \"", id, "\" is no sandbox id: letters, digits, and _ . - inside it are allowed"));
}

std::string Name(const NetworkRequest& request) { return absl::StrCat("network of sandbox ", request.sandbox_id); }

class CniPodNetwork : public PodNetwork {
 public:
  CniPodNetwork(PodNetworkOptions options, Interworking interworking, std::string pod_cidr)
      : options_(std::move(options)), interworking_(interworking), pod_cidr_(std::move(pod_cidr)) {}

  absl::Status OpenBuiltins();

  absl::Status Ready() override;
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
  std::string NamespacePath(const std::string& id) const {
    return absl::StrCat(options_.netns_dir, "/", kNamespacePrefix, id);
  }
  absl::StatusOr<CniNetworkConfig> ChooseNetwork();
  // Of the plugins that are programs.
  absl::Status CheckPrograms(const CniNetworkConfig& network);
  // Whether Setup() uses built-in plugins.
  bool PrefersBuiltins() const { return options_.cni_builtin && builtins_ != nullptr; }
  absl::StatusOr<CniAttachment> Attachment(const NetworkRequest& request, CniNetworkConfig network);
  // Gives an entry what it needs to be worked on: the means of this daemon.
  void Equip(CniCacheEntry& entry) const {
    entry.attachment.environment.bin_dirs = options_.cni_bin_dirs;
    entry.attachment.builtins = entry.builtin ? builtins_.get() : nullptr;
  }
  // What ADD has made.
  absl::StatusOr<PodNetworkResult> ReadResult(const CniAttachment& attachment, absl::Time deadline);
  // ADD, joins and reads what it made, and puts the result on disk.
  absl::StatusOr<PodNetworkResult> Attach(CniCacheEntry& entry, absl::Time deadline);
  absl::Status Detach(const CniAttachment& attachment, absl::Time deadline);
  // What Setup() noted, by whichever daemon. kNotFound if it did not begin (or, in the second, not end).
  absl::StatusOr<CniCacheEntry> FindEntry(const NetworkRequest& request);
  absl::StatusOr<CniAttachment> FindCompleteAttachment(const NetworkRequest& request);

  const PodNetworkOptions options_;
  const Interworking interworking_;
  CniVersions versions_;
  std::unique_ptr<CniBuiltins> builtins_;

  absl::Mutex mu_;
  std::string pod_cidr_ ABSL_GUARDED_BY(mu_);
  std::string last_warning_ ABSL_GUARDED_BY(mu_);        // of ChooseNetwork(): said once, not at each pod
  std::set<std::string> deleting_ ABSL_GUARDED_BY(mu_);  // ids whose namespaces are given to the background
  Background background_;                                // last: it ends before what it works on
};

absl::Status CniPodNetwork::OpenBuiltins() {
  if (options_.state_db == nullptr) return absl::OkStatus();
  const auto is_owed = [dir = options_.cni_cache_dir](const std::string& container, const std::string& interface) {
    return HasCniCache(dir, container, interface);
  };
  ASSIGN_OR_RETURN(builtins_, OpenCniBuiltins(*options_.state_db, background_, options_.cni_cache_dir, is_owed));
  return absl::OkStatus();
}

absl::Status CniPodNetwork::CheckPrograms(const CniNetworkConfig& network) {
  CniNetworkConfig programs = network;
  if (PrefersBuiltins())
    std::erase_if(programs.plugins, [this](const CniPluginConfig& plugin) { return builtins_->Has(plugin); });
  return versions_.Check(programs, options_.cni_bin_dirs);
}

absl::StatusOr<CniNetworkConfig> CniPodNetwork::ChooseNetwork() {
  ASSIGN_OR_RETURN(CniConfigChoice choice, ChooseCniConfig(options_.cni_conf_dir));
  const std::string warning = absl::StrJoin(choice.skipped, "; ");
  const absl::MutexLock lock(&mu_);
  if (warning != last_warning_ && !warning.empty())
    spdlog::warn("CNI network {} is used, invalid files before it are not: {}", choice.network.name, warning);
  last_warning_ = warning;
  return std::move(choice.network);
}

absl::Status CniPodNetwork::Ready() {
  ASSIGN_OR_RETURN(const CniNetworkConfig network, ChooseNetwork());
  return CheckPrograms(network);
}

absl::StatusOr<std::string> CniPodNetwork::CreateNamespace(const std::string& sandbox_id) {
  RETURN_IF_ERROR(CheckId(sandbox_id));
  {
    // Not one that is going.
    const absl::MutexLock lock(&mu_);
    const auto gone = [this, &sandbox_id]()
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return deleting_.count(sandbox_id) == 0; };
    mu_.Await(absl::Condition(&gone));
  }
  std::string path = NamespacePath(sandbox_id);
  RETURN_IF_ERROR(CreatePodNamespace(path, interworking_), "network namespace of sandbox ", sandbox_id);
  return path;
}

absl::StatusOr<UniqueFd> CniPodNetwork::OpenTap(const std::string& sandbox_id) {
  RETURN_IF_ERROR(CheckId(sandbox_id));
  ASSIGN_OR_RETURN(UniqueFd tap, OpenPodTap(NamespacePath(sandbox_id)), "tap of sandbox ", sandbox_id);
  return tap;
}

absl::Status CniPodNetwork::DeleteNamespace(const std::string& sandbox_id) {
  RETURN_IF_ERROR(CheckId(sandbox_id));
  const std::string path = NamespacePath(sandbox_id);
  if (::access(path.c_str(), F_OK) != 0) return absl::OkStatus();
  {
    const absl::MutexLock lock(&mu_);
    if (!deleting_.insert(sandbox_id).second) return absl::OkStatus();
  }
  background_.Run([this, sandbox_id, path] {
    if (const absl::Status status = DeletePodNamespace(path); !status.ok())
      spdlog::warn("network namespace of sandbox {} stays until the daemon starts next: {}", sandbox_id,
                   status.ToString());
    const absl::MutexLock lock(&mu_);
    deleting_.erase(sandbox_id);
  });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> CniPodNetwork::ListNamespaces() {
  background_.AwaitIdle(absl::InfiniteFuture());
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(options_.netns_dir.c_str()), ::closedir);
  if (dir == nullptr) return ErrnoStatus(errno, absl::StrCat("list network namespaces in ", options_.netns_dir));
  std::vector<std::string> ids;
  // Files without a namespace count: a reboot or a kill between two system calls left them, and they are to be deleted.
  while (const dirent* entry = ::readdir(dir.get()))
    if (absl::string_view name = entry->d_name; absl::ConsumePrefix(&name, kNamespacePrefix)) ids.emplace_back(name);
  std::sort(ids.begin(), ids.end());
  return ids;
}

absl::StatusOr<CniAttachment> CniPodNetwork::Attachment(const NetworkRequest& request, CniNetworkConfig network) {
  CniAttachment attachment;
  attachment.network = std::move(network);
  ASSIGN_OR_RETURN(const std::string args, BuildCniArgs(request));
  attachment.environment = {request.sandbox_id, request.netns_path, kPodInterface, args, options_.cni_bin_dirs};
  const absl::MutexLock lock(&mu_);
  attachment.capability_args = BuildCapabilityArgs(request, pod_cidr_);
  return attachment;
}

absl::StatusOr<PodNetworkResult> CniPodNetwork::ReadResult(const CniAttachment& attachment, absl::Time deadline) {
  ASSIGN_OR_RETURN(CniResult cni, ParseCniResult(attachment.result, kPodInterface), "CNI result");
  absl::StatusOr<PodNetworkResult> result = ReadPodInterface(attachment.environment.netns, cni.addresses, deadline);
  if (!result.ok()) {
    // kNotFound would say that there was no set-up.
    const absl::StatusCode code =
        absl::IsNotFound(result.status()) ? absl::StatusCode::kInternal : result.status().code();
    return absl::Status(
        code, absl::StrCat("read what CNI network ", attachment.network.name, " made: ", result.status().message()));
  }
  result->dns_servers = std::move(cni.dns_servers);
  result->dns_searches = std::move(cni.dns_searches);
  result->dns_options = std::move(cni.dns_options);
  return result;
}

absl::StatusOr<PodNetworkResult> CniPodNetwork::Attach(CniCacheEntry& entry, absl::Time deadline) {
  RETURN_IF_ERROR(CniAdd(entry.attachment, {options_.cni_timeout, deadline}));
  RETURN_IF_ERROR(JoinPodInterface(entry.attachment.environment.netns, interworking_), "join what CNI network ",
                  entry.attachment.network.name, " made");
  ASSIGN_OR_RETURN(PodNetworkResult result,
                   ReadResult(entry.attachment, std::min(deadline, absl::Now() + options_.cni_timeout)));
  entry.state = CniCacheState::kAdded;
  RETURN_IF_ERROR(WriteCniCache(options_.cni_cache_dir, entry), "keep the CNI result");
  return result;
}

absl::Status CniPodNetwork::Detach(const CniAttachment& attachment, absl::Time deadline) {
  const absl::Status separated = SeparatePodInterface(attachment.environment.netns);
  RETURN_IF_ERROR(CniDel(attachment, {options_.cni_timeout, deadline}));
  RETURN_IF_ERROR(separated);
  return RemoveCniCache(options_.cni_cache_dir, attachment.environment.container_id, attachment.environment.interface);
}

absl::StatusOr<PodNetworkResult> CniPodNetwork::Setup(const NetworkRequest& request, absl::Time deadline) {
  RETURN_IF_ERROR(CheckId(request.sandbox_id));
  if (!IsNamespace(request.netns_path))
    return absl::FailedPreconditionError(
        absl::StrCat(Name(request), ": no network namespace at \"", request.netns_path, "\""));
  // What an earlier call did is the result if it is complete, and is undone else.
  if (absl::StatusOr<PodNetworkResult> earlier = Load(request); earlier.ok()) return earlier;
  RETURN_IF_ERROR(Teardown(request, deadline));

  ASSIGN_OR_RETURN(CniNetworkConfig network, ChooseNetwork(), Name(request));
  RETURN_IF_ERROR(CheckPrograms(network), Name(request));
  CniCacheEntry entry;
  ASSIGN_OR_RETURN(entry.attachment, Attachment(request, std::move(network)), Name(request));
  entry.builtin = PrefersBuiltins();
  Equip(entry);
  RETURN_IF_ERROR(WriteCniCache(options_.cni_cache_dir, entry), Name(request), ": note what is begun");

  const absl::Time begin = absl::Now();
  absl::StatusOr<PodNetworkResult> result = Attach(entry, deadline);
  if (result.ok()) {
    spdlog::info("sandbox {}: CNI network {} gave it {} in {} ms", request.sandbox_id, entry.attachment.network.name,
                 absl::StrJoin(result->ips, ", "), absl::ToInt64Milliseconds(absl::Now() - begin));
    return result;
  }
  // With a time of its own: the caller's may be spent.
  const absl::Status undone = Detach(entry.attachment, absl::Now() + options_.cni_timeout);
  if (undone.ok()) return Prefix(result.status(), Name(request));
  return absl::Status(result.status().code(),
                      absl::StrCat(Name(request), ": ", result.status().message(),
                                   "; undoing it failed too and is still to be done: ", undone.message()));
}

absl::StatusOr<CniCacheEntry> CniPodNetwork::FindEntry(const NetworkRequest& request) {
  absl::StatusOr<CniCacheEntry> entry = ReadCniCache(options_.cni_cache_dir, request.sandbox_id, kPodInterface);
  if (!absl::IsDataLoss(entry.status())) {
    if (entry.ok()) Equip(*entry);
    return entry;
  }
  // A power cut took the entry. That there is one says that DEL is owed: the present network is the best guess.
  spdlog::warn("sandbox {}: {}: its network is removed by the present CNI configuration", request.sandbox_id,
               entry.status().ToString());
  ASSIGN_OR_RETURN(CniNetworkConfig network, ChooseNetwork());
  CniCacheEntry guess;
  ASSIGN_OR_RETURN(guess.attachment, Attachment(request, std::move(network)));
  guess.builtin = PrefersBuiltins();
  Equip(guess);
  return guess;
}

absl::Status CniPodNetwork::Teardown(const NetworkRequest& request, absl::Time deadline) {
  RETURN_IF_ERROR(CheckId(request.sandbox_id));
  absl::StatusOr<CniCacheEntry> entry = FindEntry(request);
  if (absl::IsNotFound(entry.status())) return absl::OkStatus();
  RETURN_IF_ERROR(entry.status(), Name(request));
  CniAttachment& attachment = entry->attachment;
  // Plugins take an empty path for "it is gone", and stumble over one that does not exist.
  if (!IsNamespace(attachment.environment.netns)) attachment.environment.netns.clear();
  absl::Status status = Detach(attachment, deadline);
  if (status.ok()) return status;
  // An ADD that failed by a mistake in the configuration has a DEL that does, for ever. Once that has been mended, the
  // new one can undo what little the old one did.
  if (entry->state == CniCacheState::kPending)
    if (absl::StatusOr<CniNetworkConfig> present = ChooseNetwork();
        present.ok() && present->name == attachment.network.name && present->text != attachment.network.text) {
      attachment.network = *std::move(present);
      if (Detach(attachment, deadline).ok()) return absl::OkStatus();
    }
  return Prefix(status, Name(request));
}

absl::StatusOr<CniAttachment> CniPodNetwork::FindCompleteAttachment(const NetworkRequest& request) {
  RETURN_IF_ERROR(CheckId(request.sandbox_id));
  ASSIGN_OR_RETURN(CniCacheEntry entry, ReadCniCache(options_.cni_cache_dir, request.sandbox_id, kPodInterface),
                   Name(request));
  if (entry.state == CniCacheState::kPending)
    return absl::NotFoundError(absl::StrCat(Name(request), ": its set-up was begun and never ended"));
  Equip(entry);
  return std::move(entry.attachment);
}

absl::Status CniPodNetwork::Check(const NetworkRequest& request, absl::Time deadline) {
  ASSIGN_OR_RETURN(const CniAttachment attachment, FindCompleteAttachment(request));
  RETURN_IF_ERROR(CniCheck(attachment, {options_.cni_timeout, deadline}), Name(request));
  return absl::OkStatus();
}

absl::StatusOr<PodNetworkResult> CniPodNetwork::Load(const NetworkRequest& request) {
  ASSIGN_OR_RETURN(const CniAttachment attachment, FindCompleteAttachment(request));
  ASSIGN_OR_RETURN(PodNetworkResult result, ReadResult(attachment, absl::Now() + options_.cni_timeout), Name(request));
  return result;
}

void CniPodNetwork::SetPodCidr(const std::string& cidr) {
  const absl::MutexLock lock(&mu_);
  pod_cidr_ = cidr;
  const absl::Status status = WriteFileAtomically(absl::StrCat(options_.cni_cache_dir, "/", kPodCidrFile), cidr, 0600);
  if (!status.ok()) spdlog::warn("the pod CIDR {} is forgotten with a restart: {}", cidr, status.ToString());
}

}  // namespace

absl::StatusOr<std::unique_ptr<PodNetwork>> PodNetwork::Create(PodNetworkOptions options) {
  ASSIGN_OR_RETURN(const Interworking interworking, ParseInterworking(options.interworking), "network");
  for (const auto& [key, dir] : {std::pair<const char*, const std::string&>("cni_conf_dir", options.cni_conf_dir),
                                 {"cni_cache_dir", options.cni_cache_dir},
                                 {"netns_dir", options.netns_dir}})
    if (!absl::StartsWith(dir, "/"))
      return absl::InvalidArgumentError(absl::StrCat("network: ", key, " is \"", dir, "\", no absolute path"));
  if (options.cni_bin_dirs.empty()) return absl::InvalidArgumentError("network: cni_bin_dirs names no folder");
  RETURN_IF_ERROR(MakeFolder(options.cni_cache_dir), "network");
  RETURN_IF_ERROR(MakeFolder(options.netns_dir), "network");
  absl::StatusOr<std::string> cidr = ReadFile(absl::StrCat(options.cni_cache_dir, "/", kPodCidrFile), 4096);
  auto network = std::make_unique<CniPodNetwork>(std::move(options), interworking, cidr.value_or(""));
  RETURN_IF_ERROR(network->OpenBuiltins(), "network");
  return network;
}

}  // namespace podvisor
