#pragma once
// Errors that a user, a file or a peer can cause travel as Status or Result<T>; what only a programmer can cause is a
// MLXR_CHECK (check.h). Success costs one null pointer and no allocation.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace mlxr {

enum class StatusCode : std::uint8_t {
  kOk = 0,
  kInvalidArgument,    // the caller's request makes no sense
  kNotFound,           // a named file, tensor or model does not exist
  kCorrupt,            // bytes from outside break their format
  kUnsupported,        // well-formed, but not something this build can do
  kResourceExhausted,  // memory, disk, queue or context is full
  kCancelled,          // the caller gave up
  kInternal,           // the system failed: I/O, a backend
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message)
      : state_(std::make_shared<const State>(State{code, std::move(message)})) {}

  bool ok() const { return state_ == nullptr; }
  StatusCode code() const { return ok() ? StatusCode::kOk : state_->code; }
  // One line, without a trailing full stop; empty when ok().
  const std::string& message() const;
  // The same code with `context` and ": " put before the message.
  Status with_context(const std::string& context) const;

 private:
  struct State {
    StatusCode code;
    std::string message;
  };
  std::shared_ptr<const State> state_;
};

inline Status invalid_argument(std::string message) {
  return {StatusCode::kInvalidArgument, std::move(message)};
}
inline Status not_found(std::string message) {
  return {StatusCode::kNotFound, std::move(message)};
}
inline Status corrupt(std::string message) {
  return {StatusCode::kCorrupt, std::move(message)};
}
inline Status unsupported(std::string message) {
  return {StatusCode::kUnsupported, std::move(message)};
}
inline Status resource_exhausted(std::string message) {
  return {StatusCode::kResourceExhausted, std::move(message)};
}
inline Status cancelled(std::string message) {
  return {StatusCode::kCancelled, std::move(message)};
}
inline Status internal(std::string message) {
  return {StatusCode::kInternal, std::move(message)};
}

// A value or the reason why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) {}  // NOLINT: implicit on purpose; must not be ok()

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return std::move(*value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace mlxr

#define MLXR_CONCAT_INNER(a, b) a##b
#define MLXR_CONCAT(a, b) MLXR_CONCAT_INNER(a, b)

#define MLXR_RETURN_IF_ERROR(expr)               \
  do {                                           \
    ::mlxr::Status mlxr_status_ = (expr);        \
    if (!mlxr_status_.ok()) return mlxr_status_; \
  } while (false)

#define MLXR_ASSIGN_OR_RETURN(lhs, expr) MLXR_ASSIGN_OR_RETURN_INNER(MLXR_CONCAT(mlxr_result_, __LINE__), lhs, expr)
// NOLINTBEGIN(bugprone-macro-parentheses): `lhs` may be a declaration
#define MLXR_ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) return tmp.status();               \
  lhs = std::move(tmp).value()
// NOLINTEND(bugprone-macro-parentheses)
