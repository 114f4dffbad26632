#include "daemon/registry/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <system_error>

#include <fmt/core.h>

#include "core/base/check.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

struct Migration {
  int number;
  const char* sql;
};

constexpr Migration kMigrations[] = {
#define MLXR_MIGRATION(number, sql) {number, sql},
#include "daemon/registry/schema.def"
#undef MLXR_MIGRATION
};
constexpr int kNewestVersion = std::end(kMigrations)[-1].number;

constexpr int kBusyTimeoutMs = 10000;
// "MLXR": says in the file's header whose database it is.
constexpr std::int64_t kApplicationId = 0x4D4C5852;

StatusCode code_of(int sqlite_code) {
  switch (sqlite_code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return StatusCode::kCorrupt;
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
      return StatusCode::kResourceExhausted;
    case SQLITE_CONSTRAINT:
      return StatusCode::kInvalidArgument;
    default:
      return StatusCode::kInternal;
  }
}

}  // namespace

// --- Query
// -------------------------------------------------------------------------------------------------------------

Query::Query(Database& database, std::string_view sql) : database_(database), lock_(database.mutex_) {
  const int code =
      sqlite3_prepare_v2(database_.handle_, sql.data(), static_cast<int>(sql.size()), &statement_, nullptr);
  if (code != SQLITE_OK) status_ = database_.error(code, "prepare a statement");
}

Query::~Query() {
  sqlite3_finalize(statement_);
}

void Query::bound(int code) {
  if (code != SQLITE_OK && status_.ok()) status_ = database_.error(code, "bind a value");
  ++next_parameter_;
}

Query& Query::bind(std::int64_t value) {
  if (status_.ok()) bound(sqlite3_bind_int64(statement_, next_parameter_, value));
  return *this;
}

Query& Query::bind(double value) {
  if (status_.ok()) bound(sqlite3_bind_double(statement_, next_parameter_, value));
  return *this;
}

Query& Query::bind(std::string_view text) {
  if (status_.ok()) {
    bound(sqlite3_bind_text64(statement_, next_parameter_, text.data() == nullptr ? "" : text.data(), text.size(),
                              SQLITE_TRANSIENT, SQLITE_UTF8));
  }
  return *this;
}

Query& Query::bind_null() {
  if (status_.ok()) bound(sqlite3_bind_null(statement_, next_parameter_));
  return *this;
}

Query& Query::bind_optional(const std::optional<std::string>& text) {
  return text ? bind(std::string_view(*text)) : bind_null();
}

Query& Query::bind_optional(const std::optional<std::int64_t>& value) {
  return value ? bind(*value) : bind_null();
}

Result<bool> Query::next() {
  if (!status_.ok()) return status_;
  MLXR_CHECK(next_parameter_ - 1 == sqlite3_bind_parameter_count(statement_), "not all parameters are bound");
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  status_ = database_.error(code, "run a statement");
  return status_;
}

Result<std::int64_t> Query::run() {
  for (;;) {
    MLXR_ASSIGN_OR_RETURN(const bool row, next());
    if (!row) return static_cast<std::int64_t>(sqlite3_changes64(database_.handle_));
  }
}

std::int64_t Query::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double Query::real(int column) const {
  return sqlite3_column_double(statement_, column);
}

std::string Query::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return text == nullptr ? "" : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
}

bool Query::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

// --- Transaction
// -------------------------------------------------------------------------------------------------------

Transaction::Transaction(Database& database) : database_(database), lock_(database.mutex_) {
  MLXR_CHECK(sqlite3_get_autocommit(database_.handle_) != 0, "a transaction is open already");
  status_ = database_.execute("BEGIN IMMEDIATE");
  open_ = status_.ok();
}

