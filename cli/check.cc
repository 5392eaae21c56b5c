// podvisor check: what was detected, what is missing and how to get it. Works without a daemon.

#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <iomanip>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/probes.h"

namespace podvisor::cli {
namespace {

constexpr char kDefaultConfig[] = "/etc/podvisor/podvisor.yaml";

void Read(const YAML::Node& section, const char* key, std::string& into) {
  if (section.IsMap() && section[key]) into = section[key].as<std::string>();
}

const char* Mark(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "ok";
    case Verdict::kWorse:
      return "worse";
    case Verdict::kMissing:
      return "MISSING";
  }
  return "?";
}

// Whether all that is essential is there.
bool Print(const std::vector<Finding>& findings) {
  bool complete = true;
  for (const Finding& finding : findings) {
    std::cout << std::left << std::setw(9) << Mark(finding.verdict) << std::setw(15) << finding.what << finding.detail
              << "\n";
    if (!finding.remedy.empty())
      std::cout << std::setw(24) << ""
                << "-> " << finding.remedy << "\n";
    if (finding.verdict == Verdict::kMissing) complete = false;
  }
  return complete;
}

absl::Status Check(Context& context, const std::string& config_path) {
  ASSIGN_OR_RETURN(const CheckedConfig config, ReadCheckedConfig(config_path));
  bool complete = Print(ProbeMachine(config));
  complete = Print(ProbeNetwork(config)) && complete;
  complete = Print(ProbeDaemon(context.Connect())) && complete;
  if (!complete) context.exit_code = 1;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CheckedConfig> ReadCheckedConfig(const std::string& path) {
  CheckedConfig config;
  if (::access(path.c_str(), R_OK) != 0) {
    if (path == kDefaultConfig) return config;
    return absl::NotFoundError(absl::StrCat("configuration ", path, " can't be read"));
  }
  try {
    const YAML::Node root = YAML::LoadFile(path);
    Read(root, "state_dir", config.state_dir);
    const YAML::Node hypervisor = root["hypervisor"];
    if (hypervisor) {
      Read(hypervisor, "path", config.hypervisor_path);
      Read(hypervisor, "kernel", config.kernel);
      Read(hypervisor, "initrd", config.initrd);
    }
    const YAML::Node network = root["network"];
    if (network) {
      Read(network, "cni_conf_dir", config.cni_conf_dir);
      if (network.IsMap() && network["cni_bin_dirs"])
        config.cni_bin_dirs = network["cni_bin_dirs"].as<std::vector<std::string>>();
    }
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.what(), " (podvisord --check-config says more)"));
  }
  return config;
}

std::vector<Finding> ProbeDaemon(const Client& client) {
  const auto version = Call(client, *client.runtime, &runtime::v1::RuntimeService::Stub::Version,
                            runtime::v1::VersionRequest(), absl::Seconds(5));
  if (!version.ok())
    return {
        {"daemon", Verdict::kWorse, std::string(version.status().message()), "nothing can run until it is started"}};
  std::vector<Finding> findings = {
      {"daemon", Verdict::kGood,
       absl::StrCat(version->runtime_name(), " ", version->runtime_version(), " on ", client.socket), ""}};
  const auto status = Call(client, *client.runtime, &runtime::v1::RuntimeService::Stub::Status,
                           runtime::v1::StatusRequest(), absl::Seconds(10));
  if (!status.ok()) {
    findings.push_back({"status", Verdict::kMissing, std::string(status.status().message()), "see the daemon's log"});
    return findings;
  }
  for (const auto& condition : status->status().conditions()) {
    if (condition.status())
      findings.push_back({condition.type(), Verdict::kGood, "yes", ""});
    else
      findings.push_back({condition.type(), Verdict::kMissing, condition.message(), condition.reason()});
  }
  return findings;
}

void AddCheck(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("check", "Say what this machine has for pods in VMs, and what is missing");
  auto path = std::make_shared<std::string>(kDefaultConfig);
  command->add_option("--config", *path, "The daemon's configuration file")->capture_default_str();
  command->callback([&context, path] { context.Finish(Check(context, *path)); });
}

}  // namespace podvisor::cli
