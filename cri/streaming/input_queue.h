// What a client has sent for a session that takes it piece by piece.
#ifndef PODVISOR_CRI_STREAMING_INPUT_QUEUE_H_
#define PODVISOR_CRI_STREAMING_INPUT_QUEUE_H_

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "podmanager/stream_session.h"

namespace podvisor::cri {

// Keeps the order, and to one Write() at a time. Made as a shared pointer: the session's callbacks may outlive its
// owner. In the event loop's thread.
class InputQueue : public std::enable_shared_from_this<InputQueue> {
 public:
  // `taken` is told how many bytes are kept no longer.
  explicit InputQueue(std::function<void(size_t)> taken) : taken_(std::move(taken)) {}

  // Whom it is for; what has come before goes there now.
  void Connect(std::shared_ptr<StreamSession> session) {
    session_ = std::move(session);
    Next();
  }

  void Push(absl::string_view data) {
    if (ended_) return taken_(data.size());
    kept_ += data.size();
    data_.append(data.data(), data.size());
    Next();
  }

  void End() {
    ended_ = true;
    Next();
  }

  // Nothing of it is called any more, but that what it has kept is dropped: a session that ends without having read
  // its input must not hold up the others on its connection.
  void Close() {
    session_ = nullptr;
    ended_ = true;
    data_.clear();
    const std::function<void(size_t)> taken = std::exchange(taken_, [](size_t) {});
    if (const size_t kept = std::exchange(kept_, 0); kept > 0) taken(kept);
  }

 private:
  void Next() {
    if (session_ == nullptr || busy_) return;
    if (!data_.empty()) {
      busy_ = true;
      const size_t size = data_.size();
      session_->Write(std::exchange(data_, {}), [self = shared_from_this(), size] {
        self->busy_ = false;
        self->kept_ -= std::min(size, self->kept_);  // none after Close()
        self->taken_(size);
        self->Next();
      });
    } else if (ended_ && !end_told_) {
      end_told_ = true;
      session_->End();
    }
  }

  std::function<void(size_t)> taken_;
  std::shared_ptr<StreamSession> session_;
  std::string data_;
  size_t kept_ = 0;  // of what was pushed: in data_, or being written
  bool busy_ = false, ended_ = false, end_told_ = false;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_INPUT_QUEUE_H_
