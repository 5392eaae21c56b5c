#include "netns/builtin/address_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "netns/builtin/config_reader.h"
#include "netns/cni_json.h"

namespace podvisor {
namespace {

constexpr char kLeases[] = "cni_addresses";     // NETWORK/CONTAINER/INTERFACE → its leases
constexpr char kLast[] = "cni_last_addresses";  // NETWORK/SET → the one given last
// Somebody else takes every address that is chosen: can't go on for long.
constexpr int kMaxRaces = 64;

std::string ReservationDir(const AttachmentId& id, const Lease& lease) {
  return absl::StrCat(lease.data_dir, "/", id.network);
}

std::string ReservationPath(const AttachmentId& id, const Lease& lease) {
  return absl::StrCat(ReservationDir(id, lease), "/", lease.address.address.ToString());
}

// host-local's format. kAlreadyExists if the address is taken.
absl::Status Reserve(const AttachmentId& id, const Lease& lease) {
  const std::string path = ReservationPath(id, lease);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd file(::open(path.c_str(), kFlags, 0600));
  if (!file.ok() && errno == ENOENT) {
    std::error_code error;
    std::filesystem::create_directories(ReservationDir(id, lease), error);
    file.reset(::open(path.c_str(), kFlags, 0600));
  }
  if (!file.ok()) return ErrnoStatus(errno, absl::StrCat("reserve address ", path));
  const std::string text = absl::StrCat(id.container, "\r\n", id.interface);
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return ErrnoStatus(errno, absl::StrCat("write ", path));
  return absl::OkStatus();
}

// Leaves a file that says another container: host-local came between our row and our file.
void Unreserve(const AttachmentId& id, const Lease& lease) {
  const std::string path = ReservationPath(id, lease);
  const absl::StatusOr<std::string> owner = ReadFile(path, 4096);
  if (owner.ok() && !absl::StartsWith(*owner, absl::StrCat(id.container, "\r\n"))) return;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    spdlog::warn("address {} stays reserved: {}", lease.address.ToString(), ErrnoStatus(errno, path).ToString());
}

std::string ToJson(const std::vector<Lease>& leases) {
  nlohmann::json list = nlohmann::json::array();
  for (const Lease& lease : leases)
    list.push_back({{"address", lease.address.ToString()},
                    {"gateway", lease.gateway.ToString()},
                    {"dataDir", lease.data_dir},
                    {"masquerade", lease.masquerade}});
  return PrintJson({{"leases", std::move(list)}});
}

absl::StatusOr<std::vector<Lease>> FromJson(const std::string& text) {
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonObject(text));
  ASSIGN_OR_RETURN(const nlohmann::json list, ArrayField(json, "leases"));
  std::vector<Lease> leases;
  for (const nlohmann::json& entry : list) {
    Lease lease;
    ASSIGN_OR_RETURN(const std::string address, StringField(entry, "address", ""));
    ASSIGN_OR_RETURN(lease.address, ParseIpNetwork(address));
    ASSIGN_OR_RETURN(const std::string gateway, StringField(entry, "gateway", ""));
    ASSIGN_OR_RETURN(lease.gateway, ParseIp(gateway));
    ASSIGN_OR_RETURN(lease.data_dir, StringField(entry, "dataDir", ""));
    ASSIGN_OR_RETURN(lease.masquerade, BoolField(entry, "masquerade", false));
    leases.push_back(std::move(lease));
  }
  return leases;
}

std::string LastKey(const std::string& network, size_t set) { return absl::StrCat(network, "/", set); }

std::string RangesText(const std::vector<IpRange>& ranges) {
  std::string text;
  for (const IpRange& range : ranges)
    absl::StrAppend(&text, text.empty() ? "" : ", ", range.start.ToString(), "-", range.end.ToString());
  return text;
}

// Calls `visit` for every address of the ranges, from the one after `last`, until it returns true.
bool VisitFrom(const std::vector<IpRange>& ranges, const std::optional<IpAddress>& last,
               const std::function<bool(const IpRange&, const IpAddress&)>& visit) {
  size_t first = 0;
  std::optional<IpAddress> begin;
  for (size_t i = 0; last.has_value() && i < ranges.size(); ++i)
    if (ranges[i].subnet.Contains(*last) && ranges[i].start <= *last && *last < ranges[i].end) {
      first = i;
      begin = Next(*last);
    } else if (*last == ranges[i].end) {
      first = (i + 1) % ranges.size();
    }
  const auto walk = [&](const IpRange& range, const IpAddress& from, const IpAddress& to) {
    for (IpAddress address = from;; address = Next(address)) {
      if (visit(range, address)) return true;
      if (address == to) return false;
    }
  };
  for (size_t i = 0; i < ranges.size(); ++i) {
    const IpRange& range = ranges[(first + i) % ranges.size()];
    if (walk(range, i == 0 && begin.has_value() ? *begin : range.start, range.end)) return true;
  }
  // What of the first range lies before the beginning.
  return begin.has_value() && walk(ranges[first], ranges[first].start, *last);
}

}  // namespace

