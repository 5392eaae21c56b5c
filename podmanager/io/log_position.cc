#include "podmanager/io/log_position.h"

#include "podmanager/io/log_checkpoint.pb.h"

namespace podvisor {

std::string SerializePosition(const LogPosition& position) {
  LogCheckpoint checkpoint;
  checkpoint.set_path(position.path);
  checkpoint.set_inode(position.inode);
  checkpoint.set_size(position.size);
  checkpoint.mutable_out()->set_offset(position.offset[0]);
  checkpoint.mutable_out()->set_ended(position.ended[0]);
  checkpoint.mutable_err()->set_offset(position.offset[1]);
  checkpoint.mutable_err()->set_ended(position.ended[1]);
  return checkpoint.SerializeAsString();
}

absl::StatusOr<LogPosition> ParsePosition(const std::string& record) {
  LogCheckpoint checkpoint;
  if (!checkpoint.ParseFromString(record) || checkpoint.path().empty())
    return absl::DataLossError("log checkpoint: the record in the state database is malformed");
  return LogPosition{.path = checkpoint.path(),
                     .inode = checkpoint.inode(),
                     .size = checkpoint.size(),
                     .offset = {checkpoint.out().offset(), checkpoint.err().offset()},
                     .ended = {checkpoint.out().ended(), checkpoint.err().ended()}};
}

}  // namespace podvisor
