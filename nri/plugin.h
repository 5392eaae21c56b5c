// One registered plugin: what it is called, what it wants to hear, and how it is asked.
#ifndef PODVISOR_NRI_PLUGIN_H_
#define PODVISOR_NRI_PLUGIN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nri/api.h"
#include "nri/plugin_connection.h"

namespace podvisor {

// The number in front of a plugin's name orders plugins: two digits.
absl::Status CheckPluginIdentity(const std::string& name, const std::string& index);

// Thread-safe once configured. Every call blocks up to `request_timeout`.
//
// Errors are the plugin's own, and say its name. A plugin that does not answer in time, or can't be talked to, is
// closed and from then on treated as if it were not there: kUnavailable from Configure() and Synchronize(), success
// from the others.
class Plugin {
 public:
  Plugin(const std::string& name, const std::string& index, std::shared_ptr<PluginConnection> connection,
         absl::Duration request_timeout)
      : name_(index + "-" + name),
        base_(name),
        index_(index),
        connection_(std::move(connection)),
        timeout_(request_timeout) {}

  const std::string& name() const { return name_; }  // "10-logger"
  const std::string& base() const { return base_; }
  const std::string& index() const { return index_; }
  bool Wants(nri_api::Event event) const { return (events_ & Bit(event)) != 0; }

  absl::Status Configure(nri_api::ConfigureRequest request);
  // In as many messages as it takes. `updates` gets what the plugin asks for.
  absl::Status Synchronize(const std::vector<nri_api::PodSandbox>& pods,
                           const std::vector<nri_api::Container>& containers,
                           std::vector<nri_api::ContainerUpdate>* updates);

  // No call if the plugin has not asked for `event`. `response` may be null. A validator that is gone has not agreed:
  // kIsError.
  enum class IfGone { kIsForgiven, kIsError };
  absl::Status Ask(nri_api::Event event, absl::string_view method, const google::protobuf::MessageLite& request,
                   google::protobuf::MessageLite* response, IfGone if_gone = IfGone::kIsForgiven);
  // The same for events that older plugins know as StateChange: those that do not know `method` get that.
  absl::Status Tell(absl::string_view method, const google::protobuf::MessageLite& request,
                    const nri_api::StateChangeEvent& change);

  void Shutdown(absl::Duration timeout);
  void Close(const absl::Status& why) { connection_->Close(why); }

 private:
  static int32_t Bit(nri_api::Event event) { return 1 << (static_cast<int>(event) - 1); }
  // kUnavailable, after it has been closed, if it can't be talked to.
  absl::Status Call(absl::string_view method, const google::protobuf::MessageLite& request,
                    google::protobuf::MessageLite* response);
  absl::Status Forgive(absl::Status status);

  const std::string name_, base_, index_;
  const std::shared_ptr<PluginConnection> connection_;
  const absl::Duration timeout_;
  int32_t events_ = 0;  // set by Configure()
};

}  // namespace podvisor

#endif  // PODVISOR_NRI_PLUGIN_H_
