#include "podmanager/io/output_pump.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

// In a row, with pauses: a guest that fails so often is broken.
constexpr int kMaxFailures = 5;
constexpr int kMaxEarlyEmptyAnswers = 100;

// Errors that say nothing about the process: the guest is slow, or the connection broke.
bool IsPassing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status) ||
         absl::IsAborted(status);
}

// A stock agent says the end of a stream by an error: kInvalidArgument with "eof" or, for a terminal, EIO; kNotFound
// when the process has been waited for.
bool IsPlainEnd(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsInvalidArgument(status) ||
         absl::StrContains(absl::AsciiStrToLower(status.message()), "eof");
}

class OutputPumpImpl : public OutputPump, public std::enable_shared_from_this<OutputPumpImpl> {
 public:
  OutputPumpImpl(EventLoop& loop, std::shared_ptr<AgentClient> client, std::shared_ptr<OutputSink> sink,
                 OutputPumpOptions options, std::function<void(absl::Status)> on_done)
      : loop_(loop),
        client_(std::move(client)),
        sink_(std::move(sink)),
        options_(std::move(options)),
        on_done_(std::move(on_done)),
        streams_{Stream(loop, OutputStream::kStdout), Stream(loop, OutputStream::kStderr)} {
    for (size_t i = 0; i < streams_.size(); ++i) {
      streams_[i].offset = streams_[i].seen = options_.offset[i];
      streams_[i].ended = options_.ended[i];
      streams_[i].backoff = options_.first_backoff;
    }
    if (options_.tty) streams_[1].ended = true;
  }

  void Begin() {
    boost::asio::post(loop_.context(), [self = shared_from_this()] {
      for (Stream& stream : self->streams_)
        if (!stream.ended) self->Read(stream);
      self->FinishIfEnded();
    });
  }

  void Stop() override {
    boost::asio::dispatch(loop_.context(), [self = shared_from_this()] {
      self->on_done_ = nullptr;
      self->Close();
    });
  }

  void AddTap(std::shared_ptr<OutputTap> tap) override {
    boost::asio::dispatch(loop_.context(), [self = shared_from_this(), tap = std::move(tap)] {
      for (Stream& stream : self->streams_)
        if (stream.ended || self->closed_) tap->End(stream.which);
      if (!self->closed_) self->taps_.push_back(tap);
    });
  }

  void RemoveTap(const std::shared_ptr<OutputTap>& tap) override {
    boost::asio::dispatch(loop_.context(), [self = shared_from_this(), tap] {
      self->taps_.erase(std::remove(self->taps_.begin(), self->taps_.end(), tap), self->taps_.end());
      for (Stream& stream : self->streams_) self->Resume(stream, tap.get());
    });
  }

 private:
  struct Stream {
    Stream(EventLoop& loop, OutputStream which) : which(which), timer(loop.context()) {}

    const OutputStream which;
    uint64_t offset = 0;  // of the first byte that the sink has not taken
    uint64_t seen = 0;    // of the first byte that the taps have not seen
    bool ended = false;
    bool answered = false;               // at least once
    const OutputTap* held_by = nullptr;  // which has no room; nothing is read
    bool held = false;                   // the sink left a line without its end, and has been given time
    int failures = 0;                    // in a row
    int early_empty = 0;                 // in a row
    absl::Time asked_at;
    absl::Duration backoff;
    boost::asio::steady_timer timer;
  };

