#include "daemon/machine_facts.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cri/streaming/tls.h"

namespace podvisor {
namespace {

nlohmann::json Describe(const RuntimeHandler& handler) {
  const Capabilities& can = handler.hypervisor->capabilities();
  return {{"hypervisor", handler.hypervisor->Describe()},
          {"kernel", handler.kernel_path},
          {"initrd", handler.initrd_path},
          {"capabilities",
           {{"pause", can.pause},
            {"disk_swap", can.disk_swap},
            {"disk_hotplug", can.disk_hotplug},
            {"vcpu_hotplug", can.vcpu_hotplug},
            {"memory_resize", can.memory_resize},
            {"shared_folder", can.shared_folder},
            {"shared_folder_fs", can.shared_folder_fs},
            {"max_vcpus", can.max_vcpus}}}};
}

bool Readable(const std::string& path) { return ::access(path.c_str(), R_OK) == 0; }

void CheckSection(const std::string& name, const HypervisorSection& section, std::vector<std::string>& missing) {
  if (section.type == "mock") return;
  if (::access(section.path.c_str(), X_OK) != 0) {
    missing.push_back(
        absl::StrCat(name, ".path: ", section.path, " is no program: install a hypervisor (Debian: qemu-system-x86)"));
  }
  for (const auto& [key, path] :
       {std::pair<const char*, const std::string&>{"kernel", section.kernel}, {"initrd", section.initrd}}) {
    if (!Readable(path)) {
      missing.push_back(absl::StrCat(name, ".", key, ": ", path, " can't be read: guest/build makes it"));
    }
  }
}

}  // namespace

std::string MachineFactsJson(const std::map<std::string, RuntimeHandler>& handlers) {
  nlohmann::json json;
  struct utsname names {};
  ::uname(&names);
  json["kernel"] = names.release;
  json["architecture"] = names.machine;
  for (const auto& [name, handler] : handlers) json["handlers"][name] = Describe(handler);
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<std::string> MissingOnThisMachine(const Config& config) {
  std::vector<std::string> missing;
  CheckSection("hypervisor", config.hypervisor, missing);
  for (const auto& [name, section] : config.runtimes) CheckSection(absl::StrCat("runtimes.", name), section, missing);
  if (!Readable(config.network.cni_conf_dir)) {
    missing.push_back(absl::StrCat("network.cni_conf_dir: ", config.network.cni_conf_dir,
                                   " can't be read: pods get no network until it holds a configuration"));
  }
  bool plugins = config.cni.builtin;
  for (const std::string& folder : config.network.cni_bin_dirs) plugins = plugins || Readable(folder);
  if (!plugins) {
    missing.push_back(absl::StrCat("network.cni_bin_dirs: none of ", absl::StrJoin(config.network.cni_bin_dirs, ", "),
                                   " is there: install CNI plugins (Debian: containernetworking-plugins)"));
  }
  return missing;
}

absl::Status CheckNeededFiles(const Config& config) {
  return cri::CheckTlsFiles({.certificate = config.streaming.tls_certificate,
                             .key = config.streaming.tls_key,
                             .client_ca = config.streaming.tls_client_ca});
}

}  // namespace podvisor
