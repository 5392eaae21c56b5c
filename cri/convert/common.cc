#include "cri/convert/common.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

template <typename From, typename To>
void CopyMappings(const From& from, To* to) {
  for (const auto& mapping : from) {
    auto* copy = to->Add();
    copy->set_host_id(mapping.host_id());
    copy->set_container_id(mapping.container_id());
    copy->set_length(mapping.length());
  }
}

// The length of the UTF-8 sequence at the front of `text`; 0 if there is none.
size_t SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies above U+10FFFF.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) >= 0xa0) || (first == 0xf0 && byte(1) < 0x90) ||
      (first == 0xf4 && byte(1) >= 0x90)) {
    return 0;
  }
  return length;
}

}  // namespace

Resources ResourcesFromCri(const v1::LinuxContainerResources& resources) {
  Resources out;
  out.set_cpu_period(resources.cpu_period());
  out.set_cpu_quota(resources.cpu_quota());
  out.set_cpu_shares(resources.cpu_shares());
  out.set_memory_limit_bytes(resources.memory_limit_in_bytes());
  out.set_memory_swap_limit_bytes(resources.memory_swap_limit_in_bytes());
  out.set_oom_score_adj(resources.oom_score_adj());
  out.set_cpuset_cpus(resources.cpuset_cpus());
  out.set_cpuset_mems(resources.cpuset_mems());
  for (const auto& limit : resources.hugepage_limits()) {
    (*out.mutable_hugepage_limits())[limit.page_size()] = limit.limit();
  }
  *out.mutable_unified() = resources.unified();
  return out;
}

void ResourcesToCri(const Resources& resources, v1::LinuxContainerResources* out) {
  out->set_cpu_period(resources.cpu_period());
  out->set_cpu_quota(resources.cpu_quota());
  out->set_cpu_shares(resources.cpu_shares());
  out->set_memory_limit_in_bytes(resources.memory_limit_bytes());
  out->set_memory_swap_limit_in_bytes(resources.memory_swap_limit_bytes());
  out->set_oom_score_adj(resources.oom_score_adj());
  out->set_cpuset_cpus(resources.cpuset_cpus());
  out->set_cpuset_mems(resources.cpuset_mems());
  for (const auto& [page_size, limit] : resources.hugepage_limits()) {
    v1::HugepageLimit* copy = out->add_hugepage_limits();
    copy->set_page_size(page_size);
    copy->set_limit(limit);
  }
  *out->mutable_unified() = resources.unified();
}

// The numbers of podmanager's NamespaceMode are CRI's: convert_test checks it.
Namespaces NamespacesFromCri(const v1::NamespaceOption& options) {
  Namespaces out;
  out.set_network(static_cast<NamespaceMode>(options.network()));
  out.set_pid(static_cast<NamespaceMode>(options.pid()));
  out.set_ipc(static_cast<NamespaceMode>(options.ipc()));
  out.set_target_id(options.target_id());
  if (options.has_userns_options() && options.userns_options().mode() == v1::POD) {
    out.set_user_namespace(true);
    CopyMappings(options.userns_options().uids(), out.mutable_uids());
    CopyMappings(options.userns_options().gids(), out.mutable_gids());
  }
  return out;
}

void NamespacesToCri(const Namespaces& namespaces, v1::NamespaceOption* out) {
  out->set_network(static_cast<v1::NamespaceMode>(namespaces.network()));
  out->set_pid(static_cast<v1::NamespaceMode>(namespaces.pid()));
  out->set_ipc(static_cast<v1::NamespaceMode>(namespaces.ipc()));
  out->set_target_id(namespaces.target_id());
  if (!namespaces.user_namespace()) return;
  v1::UserNamespace* userns = out->mutable_userns_options();
  userns->set_mode(v1::POD);
  CopyMappings(namespaces.uids(), userns->mutable_uids());
  CopyMappings(namespaces.gids(), userns->mutable_gids());
}

SecurityProfile ProfileFromCri(const v1::SecurityProfile& profile) {
  SecurityProfile out;
  out.set_type(static_cast<SecurityProfile::Type>(profile.profile_type()));
  out.set_localhost_ref(profile.localhost_ref());
  return out;
}

SecurityProfile ProfileFromOldForm(absl::string_view old) {
  SecurityProfile out;
  if (old.empty() || old == "unconfined") {
    out.set_type(SecurityProfile::UNCONFINED);
  } else if (absl::ConsumePrefix(&old, "localhost/")) {
    out.set_type(SecurityProfile::LOCALHOST);
    out.set_localhost_ref(std::string(old));
  } else {
    out.set_type(SecurityProfile::RUNTIME_DEFAULT);
  }
  return out;
}

std::string SignalFromCri(v1::Signal signal) {
  if (signal == v1::RUNTIME_DEFAULT || !v1::Signal_IsValid(signal)) return "";
  std::string name = v1::Signal_Name(signal);
  // CRI spells "SIGRTMIN+3" as an identifier.
  for (const auto& [word, sign] : {std::pair<absl::string_view, const char*>{"PLUS", "+"}, {"MINUS", "-"}}) {
    const size_t at = name.find(word.data(), 0, word.size());
    if (at != std::string::npos) name.replace(at, word.size(), sign);
  }
  return name;
}

v1::Signal SignalToCri(const std::string& name) {
  std::string word = name;
  if (const size_t at = word.find_first_of("+-"); at != std::string::npos) {
    word.replace(at, 1, word[at] == '+' ? "PLUS" : "MINUS");
  }
  v1::Signal signal = v1::RUNTIME_DEFAULT;
  if (!v1::Signal_Parse(word, &signal)) return v1::RUNTIME_DEFAULT;
  return signal;
}

int64_t ToCriTime(absl::Time time) { return time == absl::InfinitePast() ? 0 : absl::ToUnixNanos(time); }

std::string ToValidUtf8(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    if (length == 0) {
      out.push_back('?');
    } else {
      out.append(text.data(), length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace podvisor::cri
