#include "podmanager/io/port_stream.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr uint32_t kPiece = 256 << 10;
constexpr absl::Duration kCallTimeout = absl::Seconds(30);
constexpr absl::Duration kWaitInGuest = absl::Seconds(30);
// A guest that answers at once and empty, again and again, is broken.
constexpr int kMaxEmptyAnswers = 1000;

// All in the event loop's thread. Kept alive by its calls under way: one reads until the end.
class PortStream final : public StreamSession, public std::enable_shared_from_this<PortStream> {
 public:
  PortStream(std::shared_ptr<AgentClient> client, std::string sandbox_id, uint16_t port,
             std::shared_ptr<StreamPeer> peer)
      : client_(std::move(client)), sandbox_id_(std::move(sandbox_id)), port_(port), peer_(std::move(peer)) {}

  void Begin() {
    agent::v1::DialPortRequest request;
    request.set_port(port_);
    client_->CallAsync(
        kExtensionService, "DialPort", request, absl::Now() + kCallTimeout,
        [self = shared_from_this()](const absl::StatusOr<std::string>& answer) { self->OnDialled(answer); });
  }

  void Write(std::string data, std::function<void()> taken) override {
    if (peer_ == nullptr || write_ended_) return taken();
    data_ = std::move(data);
    written_ = 0;
    taken_ = std::move(taken);
    if (id_ != 0) WriteNext();
  }

  void End() override {
    if (peer_ == nullptr || std::exchange(write_ended_, true)) return;
    if (id_ != 0) SendEnd();
  }

  void Resize(TerminalSize) override {}

  void Hangup(Leave) override {
    peer_ = nullptr;
    taken_ = nullptr;
    Close();
  }

 private:
  void OnDialled(const absl::StatusOr<std::string>& answer) {
    if (!answer.ok()) return Finish(answer.status());
    agent::v1::DialPortResponse response;
    if (!response.ParseFromString(*answer) || response.id() == 0)
      return Finish(absl::DataLossError("DialPort: the agent's answer is no message"));
    id_ = response.id();
    if (peer_ == nullptr) return Close();
    if (taken_ != nullptr) {
      WriteNext();
    } else if (write_ended_) {
      SendEnd();
    }
    Read();
  }

  void WriteNext() {
    if (written_ == data_.size()) {
      data_ = {};
      if (const std::function<void()> taken = std::exchange(taken_, nullptr)) taken();
      return;
    }
    agent::v1::WritePortRequest request;
    request.set_id(id_);
    const size_t size = std::min<size_t>(kPiece, data_.size() - written_);
    request.set_data(data_.data() + written_, size);
    CallWrite(request, [this, size] {
      written_ += size;
      WriteNext();
    });
  }

  void SendEnd() {
    agent::v1::WritePortRequest request;
    request.set_id(id_);
    request.set_eof(true);
    CallWrite(request, [this] {
      end_sent_ = true;
      FinishIfEnded();
    });
  }

  void CallWrite(const agent::v1::WritePortRequest& request, std::function<void()> then) {
    client_->CallAsync(kExtensionService, "WritePort", request, absl::InfiniteFuture(),
                       [self = shared_from_this(), then = std::move(then)](const absl::StatusOr<std::string>& answer) {
                         if (self->peer_ == nullptr) return;
                         if (answer.ok()) return then();
                         // The other direction may still have something to say, and its end.
                         self->write_ended_ = self->end_sent_ = true;
                         self->data_ = {};
                         if (const std::function<void()> taken = std::exchange(self->taken_, nullptr)) taken();
                         self->FinishIfEnded();
                       });
  }

  void Read() {
    agent::v1::ReadPortRequest request;
    request.set_id(id_);
    request.set_max_bytes(kPiece);
    request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(kWaitInGuest)));
    client_->CallAsync(kExtensionService, "ReadPort", request, absl::Now() + 2 * kWaitInGuest,
                       [self = shared_from_this()](const absl::StatusOr<std::string>& answer) {
                         if (self->peer_ != nullptr) self->OnRead(answer);
                       });
  }

  void OnRead(const absl::StatusOr<std::string>& answer) {
    if (!answer.ok()) return Finish(answer.status());
    agent::v1::ReadPortResponse response;
    if (!response.ParseFromString(*answer) || response.data().size() > kPiece)
      return Finish(absl::DataLossError("ReadPort: the agent's answer is none to the question"));
    if (response.eof()) {
      read_ended_ = true;
      peer_->End(PeerOutput::kStdout);
      return FinishIfEnded();
    }
    if (response.data().empty()) {
      if (++empty_answers_ > kMaxEmptyAnswers)
        return Finish(absl::DataLossError("ReadPort: nothing but empty answers"));
      return Read();
    }
    empty_answers_ = 0;
    peer_->Write(PeerOutput::kStdout, std::move(*response.mutable_data()), [self = shared_from_this()] {
      if (self->peer_ != nullptr) self->Read();
    });
  }

  void FinishIfEnded() {
    if (read_ended_ && end_sent_) Finish(0);
  }

  void Finish(absl::StatusOr<int> result) {
    const std::shared_ptr<StreamPeer> peer = std::exchange(peer_, nullptr);
    taken_ = nullptr;
    Close();
    if (peer == nullptr) return;
    if (absl::IsCancelled(result.status())) result = absl::UnavailableError("the sandbox has ended");
    if (!result.ok()) result = Prefix(result.status(), absl::StrCat("port ", port_, " of sandbox ", sandbox_id_));
    peer->Finish(std::move(result));
  }

  void Close() {
    if (id_ == 0 || std::exchange(closed_, true)) return;
    agent::v1::ClosePortRequest request;
    request.set_id(id_);
    client_->CallAsync(kExtensionService, "ClosePort", request, absl::Now() + kCallTimeout,
                       [self = shared_from_this()](const absl::StatusOr<std::string>&) {});
  }

  const std::shared_ptr<AgentClient> client_;
  const std::string sandbox_id_;
  const uint16_t port_;
  std::shared_ptr<StreamPeer> peer_;  // null at the end
  uint64_t id_ = 0;                   // the agent's; 0: not dialled yet
  std::string data_;                  // on its way to the guest
  size_t written_ = 0;
  std::function<void()> taken_;
  bool write_ended_ = false, end_sent_ = false, read_ended_ = false, closed_ = false;
  int empty_answers_ = 0;
};

}  // namespace

std::shared_ptr<StreamSession> StartPortStream(std::shared_ptr<AgentClient> client, std::string sandbox_id,
                                               uint16_t port, std::shared_ptr<StreamPeer> peer) {
  auto stream = std::make_shared<PortStream>(std::move(client), std::move(sandbox_id), port, std::move(peer));
  stream->Begin();
  return stream;
}

}  // namespace podvisor