Transaction::~Transaction() {
  // SQLite rolls back by itself after some errors; then there is nothing to roll back.
  if (open_ && sqlite3_get_autocommit(database_.handle_) == 0) {
    sqlite3_exec(database_.handle_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

Status Transaction::commit() {
  if (!status_.ok()) return status_;
  MLXR_CHECK(open_, "the transaction is committed");
  MLXR_RETURN_IF_ERROR(database_.execute("COMMIT"));
  open_ = false;
  return {};
}

// --- Database
// ----------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  const bool in_memory = path == ":memory:";
  if (!in_memory) {
    std::error_code error;
    if (const fs::path parent = fs::path(path).parent_path(); !parent.empty()) fs::create_directories(parent, error);
    if (error) return internal(fmt::format("{}: cannot make its folder: {}", path, error.message()));
    // Keys and conversations are nobody else's. The files that SQLite makes beside this one take its mode.
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return internal(fmt::format("{}: cannot open: {}", path, std::strerror(errno)));
    ::close(fd);
  }
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(path, handle));
  Status status = code == SQLITE_OK ? Status() : database->error(code, "open");
  if (status.ok()) {
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, kBusyTimeoutMs);
    // NORMAL with WAL: a power cut may lose the last transactions, never the file.
    status = database->execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
        "PRAGMA trusted_schema = OFF;");
  }
  if (status.ok()) status = database->migrate();
  if (!status.ok()) return status;
  return database;
}

Database::~Database() {
  sqlite3_close(handle_);
}

Status Database::error(int code, const std::string& doing) const {
  if ((code & 0xFF) == SQLITE_NOTADB) return corrupt(path_ + ": is no database");
  return {code_of(code), fmt::format("{}: cannot {}: {}", path_, doing, sqlite3_errmsg(handle_))};
}

Status Database::execute(const std::string& sql) {
  const std::lock_guard lock(mutex_);
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? Status() : error(code, "run a statement");
}

Result<std::int64_t> Database::pragma(const std::string& name) {
  Query query(*this, "PRAGMA " + name);
  MLXR_ASSIGN_OR_RETURN(const bool row, query.next());
  return row ? query.integer(0) : 0;
}

Status Database::migrate() {
  // Read under the write lock, so that two programs that start at once do not both migrate.
  for (;;) {
    Transaction transaction(*this);
    MLXR_RETURN_IF_ERROR(transaction.status());
    MLXR_ASSIGN_OR_RETURN(const std::int64_t version, pragma("user_version"));
    MLXR_ASSIGN_OR_RETURN(const std::int64_t application, pragma("application_id"));
    if (application != kApplicationId && (application != 0 || version != 0)) {
      return corrupt(path_ + ": is the database of another program");
    }
    if (version > kNewestVersion) {
      return unsupported(
          fmt::format("{}: written by a newer version of this program (schema {}, this one knows {}); "
                      "update it, or name another database",
                      path_, version, kNewestVersion));
    }
    version_ = static_cast<int>(version);
    const auto* next = std::find_if(std::begin(kMigrations), std::end(kMigrations),
                                    [&](const Migration& migration) { return migration.number > version; });
    if (next == std::end(kMigrations)) return {};
    MLXR_RETURN_IF_ERROR(execute(next->sql).with_context(fmt::format("migration {}", next->number)));
    MLXR_RETURN_IF_ERROR(
        execute(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplicationId, next->number)));
    MLXR_RETURN_IF_ERROR(transaction.commit());
  }
}

Result<std::string> Database::check() {
  std::string problems;
  for (const char* pragma : {"PRAGMA integrity_check(20)", "PRAGMA foreign_key_check"}) {
    Query query(*this, pragma);
    for (;;) {
      MLXR_ASSIGN_OR_RETURN(const bool row, query.next());
      if (!row) break;
      if (query.text(0) != "ok") problems += (problems.empty() ? "" : "\n") + query.text(0);
    }
  }
  return problems;
}

Result<std::string> set_database_aside(const std::string& path) {
  std::error_code error;
  std::string aside;
  for (int i = 1; aside.empty() || fs::exists(aside, error); ++i)
    aside = fmt::format("{}.damaged-{}", path, i);
  for (const char* suffix : {"-wal", "-shm", ""}) {
    if (!fs::exists(path + suffix, error)) continue;
    fs::rename(path + suffix, aside + suffix, error);
    if (error) return internal(fmt::format("{}: cannot move aside: {}", path + suffix, error.message()));
  }
  return aside;
}

}  // namespace mlxr
