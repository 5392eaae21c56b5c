// The daemon's one state database: tables of versioned records by key.
#ifndef PODVISOR_BASE_STATE_DB_H_
#define PODVISOR_BASE_STATE_DB_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

struct sqlite3;

namespace podvisor {

// SQLite in WAL mode with synchronous=NORMAL: a committed write survives kill -9 of the daemon and no commit waits for
// the disk; a power cut takes at most the last moments, consistently over all tables. Thread-safe.
//
// A second process that opens the same file gets kFailedPrecondition: the database is locked for the daemon's life.
// A table is made by its first use; its name is a C identifier chosen by the code, never by input.
class StateDb {
 public:
  // One write of a batch; without a value the row is deleted (no error if there is none).
  struct Write {
    std::string table;
    std::string key;
    std::optional<std::string> value;
  };
  using Row = std::pair<std::string, std::string>;  // key, value

  // `path` is created if missing, mode 0600; ":memory:" for tests.
  static absl::StatusOr<std::unique_ptr<StateDb>> Open(const std::string& path);
  StateDb(const StateDb&) = delete;
  StateDb& operator=(const StateDb&) = delete;
  ~StateDb();

  // All or none of the writes. kResourceExhausted if the disk is full.
  absl::Status Apply(const std::vector<Write>& writes);
  absl::Status Put(const std::string& table, const std::string& key, std::string value);
  absl::Status Delete(const std::string& table, const std::string& key);

  // kNotFound if there is no such row.
  absl::StatusOr<std::string> Get(const std::string& table, const std::string& key);
  // All rows by key. Reads everything: for start-up.
  absl::StatusOr<std::vector<Row>> Scan(const std::string& table);

 private:
  explicit StateDb(sqlite3* db) : db_(db) {}
  absl::Status EnsureTable(const std::string& table) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Execute(const std::string& sql) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status ApplyOne(const Write& write) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Error(int code, const std::string& what) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::Mutex mu_;
  sqlite3* const db_ ABSL_PT_GUARDED_BY(mu_);
  std::vector<std::string> tables_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_BASE_STATE_DB_H_
