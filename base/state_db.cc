#include "base/state_db.h"

#include <fcntl.h>
#include <sqlite3.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor {
namespace {

// Finalizes a statement whatever way the scope is left.
class Statement {
 public:
  Statement() = default;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }
  sqlite3_stmt** out() { return &statement_; }
  sqlite3_stmt* get() const { return statement_; }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

std::string Column(sqlite3_stmt* statement, int column) {
  const void* data = sqlite3_column_blob(statement, column);
  if (data == nullptr) return "";
  return std::string(static_cast<const char*>(data), static_cast<size_t>(sqlite3_column_bytes(statement, column)));
}

void Bind(sqlite3_stmt* statement, int index, const std::string& bytes) {
  sqlite3_bind_blob64(statement, index, bytes.data(), bytes.size(), SQLITE_STATIC);
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateDb>> StateDb::Open(const std::string& path) {
  // Made here and not by SQLite, for its mode.
  if (path != ":memory:") {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open state database ", path));
  }
  sqlite3* handle = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  std::unique_ptr<StateDb> db(new StateDb(handle));
  absl::MutexLock lock(&db->mu_);
  if (opened != SQLITE_OK) return db->Error(opened, absl::StrCat("open state database ", path));
  sqlite3_extended_result_codes(handle, 1);
  for (const char* pragma : {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL",
                             // The exclusive lock is taken by the first write transaction, so take it now.
                             "BEGIN EXCLUSIVE", "COMMIT"})
    RETURN_IF_ERROR(db->Execute(pragma), "state database ", path);
  return db;
}

StateDb::~StateDb() { sqlite3_close_v2(db_); }

absl::Status StateDb::Error(int code, const std::string& what) const {
  const std::string message = absl::StrCat(what, ": ", sqlite3_errmsg(db_));
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::FailedPreconditionError(absl::StrCat(message, " (does another podvisord use it?)"));
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
      return absl::PermissionDeniedError(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    default:
      return absl::InternalError(message);
  }
}

absl::Status StateDb::Execute(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code, sql);
}

absl::Status StateDb::EnsureTable(const std::string& table) {
  if (std::find(tables_.begin(), tables_.end(), table) != tables_.end()) return absl::OkStatus();
  RETURN_IF_ERROR(Execute(absl::StrCat("CREATE TABLE IF NOT EXISTS ", table,
                                       " (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")));
  tables_.push_back(table);
  return absl::OkStatus();
}

absl::Status StateDb::ApplyOne(const Write& write) {
  const std::string sql = write.value.has_value()
                              ? absl::StrCat("INSERT OR REPLACE INTO ", write.table, " VALUES (?, ?)")
                              : absl::StrCat("DELETE FROM ", write.table, " WHERE key = ?");
  Statement statement;
  if (const int code = sqlite3_prepare_v2(db_, sql.c_str(), -1, statement.out(), nullptr); code != SQLITE_OK)
    return Error(code, sql);
  Bind(statement.get(), 1, write.key);
  if (write.value.has_value()) Bind(statement.get(), 2, *write.value);
  const int code = sqlite3_step(statement.get());
  return code == SQLITE_DONE ? absl::OkStatus() : Error(code, sql);
}

absl::Status StateDb::Apply(const std::vector<Write>& writes) {
  absl::MutexLock lock(&mu_);
  // Outside of the transaction: a roll-back would take the table but not our note that it exists.
  for (const Write& write : writes) RETURN_IF_ERROR(EnsureTable(write.table));
  RETURN_IF_ERROR(Execute("BEGIN"));
  for (const Write& write : writes) {
    if (absl::Status status = ApplyOne(write); !status.ok()) {
      Execute("ROLLBACK").IgnoreError();
      return status;
    }
  }
  if (absl::Status status = Execute("COMMIT"); !status.ok()) {
    Execute("ROLLBACK").IgnoreError();
    return status;
  }
  return absl::OkStatus();
}

absl::Status StateDb::Put(const std::string& table, const std::string& key, std::string value) {
  return Apply({{table, key, std::move(value)}});
}

absl::Status StateDb::Delete(const std::string& table, const std::string& key) {
  return Apply({{table, key, std::nullopt}});
}

absl::StatusOr<std::string> StateDb::Get(const std::string& table, const std::string& key) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(EnsureTable(table));
  const std::string sql = absl::StrCat("SELECT value FROM ", table, " WHERE key = ?");
  Statement statement;
  if (const int code = sqlite3_prepare_v2(db_, sql.c_str(), -1, statement.out(), nullptr); code != SQLITE_OK)
    return Error(code, sql);
  Bind(statement.get(), 1, key);
  const int code = sqlite3_step(statement.get());
  if (code == SQLITE_ROW) return Column(statement.get(), 0);
  if (code == SQLITE_DONE) return absl::NotFoundError(absl::StrCat("no row ", key, " in table ", table));
  return Error(code, sql);
}

absl::StatusOr<std::vector<StateDb::Row>> StateDb::Scan(const std::string& table) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(EnsureTable(table));
  const std::string sql = absl::StrCat("SELECT key, value FROM ", table, " ORDER BY key");
  Statement statement;
  if (const int code = sqlite3_prepare_v2(db_, sql.c_str(), -1, statement.out(), nullptr); code != SQLITE_OK)
    return Error(code, sql);
  std::vector<Row> rows;
  for (;;) {
    const int code = sqlite3_step(statement.get());
    if (code == SQLITE_DONE) return rows;
    if (code != SQLITE_ROW) return Error(code, sql);
    rows.emplace_back(Column(statement.get(), 0), Column(statement.get(), 1));
  }
}

}  // namespace podvisor