std::string AttachmentId::ToString() const { return absl::StrCat(network, "/", container, "/", interface); }

absl::StatusOr<std::unique_ptr<AddressPool>> AddressPool::Open(StateDb& db) {
  std::unique_ptr<AddressPool> pool(new AddressPool(db));
  RETURN_IF_ERROR(pool->Load(), "addresses of pods");
  return pool;
}

absl::Status AddressPool::Load() {
  const absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(const std::vector<StateDb::Row> rows, db_.Scan(kLeases));
  for (const auto& [key, value] : rows) {
    const std::vector<std::string> parts = absl::StrSplit(key, '/');
    if (parts.size() != 3) return absl::DataLossError(absl::StrCat("key ", key));
    const AttachmentId id = {parts[0], parts[1], parts[2]};
    ASSIGN_OR_RETURN(std::vector<Lease> leases, FromJson(value), key);
    for (const Lease& lease : leases) owners_[{id.network, lease.address.address}] = id;
    leases_[id] = std::move(leases);
  }
  ASSIGN_OR_RETURN(const std::vector<StateDb::Row> last, db_.Scan(kLast));
  for (const auto& [key, value] : last)
    if (const absl::StatusOr<IpAddress> address = ParseIp(value); address.ok()) last_[key] = *address;
  return absl::OkStatus();
}

absl::StatusOr<AddressPool::Choice> AddressPool::Choose(const AttachmentId& id, const IpamConfig& config, size_t set,
                                                        IpAddress* requested) {
  const std::vector<IpRange>& ranges = config.range_sets[set];
  std::optional<Choice> choice;
  const auto take = [&](const IpRange& range, const IpAddress& address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (requested != nullptr && address != *requested) return false;
    if (address == range.gateway || owners_.count({id.network, address}) > 0) return false;
    Choice candidate = {{{address, range.subnet.prefix}, range.gateway, config.data_dir}, set};
    if (::access(ReservationPath(id, candidate.lease).c_str(), F_OK) == 0) return false;
    choice = std::move(candidate);
    return true;
  };
  if (requested != nullptr) {
    for (const IpRange& range : ranges)
      if (range.start <= *requested && *requested <= range.end && take(range, *requested)) return *choice;
    return absl::FailedPreconditionError(absl::StrCat("requested address ", requested->ToString(), " of network ",
                                                      id.network, " is taken or the gateway's"));
  }
  const auto last = last_.find(LastKey(id.network, set));
  if (VisitFrom(ranges, last == last_.end() ? std::nullopt : std::optional(last->second), take)) return *choice;
  return absl::ResourceExhaustedError(absl::StrCat("network ", id.network, " has no free address left in ",
                                                   RangesText(ranges), ": remove pods or enlarge the range"));
}

