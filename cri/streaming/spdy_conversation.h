// A conversation in SPDY frames.
#ifndef PODVISOR_CRI_STREAMING_SPDY_CONVERSATION_H_
#define PODVISOR_CRI_STREAMING_SPDY_CONVERSATION_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "cri/streaming/conversation.h"
#include "cri/streaming/spdy/connection.h"

namespace podvisor::cri {

class SpdyConversation : public Conversation, protected spdy::ConnectionEvents {
 public:
  SpdyConversation(ConversationOptions options, std::unique_ptr<Wire> wire)
      : Conversation(std::move(options), std::move(wire)) {}

 protected:
  absl::Status OnInput(std::string data) override {
    absl::Status status = spdy_.Feed(data);
    Flush();
    return status;
  }
  void OnGoAway() override {}

  spdy::Connection& spdy() { return spdy_; }

  // Sends the frames that spdy() has made.
  void Flush(std::function<void()> sent = nullptr) {
    if (spdy_.output_size() > 0) return Send(spdy_.TakeOutput(), std::move(sent));
    if (sent != nullptr) sent();
  }

 private:
  spdy::Connection spdy_{*this};
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_SPDY_CONVERSATION_H_
