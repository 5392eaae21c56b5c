#include "agent/guest/connection.h"

#include <errno.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>

#include "agent/guest/bytes_field.h"
#include "agent/guest/log.h"
#include "third_party/wire/ttrpc.pb.h"

namespace podvisor::guest {
namespace {

constexpr size_t kMaxQueuedBytes = 8 << 20;
constexpr size_t kKeptBufferBytes = 64 << 10;  // a larger one is given back once it is empty
constexpr int64_t kTrimMs = 1000;
constexpr int64_t kMaxTimeoutNs = int64_t{24} * 3600 * 1'000'000'000;
char read_buffer[64 << 10];  // one thread: all connections share it

}  // namespace

Connection::Connection(Loop& loop, const Dispatcher& dispatcher, UniqueFd fd, Kind kind, std::function<void()> on_close)
    : loop_(loop), dispatcher_(dispatcher), fd_(std::move(fd)), kind_(kind), on_close_(std::move(on_close)) {}

Connection::~Connection() {
  loop_.Cancel(trim_timer_);
  if (fd_.ok()) loop_.Unwatch(fd_.get());
}

absl::Status Connection::Start() {
  // A virtio-serial port without a host reports EPOLLHUP all the time: told by edges, it costs nothing.
  interest_ = kind_ == Kind::kSerial ? EPOLLIN | EPOLLOUT | EPOLLET : EPOLLIN;
  return loop_.Watch(fd_.get(), interest_, [this](uint32_t) { OnEvents(); });
}

void Connection::OnEvents() {
  const auto self = shared_from_this();
  ReadAll();
  if (!fd_.ok()) return;
  Flush();
}

void Connection::ReadAll() {
  while (fd_.ok() && out_.size() - written_ < kMaxQueuedBytes) {
    bool dry = false;
    size_t size = 0;
    // A port gives a page at most at once; what comes after it costs less when it is taken together.
    while (!dry && size < sizeof(read_buffer) && (size == 0 || kind_ == Kind::kSerial)) {
      const ssize_t got = ::read(fd_.get(), read_buffer + size, sizeof(read_buffer) - size);
      if (got < 0 && errno == EINTR) continue;
      // End of file on a port only says that the host is away.
      if (got <= 0 && kind_ == Kind::kSocket && (got == 0 || errno != EAGAIN)) return Close();
      dry = got <= 0;
      if (!dry) size += static_cast<size_t>(got);
    }
    if (size > 0 && !Take(absl::string_view(read_buffer, size))) return Close();
    // Others get their turn; a port has to be read dry, for it tells of edges only.
    if (dry || kind_ == Kind::kSocket) return;
  }
}

bool Connection::Take(absl::string_view bytes) {
  if (kind_ == Kind::kSocket) return TakeFrames(bytes);
  const SerialGuestLink::Received received = link_.Receive(bytes);
  if (received.new_session) {
    ++session_;
    decoder_.Reset();
    out_.clear();
    written_ = 0;
    dispatcher_.OwnerGone();
  }
  out_ += received.reply;
  if (TakeFrames(received.data)) return true;
  decoder_.Reset();
  AppendLost(&out_);
  return true;
}

bool Connection::TakeFrames(absl::string_view bytes) {
  std::vector<Frame> frames;
  const absl::Status status = decoder_.Feed(bytes, &frames);
  for (const Frame& frame : frames) {
    if (frame.type == FrameType::kRequest) TakeRequest(frame);
  }
  if (!status.ok()) Log("connection ended: ", status.message());
  return status.ok();
}

void Connection::TakeRequest(const Frame& frame) {
  if (frame.payload.size() > kKeptBufferBytes) TrimLater();
  SplitMessage message;
  ttrpc::Request request;
  const bool parsed = SplitBytesField(frame.payload, ttrpc::Request::kPayloadFieldNumber, &message) &&
                      request.ParseFromString(message.rest);
  const int64_t timeout = std::min(request.timeout_nano(), kMaxTimeoutNs);
  auto call = std::make_shared<Call>(weak_from_this(), session_, frame.stream_id,
                                     timeout > 0 ? NowMs() + timeout / 1'000'000 : 0);
  if (!parsed) return call->Fail(absl::InvalidArgumentError("not a ttrpc request"));
  dispatcher_.Dispatch(request.service(), request.method(), message.bytes, std::move(call));
}

void Connection::Answer(uint64_t session, uint32_t stream_id, const absl::Status& status, absl::string_view payload,
                        absl::string_view tail) {
  if (!IsOpen(session)) return;
  ttrpc::Response response;
  // A status is set on success too: clients exist that want one.
  response.mutable_status()->set_code(static_cast<int>(status.code()));
  if (!status.ok()) response.mutable_status()->set_message(std::string(status.message()));
  std::string message = response.SerializeAsString();
  const size_t payload_bytes = payload.size() + tail.size();
  if (payload_bytes > 0) AppendBytesFieldHead(ttrpc::Response::kPayloadFieldNumber, payload_bytes, &message);
  std::string head;
  const absl::Status framed = AppendFrameHeader(stream_id, FrameType::kResponse, message.size() + payload_bytes, &head);
  if (!framed.ok()) return Answer(session, stream_id, absl::ResourceExhaustedError(framed.message()), {}, {});
  head += message;
  for (const absl::string_view bytes : {absl::string_view(head), payload, tail}) {
    if (kind_ == Kind::kSerial) {
      out_.reserve(out_.size() + bytes.size() + bytes.size() / 64);  // random bytes grow by a 256th
      link_.Send(bytes, &out_);
    } else {
      out_.append(bytes.data(), bytes.size());
    }
  }
  // Not from here: this may be in the middle of reading.
  loop_.Post([weak = weak_from_this()] {
    if (const auto self = weak.lock(); self != nullptr) static_cast<Connection&>(*self).Flush();
  });
}

void Connection::Flush() {
  const bool was_full = out_.size() - written_ >= kMaxQueuedBytes;
  while (fd_.ok() && written_ < out_.size()) {
    const ssize_t put = ::write(fd_.get(), out_.data() + written_, out_.size() - written_);
    if (put > 0) {
      written_ += static_cast<size_t>(put);
    } else if (put < 0 && errno == EINTR) {
      continue;
    } else if (kind_ == Kind::kSerial || (put < 0 && errno == EAGAIN)) {
      break;  // an event tells when it goes on; a port whose host is away waits for the next session
    } else {
      return Close();
    }
  }
  if (written_ == out_.size()) {
    written_ = 0;
    out_.clear();
    if (out_.capacity() > kKeptBufferBytes) {
      out_.shrink_to_fit();
      TrimLater();
    }
  }
  UpdateInterest();
  if (was_full && kind_ == Kind::kSerial && out_.size() - written_ < kMaxQueuedBytes) ReadAll();
}

void Connection::TrimLater() {
  loop_.Cancel(trim_timer_);
  trim_timer_ = loop_.After(kTrimMs, [] { ::malloc_trim(0); });
}

void Connection::UpdateInterest() {
  if (kind_ == Kind::kSerial || !fd_.ok()) return;
  const size_t queued = out_.size() - written_;
  const uint32_t wanted = (queued < kMaxQueuedBytes ? EPOLLIN : 0u) | (queued > 0 ? EPOLLOUT : 0u);
  if (wanted == interest_) return;
  interest_ = wanted;
  loop_.Modify(fd_.get(), wanted);
}

void Connection::Close() {
  if (!fd_.ok()) return;
  const auto self = shared_from_this();
  loop_.Unwatch(fd_.get());
  fd_.reset();
  dispatcher_.OwnerGone();
  if (on_close_) on_close_();
}

}  // namespace podvisor::guest
