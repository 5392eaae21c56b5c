#include "podmanager/record_store.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {

namespace {

constexpr char kSandboxTable[] = "sandboxes";
constexpr char kContainerTable[] = "containers";
constexpr char kPoolTable[] = "pool_vms";

template <typename Record>
absl::Status LoadTable(StateDb& db, const char* table, std::vector<Record>* records,
                       std::vector<std::string>* unreadable) {
  ASSIGN_OR_RETURN(std::vector<StateDb::Row> rows, db.Scan(table), "read table ", table);
  for (const StateDb::Row& row : rows) {
    Record record;
    if (!record.ParseFromString(row.second) || record.id() != row.first || record.version() == 0) {
      unreadable->push_back(absl::StrCat(table, "/", row.first));
      RETURN_IF_ERROR(db.Delete(table, row.first));
      continue;
    }
    if (record.version() > kRecordVersion) {
      return absl::FailedPreconditionError(absl::StrCat(
          "record ", row.first, " in table ", table, ": written by a newer podvisord (record version ",
          record.version(), ", this one knows ", kRecordVersion, "): install that, or remove its pods with it first"));
    }
    records->push_back(std::move(record));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RecordStore::CheckNotFrozen() const {
  return frozen_ ? absl::UnavailableError("podvisord is shutting down") : absl::OkStatus();
}

absl::Status RecordStore::Put(SandboxRecord record) {
  RETURN_IF_ERROR(CheckNotFrozen());
  record.set_version(kRecordVersion);
  return Annotate(db_.Put(kSandboxTable, record.id(), record.SerializeAsString()), "record of sandbox ", record.id());
}

absl::Status RecordStore::Put(ContainerRecord record) {
  RETURN_IF_ERROR(CheckNotFrozen());
  record.set_version(kRecordVersion);
  return Annotate(db_.Put(kContainerTable, record.id(), record.SerializeAsString()), "record of container ",
                  record.id());
}

absl::Status RecordStore::PutTaken(SandboxRecord record) {
  RETURN_IF_ERROR(CheckNotFrozen());
  record.set_version(kRecordVersion);
  return Annotate(db_.Apply({{.table = kPoolTable, .key = record.id(), .value = std::nullopt},
                             {.table = kSandboxTable, .key = record.id(), .value = record.SerializeAsString()}}),
                  "record of sandbox ", record.id());
}

absl::Status RecordStore::Put(PoolRecord record) {
  RETURN_IF_ERROR(CheckNotFrozen());
  record.set_version(kRecordVersion);
  return Annotate(db_.Put(kPoolTable, record.id(), record.SerializeAsString()), "record of pool VM ", record.id());
}

absl::Status RecordStore::DeletePoolVm(const std::string& id) {
  RETURN_IF_ERROR(CheckNotFrozen());
  return Annotate(db_.Delete(kPoolTable, id), "record of pool VM ", id);
}

absl::Status RecordStore::DeleteSandbox(const std::string& id) {
  RETURN_IF_ERROR(CheckNotFrozen());
  return Annotate(db_.Delete(kSandboxTable, id), "record of sandbox ", id);
}

absl::Status RecordStore::DeleteContainer(const std::string& id) {
  RETURN_IF_ERROR(CheckNotFrozen());
  return Annotate(db_.Delete(kContainerTable, id), "record of container ", id);
}

absl::StatusOr<RecordStore::Loaded> RecordStore::Load() {
  Loaded loaded;
  RETURN_IF_ERROR(LoadTable(db_, kSandboxTable, &loaded.sandboxes, &loaded.unreadable));
  RETURN_IF_ERROR(LoadTable(db_, kContainerTable, &loaded.containers, &loaded.unreadable));
  RETURN_IF_ERROR(LoadTable(db_, kPoolTable, &loaded.pool_vms, &loaded.unreadable));
  return loaded;
}

}  // namespace podvisor