absl::Status AddressPool::Record(const AttachmentId& id, const std::vector<Choice>& choices) {
  std::vector<Lease> leases;
  std::vector<StateDb::Write> writes;
  for (const Choice& choice : choices) {
    leases.push_back(choice.lease);
    writes.push_back({kLast, LastKey(id.network, choice.set), choice.lease.address.address.ToString()});
  }
  writes.push_back({kLeases, id.ToString(), ToJson(leases)});
  RETURN_IF_ERROR(db_.Apply(writes), "record addresses");
  for (const Choice& choice : choices) {
    owners_[{id.network, choice.lease.address.address}] = id;
    last_[LastKey(id.network, choice.set)] = choice.lease.address.address;
  }
  leases_[id] = std::move(leases);
  return absl::OkStatus();
}

absl::Status AddressPool::Forget(const AttachmentId& id) {
  const auto found = leases_.find(id);
  if (found == leases_.end()) return absl::OkStatus();
  RETURN_IF_ERROR(db_.Delete(kLeases, id.ToString()), "forget addresses");
  for (const Lease& lease : found->second) owners_.erase({id.network, lease.address.address});
  leases_.erase(found);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Lease>> AddressPool::Allocate(const AttachmentId& id, const IpamConfig& config,
                                                         bool masquerade) {
  const absl::MutexLock lock(&mu_);
  if (const auto found = leases_.find(id); found != leases_.end()) return found->second;
  for (int race = 0; race < kMaxRaces; ++race) {
    std::vector<IpAddress> requested = config.requested;
    std::vector<Choice> choices;
    for (size_t set = 0; set < config.range_sets.size(); ++set) {
      const auto wanted = std::find_if(requested.begin(), requested.end(), [&](const IpAddress& address) {
        return std::any_of(config.range_sets[set].begin(), config.range_sets[set].end(), [&](const IpRange& range) {
          return range.subnet.Contains(address) && range.start <= address && address <= range.end;
        });
      });
      ASSIGN_OR_RETURN(Choice choice, Choose(id, config, set, wanted == requested.end() ? nullptr : &*wanted));
      if (wanted != requested.end()) requested.erase(wanted);
      choice.lease.masquerade = masquerade;
      choices.push_back(std::move(choice));
    }
    if (!requested.empty())
      return absl::FailedPreconditionError(
          absl::StrCat("requested address ", requested[0].ToString(), " is in no range of network ", id.network));
    RETURN_IF_ERROR(Record(id, choices));
    absl::Status reserved;
    size_t count = 0;
    while (reserved.ok() && count < choices.size()) reserved = Reserve(id, choices[count++].lease);
    if (reserved.ok()) return leases_[id];
    // The last one is another's if it exists, else half made and ours.
    if (absl::IsAlreadyExists(reserved)) --count;
    for (size_t i = 0; i < count; ++i) Unreserve(id, choices[i].lease);
    RETURN_IF_ERROR(Forget(id));
    if (!absl::IsAlreadyExists(reserved)) return reserved;
  }
  return absl::UnavailableError(absl::StrCat("network ", id.network, ": others take every address that is chosen"));
}

absl::Status AddressPool::Release(const AttachmentId& id) {
  const absl::MutexLock lock(&mu_);
  if (const auto found = leases_.find(id); found != leases_.end())
    for (const Lease& lease : found->second) Unreserve(id, lease);
  return Forget(id);
}

std::vector<Lease> AddressPool::LeasesOf(const AttachmentId& id) {
  const absl::MutexLock lock(&mu_);
  const auto found = leases_.find(id);
  return found == leases_.end() ? std::vector<Lease>() : found->second;
}

std::map<AttachmentId, std::vector<Lease>> AddressPool::All() {
  const absl::MutexLock lock(&mu_);
  return leases_;
}

}  // namespace podvisor
