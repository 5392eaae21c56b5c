// One call of a built-in plugin.
#ifndef PODVISOR_NETNS_BUILTIN_PLUGIN_CALL_H_
#define PODVISOR_NETNS_BUILTIN_PLUGIN_CALL_H_

#include <nlohmann/json.hpp>
#include <string>

#include "netns/builtin/address_pool.h"

namespace podvisor {

struct PluginCall {
  AttachmentId id;
  std::string netns;      // a path; empty at a DEL after the namespace has gone
  std::string cni_args;   // CNI_ARGS
  nlohmann::json config;  // an object, with cniVersion, name, and prevResult where there is one
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_PLUGIN_CALL_H_