  void Read(Stream& stream) {
    if (closed_) return;
    stream.held_by = nullptr;
    for (const auto& tap : std::vector<std::shared_ptr<OutputTap>>(taps_)) {
      stream.held_by = tap.get();
      const auto resume = [self = shared_from_this(), &stream, tap] { self->Resume(stream, tap.get()); };
      if (!tap->Ready(stream.which, resume)) return;
    }
    stream.held_by = nullptr;
    stream.asked_at = absl::Now();
    if (plain_) return ReadPlain(stream);
    agent::v1::ReadOutputRequest request;
    request.set_container_id(options_.container_id);
    request.set_exec_id(options_.exec_id);
    request.set_stream(stream.which == OutputStream::kStdout ? agent::v1::STDOUT : agent::v1::STDERR);
    request.set_offset(stream.offset);
    request.set_max_bytes(options_.max_bytes);
    request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(options_.guest_wait)));
    client_->CallAsync(kExtensionService, "ReadOutput", request,
                       stream.asked_at + options_.guest_wait + options_.answer_grace,
                       [self = shared_from_this(), &stream](absl::StatusOr<std::string> answer) {
                         if (!self->closed_) self->OnAnswer(stream, std::move(answer));
                       });
  }

  // If it is `tap` that it waits for.
  void Resume(Stream& stream, const OutputTap* tap) {
    if (tap == stream.held_by) Read(stream);
  }

  // No deadline: an answer that nobody waits for any more would take its bytes with it.
  void ReadPlain(Stream& stream) {
    grpc::ReadStreamRequest request;
    request.set_container_id(options_.container_id);
    request.set_exec_id(options_.exec_id);
    request.set_len(options_.max_bytes);
    client_->CallAsync(kAgentService, stream.which == OutputStream::kStdout ? "ReadStdout" : "ReadStderr", request,
                       absl::InfiniteFuture(),
                       [self = shared_from_this(), &stream](absl::StatusOr<std::string> answer) {
                         if (!self->closed_) self->OnPlainAnswer(stream, std::move(answer));
                       });
  }

  void OnAnswer(Stream& stream, absl::StatusOr<std::string> answer) {
    if (absl::IsUnimplemented(answer.status()) && !stream.answered) {
      plain_ = true;
      return Read(stream);
    }
    if (!answer.ok()) return OnError(stream, answer.status());
    agent::v1::ReadOutputResponse response;
    if (!response.ParseFromString(*answer)) return Break(stream, "an answer that is no message");
    stream.failures = 0;
    if (absl::Status status = CheckOffset(stream, response); !status.ok()) return Finish(std::move(status));
    stream.answered = true;
    if (response.data().empty() && !response.eof()) return OnEmpty(stream);
    stream.early_empty = 0;
    stream.backoff = options_.first_backoff;
    Deliver(stream, std::move(*response.mutable_data()), response.eof());
  }

  absl::Status CheckOffset(Stream& stream, const agent::v1::ReadOutputResponse& response) {
    if (response.data().size() > options_.max_bytes)
      return Broken(
          stream, absl::StrCat(response.data().size(), " bytes of data where ", options_.max_bytes, " were asked for"));
    if (response.offset() < stream.offset || (response.offset() > stream.offset && stream.answered))
      return Broken(stream,
                    absl::StrCat("data at offset ", response.offset(), " where ", stream.offset, " was asked for"));
    if (response.offset() > std::numeric_limits<uint64_t>::max() - options_.max_bytes)
      return Broken(stream, "an offset that no stream has");
    if (response.offset() > stream.offset) {
      spdlog::warn("container {} of sandbox {}: {} bytes of {} had been acknowledged and are not there again",
                   options_.container_id, options_.sandbox_id, response.offset() - stream.offset, Name(stream));
      stream.offset = response.offset();
      stream.seen = std::max(stream.seen, stream.offset);
    }
    return absl::OkStatus();
  }

  void OnEmpty(Stream& stream) {
    // Half the time: the guest's clock may differ from ours, and under load calls are late, never early.
    if (absl::Now() - stream.asked_at >= options_.guest_wait / 2) {
      stream.early_empty = 0;
      return Read(stream);
    }
    if (++stream.early_empty >= kMaxEarlyEmptyAnswers) return Break(stream, "a row of empty answers without waiting");
    ReadAfterBackoff(stream);
  }

  void OnPlainAnswer(Stream& stream, absl::StatusOr<std::string> answer) {
    if (!answer.ok()) {
      if (IsPlainEnd(answer.status())) return Deliver(stream, "", true);
      return OnError(stream, answer.status());
    }
    grpc::ReadStreamResponse response;
    if (!response.ParseFromString(*answer)) return Break(stream, "an answer that is no message");
    if (response.data().size() > options_.max_bytes) return Break(stream, "more data than asked for");
    stream.failures = 0;
    stream.backoff = options_.first_backoff;
    const bool end = response.data().empty();
    Deliver(stream, std::move(*response.mutable_data()), end);
  }

  void OnError(Stream& stream, const absl::Status& status) {
    if (absl::IsCancelled(status) || absl::IsNotFound(status)) return Finish(status);
    if (!IsPassing(status) && ++stream.failures >= kMaxFailures)
      return Finish(Prefix(status, absl::StrCat("read ", Name(stream), " of container ", options_.container_id)));
    ReadAfterBackoff(stream);
  }

  // Hands to taps and sink what came. `data` begins at stream.offset.
  void Deliver(Stream& stream, std::string data, bool end) {
    const uint64_t data_end = stream.offset + data.size();
    if (data_end > stream.seen) {
      const absl::string_view fresh = absl::string_view(data).substr(stream.seen - stream.offset);
      for (const auto& tap : std::vector<std::shared_ptr<OutputTap>>(taps_)) tap->Data(stream.which, fresh);
      stream.seen = data_end;
    }
    if (data.empty()) return end ? EndStream(stream) : Read(stream);
    // A full answer is cut anywhere, and there is more: whole lines are taken, the rest comes again with what follows.
    // Else the rest of a line may be on its way, or may be a prompt: it is given a little time.
    const bool full = data.size() == options_.max_bytes && !plain_;
    const bool flush = end || plain_ || (stream.held && !full);
    stream.held = false;
    const size_t size = data.size();
    const std::shared_ptr<OutputSink> sink = sink_;  // Close() may drop it during the call
    sink->Write(stream.which, std::move(data), flush ? Tail::kFlush : Tail::kMayHold,
                [self = shared_from_this(), &stream, size, full, end](size_t taken) {
                  if (!self->closed_) self->OnTaken(stream, size, std::min(taken, size), full, end);
                });
  }

  void OnTaken(Stream& stream, size_t size, size_t taken, bool full, bool end) {
    stream.offset += taken;
    if (taken == size) return end ? EndStream(stream) : Read(stream);
    if (full && taken > 0) return Read(stream);
    stream.held = true;
    ReadAfter(stream, options_.hold_time);
  }

  void EndStream(Stream& stream) {
    stream.ended = true;
    const std::shared_ptr<OutputSink> sink = sink_;
    sink->End(stream.which);
    for (const auto& tap : std::vector<std::shared_ptr<OutputTap>>(taps_)) tap->End(stream.which);
    FinishIfEnded();
  }

  void FinishIfEnded() {
    if (streams_[0].ended && streams_[1].ended) Finish(absl::OkStatus());
  }

  void ReadAfterBackoff(Stream& stream) {
    const absl::Duration pause = stream.backoff;
    stream.backoff = std::min(2 * stream.backoff, options_.max_backoff);
    ReadAfter(stream, pause);
  }

  void ReadAfter(Stream& stream, absl::Duration pause) {
    stream.timer.expires_after(absl::ToChronoNanoseconds(pause));
    stream.timer.async_wait([self = shared_from_this(), &stream](const boost::system::error_code& cancelled) {
      if (!cancelled) self->Read(stream);
    });
  }

  absl::Status Broken(const Stream& stream, absl::string_view what) const {
    return absl::DataLossError(absl::StrCat("the agent of sandbox ", options_.sandbox_id, " sent ", what, ": ",
                                            Name(stream), " of container ", options_.container_id));
  }
  void Break(Stream& stream, absl::string_view what) { Finish(Broken(stream, what)); }

  void Finish(absl::Status status) {
    if (closed_) return;
    Close();
    if (on_done_ == nullptr) return;
    std::function<void(absl::Status)> done = std::move(on_done_);
    on_done_ = nullptr;
    done(std::move(status));
  }

  void Close() {
    if (closed_) return;
    closed_ = true;
    for (Stream& stream : streams_) {
      stream.timer.cancel();
      if (stream.ended) continue;
      for (const auto& tap : taps_) tap->End(stream.which);
    }
    taps_.clear();
    sink_ = nullptr;
    client_ = nullptr;
  }

  static const char* Name(const Stream& stream) { return stream.which == OutputStream::kStdout ? "stdout" : "stderr"; }

  // All in the event loop's thread.
  EventLoop& loop_;
  std::shared_ptr<AgentClient> client_;  // dropped at the end: its calls under way hold this object
  std::shared_ptr<OutputSink> sink_;
  const OutputPumpOptions options_;
  std::function<void(absl::Status)> on_done_;
  std::array<Stream, 2> streams_;
  std::vector<std::shared_ptr<OutputTap>> taps_;
  bool plain_ = false;  // the agent has no ReadOutput
  bool closed_ = false;
};

}  // namespace

std::shared_ptr<OutputPump> OutputPump::Start(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                              std::shared_ptr<OutputSink> sink, OutputPumpOptions options,
                                              std::function<void(absl::Status)> on_done) {
  auto pump = std::make_shared<OutputPumpImpl>(loop, std::move(client), std::move(sink), std::move(options),
                                               std::move(on_done));
  pump->Begin();
  return pump;
}

}  // namespace podvisor
