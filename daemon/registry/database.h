#pragma once
// Database: one SQLite file in WAL mode, and statements bound by type. Errors are kCorrupt for a file that is no
// database or is damaged, kUnsupported for one that a newer program wrote, kResourceExhausted for a full disk,
// kInternal otherwise; each names the file.
//
// Any thread: a connection is used by one at a time, under the lock that a Transaction or a Query holds.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace mlxr {

class Database;

// A prepared statement with its values. Parameters are bound in order, rows are read column by column; a column of
// another type reads as that type's zero, which STRICT tables rule out. Errors are kept and told by run() and next().
class Query {
 public:
  Query(Database& database, std::string_view sql);
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Query& bind(std::int64_t value);
  Query& bind(double value);
  Query& bind(std::string_view text);  // copied
  Query& bind_null();
  Query& bind_optional(const std::optional<std::string>& text);
  Query& bind_optional(const std::optional<std::int64_t>& value);

  // Runs a statement without rows; how many it changed.
  Result<std::int64_t> run();
  // The next row: true when there is one.
  Result<bool> next();

  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;
  bool is_null(int column) const;

 private:
  void bound(int code);

  Database& database_;
  std::unique_lock<std::recursive_mutex> lock_;
  sqlite3_stmt* statement_ = nullptr;
  int next_parameter_ = 1;
  Status status_;
};

// All or nothing: rolled back unless commit() was called. Begins at once for writing.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  Status status() const { return status_; }  // of the beginning
  Status commit();

 private:
  Database& database_;
  std::unique_lock<std::recursive_mutex> lock_;
  Status status_;
  bool open_ = false;
};

class Database {
 public:
  // Makes the file (mode 0600) and its folder; brings an older file up to date. ":memory:" is one for tests.
  static Result<std::unique_ptr<Database>> open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const std::string& path() const { return path_; }
  int version() const { return version_; }  // migrations applied
  // Several statements without parameters.
  Status execute(const std::string& sql);
  // What SQLite finds wrong with the file, one line a problem; empty: nothing.
  Result<std::string> check();

 private:
  friend class Query;
  friend class Transaction;
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  Status migrate();
  Result<std::int64_t> pragma(const std::string& name);
  Status error(int code, const std::string& doing) const;

  std::string path_;
  sqlite3* handle_;
  int version_ = 0;
  std::recursive_mutex mutex_;
};

// Moves a damaged database aside (to PATH.damaged-N) so that a new one can be made. Its models come back from
// manifests; keys, usage and stored responses do not. The new name.
Result<std::string> set_database_aside(const std::string& path);

}  // namespace mlxr
