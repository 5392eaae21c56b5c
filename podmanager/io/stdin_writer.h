// Writes to the stdin of a process in a guest.
#ifndef PODVISOR_PODMANAGER_IO_STDIN_WRITER_H_
#define PODVISOR_PODMANAGER_IO_STDIN_WRITER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "agent/client/agent_client.h"
#include "podmanager/io/shared_piece.h"
#include "podmanager/stream_session.h"

namespace podvisor {

// One call is under way at a time, or two where pieces go by a file; the guest answers it when the program's pipe has
// taken the bytes. When the program has closed its stdin, or the guest can't be reached, what follows is dropped, as a
// pipe's writer would see it: the end of the process tells the rest. In the event loop's thread.
class StdinWriter : public std::enable_shared_from_this<StdinWriter> {
 public:
  // `shared_folder`: the host's path of the sandbox's shared folder, through which large pieces go; empty: in messages.
  StdinWriter(std::shared_ptr<AgentClient> client, std::string container_id, std::string exec_id,
              std::string shared_folder);

  // `taken` as StreamSession::Write(), or when the last pieces are on their way. Pieces are of at most 256 KiB.
  void Write(std::string data, std::function<void()> taken);
  void Close();
  void Resize(TerminalSize size);
  // `taken` of a Write() under way is not called any more.
  void Abandon();

 private:
  void SendMore();
  // False if this piece has to go in a message.
  bool SendByFile(absl::string_view piece);
  void OnFileWritten(const absl::Status& status, size_t size);
  void SendByMessage(absl::string_view piece);
  // Counts a piece, before its call is made.
  void Sending(size_t size);
  void OnWritten(const absl::Status& status);
  void Taken();

  const std::shared_ptr<AgentClient> client_;
  const std::string container_id_, exec_id_;
  SharedPiece shared_;
  bool by_file_;
  bool file_works_ = false;  // the guest has read a piece: until then nothing is sent after one
  int under_way_ = 0;        // calls without an answer
  std::string data_;
  size_t sent_ = 0;  // of it
  std::function<void()> taken_;
  bool broken_ = false;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_STDIN_WRITER_H_
